//! What an experiment means for the steps that name its variants and for the one that measures them.

use super::end::{end, name_of};
use super::start::take_turn;
use super::state::{Ending, Experiment, Phase};
use crate::audit::Action;
use crate::decide::Draft;
use crate::ids::StepId;
use crate::people::Actor;
use crate::run::{PartStatus, RunStatus};

/// Every experiment that waits for its lane asks again; one whose place was taken ends its run.
pub(crate) fn take_turns(draft: &mut Draft) {
    for id in all(draft, |experiment| experiment.phase == Phase::Queued) {
        let Some(rule) = draft.run.rule(id).cloned() else {
            continue;
        };
        let (run, pipeline) = (draft.run.id.clone(), draft.run.pipeline.name.clone());
        match draft.lane_mut(&rule.lane).turn_of(&run, &pipeline) {
            Some(by) => {
                draft.run.ending.get_or_insert(RunStatus::Superseded { by });
            }
            None => take_turn(draft, id),
        }
    }
}

/// A newer push asks it back; its steps end as it goes on.
pub(crate) fn settle(draft: &mut Draft) {
    for id in all(draft, Experiment::can_end) {
        let Some(rule) = draft.run.rule(id).cloned() else {
            continue;
        };
        let run = draft.run.id.clone();
        let lane = draft.lane_mut(&rule.lane);
        if let Some(by) = lane.asked_back_by.clone().filter(|_| lane.is_moved_by(&run)) {
            draft
                .run
                .ending
                .get_or_insert(RunStatus::Superseded { by: by.clone() });
            let why = format!("a newer push ends the experiment: {by}");
            let ending = Ending { why, complete: false };
            end(draft, id, ending, Actor::Weir);
        }
    }
    for id in all(draft, Experiment::can_end) {
        pass_steps(draft, id);
    }
}

/// A step ends well when its variant is warm and another's is still to begin, or when all have their shares.
fn pass_steps(draft: &mut Draft, leader: StepId) {
    let Some(experiment) = draft.run.experiment(leader) else {
        return;
    };
    let in_effect = experiment.in_effect();
    let sides: Vec<(StepId, bool, String)> = experiment
        .sides
        .iter()
        .map(|side| (side.step, side.is_warm(), side.version.clone()))
        .collect();
    let words = experiment.words();
    let to_come = sides.iter().any(|(step, ..)| {
        draft
            .run
            .step_run(*step)
            .is_some_and(|s| s.status == PartStatus::Pending)
    });
    let now = draft.now;
    for (id, warm, version) in sides {
        if draft.step_mut(id).status != PartStatus::Running || !(in_effect || (warm && to_come)) {
            continue;
        }
        let name = name_of(draft, id);
        let step = draft.step_mut(id);
        step.status = PartStatus::Succeeded;
        step.ended = Some(now);
        step.waits_for.clear();
        let took = now.since(step.began.unwrap_or(now));
        let stands = match in_effect {
            true => words.clone(),
            false => format!("{version} is warm"),
        };
        draft.note(Action::StepSucceeded, format!("step {name} in {took}: {stands}"));
    }
}

fn all(draft: &Draft, which: impl Fn(&Experiment) -> bool) -> Vec<StepId> {
    let steps = draft.run.steps();
    let here = steps.filter(|(.., state)| state.experiment.as_deref().is_some_and(&which));
    here.map(|(id, ..)| id).collect()
}
