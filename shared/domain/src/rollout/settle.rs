//! The three times of a traffic change: accepted by the API, observed by the controller, effective in the revisions'
//! own counters.

use super::phases::Rollout;
use crate::audit::Action;
use crate::decide::Draft;
use crate::ids::{Fence, StepId};
use crate::seen::{Scene, TrafficSeen};
use crate::time::{Span, Timestamp};
use crate::units::Weight;

/// Where nobody asks, counters cannot show that a gateway's data plane has followed its controller: it is taken to have
/// done so after this time. On a machine with five times more work than cores Envoy was seen to need 3 s.
const QUIET: Span = Span::seconds(10);

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
    let quiet = change.observed.is_some_and(|at| draft.now.since(at) >= QUIET);
    let words = match moved_over(rollout, scene, change.weight) {
        Moved::Seen => "effective: the counters agree",
        Moved::NobodyAsks if quiet => "taken as effective: nobody asks",
        Moved::NobodyAsks | Moved::NotYet => return,
    };
    if change.effective.is_none() {
        mark(draft, rollout, Action::WeightEffective, words);
    }
}

/// What the counters of two looks, both after the controller took the route up, say of a change.
enum Moved {
    /// Traffic goes where it should, and nowhere else.
    Seen,
    /// There is none, so they say nothing.
    NobodyAsks,
    /// Some goes where it should not, or they cannot be read.
    NotYet,
}

fn moved_over(rollout: &Rollout, scene: &Scene, weight: Weight) -> Moved {
    let TrafficSeen::Counts(counts) = &scene.traffic else {
        return Moved::NotYet;
    };
    let started = |revision| {
        let now = counts.get(revision).map_or(0, |c| c.started);
        now.saturating_sub(rollout.counted.get(revision).map_or(0, |c| c.started))
    };
    let candidate = started(&rollout.candidate);
    let stable = rollout
        .stable
        .as_ref()
        .map_or(0, |stable| started(&stable.revision));
    let (must, must_not) = match weight {
        Weight::ZERO => (stable, candidate),
        Weight::FULL => (candidate, stable),
        _ => (candidate, 0),
    };
    match (must, must_not) {
        (_, 1..) => Moved::NotYet,
        (1.., 0) => Moved::Seen,
        (0, 0) if candidate + stable == 0 => Moved::NobodyAsks,
        (0, 0) => Moved::NotYet,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RevisionId;
    use crate::rollout::StableSide;
    use crate::seen::{Counts, RevisionSeen, RouteSeen};

    /// What two looks say, in which stable and candidate were sent this many requests in between.
    fn moved(stable: u64, candidate: u64, weight: Weight) -> Moved {
        let (old, new) = (RevisionId::new("old"), RevisionId::new("new"));
        let counts = |old_n, new_n| {
            let counted = |started| Counts {
                started,
                ..Counts::default()
            };
            [(old.clone(), counted(old_n)), (new.clone(), counted(new_n))].into()
        };
        let mut rollout = Rollout::new(new.clone(), Timestamp(0));
        rollout.stable = Some(StableSide {
            revision: old.clone(),
            replicas: 1,
        });
        rollout.counted = counts(100, 10);
        let scene = Scene {
            candidate: RevisionSeen::default(),
            stable: None,
            route: RouteSeen::default(),
            traffic: TrafficSeen::Counts(counts(100 + stable, 10 + candidate)),
        };
        moved_over(&rollout, &scene, weight)
    }

    #[test]
    fn a_change_is_seen_where_traffic_goes_and_not_where_there_is_none() {
        let five = Weight::new(5).unwrap();
        assert!(matches!(moved(0, 7, Weight::FULL), Moved::Seen));
        assert!(
            matches!(moved(1, 7, Weight::FULL), Moved::NotYet),
            "the old side still gets some"
        );
        assert!(
            matches!(moved(0, 0, Weight::FULL), Moved::NobodyAsks),
            "standing still shows nothing"
        );
        assert!(matches!(moved(9, 0, Weight::ZERO), Moved::Seen));
        assert!(matches!(moved(9, 1, Weight::ZERO), Moved::NotYet));
        assert!(matches!(moved(0, 0, Weight::ZERO), Moved::NobodyAsks));
        assert!(matches!(moved(9, 1, five), Moved::Seen));
        assert!(matches!(moved(9, 0, five), Moved::NotYet));
    }
}
