//! What follows from the state, the clock and the lanes alone: the next stage, the next step, an expiry, an end.

use super::{Draft, answer, end, release, turn};
use crate::approval::{Approval, ApprovalState};
use crate::audit::Action;
use crate::effect::{CommitState, Effect};
use crate::experiment;
use crate::ids::StepId;
use crate::pipeline::{StageWork, StepWork, Strategy};
use crate::rollout::{self, Rollout};
use crate::run::{PartStatus, RunStatus};

/// Goes on as far as possible without anything new happening.
pub(super) fn advance(draft: &mut Draft) {
    answer::expire(draft);
    turn::take_turns(draft);
    experiment::take_turns(draft);
    turn::settle_rollouts(draft);
    rollout::call_people(draft);
    release::settle(draft);
    experiment::settle(draft);
    experiment::collect::settle(draft);
    end::fail_on_failed_steps(draft);
    if draft.run.ending.is_none() && !draft.run.is_over() {
        while start_next(draft) {}
    }
    end::end(draft);
}

/// Starts what can be started; `true` if something ended by that, so that it is worth looking again.
fn start_next(draft: &mut Draft) -> bool {
    let stages = &draft.run.stages;
    let next = stages
        .iter()
        .position(|stage| !stage.status.is_over() && !stage.is_held());
    let Some(index) = next else {
        if stages.iter().all(|stage| stage.status.is_over()) {
            draft.run.ending = Some(RunStatus::Succeeded);
        }
        return false;
    };
    let definition = draft.run.pipeline.stages[index].clone();
    if draft.run.stages[index].status == PartStatus::Pending {
        draft.run.stages[index].status = PartStatus::Running;
        draft.note(Action::StageStarted, format!("stage {}", definition.name));
    }
    match &definition.work {
        StageWork::Approval(rule) => {
            if draft.run.stages[index].approval.is_none() {
                ask(draft, index, rule.timeout);
            }
        }
        StageWork::Steps { parallel, steps } => {
            for step in 0..steps.len() {
                let id = StepId { stage: index, step };
                if draft.step_mut(id).status == PartStatus::Pending {
                    start_step(draft, id);
                }
                let state = draft.step_mut(id);
                if !parallel && !state.status.is_over() && !state.is_passed() {
                    break;
                }
            }
        }
    }
    finish_stage(draft, index)
}

fn finish_stage(draft: &mut Draft, index: usize) -> bool {
    let stage = &mut draft.run.stages[index];
    let steps_done = stage
        .steps
        .iter()
        .all(|step| step.status == PartStatus::Succeeded);
    let approved = match (&draft.run.pipeline.stages[index].work, &stage.approval) {
        (StageWork::Approval(_), Some(approval)) => approval.state == ApprovalState::Approved,
        (StageWork::Approval(_), None) => false,
        (StageWork::Steps { .. }, _) => true,
    };
    if steps_done && approved {
        stage.status = PartStatus::Succeeded;
    }
    steps_done && approved
}

fn start_step(draft: &mut Draft, id: StepId) {
    let Some(step) = draft.run.step(id).cloned() else {
        return;
    };
    let now = draft.now;
    let state = draft.step_mut(id);
    state.status = PartStatus::Running;
    state.began = Some(now);
    draft.note(Action::StepStarted, format!("step {}", step.name));
    match &step.work {
        StepWork::Plugin(_) => draft.effects.push(Effect::StartExecution { step: id }),
        StepWork::Rollout(rule) if matches!(rule.strategy, Strategy::Variant { .. }) => {
            experiment::join(draft, id);
        }
        StepWork::Rollout(rule) => {
            draft.step_mut(id).rollout = Some(Box::new(Rollout::new(rule.workload.revision(), now)));
            turn::take_turn(draft, id);
        }
        StepWork::Collect(collect) => experiment::collect::begin(draft, id, collect),
    }
}

fn ask(draft: &mut Draft, stage: usize, timeout: crate::time::Span) {
    let needs = draft.run.approval_rule(stage).map(|rule| {
        let parts: Vec<String> = rule
            .needs
            .iter()
            .map(|need| format!("{} ×{}", need.group, need.people))
            .collect();
        parts.join(", ")
    });
    let needs = needs.unwrap_or_default();
    let expires = draft.now + timeout;
    draft.run.stages[stage].approval = Some(Approval {
        token: draft.token.clone(),
        asked: draft.now,
        expires,
        given: Vec::new(),
        state: ApprovalState::Waiting,
        message: None,
    });
    draft.note(
        Action::ApprovalRequested,
        format!("waiting for {needs}, expires in {timeout}"),
    );
    draft.effects.push(Effect::ShowApproval { stage });
    let description = format!("waiting for {needs}, expires in {timeout}");
    draft.effects.push(Effect::ReportStatus {
        state: CommitState::Pending,
        description,
    });
}
