//! The three times of a traffic change: accepted by the API, observed by the controller, effective in the revisions'
//! own counters.

use std::collections::BTreeMap;

use super::phases::Rollout;
use crate::audit::Action;
use crate::decide::Draft;
use crate::ids::{Fence, RevisionId, StepId};
use crate::pipeline::RolloutRule;
use crate::seen::{Counts, Routed, Scene, TrafficSeen};
use crate::time::{Span, Timestamp};
use crate::units::Weight;

/// Where nobody asks and the gateway does not show its endpoints, nothing shows that its data plane has followed its
/// controller: it is taken to have done so after this time. On a machine with five times more work than cores Envoy was seen to need 3 s.
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
    let gets = rollout.gets();
    draft
        .note(
            Action::WeightAccepted,
            format!("{gets} {weight} accepted {took} after the decision"),
        )
        .with("fence", fence.0)
        .with("after_ms", took.0);
}

/// Reads the three times off a look, before the counts of the look replace the ones before.
pub(super) fn settle(draft: &mut Draft, rollout: &mut Rollout, rule: &RolloutRule, scene: &Scene) {
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
            let words = format!("observed by {}", rule.target.split.follower());
            mark(draft, rollout, Action::WeightObserved, &words);
        }
        return;
    }
    let quiet = change.observed.is_some_and(|at| draft.now.since(at) >= QUIET);
    let words = match moved_over(rollout, scene, change.weight) {
        Moved::Seen => "effective: the counters agree",
        Moved::Routed => "effective: every pod of the gateway holds these endpoints",
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
    /// There is none, but the endpoints that the gateway's pods hold show where it would go.
    Routed,
    /// There is none, so they say nothing.
    NobodyAsks,
    /// Some goes where it should not, or would, or they cannot be read.
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
        Weight::FULL if !rollout.mirrors() => (candidate, stable),
        _ => (candidate, 0),
    };
    match (must, must_not) {
        (_, 1..) => Moved::NotYet,
        (1.., 0) => Moved::Seen,
        (0, 0) if candidate + stable == 0 => routed(rollout, counts, weight),
        (0, 0) => Moved::NotYet,
    }
}

/// Where traffic would go, by the endpoints that the gateway's pods hold. Shares in between cannot be told from them.
fn routed(rollout: &Rollout, counts: &BTreeMap<RevisionId, Counts>, weight: Weight) -> Moved {
    let of = |revision| counts.get(revision).map(|c| c.routed).unwrap_or_default();
    let candidate = of(&rollout.candidate);
    let stable = rollout.stable.as_ref().map(|stable| of(&stable.revision));
    let (must, must_not) = match weight {
        Weight::ZERO => (stable, Some(candidate)),
        Weight::FULL if !rollout.mirrors() => (Some(candidate), stable),
        _ => return Moved::NobodyAsks,
    };
    if candidate.is_unknown() {
        Moved::NobodyAsks
    } else if must.is_none_or(Routed::everywhere) && must_not.is_none_or(Routed::nowhere) {
        Moved::Routed
    } else {
        Moved::NotYet
    }
}

fn mark(draft: &mut Draft, rollout: &mut Rollout, action: Action, words: &str) {
    let (now, gets) = (draft.now, rollout.gets());
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
            format!("{gets} {weight} {words}, {took} after the decision"),
        )
        .with("fence", fence.0)
        .with("after_ms", took.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::StableSide;
    use crate::seen::{Landing, RevisionSeen, RouteSeen};

    /// What two looks say, in which stable and candidate were sent this many requests in between.
    fn moved(stable: u64, candidate: u64, weight: Weight) -> Moved {
        looked(stable, candidate, weight, Routed::default(), Routed::default())
    }

    /// What two looks say in which nobody asked, when so many of two gateway pods hold stable and candidate.
    fn held(stable: u32, candidate: u32, weight: Weight) -> Moved {
        let of = |by| Routed { by, of: 2 };
        looked(0, 0, weight, of(stable), of(candidate))
    }

    fn looked(stable: u64, candidate: u64, weight: Weight, old_held: Routed, new_held: Routed) -> Moved {
        let (old, new) = (RevisionId::new("old"), RevisionId::new("new"));
        let counts = |old_n, new_n| {
            let counted = |started, routed| Counts {
                started,
                routed,
                ..Counts::default()
            };
            [
                (old.clone(), counted(old_n, old_held)),
                (new.clone(), counted(new_n, new_held)),
            ]
            .into()
        };
        let mut rollout = Rollout::new(new.clone(), Timestamp(0));
        rollout.stable = Some(StableSide {
            revision: old.clone(),
            replicas: 1,
            adopted: None,
        });
        rollout.counted = counts(100, 10);
        let scene = Scene {
            candidate: RevisionSeen::default(),
            stable: None,
            route: RouteSeen::default(),
            traffic: TrafficSeen::Counts(counts(100 + stable, 10 + candidate)),
            values: BTreeMap::new(),
            replicas: Vec::new(),
            serving: BTreeMap::new(),
            unprepared: None,
            landing: Landing::default(),
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

    #[test]
    fn where_nobody_asks_the_gateways_endpoints_say_where_traffic_would_go() {
        assert!(matches!(held(0, 2, Weight::FULL), Moved::Routed));
        assert!(
            matches!(held(0, 1, Weight::FULL), Moved::NotYet),
            "one pod of the gateway has not followed"
        );
        assert!(
            matches!(held(1, 2, Weight::FULL), Moved::NotYet),
            "one would still send to the old side"
        );
        assert!(matches!(held(2, 0, Weight::ZERO), Moved::Routed));
        assert!(matches!(held(2, 1, Weight::ZERO), Moved::NotYet));
        assert!(matches!(held(2, 2, Weight::new(5).unwrap()), Moved::NobodyAsks));
    }
}
