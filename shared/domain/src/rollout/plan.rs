//! The plan of a rollout, made when it takes its lane and told before anything moves.

use serde::{Deserialize, Serialize};

use crate::pipeline::{RolloutRule, Strategy};
use crate::time::Span;
use crate::units::Weight;

/// Shortest time a ramp step is watched: two looks at the quick interval would not fit into less.
const RAMP_HOLD_MIN: Span = Span::seconds(1);
/// Longest time a ramp step is watched: the bake watches on afterwards.
const RAMP_HOLD_MAX: Span = Span::seconds(60);
/// A ramp step is watched for this part of the last judged interval.
const RAMP_PART: u64 = 10;

/// Steps in order, and what they need.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<PlannedStep>,
    /// Most GPUs that candidate and stable hold together; declared before the start (invariant 9).
    pub gpu_peak: u32,
    /// Whether traffic can go back at once, because the stable revision stays warm.
    pub instant_revert: bool,
}

/// One planned step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlannedStep {
    /// What it is.
    pub kind: StepKind,
    /// The candidate's share.
    pub weight: Weight,
    /// Warm replicas of the candidate that the share needs.
    pub candidate_replicas: u32,
    /// Replicas of the stable revision.
    pub stable_replicas: u32,
    /// At least this long.
    pub hold: Span,
}

/// What a planned step is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Everything at once, because nothing serves yet.
    FirstRelease,
    /// A share that is judged at its end.
    Stepping,
    /// On the way to 100 %, watched but not judged.
    Ramping,
}

impl StepKind {
    /// The word people see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstRelease => "first release",
            Self::Stepping => "stepping",
            Self::Ramping => "ramping",
        }
    }
}

/// Makes the plan. `stable`: replicas that serve now, or `None` for a first release.
pub fn plan(rule: &RolloutRule, stable: Option<u32>) -> Plan {
    let full = rule.workload.replicas;
    let step = |kind, weight, candidate_replicas, hold| PlannedStep {
        kind,
        weight,
        candidate_replicas,
        stable_replicas: stable.unwrap_or(0),
        hold,
    };
    let mut steps = Vec::new();
    match (&rule.strategy, stable) {
        (_, None) => steps.push(step(StepKind::FirstRelease, Weight::FULL, full, Span::ZERO)),
        (Strategy::Canary(canary), Some(_)) => {
            for part in &canary.steps {
                let replicas = replicas_for(part.weight, full);
                steps.push(step(StepKind::Stepping, part.weight, replicas, part.interval));
            }
            let last = canary.steps.last().map_or(Span::ZERO, |part| part.interval);
            let hold = Span(last.0 / RAMP_PART).clamp(RAMP_HOLD_MIN, RAMP_HOLD_MAX);
            let from = steps.last().map_or(0, |s: &PlannedStep| s.candidate_replicas);
            let at = steps.last().map_or(Weight::ZERO, |s| s.weight);
            steps.extend(
                doublings(from, full)
                    .map(|k| step(StepKind::Ramping, Weight::carried_by(k, full), k, hold))
                    .filter(|ramp| ramp.weight > at),
            );
        }
        (_, Some(_)) => steps.extend(
            doublings(0, full)
                .map(|k| step(StepKind::Ramping, Weight::carried_by(k, full), k, RAMP_HOLD_MIN)),
        ),
    }
    let peak = steps
        .iter()
        .map(|s| s.candidate_replicas + s.stable_replicas)
        .max()
        .unwrap_or(0);
    Plan {
        steps,
        gpu_peak: peak * rule.workload.gpus,
        instant_revert: true,
    }
}

/// Replicas that carry a share: rounded up, at least one, at most all.
fn replicas_for(weight: Weight, full: u32) -> u32 {
    (full * u32::from(weight.percent()))
        .div_ceil(100)
        .clamp(1, full.max(1))
}

/// Replica counts on the way to all: the present ones, then doubled each time, then all.
fn doublings(from: u32, full: u32) -> impl Iterator<Item = u32> {
    let first = from.clamp(1, full.max(1));
    std::iter::successors(Some(first), move |k| (*k < full).then(|| (k * 2).min(full)))
}
