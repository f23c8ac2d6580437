//! One replica that carries a breach is replaced, once, before the version is blamed; and so is one whose GPU says itself that
//! it is at fault.
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

/// Takes the traffic back and lets the replica leave that carries the breach. Says whether there is one, it is the first,
/// and stable can take everything at once; if not, the version is to blame.
pub(super) fn replace(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
    step: usize,
) -> bool {
    let Some(condition) = &rule.rollback else {
        return false;
    };
    let first = rollout.replaced.as_ref().is_none_or(|replaced| replaced.by_gpu);
    if !first || !takes_all(rollout, rule) || rollout.candidate_asked < 2 {
        return false;
    }
    let Some((suspect, replica)) = there(rollout.carried.by(condition, &rollout.weighing), scene) else {
        return false;
    };
    let told = match rollout.candidate_asked {
        2 => "one of two replicas, so that it may still be the version",
        _ => "one replica and not the version",
    };
    let told = format!(
        "{told}: pod {} on node {}: {}; it is replaced once",
        suspect.pod, replica.node, suspect.words
    );
    let replaced = Replaced {
        pod: suspect.pod,
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
fn takes_all(rollout: &Rollout, rule: &RolloutRule) -> bool {
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
    let there = scene.replicas.iter().any(|replica| replica.pod == replaced.pod);
    if !there && rollout.candidate_seen.terminating == 0 {
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
