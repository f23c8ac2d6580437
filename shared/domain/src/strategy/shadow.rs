//! Shadow: copies of some requests go to a candidate whose answers reach nobody.

use serde::{Deserialize, Serialize};

use super::{Canary, CanaryStep, DEFAULT_MARGIN, DEFAULT_MIN_SAMPLES, DEFAULT_THRESHOLD, Question};
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
    /// What both versions are asked beside the copies, one after another, one at a look.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Question>,
}

impl Shadow {
    /// One step in which so many requests of a hundred are copied.
    pub fn copied(percent: Weight, interval: Span, threshold: Ratio, min_samples: u64) -> Canary {
        Canary {
            steps: vec![CanaryStep::new(percent, interval)],
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
            answers: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::testing::rule;
    use crate::rollout::{StepKind, plan};
    use crate::strategy::Strategy;

    fn shadow(percent: u8, gpus: Option<u32>) -> Shadow {
        let mut shadow = Shadow {
            gpus,
            ..Shadow::default()
        };
        shadow.copied.steps[0].weight = Weight::new(percent).unwrap();
        shadow
    }

    #[test]
    fn it_has_the_replicas_that_carry_its_copies_and_never_more_copies_than_they_carry() {
        let table = [
            // Percent, limit, GPUs of a replica, all replicas; replicas of the shadow, percent.
            (10, None, 1, 4, 1, 10),
            (50, None, 1, 4, 2, 50),
            (51, None, 1, 4, 3, 51),
            (100, None, 8, 3, 3, 100),
            (50, Some(1), 1, 4, 1, 25),
            (50, Some(15), 8, 4, 1, 25),
            (50, Some(16), 8, 4, 2, 50),
            (10, Some(9), 1, 4, 1, 10),
            (10, Some(2), 0, 4, 1, 10),
        ];
        for (percent, limit, gpus, all, replicas, copied) in table {
            let mut workload = rule(&[5], all).workload;
            workload.gpus = gpus;
            let shadow = shadow(percent, limit);
            let found = (shadow.replicas(&workload), shadow.percent(&workload).percent());
            assert_eq!(found, (replicas, copied), "{percent} % within {limit:?} of {all}");
        }
    }

    #[test]
    fn its_plan_is_one_step_beside_all_of_stable() {
        let mut rule = rule(&[5], 4);
        rule.strategy = Strategy::Shadow(shadow(30, None));
        let plan = plan(&rule, Some(4));
        let [step] = plan.steps.as_slice() else {
            panic!("{plan:?}")
        };
        assert_eq!(step.kind, StepKind::Shadowing);
        assert_eq!((step.weight.percent(), step.candidate_replicas), (30, 2));
        assert_eq!((step.stable_replicas, plan.gpu_peak), (4, 6));
        assert!(plan.instant_revert && plan.mirrors());
    }
}
