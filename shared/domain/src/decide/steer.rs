//! A person steers a rollout: holds it where it is, lets it go on, or takes it to its end.

use super::end::known;
use super::{Draft, Reply};
use crate::audit::Action;
use crate::effect::Effect;
use crate::ids::ApprovalToken;
use crate::people::{Actor, Identity};
use crate::rollout::{self, Paused, Rollout};

/// A person wants the rollouts to stay where they are. What is measured still sends traffic back.
pub(super) fn hold(draft: &mut Draft, by: &Identity, reason: &str) {
    let Some(actor) = known(draft, by) else { return };
    let steps = draft.rollouts(|rollout| rollout.can_steer() && !rollout.is_paused());
    if steps.is_empty() {
        let words = format!(
            "{} has no rollout on its way that could be held",
            draft.run.title()
        );
        return refuse(draft, actor, words);
    }
    draft.note_by(actor.clone(), Action::HoldRequested, reason);
    for id in steps {
        if let Some(mut rollout) = draft.take_rollout(id) {
            rollout.paused = Some(Paused::held(draft, actor.clone(), reason));
            draft.put_rollout(id, rollout);
            draft.effects.push(Effect::Page { step: id });
        }
    }
    let words = format!(
        "{} is held where it is, for {} at most: weir approve {} lets it go on, and until then traffic still goes back if it must",
        draft.run.title(),
        rollout::HELD_WITHIN,
        draft.run.id
    );
    draft.reply = Some(Reply::Done(words));
}

/// A person wants the judged steps that are left not to be waited for. Each share is still given to warm replicas alone,
/// and what is measured still sends traffic back. Nothing else vouches for the candidate, so it is not for the one who
/// pushed it.
pub(super) fn skip(draft: &mut Draft, by: &Identity, reason: &str) {
    let Some(actor) = known(draft, by) else { return };
    let steps = draft.rollouts(|rollout| rollout.can_steer() && rollout.skipped.is_none());
    let title = draft.run.title();
    if actor.person() == draft.run.cause.actor.person() {
        let words = format!("{actor} pushed this change; somebody else must take it to its end");
        return refuse(draft, actor, words);
    }
    if steps.is_empty() {
        let words = format!("{title} has no rollout on its way whose steps could be skipped");
        return refuse(draft, actor, words);
    }
    draft.note_by(actor.clone(), Action::SkipRequested, reason);
    for id in steps {
        if let Some(mut rollout) = draft.take_rollout(id) {
            rollout.skipped = Some((actor.clone(), reason.to_owned()));
            rollout.paused = None;
            rollout.inconclusive = None;
            draft.put_rollout(id, rollout);
        }
    }
    draft.reply = Some(Reply::Done(format!("{title} goes to its end, unverified")));
}

fn refuse(draft: &mut Draft, actor: Actor, words: String) {
    draft.note_by(actor, Action::ApprovalRefused, words.clone());
    draft.reply = Some(Reply::Refused(words));
}

/// A person lets a step pass that could not be decided, or a rollout go on that waits for them. What could not be decided
/// is not for the one who pushed it: nothing else vouches for it.
pub(super) fn let_pass(draft: &mut Draft, by: &Identity, reason: &str, pause: Option<&ApprovalToken>) {
    let Some(actor) = known(draft, by) else { return };
    let asking = draft
        .run
        .steps()
        .find(|(.., state)| state.rollout.as_deref().is_some_and(Rollout::asks))
        .map(|(id, ..)| id);
    let paused = asking.is_some_and(|id| draft.run.rollout(id).is_some_and(Rollout::is_paused));
    let other = pause.is_some_and(|token| asking.is_none_or(|id| draft.run.pause_of(id) != Some(token)));
    let refusal = match asking {
        // A button of an earlier pause must not end a later one.
        _ if other => Some(format!("{} is not paused there any more", draft.run.title())),
        None => Some(format!("{} has no step that asks a person", draft.run.title())),
        Some(_) if !paused && actor.person() == draft.run.cause.actor.person() => Some(format!(
            "{actor} pushed this change; somebody else must let it pass"
        )),
        Some(_) => None,
    };
    if let Some(words) = refusal {
        return refuse(draft, actor, words);
    }
    let Some(id) = asking else { return };
    let words = match paused {
        true => format!("{actor} lets it go on"),
        false => format!("{actor} lets the step pass, unverified"),
    };
    draft.note_by(actor.clone(), Action::ApprovalGiven, words.clone());
    if let Some(mut rollout) = draft.take_rollout(id) {
        if rollout.holder().is_some() {
            rollout.paused = None;
        } else if let Some(state) = rollout.paused.as_mut().filter(|_| paused) {
            state.by = Some((actor, reason.to_owned()));
        } else if let Some(state) = &mut rollout.inconclusive {
            state.vouched = Some((actor, reason.to_owned()));
        }
        draft.put_rollout(id, rollout);
    }
    draft.reply = Some(Reply::Done(words));
}
