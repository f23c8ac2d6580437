//! Rollout steps: their turn in the lane, what looks at them show, and what their end means for the step.

use super::begin::short;
use super::{Draft, Rejected, foresee, release};
use crate::audit::Action;
use crate::experiment;
use crate::ids::{Fence, StepId};
use crate::people::Actor;
use crate::pipeline::RolloutRule;
use crate::rollout::{self, Phase, Rollout};
use crate::run::PartStatus;
use crate::seen::{GroundSeen, RolloutSeen, SiteSeen};
use crate::time::Timestamp;

fn rule_of(draft: &Draft, step: StepId) -> Result<RolloutRule, Rejected> {
    let wrong = || Rejected::WrongStep {
        run: draft.run.id.to_string(),
        step,
        expected: "rollout",
    };
    draft.run.rule(step).cloned().ok_or_else(wrong)
}

/// An event about a step that moves a service.
pub(super) fn must_be_rollout(draft: &Draft, step: StepId) -> Result<(), Rejected> {
    rule_of(draft, step).map(drop)
}

pub(super) fn seen(draft: &mut Draft, step: StepId, seen: &RolloutSeen) -> Result<(), Rejected> {
    let rule = rule_of(draft, step)?;
    if let Some(mut rollout) = draft.take_rollout(step) {
        match seen {
            RolloutSeen::Unreachable(why) => rollout::unreachable(draft, &mut rollout, step, why),
            RolloutSeen::Scene(scene) => rollout::observe(draft, &mut rollout, step, &rule, scene),
        }
        draft.put_rollout(step, rollout);
    }
    Ok(())
}

/// The cluster was asked what fits.
pub(super) fn ground(draft: &mut Draft, step: StepId, seen: &GroundSeen) -> Result<(), Rejected> {
    let rule = rule_of(draft, step)?;
    match draft.step_mut(step).rollout {
        Some(_) => rollout::surveyed(draft, step, &rule, seen),
        None => foresee::foresee(draft, step, &rule, seen),
    }
    Ok(())
}

/// What it needs beside its own objects was looked at.
pub(super) fn site(draft: &mut Draft, step: StepId, seen: &SiteSeen) -> Result<(), Rejected> {
    rule_of(draft, step)?;
    match draft.run.experiment(step) {
        Some(_) => experiment::sited(draft, step, seen),
        None => rollout::sited(draft, step, seen),
    }
    Ok(())
}

pub(super) fn accepted(draft: &mut Draft, step: StepId, fence: Fence, at: Timestamp) -> Result<(), Rejected> {
    rule_of(draft, step)?;
    if let Some(mut experiment) = draft.take_experiment(step) {
        experiment.accept(draft, fence, at);
        draft.put_experiment(step, experiment);
    } else {
        rollout::accepted(draft, step, fence, at);
    }
    Ok(())
}

/// Asks for its lane, or for all of its release; goes on if all are its own.
pub(super) fn take_turn(draft: &mut Draft, id: StepId) {
    let Ok(rule) = rule_of(draft, id) else { return };
    match release::ask_for_lanes(draft, id, &rule) {
        None => compare(draft, id, &rule),
        Some((lane, other)) => wait_behind(draft, id, &format!("{lane} is moved by {other}")),
    }
}

fn wait_behind(draft: &mut Draft, id: StepId, words: &str) {
    if let Some(mut rollout) = draft.take_rollout(id) {
        if rollout.waits_for != words {
            draft.note(Action::Waiting, words);
        }
        words.clone_into(&mut rollout.waits_for);
        draft.put_rollout(id, rollout);
    }
}

/// With the lane, the commit is compared with the one that serves; a first release has nothing to compare with.
fn compare(draft: &mut Draft, id: StepId, rule: &RolloutRule) {
    let after = draft.run.cause.after.clone();
    let serves = draft
        .lane_mut(&rule.lane)
        .current
        .as_ref()
        .map(|served| served.commit.clone());
    // An undo goes back on purpose; who asked for it stands where the run began (invariant 14).
    if rule.undoes || serves.is_none_or(|serves| serves == after) {
        return rollout::survey(draft, id);
    }
    if let Some(mut rollout) = draft.take_rollout(id) {
        rollout.phase = Phase::Comparing;
        rollout.waits_for.clear();
        draft.put_rollout(id, rollout);
    }
}

/// The source host compared the commits (invariant 14).
pub(super) fn lineage(
    draft: &mut Draft,
    id: StepId,
    descends: &Result<bool, String>,
) -> Result<(), Rejected> {
    let rule = rule_of(draft, id)?;
    if draft
        .run
        .rollout(id)
        .is_none_or(|rollout| rollout.phase != Phase::Comparing)
    {
        return Ok(());
    }
    match descends {
        Ok(true) => rollout::survey(draft, id),
        Ok(false) => {
            let serves = draft
                .lane_mut(&rule.lane)
                .current
                .as_ref()
                .map(|s| s.commit.to_string());
            let serves = serves.unwrap_or_default();
            let why = format!(
                "commit {} does not descend from {}, which serves {}; push a commit on top of it to go back on purpose",
                short(draft.run.cause.after.as_str()),
                short(&serves),
                rule.lane
            );
            rollout::leave_lane(draft, id);
            draft.note(Action::StepFailed, why.clone());
            let step = draft.step_mut(id);
            step.rollout = None;
            step.status = PartStatus::Failed { why };
        }
        Err(why) => wait_behind(draft, id, &format!("cannot compare commits: {why}")),
    }
    Ok(())
}

/// Every rollout that waits asks again; one whose place was taken ends its run.
pub(super) fn take_turns(draft: &mut Draft) {
    for id in draft.rollouts(|rollout| rollout.phase == Phase::Queued) {
        let Ok(rule) = rule_of(draft, id) else { continue };
        if !release::lost_place(draft, id, &rule) {
            take_turn(draft, id);
        }
    }
}

/// A newer push asks a moving rollout back; a rollout that ended ends its step.
pub(super) fn settle_rollouts(draft: &mut Draft) {
    for id in draft.rollouts(Rollout::can_revert) {
        let Ok(rule) = rule_of(draft, id) else { continue };
        if let Some(by) = release::asked_back(draft, id, &rule) {
            let why = format!("a newer push supersedes it: {by}");
            rollout::revert(draft, id, &why, Actor::Weir);
        }
    }
    for id in draft.rollouts(|rollout| !rollout.moves()) {
        end_step(draft, id);
    }
}

fn end_step(draft: &mut Draft, id: StepId) {
    let state = draft.step_mut(id);
    let (PartStatus::Running, Some(rollout)) = (&state.status, &state.rollout) else {
        return;
    };
    let (phase, why) = (rollout.phase.clone(), rollout.reverted_because.clone());
    match phase {
        Phase::Drained | Phase::Kept { .. } => {
            draft.pass_step(id, "");
        }
        Phase::Reverted { .. } | Phase::Removing | Phase::Removed => match why {
            Some(why) => draft.fail_step(id, &why),
            // A shadow that has shown what it was to show.
            None => {
                draft.pass_step(id, "");
            }
        },
        _ => {}
    }
}
