//! One replica that carries a breach is replaced, once, before the version is blamed; and so is one whose GPU says itself that
//! it is at fault.
//!
//! A single replica carries every breach. The version is blamed in the first step that is judged, because nothing speaks for it and
//! to try again would fail users twice. A replica that has passed a step and breaches in a later one has changed, and the
//! version has not: it is replaced. Where the later step only loads it more than it bears, that costs the time of a replica.
//!
//! Its users do not wait for that: the candidate's traffic goes back at once, as at every breach. The replica leaves, another
//! comes in its place, and the step begins again. It leaves before the other comes, so that no more GPUs are held than
//! the plan declared; which one leaves is a mark on its pod, as where a candidate takes the places of stable replicas.

use serde::{Deserialize, Serialize};

use super::moves::{ask_for, enter, set_weight, wait};
use super::phases::{Phase, Rollout};
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::Effect;
use crate::ids::StepId;
use crate::judge::carried::Suspect;
use crate::pipeline::RolloutRule;
use crate::seen::{Replica, Scene};
use crate::units::Weight;

/// Replicas that are replaced because of their GPU in one rollout. Where more than these are bad, a person must look.
const GPUS_LIMIT: u32 = 3;

/// The replica that was replaced.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Replaced {
    /// Name of its pod.
    pub pod: String,
    /// Where it ran.
    pub node: String,
    /// Index into the plan of the step that began again.
    pub step: usize,
    /// It is gone, and another was asked for.
    pub gone: bool,
    /// None was replaced yet for what it answered: GPUs alone were at fault.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_gpu: bool,
}

/// Takes the traffic back and lets the replica leave that a breach is to be blamed on before the version is. Says whether there is
/// one, it is the first, and stable can take everything at once; if not, the version is to blame.
pub(super) fn replace(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
    step: usize,
    why: &str,
) -> bool {
    let first = rollout.replaced.as_ref().is_none_or(|replaced| replaced.by_gpu);
    if !first || !takes_all(rollout, rule) {
        return false;
    }
    let Some((replica, told)) = rollout.blames(rule, scene, why) else {
        return false;
    };
    let told = format!("{told}; it is replaced once");
    let replaced = Replaced {
        pod: replica.pod.clone(),
        node: replica.node.clone(),
        step,
        gone: false,
        by_gpu: false,
    };
    let_leave(draft, rollout, id, replaced, told);
    true
}

/// The same where the candidate is bad, in whatever way, and the GPU of one of its replicas has said since the weights were set
/// that it is at fault. A single replica is enough: it is not told from others, but named by its own hardware.
pub(super) fn replace_for_gpu(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
    step: usize,
    why: &str,
) -> bool {
    if rollout.gpus_replaced >= GPUS_LIMIT || !takes_all(rollout, rule) || rollout.candidate_asked == 0 {
        return false;
    }
    let Some((suspect, replica)) = there(rollout.hardware.suspect(), scene) else {
        return false;
    };
    let told = format!(
        "a GPU and not the version: pod {} on node {}: {}; {why}; the replica is replaced, cordon the node until its GPU is whole",
        suspect.pod, replica.node, suspect.words
    );
    let replaced = Replaced {
        pod: suspect.pod,
        node: replica.node.clone(),
        step,
        gone: false,
        by_gpu: rollout.replaced.as_ref().is_none_or(|replaced| replaced.by_gpu),
    };
    rollout.gpus_replaced += 1;
    let_leave(draft, rollout, id, replaced, told);
    true
}

/// Whether stable is there to take everything at once.
pub(super) fn takes_all(rollout: &Rollout, rule: &RolloutRule) -> bool {
    rollout.stable.is_some()
        && !rollout.has_lent()
        && rollout.plan.carried_by(rollout.stable_warm(), rule) == Weight::FULL
}

/// The suspect, if its pod still stays.
fn there(suspect: Option<Suspect>, scene: &Scene) -> Option<(Suspect, &Replica)> {
    let suspect = suspect?;
    let replica = scene.replicas.iter().find(|replica| replica.pod == suspect.pod)?;
    Some((suspect, replica))
}

fn let_leave(draft: &mut Draft, rollout: &mut Rollout, id: StepId, replaced: Replaced, told: String) {
    draft
        .note(Action::ReplicaReplaced, told)
        .with("pod", replaced.pod.as_str())
        .with("node", replaced.node.as_str());
    set_weight(draft, rollout, id, Weight::ZERO, "a replica is replaced");
    rollout.candidate_asked -= 1;
    rollout.fence = rollout.fence.next();
    draft.effects.push(Effect::ScaleRevision {
        step: id,
        revision: rollout.candidate.clone(),
        replicas: rollout.candidate_asked,
        leaving: vec![replaced.pod.clone()],
        fence: rollout.fence,
    });
    let step = replaced.step;
    rollout.replaced = Some(replaced);
    enter(draft, rollout, Phase::Growing { step });
}

/// What becomes of a replica that was told to leave.
#[derive(PartialEq, Eq, Debug)]
enum Leaves {
    /// It has not left yet.
    Yet,
    /// It has left.
    Gone,
    /// Nobody can end it, in words: its node is silent, and its object stays until the node is back, or is taken away.
    Never(String),
}

fn leaves(replaced: &Replaced, scene: &Scene, terminating: u32) -> Leaves {
    let there = scene.replicas.iter().any(|replica| replica.pod == replaced.pod);
    match scene.landing.lost.get(&replaced.node) {
        Some(how) => Leaves::Never(format!("node {} {how}", replaced.node)),
        None if there || terminating > 0 => Leaves::Yet,
        None => Leaves::Gone,
    }
}

/// Asks for another replica once the bad one has left. Says whether that is still waited for; after `warm_within` it is
/// not, and the candidate is given up as one that does not become warm.
pub(super) fn waits_for_leaving(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
    replicas: u32,
) -> bool {
    let Some(replaced) = rollout.replaced.clone().filter(|replaced| !replaced.gone) else {
        return false;
    };
    let leaves = leaves(&replaced, scene, rollout.candidate_seen.terminating);
    if let Leaves::Never(why) = &leaves {
        draft.note(
            Action::Waiting,
            format!("pod {} is not waited for: {why}", replaced.pod),
        );
    }
    if leaves != Leaves::Yet {
        rollout.replaced = Some(Replaced {
            gone: true,
            ..replaced
        });
        ask_for(draft, rollout, id, replicas);
        // The time to become warm begins here.
        rollout.since = draft.now;
        return false;
    }
    if draft.now.since(rollout.since) >= rule.warm_within {
        return false;
    }
    wait(
        draft,
        rollout,
        &format!("replica: pod {} is to leave", replaced.pod),
    );
    true
}

impl Rollout {
    /// The replica that a breach is blamed on before the version is, and why; nothing where the version is to blame.
    fn blames<'a>(&self, rule: &RolloutRule, scene: &'a Scene, why: &str) -> Option<(&'a Replica, String)> {
        if let Some(replica) = self.alone(scene) {
            // The version is what it was when this replica passed: what has changed is the replica, or its load.
            let passed = self.passed_alone.as_ref() == Some(&replica.pod);
            let told = format!(
                "the only replica (not_separable), which passed a step before, so that it may not be the version: pod {} on node \
                 {}: {why}",
                replica.pod, replica.node
            );
            return passed.then_some((replica, told));
        }
        if self.candidate_asked < 2 {
            return None;
        }
        let (suspect, replica) = there(self.carried.by(rule.rollback.as_ref()?, &self.weighing), scene)?;
        let told = match self.candidate_asked {
            2 => "one of two replicas (not_separable), so that it may still be the version",
            _ => "one replica and not the version",
        };
        let told = format!(
            "{told}: pod {} on node {}: {}",
            suspect.pod, replica.node, suspect.words
        );
        Some((replica, told))
    }

    /// The candidate's only replica, if nobody else has answered for the candidate since the present weights were set.
    pub(super) fn alone<'a>(&self, scene: &'a Scene) -> Option<&'a Replica> {
        match scene.replicas.as_slice() {
            [replica] if self.candidate_asked == 1 && self.carried.was_there(&replica.pod) => Some(replica),
            _ => None,
        }
    }

    /// The node that a replaced replica has not left yet.
    pub fn node_to_leave(&self) -> Option<&str> {
        let replaced = self.replaced.as_ref().filter(|replaced| !replaced.gone)?;
        Some(&replaced.node)
    }

    /// Whether a step has no traffic because one of its replicas is replaced.
    pub(super) fn is_replacing(&self, step: usize) -> bool {
        self.replaced
            .as_ref()
            .is_some_and(|replaced| replaced.step == step)
    }

    /// Why the version is to blame, with what was tried before.
    pub(super) fn blamed(&self, why: String) -> String {
        match &self.replaced {
            Some(replaced) => format!("{why}; pod {} was replaced before", replaced.pod),
            None => why,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::condition::{Comparison, Condition, Dimension, Mode, Op, Quantity};
    use crate::ids::RevisionId;
    use crate::judge::carried::Apart;
    use crate::rollout::testing::rule;
    use crate::seen::{Counts, Landing, RevisionSeen, RouteSeen, TrafficSeen};
    use crate::time::Timestamp;

    fn scene(pods: &[(&str, u64)]) -> Scene {
        let replica = |(pod, bad): &(&str, u64)| Replica {
            pod: (*pod).to_owned(),
            node: "gpu-1".to_owned(),
            counts: Counts {
                requests: 200,
                bad: *bad,
                ..Counts::default()
            },
            gpus: None,
        };
        Scene {
            candidate: RevisionSeen::default(),
            stable: None,
            route: RouteSeen::default(),
            traffic: TrafficSeen::NoData(String::new()),
            values: BTreeMap::new(),
            replicas: pods.iter().map(replica).collect(),
            serving: BTreeMap::new(),
            unprepared: None,
            landing: Landing::default(),
        }
    }

    fn erring() -> RolloutRule {
        let line = Quantity {
            value: 0.02,
            dimension: Dimension::Ratio,
            written: "2%".into(),
        };
        RolloutRule {
            rollback: Some(Condition::Compare(Comparison {
                metric: "error_rate".into(),
                op: Op::Above,
                line,
                during: None,
                window: None,
                mode: Mode::Evidence,
            })),
            ..rule(&[5, 20], 4)
        }
    }

    /// A rollout whose weights were set when it had `before`, and that was looked at with `now` since.
    fn looked(
        before: &[(&str, u64)],
        now: &[(&str, u64)],
        passed: Option<&str>,
    ) -> (Rollout, RolloutRule, Scene) {
        let (rule, scene_now) = (erring(), scene(now));
        let condition = rule.rollback.clone().unwrap();
        let mut rollout = Rollout::new(RevisionId::new("new"), Timestamp(0));
        rollout.candidate_asked = u32::try_from(now.len()).unwrap();
        let none: Vec<(&str, u64)> = before.iter().map(|(pod, _)| (*pod, 0)).collect();
        let mut first = scene(&none);
        first
            .replicas
            .iter_mut()
            .for_each(|replica| replica.counts = Counts::default());
        let (carried, weighing) = (&mut rollout.carried, &mut rollout.weighing);
        carried.see(&condition, weighing, &Apart::of(&first), false);
        carried.restart();
        carried.see(&condition, weighing, &Apart::of(&scene_now), false);
        rollout.passed_alone = passed.map(str::to_owned);
        (rollout, rule, scene_now)
    }

    #[test]
    fn a_single_replica_is_blamed_only_if_it_has_passed_a_step_and_two_only_if_one_carries_the_breach() {
        type Pods<'a> = &'a [(&'a str, u64)];
        type Case<'a> = (Pods<'a>, Pods<'a>, Option<&'a str>, Option<&'a str>);
        let table: [Case<'_>; 7] = [
            // In its first step nothing speaks for the version.
            (&[("a", 0)], &[("a", 60)], None, None),
            // What passed before has changed.
            (&[("a", 0)], &[("a", 60)], Some("a"), Some("a")),
            // Another passed, and this one has shown nothing yet.
            (&[("a", 0)], &[("b", 60)], Some("a"), None),
            (&[("b", 0)], &[("b", 60)], Some("a"), None),
            // Two are told apart by what each answered, whatever has passed.
            (&[("a", 0), ("b", 0)], &[("a", 60), ("b", 0)], None, Some("a")),
            (
                &[("a", 0), ("b", 0)],
                &[("a", 60), ("b", 0)],
                Some("b"),
                Some("a"),
            ),
            (&[("a", 0), ("b", 0)], &[("a", 60), ("b", 60)], Some("a"), None),
        ];
        for (before, now, passed, blamed) in table {
            let (rollout, rule, scene) = looked(before, now, passed);
            let found = rollout.blames(&rule, &scene, "error_rate 30 % > 2%");
            assert_eq!(
                found.as_ref().map(|(replica, _)| replica.pod.as_str()),
                blamed,
                "{now:?}, passed {passed:?}"
            );
            let told = found.map(|(_, told)| told).unwrap_or_default();
            assert_eq!(told.contains("not_separable"), blamed.is_some(), "{told}");
        }
    }

    #[test]
    fn a_replica_that_leaves_is_waited_for_unless_its_node_is_silent() {
        let replaced = Replaced {
            pod: "a".into(),
            node: "gpu-1".into(),
            step: 0,
            gone: false,
            by_gpu: false,
        };
        let silent = Leaves::Never("node gpu-1 is not ready: silent".into());
        let table = [
            ("a", 0, None, Leaves::Yet),
            ("b", 1, None, Leaves::Yet),
            ("b", 0, None, Leaves::Gone),
            ("a", 0, Some("gpu-2"), Leaves::Yet),
            ("b", 1, Some("gpu-1"), silent),
        ];
        for (pod, terminating, lost, expected) in table {
            let mut scene = scene(&[(pod, 0)]);
            let node = lost.map(|node| (node.to_owned(), "is not ready: silent".to_owned()));
            scene.landing.lost = node.into_iter().collect();
            assert_eq!(
                leaves(&replaced, &scene, terminating),
                expected,
                "{pod}, {terminating}, {lost:?}"
            );
        }
    }

    #[test]
    fn a_step_is_passed_alone_by_a_replica_that_was_there_from_its_beginning() {
        type Pods<'a> = &'a [(&'a str, u64)];
        let table: [(Pods<'_>, Pods<'_>, Option<&str>); 4] = [
            (&[("a", 0)], &[("a", 0)], Some("a")),
            (&[("a", 0)], &[("b", 0)], None),
            (&[("a", 0), ("b", 0)], &[("a", 0), ("b", 0)], None),
            (&[], &[], None),
        ];
        for (before, now, expected) in table {
            let (rollout, _, scene) = looked(before, now, None);
            let alone = rollout.alone(&scene).map(|replica| replica.pod.as_str());
            assert_eq!(alone, expected, "{before:?}, then {now:?}");
        }
    }
}
