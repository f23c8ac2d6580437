//! Shadow: copies of some requests go to a candidate whose answers reach nobody.

use serde::{Deserialize, Serialize};

use super::{Canary, CanaryStep, DEFAULT_MARGIN, DEFAULT_MIN_SAMPLES, DEFAULT_THRESHOLD};
use crate::judge::Promote;
use crate::time::Span;
use crate::units::{Ratio, Weight};
use crate::workload::Workload;

/// So many requests of a hundred are copied, unless the definition says otherwise.
pub const DEFAULT_COPIED: u8 = 10;
/// A shadow is judged for so long, unless the definition says otherwise.
pub const DEFAULT_SHADOW: Span = Span::minutes(10);

/// A shadow: a canary with one step, whose weight is the part of the requests that is copied.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Shadow {
    /// GPUs that it holds at most, or replicas of a service without; `None`: what carries the copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
    /// Its one step, and what the candidate must show at the end of it.
    pub copied: Canary,
}

impl Shadow {
    /// One step in which so many requests of a hundred are copied.
    pub fn copied(percent: Weight, interval: Span, threshold: Ratio, min_samples: u64) -> Canary {
        Canary {
            steps: vec![CanaryStep {
                weight: percent,
                interval,
            }],
            threshold,
            min_samples,
            promote: Promote::Article,
            margin: DEFAULT_MARGIN,
        }
    }

    /// The replicas that get copies: as many as carry what is asked for, within the limit.
    pub fn replicas(&self, workload: &Workload) -> u32 {
        let needed = |step: &CanaryStep| (workload.replicas * u32::from(step.weight.percent())).div_ceil(100);
        let needed = self.copied.steps.iter().map(needed).max();
        let most = self.gpus.map_or(u32::MAX, |gpus| gpus / workload.gpus.max(1));
        needed.unwrap_or(1).min(most).max(1)
    }

    /// The part of the requests that is copied: what is asked for, and never more than its replicas carry (invariant 3).
    pub fn percent(&self, workload: &Workload) -> Weight {
        let asked = self.copied.steps.first().map_or(Weight::ZERO, |step| step.weight);
        asked.min(Weight::carried_by(
            self.replicas(workload),
            workload.replicas.max(1),
        ))
    }
}

impl Default for Shadow {
    fn default() -> Self {
        let threshold = Ratio::new(DEFAULT_THRESHOLD).expect("95 % is a part of all");
        let percent = Weight::new(DEFAULT_COPIED).expect("10 % is at most 100 %");
        Self {
            gpus: None,
            copied: Self::copied(percent, DEFAULT_SHADOW, threshold, DEFAULT_MIN_SAMPLES),
        }
    }
}
