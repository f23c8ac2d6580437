//! People answer an approval, or nobody does in time.

use super::{Draft, Rejected, Reply};
use crate::approval::{Answer, ApprovalState, MessageRef, Refusal, count_answer, progress, words_of};
use crate::audit::Action;
use crate::effect::Effect;
use crate::ids::ApprovalToken;
use crate::people::{Actor, Identity};
use crate::run::{PartStatus, RunStatus};

/// A person answered. Who may is checked here (invariant 11); a refusal is recorded and changes nothing.
pub(super) fn answered(
    draft: &mut Draft,
    token: &ApprovalToken,
    by: &Identity,
    answer: &Answer,
) -> Result<(), Rejected> {
    let unknown = || Rejected::UnknownApproval {
        run: draft.run.id.to_string(),
        token: token.clone(),
    };
    let carries = |a: &Option<crate::approval::Approval>| a.as_ref().is_some_and(|a| &a.token == token);
    let stage = draft
        .run
        .stages
        .iter()
        .position(|stage| carries(&stage.approval))
        .ok_or_else(unknown)?;
    let rule = draft.run.approval_rule(stage).cloned().ok_or_else(unknown)?;
    let mut approval = draft.run.stages[stage].approval.clone().ok_or_else(unknown)?;
    let (groups, pusher) = (draft.run.pipeline.groups.clone(), draft.run.cause.actor.clone());
    let actor = Actor::from_identity(&groups, by.clone());
    match count_answer(&mut approval, &rule, &groups, &pusher, by, answer, draft.now) {
        Err(refusal) => {
            // A second tap is ordinary and leaves no trace.
            if !matches!(refusal, Refusal::Ended(_) | Refusal::Repeated(_)) {
                draft.note_by(actor, Action::ApprovalRefused, refusal.to_string());
            }
            draft.reply = Some(refusal.into());
        }
        Ok(name) => {
            let still = words_of(&progress(&approval, &rule, &groups));
            let said = match answer {
                Answer::Approve => format!("approved by {name}: {still}"),
                Answer::Reject(_) => approval.state.words(),
            };
            let mut note = draft.note_by(actor.clone(), Action::ApprovalGiven, said.clone());
            note = note.with("quorum", still);
            note.with("identity", by.to_string());
            draft.reply = Some(Reply::Done(said));
            draft.run.stages[stage].approval = Some(approval);
            draft.effects.push(Effect::ShowApproval { stage });
            ended(draft, stage, actor);
        }
    }
    Ok(())
}

/// What the end of an approval means for the run.
fn ended(draft: &mut Draft, stage: usize, actor: Actor) {
    let Some(state) = draft.run.stages[stage]
        .approval
        .as_ref()
        .map(|approval| approval.state.clone())
    else {
        return;
    };
    let words = state.words();
    match state {
        ApprovalState::Waiting => return,
        ApprovalState::Approved => {}
        _ => {
            draft.run.stages[stage].status = PartStatus::Failed { why: words.clone() };
            draft
                .run
                .ending
                .get_or_insert(RunStatus::Failed { why: words.clone() });
        }
    }
    draft
        .note_by(actor, Action::ApprovalEnded, words)
        .moved("waiting", state_word(&state));
}

fn state_word(state: &ApprovalState) -> &'static str {
    match state {
        ApprovalState::Waiting => "waiting",
        ApprovalState::Approved => "approved",
        ApprovalState::Rejected { .. } => "rejected",
        ApprovalState::Expired => "expired",
        ApprovalState::Superseded { .. } => "superseded",
        ApprovalState::Withdrawn => "withdrawn",
    }
}

/// Ends every approval whose time is over. A click and the timer race; whoever is committed first wins.
pub(super) fn expire(draft: &mut Draft) {
    for stage in 0..draft.run.stages.len() {
        let now = draft.now;
        let Some(approval) = &mut draft.run.stages[stage].approval else {
            continue;
        };
        if approval.state == ApprovalState::Waiting && now >= approval.expires {
            approval.state = ApprovalState::Expired;
            draft.effects.push(Effect::ShowApproval { stage });
            ended(draft, stage, Actor::Weir);
        }
    }
}

/// Ends every approval that still waits, because the run ends otherwise.
pub(super) fn withdraw(draft: &mut Draft, state: &ApprovalState) {
    for stage in 0..draft.run.stages.len() {
        let Some(approval) = &mut draft.run.stages[stage].approval else {
            continue;
        };
        if approval.state == ApprovalState::Waiting {
            approval.state = state.clone();
            draft.effects.push(Effect::ShowApproval { stage });
            draft
                .note(Action::ApprovalEnded, state.words())
                .moved("waiting", state_word(state));
        }
    }
}

/// What people approved did not last: its messages say so.
pub(super) fn show_again(draft: &mut Draft) {
    let approvals = draft.run.stages.iter().enumerate();
    let approved: Vec<usize> = approvals
        .filter_map(|(stage, state)| Some((stage, state.approval.as_ref()?)))
        .filter(|(_, approval)| approval.state == ApprovalState::Approved)
        .map(|(stage, _)| stage)
        .collect();
    let shown = approved.into_iter().map(|stage| Effect::ShowApproval { stage });
    draft.effects.extend(shown);
}

/// The message that asks was posted; it will be changed instead of posted again.
pub(super) fn shown(draft: &mut Draft, stage: usize, message: &MessageRef) {
    if let Some(approval) = draft
        .run
        .stages
        .get_mut(stage)
        .and_then(|stage| stage.approval.as_mut())
    {
        approval.message.get_or_insert_with(|| message.clone());
    }
}
