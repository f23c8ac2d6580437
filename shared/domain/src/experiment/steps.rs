//! What an experiment means for the steps that name its variants and for the one that measures them.

use super::end::end;
use super::start::take_turn;
use super::state::{Ending, Experiment, Phase};
use crate::decide::Draft;
use crate::ids::StepId;
use crate::people::Actor;
use crate::run::PartStatus;

/// Every experiment that waits for its lane asks again; one whose place was taken ends its run.
pub(crate) fn take_turns(draft: &mut Draft) {
    for id in draft.experiments(|experiment| experiment.phase == Phase::Queued) {
        let Some(rule) = draft.run.rule(id).cloned() else {
            continue;
        };
        if !draft.lost_place(&rule.lane) {
            take_turn(draft, id);
        }
    }
}

/// A newer push asks it back; its steps end as it goes on.
pub(crate) fn settle(draft: &mut Draft) {
    for id in draft.experiments(Experiment::can_end) {
        let Some(rule) = draft.run.rule(id).cloned() else {
            continue;
        };
        if let Some(by) = draft.asked_back(&rule.lane) {
            let ending = Ending::early(format!("a newer push ends the experiment: {by}"));
            end(draft, id, ending, Actor::Weir);
        }
    }
    for id in draft.experiments(Experiment::can_end) {
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
    for (id, warm, version) in sides {
        if draft.step_mut(id).status != PartStatus::Running || !(in_effect || (warm && to_come)) {
            continue;
        }
        let stands = match in_effect {
            true => format!(": {words}"),
            false => format!(": {version} is warm"),
        };
        draft.step_mut(id).waits_for.clear();
        draft.pass_step(id, &stands);
    }
}
