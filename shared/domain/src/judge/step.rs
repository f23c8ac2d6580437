//! The judge of a rollout: blocks in, a verdict at any moment.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::budget::Alpha;
use super::metric::{Asked, Metric, Shown};
use super::power::{could_show, smallest_ratio};
use super::special::ln_mean;
use super::words;
use super::{Arms, Promote};

/// What a judge is asked.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Question {
    /// Chance of sending a good candidate back, over all steps and metrics.
    pub alpha: Alpha,
    /// Requests to the candidate without which nothing is promoted.
    pub min_samples: u64,
    /// What promotion needs.
    pub promote: Promote,
    /// The metrics; every one is required.
    pub metrics: BTreeMap<String, Asked>,
    /// Steps that share alpha; `None`: nobody knows.
    #[serde(default)]
    pub steps: Option<usize>,
}

/// What a judge says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is shown, and the step goes on.
    Continue,
    /// Harm is shown.
    Rollback,
    /// The step ended, and what promotion needs is there.
    Promote,
    /// The step ended, and it is not.
    Inconclusive,
}

impl Verdict {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Rollback => "rollback",
            Self::Promote => "promote",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// State of a rollout's judgement.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Judge {
    question: Question,
    metrics: BTreeMap<String, Metric>,
    step: usize,
    /// What earlier steps left of their parts of the stake, by metric.
    kept: BTreeMap<String, f64>,
    /// Why traffic goes back; once said, it stays said.
    rolled_back: Option<String>,
}

impl Judge {
    /// A judge who has seen nothing.
    pub fn new(question: Question) -> Self {
        let metrics = question.metrics.iter();
        Self {
            metrics: metrics
                .map(|(name, asked)| (name.clone(), Metric::new(*asked)))
                .collect(),
            question,
            step: 0,
            kept: BTreeMap::new(),
            rolled_back: None,
        }
    }

    /// Applies a block of the metrics that were measured in it; the others have none, which is no evidence. Names
    /// that nobody asked for are left out.
    pub fn add(&mut self, block: &BTreeMap<String, Arms>) {
        for (name, arms) in block {
            if let Some(metric) = self.metrics.get_mut(name) {
                metric.add(*arms);
            }
        }
    }

    /// The part of alpha that the present step may spend.
    pub fn alpha(&self) -> Alpha {
        match self.question.steps {
            Some(steps) => self.question.alpha.of_steps(steps),
            None => self.question.alpha.of_step(self.step),
        }
    }

    /// ln of a metric's evidence of harm over the whole rollout. Each step bets its part of one stake; what earlier
    /// steps left and what later ones have not bet yet counts in, so that the bound is 1/alpha in every step.
    pub fn ln_e_of(&self, name: &str) -> f64 {
        let part = self.alpha().value() / self.question.alpha.value();
        let reserve = match self.question.steps {
            Some(steps) => 1.0 - part * (self.step + 1).min(steps) as f64,
            None => {
                1.0 - (0..=self.step)
                    .map(|step| Alpha::of_step(self.question.alpha, step).value())
                    .sum::<f64>()
                    / self.question.alpha.value()
            }
        };
        let kept = self.kept.get(name).copied().unwrap_or(0.0) + reserve.max(0.0);
        let bet = self.metrics.get(name).map_or(0.0, |metric| metric.shown().ln_e);
        // A metric that nothing was ever counted of has bet nothing.
        ln_mean([(bet, part), (0.0, kept)].into_iter()) + (part + kept).ln()
    }

    /// ln of the evidence of harm: the mean over all metrics, which is evidence again whatever their dependence.
    pub fn ln_e(&self) -> f64 {
        let all: Vec<f64> = self.metrics.keys().map(|name| self.ln_e_of(name)).collect();
        ln_mean(all.iter().map(|ln_e| (*ln_e, 1.0)))
    }

    /// The metrics.
    pub fn metrics(&self) -> impl Iterator<Item = (&str, &Metric)> {
        self.metrics.iter().map(|(name, metric)| (name.as_str(), metric))
    }

    /// What is known now, while the step goes on. `Rollback` is absorbing.
    pub fn look(&mut self) -> (Verdict, String) {
        if let Some(why) = &self.rolled_back {
            return (Verdict::Rollback, why.clone());
        }
        let (ln_e, needed) = (self.ln_e(), self.question.alpha.ln_needed());
        let strongest = self
            .metrics()
            .map(|(name, metric)| (name, metric, metric.shown()));
        let strongest = strongest.max_by(|a, b| a.2.ln_e.total_cmp(&b.2.ln_e));
        let Some((name, metric, shown)) = strongest else {
            return (Verdict::Continue, "no metric is asked for".into());
        };
        let what = describe(name, metric, &shown);
        let why = format!("{what}; {}", words::evidence(ln_e, needed));
        if ln_e < needed {
            return (Verdict::Continue, why);
        }
        self.rolled_back = Some(why.clone());
        (Verdict::Rollback, why)
    }

    /// The step is over: its verdict. Evidence starts again with the next step.
    pub fn end_of_step(&mut self) -> (Verdict, String) {
        let (verdict, why) = self.look();
        if verdict == Verdict::Rollback {
            return (verdict, why);
        }
        let lacking: Vec<String> = self
            .metrics()
            .filter_map(|(name, metric)| self.lacks(name, metric))
            .collect();
        let answer = if lacking.is_empty() && !self.metrics.is_empty() {
            (Verdict::Promote, self.passed())
        } else {
            (Verdict::Inconclusive, lacking.join("; "))
        };
        self.next_step();
        answer
    }

    fn next_step(&mut self) {
        let part = self.alpha().value() / self.question.alpha.value();
        for (name, metric) in &mut self.metrics {
            *self.kept.entry(name.clone()).or_insert(0.0) += part * metric.shown().ln_e.exp();
            metric.restart();
        }
        self.step += 1;
    }

    /// What a metric lacks for promotion, if anything.
    fn lacks(&self, name: &str, metric: &Metric) -> Option<String> {
        let (candidate, asked) = (metric.candidate(), metric.asked());
        let needed = self.question.min_samples.max(1);
        let Some(share) = candidate.share().filter(|_| candidate.total >= needed) else {
            return Some(format!(
                "{name}: {} of {needed} requests to the candidate",
                candidate.total
            ));
        };
        if !could_show(metric.shown().counted, asked.limit, self.alpha()) {
            return Some(format!(
                "{name}: {} requests could not have shown any harm",
                candidate.total
            ));
        }
        match self.question.promote {
            Promote::Article => asked.limit.filter(|limit| share > *limit).map(|limit| {
                format!(
                    "{name}: {} is over the limit {}",
                    words::percent(share),
                    words::percent(limit)
                )
            }),
            Promote::Proven => self.unproven(name, metric),
        }
    }

    fn unproven(&self, name: &str, metric: &Metric) -> Option<String> {
        let alpha = self.question.alpha.value();
        let (asked, (_, ratio), (_, share)) = (
            metric.asked(),
            metric.ratio_bounds(alpha),
            metric.share_bounds(alpha),
        );
        if let Some(margin) = asked.margin
            && ratio.is_none_or(|ratio| ratio >= margin)
        {
            let high = ratio.map_or("without bound".into(), |ratio| format!("up to {ratio:.2}"));
            return Some(format!(
                "{name}: the ratio to stable may be {high}; proven needs under {margin}"
            ));
        }
        asked.limit.filter(|limit| share >= *limit).map(|limit| {
            let (share, limit) = (words::percent(share), words::percent(limit));
            format!("{name}: the share may be up to {share}; proven needs under {limit}")
        })
    }

    /// What a promotion rests on, and the smallest harm it could have seen.
    fn passed(&self) -> String {
        let parts = self.metrics().map(|(name, metric)| {
            let counted = metric.shown().counted;
            let seen = describe(name, metric, &metric.shown());
            match smallest_ratio(counted, self.alpha()) {
                Some(ratio) => format!("{seen}; could have shown {ratio:.1}×"),
                None => seen,
            }
        });
        parts.collect::<Vec<_>>().join("; ")
    }
}

fn describe(name: &str, metric: &Metric, shown: &Shown) -> String {
    let over = shown.ln_e_limit.is_some_and(|limit| limit > shown.ln_e_ratio);
    let against = match (metric.asked().limit, shown.counted.stable.share()) {
        (Some(limit), _) if over => format!("limit {}", words::percent(limit)),
        (_, Some(stable)) => format!("stable {}", words::percent(stable)),
        _ => "stable has no requests".into(),
    };
    let candidate = metric.candidate();
    match candidate.share() {
        Some(share) => format!(
            "{name} {} of {} requests, {against}",
            words::percent(share),
            candidate.total
        ),
        None => format!("{name}: no requests to the candidate"),
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
