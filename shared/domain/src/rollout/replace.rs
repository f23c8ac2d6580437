//! One replica that carries a breach is replaced, once, before the version is blamed.
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
use crate::pipeline::RolloutRule;
use crate::seen::Scene;
use crate::units::Weight;

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
    let instant = rollout.stable.is_some()
        && !rollout.has_lent()
        && rollout.plan.carried_by(rollout.stable_warm(), rule) == Weight::FULL;
    if rollout.replaced.is_some() || !instant || rollout.candidate_asked < 2 {
        return false;
    }
    let Some(suspect) = rollout.carried.by(condition) else {
        return false;
    };
    let Some(replica) = scene.replicas.iter().find(|replica| replica.pod == suspect.pod) else {
        return false;
    };
    let (pod, node) = (suspect.pod, replica.node.clone());
    let told = match rollout.candidate_asked {
        2 => "one of two replicas, so that it may still be the version",
        _ => "one replica and not the version",
    };
    draft
        .note(
            Action::ReplicaReplaced,
            format!(
                "{told}: pod {pod} on node {node}: {}; it is replaced once",
                suspect.words
            ),
        )
        .with("pod", pod.as_str())
        .with("node", node.as_str());
    set_weight(draft, rollout, id, Weight::ZERO, "a replica is replaced");
    rollout.candidate_asked -= 1;
    rollout.fence = rollout.fence.next();
    draft.effects.push(Effect::ScaleRevision {
        step: id,
        revision: rollout.candidate.clone(),
        replicas: rollout.candidate_asked,
        leaving: vec![pod.clone()],
        fence: rollout.fence,
    });
    rollout.replaced = Some(Replaced {
        pod,
        node,
        step,
        gone: false,
    });
    enter(draft, rollout, Phase::Growing { step });
    true
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
