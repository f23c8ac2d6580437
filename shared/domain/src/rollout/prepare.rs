//! What must stand before a candidate is asked for: what is taken over has its own Service, and what scales stable is held.

use super::adopt;
use super::autoscaler;
use super::moves::{enter_step, wait};
use super::phases::Rollout;
use super::revert::revert_now;
use crate::decide::Draft;
use crate::ids::StepId;
use crate::people::Actor;
use crate::pipeline::RolloutRule;
use crate::seen::Scene;

/// Orders what is still to be prepared. Says whether something is.
pub(super) fn begins(draft: &mut Draft, rollout: &mut Rollout, id: StepId) -> bool {
    let adopts = adopt::order(draft, rollout, id);
    let holds = autoscaler::hold(draft, rollout, id);
    rollout.preparing |= adopts || holds;
    rollout.preparing
}

/// Whether the candidate must wait for it. Once it stands, the candidate grows.
pub(super) fn waits(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
    step: usize,
) -> bool {
    if !rollout.preparing {
        return false;
    }
    match &scene.unprepared {
        None => {
            rollout.preparing = false;
            enter_step(draft, rollout, id, step);
        }
        Some(lacks) if draft.now.since(rollout.since) >= rule.warm_within => {
            let why = format!("not prepared within {}: {lacks}", rule.warm_within);
            revert_now(draft, rollout, id, rule, &why, Actor::Weir);
        }
        Some(lacks) => wait(draft, rollout, &format!("preparation: {lacks}")),
    }
    true
}
