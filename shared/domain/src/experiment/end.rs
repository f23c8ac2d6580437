//! Traffic goes back to where it was before the experiment, whatever ended it.

use serde_json::json;

use super::change::set_shares;
use super::state::{Ending, Experiment, Phase};
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::Effect;
use crate::ids::{RevisionId, StepId};
use crate::people::Actor;
use crate::run::{PartStatus, RunStatus};
use crate::units::Weight;

/// Decides that traffic goes back. Deciding it again changes nothing.
pub(crate) fn end(draft: &mut Draft, id: StepId, ending: Ending, actor: Actor) {
    let Some(mut experiment) = draft.take_experiment(id) else {
        return;
    };
    if experiment.can_end() {
        end_now(draft, &mut experiment, id, ending, actor);
    }
    draft.put_experiment(id, experiment);
}

/// The same, for an experiment that is already taken out of its step.
pub(super) fn end_now(
    draft: &mut Draft,
    experiment: &mut Experiment,
    id: StepId,
    ending: Ending,
    actor: Actor,
) {
    let before = experiment.words();
    let pods: Vec<_> = experiment
        .sides
        .iter()
        .map(|side| json!({"version": side.version, "warm": side.seen.warm, "pods": side.seen.pods}))
        .collect();
    let back = experiment.back_in_words();
    let words = format!("{}; traffic goes back to {back}", ending.why);
    draft
        .note_by(actor, Action::RevertDecided, words)
        .with("variants", pods)
        .moved(before, back);
    if !ending.complete {
        let why = ending.why.clone();
        fail_steps(draft, experiment, &why);
        draft.run.ending.get_or_insert(RunStatus::RolledBack { why });
    }
    experiment.ending = Some(ending);
    if experiment.changes.is_empty() {
        // No variant ever had traffic: the route was not touched.
        over(draft, experiment, id);
    } else {
        set_shares(draft, experiment, id, Vec::new(), "the experiment ends");
        (experiment.phase, experiment.since) = (Phase::Ending, draft.now);
    }
}

/// What the route shall name once no variant has a share: what served before with everything, or nothing, which is the
/// plain Service.
pub(super) fn split_back(experiment: &Experiment) -> Vec<(RevisionId, Weight)> {
    let Some(back) = &experiment.back else {
        return Vec::new();
    };
    let none = experiment.sides.iter();
    let none = none.map(|side| (side.revision.clone(), Weight::ZERO));
    std::iter::once((back.clone(), Weight::FULL))
        .chain(none)
        .collect()
}

/// Steps of its variants that have not ended will not end well.
fn fail_steps(draft: &mut Draft, experiment: &Experiment, why: &str) {
    for id in experiment.sides.iter().map(|side| side.step) {
        // A leader that is being decided on has its state in its step all the same.
        if draft.step_mut(id).status == PartStatus::Running {
            draft.fail_step(id, why);
        }
    }
}

/// Traffic is back: the Services of the variants go, and the lane is free. Their Deployments stay as they are.
pub(super) fn over(draft: &mut Draft, experiment: &mut Experiment, id: StepId) {
    experiment.fence = experiment.fence.next();
    for side in &experiment.sides {
        draft.effects.push(Effect::RemoveRevision {
            step: side.step,
            revision: side.revision.clone(),
            fence: experiment.fence,
        });
    }
    let back = experiment.back_in_words();
    draft.note(
        Action::Reverted,
        format!("the experiment is over: traffic is on {back}; the variants' Deployments are as they were"),
    );
    (experiment.phase, experiment.since) = (Phase::Over, draft.now);
    experiment.waits_for.clear();
    release(draft, experiment, id);
}

fn release(draft: &mut Draft, experiment: &Experiment, id: StepId) {
    if let Some(rule) = draft.run.rule(id).cloned() {
        draft.release_lane(id, &rule.lane, experiment.fence);
    }
}

/// Gives up the lane, or the place in its queue, before anything was written.
pub(super) fn leave_lane(draft: &mut Draft, id: StepId) {
    if let Some(experiment) = draft.take_experiment(id) {
        release(draft, &experiment, id);
        draft.put_experiment(id, experiment);
    }
}

/// The run ends: what moves goes back, what only waits leaves.
pub(crate) fn lay_off(draft: &mut Draft, id: StepId, why: &str) {
    let phase = draft.run.experiment(id).map(|experiment| experiment.phase);
    match phase {
        Some(Phase::Queued | Phase::Surveying) => {
            leave_lane(draft, id);
            let step = draft.step_mut(id);
            step.experiment = None;
            if !step.status.is_over() {
                step.status = PartStatus::Skipped;
            }
        }
        Some(_) => {
            end(draft, id, Ending::early(why), Actor::Weir);
        }
        None => {}
    }
}
