//! A/B over days: two variants, one metric, a verdict that may be read on any day.

use serde::{Deserialize, Serialize};

use super::metric::{Asked, Metric};
use super::split::Split;
use super::{Alpha, Arms};
use crate::judge::words::percent;

/// State of an experiment on one metric, where a count is what the metric counts: failures, or successes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Experiment {
    alpha: Alpha,
    metric: Metric,
    split: Split,
}

/// What it shows. Variant A is the one that serves today.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The split is not what was planned: nothing can be said.
    Invalid,
    /// B has the greater share.
    Greater,
    /// B has the smaller share.
    Smaller,
    /// Neither is shown.
    Undecided,
}

/// The verdict of a day.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// What it shows.
    pub outcome: Outcome,
    /// Where B's share over A's lies, at every look at once; `None`: no upper bound yet.
    pub ratio: (f64, Option<f64>),
    /// ln of the evidence that the split is not the planned one.
    pub ln_e_split: f64,
    /// The verdict for a person.
    pub words: String,
}

impl Experiment {
    /// An experiment whose statements are all true with chance `1 - alpha`.
    pub fn new(alpha: Alpha) -> Self {
        Self {
            alpha,
            metric: Metric::new(Asked::default()),
            split: Split::default(),
        }
    }

    /// Adds a block in which B was given `weight` of the traffic: A is `stable`, B is `candidate`. Without it the split says nothing.
    pub fn add(&mut self, arms: Arms, weight: Option<f64>) {
        self.metric.add(arms);
        if let Some(weight) = weight {
            self.split.add(arms.candidate.total, arms.stable.total, weight);
        }
    }

    /// What is known today.
    pub fn read(&self) -> Reading {
        let (low, high) = self.metric.ratio_bounds(self.alpha.value());
        let outcome = match (self.split.fault(), high) {
            (Some(_), _) => Outcome::Invalid,
            (None, _) if low > 1.0 => Outcome::Greater,
            (None, Some(high)) if high < 1.0 => Outcome::Smaller,
            _ => Outcome::Undecided,
        };
        Reading {
            outcome,
            ratio: (low, high),
            ln_e_split: self.split.ln_e(),
            words: self.words(outcome, low, high),
        }
    }

    fn words(&self, outcome: Outcome, low: f64, high: Option<f64>) -> String {
        let counted = self.metric.shown().counted;
        let arm = |name: &str, tally: super::Tally| match tally.share() {
            Some(share) => format!("{name} {} of {} requests", percent(share), tally.total),
            None => format!("{name} has no requests"),
        };
        let arms = format!("{}, {}", arm("A", counted.stable), arm("B", counted.candidate));
        let change = |ratio: f64| format!("{:+.1} %", (ratio - 1.0) * 100.0);
        let range = match high {
            Some(high) => format!("between {} and {}", change(low), change(high)),
            None => format!("{} or more", change(low)),
        };
        let sure = format!("{:.0} % sure, on any day", 100.0 * (1.0 - self.alpha.value()));
        match outcome {
            Outcome::Invalid => self.split.fault().unwrap_or_default(),
            Outcome::Greater => format!("B is greater: {range} against A ({sure}); {arms}"),
            Outcome::Smaller => format!("B is smaller: {range} against A ({sure}); {arms}"),
            Outcome::Undecided => format!("no difference is shown: {range} against A ({sure}); {arms}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Tally;

    fn days(bad_b: u64, weight: impl Into<Option<f64>> + Copy) -> Reading {
        let mut experiment = Experiment::new(Alpha::new(0.05).unwrap());
        for _ in 0..7 {
            let arms = Arms {
                stable: Tally::new(500, 10_000),
                candidate: Tally::new(bad_b, 10_000),
            };
            experiment.add(arms, weight.into());
        }
        experiment.read()
    }

    #[test]
    fn the_verdict_of_a_week_is_a_sentence() {
        assert_eq!(days(500, 0.5).outcome, Outcome::Undecided);
        let worse = days(650, 0.5);
        assert_eq!(worse.outcome, Outcome::Greater);
        assert!(
            worse.words.starts_with("B is greater: between +1"),
            "{}",
            worse.words
        );
        assert_eq!(days(350, 0.5).outcome, Outcome::Smaller);
        let wrong = days(650, 0.4);
        assert_eq!(wrong.outcome, Outcome::Invalid);
        assert!(wrong.words.contains("50.0 %"), "{}", wrong.words);
        let callers_choose = days(650, None);
        assert_eq!(callers_choose.outcome, Outcome::Greater);
    }
}
