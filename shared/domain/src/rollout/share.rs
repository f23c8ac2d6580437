//! The share of traffic that the candidate has: held to what it should be, and followed by the gateway.

use super::moves::set_weight;
use super::phases::Rollout;
use crate::decide::Draft;
use crate::ids::StepId;
use crate::pipeline::RolloutRule;
use crate::seen::Scene;
use crate::time::Span;
use crate::units::Weight;

/// Promotion waits this long after the bake for the gateway to have followed: a promoted revision is one that is asked.
pub(super) const STILL_WITHIN: Span = Span::seconds(60);

/// Writes the share again if it is not what it should be: somebody else changed it, or fewer replicas are warm than it
/// needs (invariant 3). Says whether it did.
pub(super) fn correct_weight(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
    planned: Weight,
) -> bool {
    let carried = rollout.plan.carried_by(rollout.candidate_seen.warm, rule);
    let wanted = match (&rollout.stable, rollout.has_lent()) {
        (None, _) => planned,
        (Some(_), false) => planned.min(carried),
        (Some(_), true) => {
            // Stable gave up places: what it cannot carry stays here.
            let rest = rollout.plan.carried_by(rollout.stable_warm(), rule).rest();
            planned.min(carried.max(rest))
        }
    };
    if wanted != rollout.weight {
        let words = format!(
            "{} of {} replicas warm",
            rollout.candidate_seen.warm,
            rollout.plan.needed(rule)
        );
        set_weight(draft, rollout, id, wanted, &words);
        return true;
    }
    let written = scene.route.fence
        >= rollout
            .changes
            .last()
            .map(|change| change.fence)
            .unwrap_or_default();
    if written
        && scene
            .route
            .weights
            .get(&rollout.candidate)
            .copied()
            .unwrap_or_default()
            != rollout.weight
    {
        set_weight(draft, rollout, id, wanted, "somebody else changed the route");
        return true;
    }
    false
}

/// Whether the last change of traffic has reached the requests, or nothing shows that for so long that it must have.
pub(super) fn has_followed(draft: &Draft, rollout: &Rollout) -> bool {
    let Some(change) = rollout.changes.last() else {
        return true;
    };
    let observed = change.observed.map(|at| draft.now.since(at));
    change.effective.is_some() || observed.is_some_and(|ago| ago >= STILL_WITHIN)
}
