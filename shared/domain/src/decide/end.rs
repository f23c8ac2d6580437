//! A run ends: by itself, by a person, by a failure. Rollouts that still move go back first.

use super::begin::short;
use super::{Draft, Reply, answer, release};
use crate::approval::ApprovalState;
use crate::audit::Action;
use crate::effect::{CommitState, Effect};
use crate::experiment::{self, Ending, Experiment, leader_of};
use crate::ids::StepId;
use crate::people::{Actor, Identity};
use crate::rollout::{self, Phase, Rollout};
use crate::run::{PartStatus, RunStatus};

/// A person wants the run to end.
pub(super) fn cancel(draft: &mut Draft, by: &Identity, reason: &str) {
    let Some(actor) = known(draft, by) else { return };
    if draft.run.is_over() || draft.run.ending.is_some() {
        let words = format!("{} is already ending or over", draft.run.title());
        draft.reply = Some(Reply::Refused(words));
        return;
    }
    draft.note_by(actor.clone(), Action::CancelRequested, reason);
    draft.run.ending = Some(RunStatus::Cancelled {
        by: actor,
        reason: reason.to_owned(),
    });
    draft.reply = Some(Reply::Done(format!("{} is being cancelled", draft.run.title())));
}

/// A person wants traffic back. They are told first if what served before is not well.
pub(super) fn roll_back(draft: &mut Draft, by: &Identity, reason: &str, force: bool) {
    let Some(actor) = known(draft, by) else { return };
    let moving = draft.rollouts(Rollout::can_revert);
    let experiments = draft.experiments(Experiment::can_end);
    if moving.is_empty() && experiments.is_empty() {
        let words = format!(
            "{} ({}) has nothing on its way that could go back; what served before a promotion comes back by weir rollback {} --reason …",
            draft.run.title(),
            draft.run.status.word(),
            draft.run.id
        );
        draft.reply = Some(Reply::Refused(words));
        return;
    }
    if let Some(why) = unfit(draft, &moving).filter(|_| !force) {
        let words = format!(
            "nothing was moved: {why}; look at it first, or send traffic there all the same: weir rollback {} --force --reason …",
            draft.run.id
        );
        draft.note_by(actor, Action::ApprovalRefused, words.clone());
        draft.reply = Some(Reply::Refused(words));
        return;
    }
    for id in moving {
        rollout::revert(draft, id, &format!("asked by {actor}: {reason}"), actor.clone());
    }
    for id in experiments {
        let ending = Ending::early(format!("asked by {actor}: {reason}"));
        experiment::end(draft, id, ending, actor.clone());
    }
    draft.reply = Some(Reply::Done(format!("traffic of {} goes back", draft.run.title())));
}

/// What speaks against going back to what served before.
fn unfit(draft: &Draft, moving: &[StepId]) -> Option<String> {
    moving.iter().find_map(|id| {
        let (rollout, rule) = (draft.run.rollout(*id)?, draft.run.rule(*id)?);
        rollout.unfit_stable(rule)
    })
}

/// Only people whom the definition knows may end or turn back a run.
pub(super) fn known(draft: &mut Draft, by: &Identity) -> Option<Actor> {
    match Actor::from_identity(&draft.run.pipeline.groups, by.clone()) {
        actor @ Actor::Person { .. } => Some(actor),
        actor => {
            let words = crate::approval::Refusal::Unmapped(by.clone()).to_string();
            draft.note_by(actor, Action::ApprovalRefused, words.clone());
            draft.reply = Some(Reply::Refused(words));
            None
        }
    }
}

/// An effect can never be performed: its step cannot go on.
pub(super) fn effect_refused(draft: &mut Draft, id: StepId, why: &str) {
    let Some(state) = draft.run.step_run(id) else {
        return;
    };
    let experiment = leader_of(&draft.run.pipeline, id).filter(|id| draft.run.experiment(*id).is_some());
    if let Some(leader) = experiment {
        // One that goes back already decides again at its looks.
        return experiment::end(draft, leader, Ending::early(why), Actor::Weir);
    }
    if state.status.is_over() {
        return;
    }
    match state.rollout.as_deref() {
        Some(rollout) if rollout.can_revert() => rollout::revert(draft, id, why, Actor::Weir),
        // A revert that is refused is tried again at every look; it must not be given up.
        Some(rollout) if rollout.moves() => {}
        _ => draft.fail_step(id, why),
    }
}

/// A failed step ends the run.
pub(super) fn fail_on_failed_steps(draft: &mut Draft) {
    if draft.run.ending.is_some() || draft.run.is_over() {
        return;
    }
    let failed = draft
        .run
        .steps()
        .find_map(|(_, step, state)| match &state.status {
            PartStatus::Failed { why } => Some(format!("step {}: {why}", step.name)),
            _ => None,
        });
    if let Some(why) = failed {
        draft.run.ending = Some(RunStatus::Failed { why });
    }
}

/// Carries out a decided end as far as possible, and makes it final once no rollout moves any more.
pub(super) fn end(draft: &mut Draft) {
    let Some(ending) = draft.run.ending.clone() else {
        return;
    };
    if draft.run.is_over() {
        return;
    }
    let withdrawn = match &ending {
        RunStatus::Superseded { by } => ApprovalState::Superseded { by: by.clone() },
        _ => ApprovalState::Withdrawn,
    };
    answer::withdraw(draft, &withdrawn);
    let ids: Vec<StepId> = draft.run.steps().map(|(id, ..)| id).collect();
    for id in draft.experiments(|_| true) {
        experiment::lay_off(draft, id, &ending.words());
    }
    for id in ids {
        stop_step(draft, id, &ending);
    }
    let moving = [
        draft.rollouts(Rollout::moves),
        draft.experiments(Experiment::moves),
    ];
    if moving.iter().any(|steps| !steps.is_empty()) {
        return;
    }
    close(draft, ending);
}

fn stop_step(draft: &mut Draft, id: StepId, ending: &RunStatus) {
    let now = draft.now;
    let Some(state) = draft.run.step_run(id) else {
        return;
    };
    if state.status.is_over() {
        return;
    }
    match state
        .rollout
        .as_deref()
        .map(|rollout| (rollout.can_revert(), rollout.phase.clone()))
    {
        Some((true, _)) => rollout::revert(draft, id, &ending.words(), Actor::Weir),
        Some((false, Phase::Comparing | Phase::Queued | Phase::Surveying)) => {
            rollout::leave_lane(draft, id);
            let state = draft.step_mut(id);
            state.rollout = None;
            state.status = PartStatus::Skipped;
        }
        // It is on its way back or out already.
        Some(_) => {}
        None => {
            if state.status == PartStatus::Running && draft.run.plugin(id).is_some() {
                draft.effects.push(Effect::StopExecution { step: id });
            }
            release::leave_lane(draft, id);
            let state = draft.step_mut(id);
            state.status = unfinished(state.began.is_some());
            state.ended = state.began.map(|_| now);
        }
    }
}

/// What becomes of a part that has not ended when its run does.
fn unfinished(begun: bool) -> PartStatus {
    if begun {
        PartStatus::Stopped
    } else {
        PartStatus::Skipped
    }
}

fn close(draft: &mut Draft, ending: RunStatus) {
    for stage in &mut draft.run.stages {
        if !stage.status.is_over() {
            let failed = stage.steps.iter().find_map(|step| match &step.status {
                PartStatus::Failed { why } => Some(why.clone()),
                _ => None,
            });
            let begun = stage.status == PartStatus::Running;
            stage.status = failed.map_or(unfinished(begun), |why| PartStatus::Failed { why });
        }
    }
    let took = draft.now.since(draft.run.began);
    let words = format!("{} after {took}", ending.words());
    let (state, description) = match &ending {
        RunStatus::Succeeded => (
            CommitState::Success,
            format!("{} in {took}", short(draft.run.cause.after.as_str())),
        ),
        other => (CommitState::Failure, other.words()),
    };
    draft
        .note(Action::RunEnded, words)
        .moved("running", ending.word());
    if matches!(ending, RunStatus::RolledBack { .. }) {
        answer::show_again(draft);
    }
    draft.run.status = ending;
    draft.run.ended = Some(draft.now);
    draft.effects.push(Effect::ReportStatus { state, description });
}
