//! A person steers a rollout: holds it where it is, lets it go on, or takes it to its end.

use super::end::known;
use super::{Draft, Reply};
use crate::audit::Action;
use crate::effect::Effect;
use crate::ids::{ApprovalToken, StepId};
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

/// A person lets a step pass that could not be decided, or rollouts go on that wait for them. What could not be decided
/// is not for the one who pushed it: nothing else vouches for it.
pub(super) fn let_pass(draft: &mut Draft, by: &Identity, reason: &str, pause: Option<&ApprovalToken>) {
    let Some(actor) = known(draft, by) else { return };
    let answered = answered(draft, pause);
    let Some(first) = answered.first() else {
        let what = match pause {
            Some(_) => "is not paused there any more",
            None => "has no step that asks a person",
        };
        return refuse(draft, actor, format!("{} {what}", draft.run.title()));
    };
    let paused = draft.run.rollout(*first).is_some_and(Rollout::is_paused);
    if !paused && actor.person() == draft.run.cause.actor.person() {
        let words = format!("{actor} pushed this change; somebody else must let it pass");
        return refuse(draft, actor, words);
    }
    let what = match (paused, answered.as_slice()) {
        (false, _) => "lets the step pass, unverified".to_owned(),
        (true, [_]) => "lets it go on".to_owned(),
        (true, several) => format!("lets {} go on", lanes(draft, several)),
    };
    let mut words = format!("{actor} {what}");
    draft.note_by(actor.clone(), Action::ApprovalGiven, words.clone());
    for id in &answered {
        pass(draft, *id, &actor, reason);
    }
    let mut others = draft.rollouts(Rollout::asks);
    others.retain(|id| !answered.contains(id));
    if !others.is_empty() {
        words.push_str(&format!("; still asked about: {}", lanes(draft, &others)));
    }
    draft.reply = Some(Reply::Done(words));
}

/// What one answer is for: all that is held, because one word held it, or one other question. What is held comes first. A
/// button answers what it was shown for, so that one of an earlier pause ends no later one.
fn answered(draft: &Draft, pause: Option<&ApprovalToken>) -> Vec<StepId> {
    let held = draft.rollouts(|rollout| rollout.is_paused() && rollout.holder().is_some());
    let asking = draft.rollouts(Rollout::asks);
    let meant = match pause {
        Some(token) => asking.iter().find(|id| draft.run.pause_of(**id) == Some(token)),
        None => held.first().or(asking.first()),
    };
    match meant {
        Some(id) if held.contains(id) => held,
        Some(id) => vec![*id],
        None => Vec::new(),
    }
}

fn pass(draft: &mut Draft, id: StepId, actor: &Actor, reason: &str) {
    let Some(mut rollout) = draft.take_rollout(id) else {
        return;
    };
    let paused = rollout.is_paused();
    if rollout.holder().is_some() {
        rollout.paused = None;
    } else if let Some(state) = rollout.paused.as_mut().filter(|_| paused) {
        state.by = Some((actor.clone(), reason.to_owned()));
    } else if let Some(state) = &mut rollout.inconclusive {
        state.vouched = Some((actor.clone(), reason.to_owned()));
    }
    draft.put_rollout(id, rollout);
}

/// `llm in EU, llm in US`
fn lanes(draft: &Draft, steps: &[StepId]) -> String {
    let rules = steps.iter().filter_map(|id| draft.run.rule(*id));
    let lanes: Vec<String> = rules.map(|rule| rule.lane.to_string()).collect();
    lanes.join(", ")
}

#[cfg(test)]
mod tests;
