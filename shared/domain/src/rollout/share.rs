//! The share of traffic that the candidate has: held to what it should be, and followed by the gateway.

use std::collections::BTreeMap;

use super::moves::set_weight;
use super::phases::Rollout;
use crate::decide::Draft;
use crate::ids::{RevisionId, StepId};
use crate::pipeline::RolloutRule;
use crate::seen::{RouteSeen, Scene};
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
    if written && !stands(rollout, &scene.route) {
        set_weight(draft, rollout, id, wanted, "somebody else changed the route");
        return true;
    }
    false
}

/// Whether the route gives the candidate what was decided. A shadow has copies and nothing else.
fn stands(rollout: &Rollout, route: &RouteSeen) -> bool {
    let (weight, copies) = given(rollout, route);
    match rollout.mirrors() {
        true => copies == rollout.weight && weight == Weight::ZERO,
        false => weight == rollout.weight,
    }
}

/// The candidate's share as the route says it, and the part of the requests that is copied to it.
pub(super) fn given(rollout: &Rollout, route: &RouteSeen) -> (Weight, Weight) {
    let of = |shares: &BTreeMap<RevisionId, Weight>| {
        let share = shares.get(&rollout.candidate);
        share.copied().unwrap_or(Weight::ZERO)
    };
    (of(&route.weights), of(&route.mirrors))
}

/// Whether the last change of traffic has reached the requests, or nothing shows that for so long that it must have.
pub(super) fn has_followed(draft: &Draft, rollout: &Rollout) -> bool {
    let Some(change) = rollout.changes.last() else {
        return true;
    };
    let observed = change.observed.map(|at| draft.now.since(at));
    change.effective.is_some() || observed.is_some_and(|ago| ago >= STILL_WITHIN)
}
