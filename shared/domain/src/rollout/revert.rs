//! Traffic goes back. A revert beats every other transition and depends on nothing but the route (invariant 4).

use serde_json::json;

use super::moves::{enter, release, set_weight};
use super::phases::{Phase, Rollout};
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::Effect;
use crate::ids::StepId;
use crate::people::Actor;
use crate::pipeline::RolloutRule;
use crate::run::RunStatus;
use crate::seen::Scene;
use crate::time::Span;
use crate::units::Weight;

/// After the controller has taken up weight 0, traffic that cannot be counted is taken as gone after this time:
/// Envoy applies a route within a second, and the longest request that was under way does not count as new traffic.
const UNCOUNTED: Span = Span::seconds(30);

/// Decides that traffic goes back. Deciding it again changes nothing.
pub(crate) fn revert(draft: &mut Draft, id: StepId, why: &str, actor: Actor) {
    let (Some(rule), Some(mut rollout)) = (draft.run.rule(id).cloned(), draft.take_rollout(id)) else {
        return;
    };
    if rollout.can_revert() {
        revert_now(draft, &mut rollout, id, &rule, why, actor);
    }
    draft.put_rollout(id, rollout);
}

/// The same, for a rollout that is already taken out of its step.
pub(super) fn revert_now(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    why: &str,
    actor: Actor,
) {
    let counts = rollout.candidate_counts();
    let before = rollout.words();
    let share = rollout.weight;
    draft
        .note_by(actor, Action::RevertDecided, why)
        .with("requests", counts.requests)
        .with("bad", counts.bad)
        .with("weight", share.percent())
        .with("candidate", json!(rollout.candidate_seen))
        .moved(before, "reverting");
    rollout.reverted_because = Some(why.to_owned());
    draft
        .run
        .ending
        .get_or_insert_with(|| RunStatus::RolledBack { why: why.to_owned() });
    if rollout.changes.is_empty() {
        // It never had traffic: the route was never touched.
        back(draft, rollout, id, rule);
    } else {
        set_weight(draft, rollout, id, Weight::ZERO, "revert");
        enter(draft, rollout, Phase::Reverting);
    }
}

/// A look while traffic goes back.
pub(super) fn reverting(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
) {
    let share = scene
        .route
        .weights
        .get(&rollout.candidate)
        .copied()
        .unwrap_or(Weight::ZERO);
    let Some(change) = rollout.changes.last() else {
        return;
    };
    if scene.route.fence >= change.fence && share > Weight::ZERO {
        set_weight(
            draft,
            rollout,
            id,
            Weight::ZERO,
            "somebody else gave the candidate traffic again",
        );
        return;
    }
    let nobody = scene.candidate.warm == 0 && scene.candidate.terminating == 0;
    let uncounted = change.observed.is_some_and(|at| draft.now.since(at) >= UNCOUNTED);
    if change.observed.is_some() && (change.effective.is_some() || nobody || uncounted) {
        back(draft, rollout, id, rule);
    } else if let Some(problem) = &scene.route.problem {
        rollout.waits_for.clone_from(problem);
    }
}

/// Traffic is back: the lane is free for the next, people are told, the candidate is kept for a look.
fn back(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule) {
    let serves = rollout
        .stable
        .as_ref()
        .map_or("nothing".to_owned(), |stable| stable.revision.to_string());
    let note = draft.note(Action::Reverted, format!("{serves} serves {} again", rule.lane));
    if let Some(change) = rollout.changes.last() {
        note.with(
            "decided_to_accepted_ms",
            change.accepted.map(|at| at.since(change.decided).0),
        );
        note.with(
            "decided_to_observed_ms",
            change.observed.map(|at| at.since(change.decided).0),
        );
        note.with(
            "decided_to_effective_ms",
            change.effective.map(|at| at.since(change.decided).0),
        );
    }
    note.moved(rollout.candidate.to_string(), serves);
    let until = draft.now + rule.keep;
    enter(draft, rollout, Phase::Reverted { until });
    release(draft, rollout, id, rule);
    draft.effects.push(Effect::Page { step: id });
}

/// The candidate that was rolled back has been looked at long enough.
pub(super) fn remove(draft: &mut Draft, rollout: &mut Rollout, id: StepId) {
    let (revision, fence) = (rollout.candidate.clone(), rollout.fence);
    draft.effects.push(Effect::RemoveRevision {
        step: id,
        revision,
        fence,
    });
    enter(draft, rollout, Phase::Removing);
}

/// A look while the candidate is being removed.
pub(super) fn removing(draft: &mut Draft, rollout: &mut Rollout, scene: &Scene) {
    if scene.candidate.pods == 0 && scene.candidate.terminating == 0 {
        draft.note(
            Action::Removed,
            format!("{} holds nothing any more", rollout.candidate),
        );
        enter(draft, rollout, Phase::Removed);
    }
}
