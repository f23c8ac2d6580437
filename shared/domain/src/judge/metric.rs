//! One metric of a rollout: everything that is known of it, in a few numbers.

use serde::{Deserialize, Serialize};

use super::between::Between;
use super::bounds::RatioBounds;
use super::bursts::Bursts;
use super::relative::Relative;
use super::share::{bounds_of_parts, ln_e_over_parts};
use super::special::ln_mean;
use super::{Arms, Tally};

/// What is asked of a metric.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Asked {
    /// The line that the candidate's share of bad requests must not be over.
    pub limit: Option<f64>,
    /// The ratio to stable that a proven promotion must be shown to be under; 1.25 is 25 % worse.
    pub margin: Option<f64>,
}

/// State of one metric in one step.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Metric {
    asked: Asked,
    relative: Relative,
    bounds: RatioBounds,
    bursts: Bursts,
    /// The candidate's counts, bursts discounted.
    bad: f64,
    total: f64,
    /// Counts as they are.
    counted: Arms,
    /// How much replicas of one version differ.
    #[serde(default)]
    between: Between,
}

/// What a metric shows.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shown {
    /// ln of the evidence of harm: the mean of both questions.
    pub ln_e: f64,
    /// ln of the evidence of "worse than stable".
    pub ln_e_ratio: f64,
    /// ln of the evidence of "over the limit"; `None`: no limit is asked for.
    pub ln_e_limit: Option<f64>,
    /// Everything that was counted.
    pub counted: Arms,
}

impl Metric {
    /// Nothing known yet.
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            ..Self::default()
        }
    }

    /// What is asked of it.
    pub fn asked(&self) -> Asked {
        self.asked
    }

    /// How much wider than chance the candidate's counts of a block spread. It comes from earlier blocks: what is done
    /// with a block never depends on itself.
    pub fn factor(&self, arms: Arms) -> f64 {
        let level = self.counted.stable.share().unwrap_or(0.0);
        let jumps = self.between.jumps();
        self.bursts.factor(level, arms.candidate.total, jumps)
    }

    /// Applies a block. Blocks come in order, each once.
    pub fn add(&mut self, arms: Arms) {
        let factor = self.factor(arms);
        self.relative.add(arms, factor);
        self.bounds.add(arms, factor);
        self.bad += arms.candidate.bad as f64 / factor;
        self.total += arms.candidate.total as f64 / factor;
        self.counted.candidate = self.counted.candidate.and(arms.candidate);
        self.counted.stable = self.counted.stable.and(arms.stable);
        self.bursts.learn(arms.stable);
    }

    /// What each replica of either arm answered since the step began, where they are told apart.
    pub(super) fn tell_apart(&mut self, candidate: &[Tally], stable: &[Tally]) {
        self.between = Between::of(candidate, stable);
    }

    /// What is shown so far.
    pub fn shown(&self) -> Shown {
        let ln_e_ratio = self.between.worth(self.relative.ln_e(), self.counted);
        let ln_e_limit = self
            .asked
            .limit
            .map(|line| ln_e_over_parts(self.bad, self.total, line));
        let both = [Some(ln_e_ratio), ln_e_limit]
            .into_iter()
            .flatten()
            .map(|ln_e| (ln_e, 1.0));
        Shown {
            ln_e: ln_mean(both),
            ln_e_ratio,
            ln_e_limit,
            counted: self.counted,
        }
    }

    /// The candidate's requests so far.
    pub fn candidate(&self) -> Tally {
        self.counted.candidate
    }

    /// Where the ratio to stable lies, at every look at once.
    pub fn ratio_bounds(&self, alpha: f64) -> (f64, Option<f64>) {
        let needed = self.between.needed((2.0 / alpha).ln(), self.counted);
        self.bounds.against(needed)
    }

    /// Where the candidate's share lies, at every look at once.
    pub fn share_bounds(&self, alpha: f64) -> (f64, f64) {
        bounds_of_parts(self.bad, self.total, alpha)
    }

    /// A new step: evidence starts again; the level of stable and its bursts stay known.
    pub fn restart(&mut self) {
        self.relative.restart();
        self.bounds = RatioBounds::default();
        self.between.restart();
        (self.bad, self.total, self.counted) = (0.0, 0.0, Arms::default());
    }
}
