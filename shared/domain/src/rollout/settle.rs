//! The three times of a traffic change: accepted by the API, observed by the controller, effective in the revisions'
//! own counters.

use super::phases::Rollout;
use crate::audit::Action;
use crate::decide::Draft;
use crate::ids::{Fence, StepId};
use crate::seen::{Scene, TrafficSeen};
use crate::time::Timestamp;
use crate::units::Weight;

/// The API server took a write. A repeat, or a write that was overtaken, changes nothing.
pub(crate) fn accepted(draft: &mut Draft, id: StepId, fence: Fence, at: Timestamp) {
    let Some(mut rollout) = draft.take_rollout(id) else {
        return;
    };
    accept(draft, &mut rollout, fence, at);
    draft.put_rollout(id, rollout);
}

fn accept(draft: &mut Draft, rollout: &mut Rollout, fence: Fence, at: Timestamp) {
    let Some(change) = rollout.changes.iter_mut().find(|change| change.fence == fence) else {
        return;
    };
    if change.accepted.is_some() {
        return;
    }
    change.accepted = Some(at);
    let (weight, took) = (change.weight, at.since(change.decided));
    draft
        .note(
            Action::WeightAccepted,
            format!("weight {weight} accepted {took} after the decision"),
        )
        .with("fence", fence.0)
        .with("after_ms", took.0);
}

/// Reads the three times off a look, before the counts of the look replace the ones before.
pub(super) fn settle(draft: &mut Draft, rollout: &mut Rollout, scene: &Scene) {
    let Some(change) = rollout.changes.last().cloned() else {
        return;
    };
    if scene.route.fence < change.fence {
        return;
    }
    // The message that told so was lost, or this look came first.
    accept(draft, rollout, change.fence, draft.now);
    if change.observed.is_none() {
        if scene.route.observed {
            mark(
                draft,
                rollout,
                Action::WeightObserved,
                "observed by the gateway's controller",
            );
        }
        return;
    }
    if change.effective.is_none() && moved_over(rollout, scene, change.weight) {
        mark(
            draft,
            rollout,
            Action::WeightEffective,
            "effective: the counters agree",
        );
    }
}

/// Whether the counters of two looks, both after the controller took the route up, show the change: the side without a
/// share gets no new request, or the candidate gets its first ones.
fn moved_over(rollout: &Rollout, scene: &Scene, weight: Weight) -> bool {
    let TrafficSeen::Counts(counts) = &scene.traffic else {
        return false;
    };
    let started = |revision| {
        let now = counts.get(revision).map_or(0, |c| c.started);
        now.saturating_sub(rollout.counted.get(revision).map_or(0, |c| c.started))
    };
    match (&rollout.stable, weight) {
        (_, Weight::ZERO) => started(&rollout.candidate) == 0,
        (Some(stable), Weight::FULL) => started(&stable.revision) == 0,
        _ => started(&rollout.candidate) > 0,
    }
}

fn mark(draft: &mut Draft, rollout: &mut Rollout, action: Action, words: &str) {
    let now = draft.now;
    let Some(change) = rollout.changes.last_mut() else {
        return;
    };
    match action {
        Action::WeightObserved => change.observed = Some(now),
        _ => change.effective = Some(now),
    }
    let (weight, fence, took) = (change.weight, change.fence, now.since(change.decided));
    draft
        .note(
            action,
            format!("weight {weight} {words}, {took} after the decision"),
        )
        .with("fence", fence.0)
        .with("after_ms", took.0);
}
