//! The plan of a rollout, made when it takes its lane and told before anything moves.

use serde::{Deserialize, Serialize};

use super::ratio::{self, reachable};
use super::rolling::Limits;
use crate::ladder;
use crate::pipeline::{RolloutRule, Strategy};
use crate::seen::Bounds;
use crate::time::Span;
use crate::units::Weight;

/// Shortest time a ramp step is watched: two looks at the quick interval would not fit into less.
const RAMP_HOLD_MIN: Span = Span::seconds(1);
/// Longest time a ramp step is watched: the bake watches on afterwards.
const RAMP_HOLD_MAX: Span = Span::seconds(60);
/// A ramp step is watched for this part of the last judged interval.
const RAMP_PART: u64 = 10;

/// Steps in order, and what they need.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<PlannedStep>,
    /// Most GPUs that candidate and stable hold together; declared before the start (invariant 9). A pod without a node
    /// holds none.
    pub gpu_peak: u32,
    /// Whether traffic can go back at once from every step, because enough of the stable revision stays warm.
    pub instant_revert: bool,
    /// Replicas that carry all traffic at the present load: the whole of which a share is a part. 0 in plans that were
    /// stored before it was known: all that the workload asks for.
    #[serde(default)]
    pub carries: u32,
    /// Replicas of stable without which the way back is not instant, where a person allows that fewer carry everything
    /// meanwhile; 0: `carries`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reserve: u32,
    /// How room is found for the candidate.
    #[serde(default = "surge")]
    pub rung: ladder::Action,
    /// Stable gives up replicas before the candidate asks for their places, because there may not be as many GPUs as there
    /// are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gives_first: bool,
    /// Why that way, in words; empty where the cluster was not asked.
    #[serde(default)]
    pub why: String,
    /// Where the candidate could go that is other hardware than stable's, in words; empty where there is no such place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub other_hardware: String,
    /// What is wrong with PodDisruptionBudgets of the service, each with what it means and the fix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<String>,
    /// What was measured of the cluster beforehand, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
}

/// What plans did that were stored before there was a choice.
fn surge() -> ladder::Action {
    ladder::Action::Surge
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(super) fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            gpu_peak: 0,
            instant_revert: false,
            carries: 0,
            reserve: 0,
            rung: surge(),
            gives_first: false,
            why: String::new(),
            other_hardware: String::new(),
            budgets: Vec::new(),
            bounds: None,
        }
    }
}

impl Plan {
    /// The share that so many warm replicas may have.
    pub fn carried_by(&self, warm: u32, rule: &RolloutRule) -> Weight {
        match rule.target.is_by_replicas() {
            true => ratio::carried_by(warm, self.needed(rule)),
            false => Weight::carried_by(warm, self.needed(rule)),
        }
    }

    /// Replicas that carry all traffic.
    pub fn needed(&self, rule: &RolloutRule) -> u32 {
        match self.carries {
            0 => rule.workload.replicas,
            carries => carries,
        }
    }

    /// Replicas that the stable revision may have while the candidate holds so many: all of `stable` while it holds
    /// none, else what the plan leaves it at the first step that needs as many.
    pub fn leaves(&self, candidate: u32, stable: u32) -> u32 {
        let step = self
            .steps
            .iter()
            .filter(|_| candidate > 0)
            .find(|step| step.candidate_replicas >= candidate);
        step.map_or(stable, |step| step.stable_replicas.min(stable))
    }

    /// Steps that are judged and whose candidate answers.
    pub(super) fn judged(&self) -> impl Iterator<Item = &PlannedStep> {
        self.steps.iter().filter(|step| step.kind == StepKind::Stepping)
    }

    /// Whether the candidate gets copies of requests, and answers nobody.
    pub fn mirrors(&self) -> bool {
        self.steps.iter().any(|step| step.kind == StepKind::Shadowing)
    }

    /// Whether stable gives up replicas on the way.
    pub fn lends(&self) -> bool {
        let lends = [
            ladder::Action::Borrow,
            ladder::Action::Smaller,
            ladder::Action::Swap,
        ];
        // A shadow takes no places.
        lends.contains(&self.rung) && !self.mirrors()
    }

    /// Whether traffic can go back at once from a step: what stays of stable carries everything.
    pub fn instant_at(&self, step: &PlannedStep, rule: &RolloutRule) -> bool {
        let needed = self.needed(rule).max(self.reserve);
        step.kind != StepKind::FirstRelease && step.stable_replicas >= needed
    }

    /// The same plan, where a way back at once needs more replicas of stable than carry everything meanwhile.
    #[must_use]
    pub(super) fn with_reserve(mut self, reserve: u32, rule: &RolloutRule) -> Self {
        self.reserve = reserve;
        self.instant_revert = self.steps.iter().all(|step| self.instant_at(step, rule));
        self
    }
}

/// One planned step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlannedStep {
    /// What it is.
    pub kind: StepKind,
    /// The candidate's share.
    pub weight: Weight,
    /// The share that was asked for, where replicas alone split the traffic and cannot give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Weight>,
    /// Warm replicas of the candidate that the share needs.
    pub candidate_replicas: u32,
    /// Replicas of the stable revision.
    pub stable_replicas: u32,
    /// Stable pods whose places the candidate takes at this step, by name: those that leave first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<String>,
    /// At least this long.
    pub hold: Span,
    /// Then it waits for a person, for at most this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Span>,
}

impl PlannedStep {
    /// GPUs that candidate and stable hold together.
    pub fn gpus(&self, rule: &RolloutRule) -> u32 {
        let replicas = self.candidate_replicas.saturating_add(self.stable_replicas);
        replicas.saturating_mul(rule.workload.gpus)
    }
}

/// What a planned step is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Everything at once, because nothing serves yet.
    FirstRelease,
    /// All replicas, without traffic, until enough is seen of them.
    Previewing,
    /// Copies of some requests, judged at the end.
    Shadowing,
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
            Self::Previewing => "preview",
            Self::Shadowing => "shadow",
            Self::Stepping => "stepping",
            Self::Ramping => "ramping",
        }
    }
}

/// Makes the plan. `stable`: replicas that serve now, or `None` for a first release.
pub fn plan(rule: &RolloutRule, stable: Option<u32>) -> Plan {
    let limited = stable.and_then(|stable| Limits::of(rule, stable));
    limited.map_or_else(|| unlimited(rule, stable), |limits| limits.plan(rule))
}

/// The plan that has all the room it wants.
fn unlimited(rule: &RolloutRule, stable: Option<u32>) -> Plan {
    let full = rule.workload.replicas;
    let step = |kind, weight, candidate_replicas, hold| PlannedStep {
        kind,
        weight,
        asked: None,
        candidate_replicas,
        stable_replicas: stable.unwrap_or(0),
        leaving: Vec::new(),
        hold,
        pause: None,
    };
    let mut steps = Vec::new();
    match (&rule.strategy, stable) {
        // Where nothing serves yet there is nothing to copy, which is refused before a plan is begun.
        (Strategy::Shadow(shadow), _) => {
            let (percent, replicas) = (shadow.percent(&rule.workload), shadow.replicas(&rule.workload));
            let judged = shadow.copied.steps.first();
            let interval = judged.map_or(Span::ZERO, |judged| judged.interval);
            steps.push(step(StepKind::Shadowing, percent, replicas, interval));
        }
        (_, None) => steps.push(step(StepKind::FirstRelease, Weight::FULL, full, Span::ZERO)),
        (Strategy::BlueGreen(colours), Some(_)) => {
            let preview = (StepKind::Previewing, Weight::ZERO, colours.preview);
            let switches = colours.switch.steps.iter();
            let switches = switches.map(|part| (StepKind::Stepping, part.weight, part.interval));
            steps.extend(
                std::iter::once(preview)
                    .chain(switches)
                    .map(|(kind, weight, hold)| step(kind, weight, full, hold)),
            );
        }
        (Strategy::Canary(canary), Some(_)) => {
            for part in &canary.steps {
                let replicas = replicas_for(part.weight, full);
                steps.push(step(StepKind::Stepping, part.weight, replicas, part.interval));
            }
            let hold = ramp_hold(rule);
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
                .map(|k| step(StepKind::Ramping, Weight::carried_by(k, full), k, ramp_hold(rule))),
        ),
    }
    // The share of a candidate is its part of all that it will be; stable keeps all that it is.
    made_of(steps, rule, full, surge(), String::new())
}

/// A plan of these steps.
pub(super) fn made_of(
    steps: Vec<PlannedStep>,
    rule: &RolloutRule,
    carries: u32,
    rung: ladder::Action,
    why: String,
) -> Plan {
    let steps = reachable(with_pause(steps, rule), rule, carries);
    let peak = steps.iter().map(|step| step.gpus(rule)).max();
    let mut plan = Plan {
        gpu_peak: peak.unwrap_or(0),
        instant_revert: true,
        steps,
        carries,
        reserve: 0,
        rung,
        gives_first: false,
        why,
        other_hardware: String::new(),
        budgets: Vec::new(),
        bounds: None,
    };
    // A first release has no way back to lose, and a stable side that keeps everything is all the way back there is.
    plan.instant_revert = !plan.lends() || plan.steps.iter().all(|step| plan.instant_at(step, rule));
    plan
}

/// Steps that wait for a person: those that a canary names, and the one that has the share of rolling's pause, made where
/// there is none.
fn with_pause(mut steps: Vec<PlannedStep>, rule: &RolloutRule) -> Vec<PlannedStep> {
    if let Strategy::Canary(canary) = &rule.strategy {
        let judged = steps.iter_mut().filter(|step| step.kind == StepKind::Stepping);
        judged
            .zip(&canary.steps)
            .for_each(|(step, written)| step.pause = written.pause);
    }
    let Some(pause) = rule.strategy.rolling().and_then(|rolling| rolling.pause) else {
        return steps;
    };
    let reaches = |step: &PlannedStep| step.kind == StepKind::Ramping && step.weight >= pause.at;
    let Some(at) = steps.iter().position(reaches) else {
        return steps;
    };
    if steps[at].weight > pause.at {
        // The replicas of the step that follows: those of the one before do not carry the share.
        let weight = pause.at;
        steps.insert(
            at,
            PlannedStep {
                weight,
                ..steps[at].clone()
            },
        );
        steps[at + 1].leaving.clear();
    }
    steps[at].pause = Some(pause.within);
    steps
}

/// How long a step on the way to 100 % is watched.
pub(super) fn ramp_hold(rule: &RolloutRule) -> Span {
    match &rule.strategy {
        Strategy::Canary(canary) => {
            let last = canary.steps.last().map_or(Span::ZERO, |part| part.interval);
            // Latencies of its new replicas are seen for as long as they are left out.
            let seen = rule.warm_up + rule.warm_up;
            Span(last.0 / RAMP_PART)
                .clamp(RAMP_HOLD_MIN, RAMP_HOLD_MAX)
                .max(seen)
        }
        _ => RAMP_HOLD_MIN,
    }
}

/// Replicas that carry a share: rounded up, at least one, at most all.
fn replicas_for(weight: Weight, full: u32) -> u32 {
    let part = (u64::from(full) * u64::from(weight.percent())).div_ceil(100);
    u32::try_from(part).unwrap_or(full).clamp(1, full.max(1))
}

/// Replica counts on the way to all: the present ones, then doubled each time, then all.
fn doublings(from: u32, full: u32) -> impl Iterator<Item = u32> {
    let first = from.clamp(1, full.max(1));
    std::iter::successors(Some(first), move |k| {
        (*k < full).then(|| k.saturating_mul(2).min(full))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::testing::{rule, rule_of, sides};
    use crate::strategy::{BlueGreen, Rolling, Strategy};

    fn strategies() -> Vec<Strategy> {
        vec![
            Strategy::Rolling(Rolling::default()),
            rule(&[5], 1).strategy,
            rule(&[1, 20, 50], 1).strategy,
            Strategy::BlueGreen(Box::default()),
        ]
    }

    #[test]
    fn blue_green_is_a_step_of_nothing_and_one_of_everything() {
        let colours = Strategy::BlueGreen(Box::<BlueGreen>::default());
        let made = plan(&rule_of(colours, 4), Some(3));
        assert_eq!(sides(&made), [(0, 4, 3), (100, 4, 3)]);
        let kinds: Vec<StepKind> = made.steps.iter().map(|step| step.kind).collect();
        assert_eq!(kinds, [StepKind::Previewing, StepKind::Stepping]);
        assert_eq!((made.gpu_peak, made.instant_revert), (7, true));
    }

    #[test]
    fn a_first_release_is_the_same_for_all() {
        for strategy in strategies() {
            let made = plan(&rule_of(strategy, 4), None);
            assert_eq!(sides(&made), [(100, 4, 0)]);
            assert_eq!(made.steps[0].kind, StepKind::FirstRelease);
        }
    }

    #[test]
    fn shares_rise_to_all_and_none_is_more_than_its_replicas_carry() {
        for strategy in strategies() {
            for (full, stable) in (1..40).flat_map(|full| (1..6).map(move |stable| (full, stable))) {
                let rule = rule_of(strategy.clone(), full);
                let made = plan(&rule, Some(stable));
                let last = made.steps.last().unwrap();
                assert_eq!((last.weight, last.candidate_replicas), (Weight::FULL, full));
                for step in &made.steps {
                    assert!(
                        step.weight <= made.carried_by(step.candidate_replicas, &rule),
                        "{made:?}"
                    );
                    let held = (step.candidate_replicas + step.stable_replicas) * rule.workload.gpus;
                    assert!(held <= made.gpu_peak, "{made:?}");
                }
                for pair in made.steps.windows(2) {
                    assert!(pair[0].weight < pair[1].weight, "{made:?}");
                    assert!(
                        pair[0].candidate_replicas <= pair[1].candidate_replicas,
                        "{made:?}"
                    );
                }
            }
        }
    }
}
