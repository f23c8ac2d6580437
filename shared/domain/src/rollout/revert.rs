//! Traffic goes back. A revert beats every other transition and depends on nothing but the route (invariant 4).

use serde_json::json;

use super::adopt;
use super::claims::{claim, let_go};
use super::draining::{left, overdue};
use super::moves::{enter, release, set_weight, wait};
use super::phases::{Phase, Rollout};
use super::preview::stop_checks;
use super::restore::{give_back, share_on_the_way_back, shift_back};
use super::share::given;
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
    rollout.held_since = None;
    stop_checks(draft, rollout, id);
    // All clusters of a release go back for what was seen in one.
    let why = match &rule.release {
        Some(_) => format!("{}: {why}", rule.lane),
        None => why.to_owned(),
    };
    draft.run.ending.get_or_insert(RunStatus::RolledBack { why });
    if !rollout.changes.is_empty() {
        let share = share_on_the_way_back(rollout, rule);
        // Where the candidate must keep all that it has for now, the next look goes on.
        if share == Weight::ZERO || share < rollout.weight {
            set_weight(draft, rollout, id, share, "revert");
        }
        enter(draft, rollout, Phase::Reverting);
    } else if give_back(draft, rollout, id, rule) {
        // It never had traffic: the route was never touched.
        back(draft, rollout, id, rule);
    } else {
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
    if foreign_share(draft, rollout, id, scene) || shift_back(draft, rollout, id, rule) {
        return;
    }
    if !has_left(draft, rollout, scene) {
        if let Some(problem) = &scene.route.problem {
            rollout.waits_for.clone_from(problem);
        }
        return;
    }
    if give_back(draft, rollout, id, rule) {
        back(draft, rollout, id, rule);
    } else if draft.now.since(rollout.since) >= rule.warm_within {
        // Everything that could be decided was; the cluster goes on to try, and a person is told.
        let words = format!(
            "stable did not get all its places back: {}",
            rollout.stable_seen.words
        );
        if let Some(why) = &mut rollout.reverted_because {
            why.push_str(&format!("; {words}"));
        }
        draft.note(Action::Waiting, words);
        back(draft, rollout, id, rule);
    } else {
        let (warm, wanted) = (
            rollout.stable_warm(),
            rollout.stable.as_ref().map_or(0, |s| s.replicas),
        );
        let words = format!(
            "stable: {warm} of {wanted} replicas warm again; {}",
            rollout.stable_seen.words
        );
        wait(draft, rollout, &words);
    }
}

/// Somebody gave the candidate more than was decided; says whether that was corrected.
pub(super) fn foreign_share(draft: &mut Draft, rollout: &mut Rollout, id: StepId, scene: &Scene) -> bool {
    let Some(fence) = rollout.changes.last().map(|change| change.fence) else {
        return false;
    };
    let (weight, copies) = given(rollout, &scene.route);
    let more = weight > rollout.weight || (rollout.mirrors() && copies > rollout.weight);
    if scene.route.fence < fence || !more {
        return false;
    }
    let why = "somebody else gave the candidate traffic again";
    set_weight(draft, rollout, id, rollout.weight, why);
    true
}

/// Whether the traffic that was sent back has left the candidate.
pub(super) fn has_left(draft: &Draft, rollout: &Rollout, scene: &Scene) -> bool {
    let Some(change) = rollout.changes.last() else {
        return true;
    };
    let nobody = scene.candidate.warm == 0 && scene.candidate.terminating == 0;
    let uncounted = change.observed.is_some_and(|at| draft.now.since(at) >= UNCOUNTED);
    change.observed.is_some() && (change.effective.is_some() || nobody || uncounted)
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
    let whole = rollout
        .stable
        .as_ref()
        .is_none_or(|stable| rollout.stable_warm() >= stable.replicas);
    enter(draft, rollout, Phase::Reverted { until });
    release(draft, rollout, id, rule);
    // The candidate holds GPUs until it is removed, and then gives them back.
    claim(draft, id, rule, 0);
    // Where stable had lent replicas, the page went out when traffic was back.
    if !rollout.has_lent() || !whole {
        draft.effects.push(Effect::Page { step: id });
    }
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
pub(super) fn removing(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
) {
    if scene.candidate.pods == 0 && scene.candidate.terminating == 0 {
        draft.note(
            Action::Removed,
            format!("{} holds nothing any more", rollout.candidate),
        );
    } else {
        let words = left(&scene.candidate);
        if !overdue(draft, rollout, id, rule, &words) {
            rollout.waits_for = format!("draining: {words}");
            return;
        }
    }
    let_go(draft, id, rule);
    adopt::give_free(draft, rollout, id, rule);
    enter(draft, rollout, Phase::Removed);
}
