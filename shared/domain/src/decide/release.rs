//! A release: rollouts in several lanes, one verdict. All lanes are taken before the first of them moves; a rollout that is
//! through its bake is held; when all are, all are promoted in one decision; whatever ends the run before that sends every
//! one of them back (`end`).
//!
//! Lanes are asked for in their order, one after another, and never given back while waiting. Whoever holds a lane of a release
//! therefore waits only in lanes that come after it: of those who wait for one another the one with the last lane waits for
//! nobody among them, so that no releases wait in a circle. A step that is part of no release needs no lane but its own to go
//! on, so it waits in no circle either; the definition allows none between the waves of a release.

use super::Draft;
use crate::ids::{Fence, LaneKey, RunId, StepId};
use crate::lane::Turn;
use crate::pipeline::RolloutRule;
use crate::rollout::{Rollout, is_watched, promote_held};
use crate::run::{PartStatus, Run, RunStatus};

/// Asks for every lane that a step needs before it moves, up to the first that it must wait for: that lane, and who
/// moves there.
pub(super) fn ask_for_lanes(draft: &mut Draft, id: StepId, rule: &RolloutRule) -> Option<(LaneKey, RunId)> {
    let lanes = lanes_of(&draft.run, id, rule).into_iter();
    lanes
        .map(|(lane, step)| (draft.ask_for_lane(step, &lane), lane))
        .find_map(|(turn, lane)| match turn {
            Turn::Mine(_) => None,
            Turn::Behind(other) => Some((lane, other)),
        })
}

/// Whether a newer push has taken the place of a step that still waits, which ends the run. Nothing of it has moved, so it
/// keeps no lane that it has already from a newer push either.
pub(super) fn lost_place(draft: &mut Draft, id: StepId, rule: &RolloutRule) -> bool {
    let (run, pipeline) = (draft.run.id.clone(), draft.run.pipeline.name.clone());
    for (key, _) in lanes_of(&draft.run, id, rule) {
        let lane = draft.lane_mut(&key);
        if !lane.is_moved_by(&run) {
            // It waits here, and has not asked for what comes after.
            return draft.lost_place(&key);
        }
        let newer = lane.waiting.iter().find(|waiter| waiter.pipeline == pipeline);
        let newer = newer.map(|waiter| waiter.run.clone());
        if let Some(by) = lane.asked_back_by.clone().or(newer) {
            draft.run.ending.get_or_insert(RunStatus::Superseded { by });
            return true;
        }
    }
    false
}

/// The newer push that wants a lane which the step holds, its own or one of its release; it ends the run.
pub(super) fn asked_back(draft: &mut Draft, id: StepId, rule: &RolloutRule) -> Option<RunId> {
    let lanes = lanes_of(&draft.run, id, rule).into_iter();
    lanes
        .map(|(lane, _)| lane)
        .find_map(|lane| draft.asked_back(&lane))
}

/// Gives up the lane that was taken for a step which did not begin.
pub(super) fn leave_lane(draft: &mut Draft, id: StepId) {
    let Some(key) = draft.run.rule(id).map(|rule| rule.lane.clone()) else {
        return;
    };
    let asked = draft.lanes.get(&key);
    if asked.is_some_and(|lane| lane.is_asked_by(&draft.run.id, id)) {
        // Nothing was written there.
        draft.release_lane(id, &key, Fence::default());
    }
}

/// Promotes the rollouts of a release once all are held, and have been watched or somebody waits for one of their lanes.
pub(super) fn settle(draft: &mut Draft) {
    if draft.run.ending.is_some() || draft.run.is_over() {
        return;
    }
    for name in draft.run.pipeline.releases() {
        let release = draft.run.pipeline.release(&name);
        let open: Vec<(StepId, RolloutRule)> = release
            .filter(|(id, _)| is_open(&draft.run, *id))
            .map(|(id, rule)| (id, rule.clone()))
            .collect();
        let held = |id: StepId| draft.run.rollout(id).filter(|rollout| rollout.is_held());
        let watched = |(id, rule): &(StepId, RolloutRule)| {
            held(*id).is_some_and(|rollout| is_watched(draft, rollout, rule))
        };
        let awaited = |(_, rule): &(StepId, RolloutRule)| {
            let lane = draft.lanes.get(&rule.lane);
            lane.is_some_and(|lane| !lane.waiting.is_empty())
        };
        let all_held = open.iter().all(|(id, _)| held(*id).is_some());
        if all_held && (open.iter().all(watched) || open.iter().any(awaited)) {
            for (id, _) in open {
                promote_held(draft, id);
            }
        }
    }
}

/// What a rollout that is held waits for: its release, and the lanes in which that is not held yet; nothing if there are none.
pub(crate) fn others(run: &Run, id: StepId, rule: &RolloutRule) -> Option<String> {
    let name = rule.release.as_ref()?;
    let others = run.pipeline.release(name);
    let others = others.filter(|(other, _)| *other != id && is_open(run, *other));
    let not_held = others.filter(|(other, _)| !run.rollout(*other).is_some_and(Rollout::is_held));
    let lanes: Vec<String> = not_held.map(|(_, rule)| rule.lane.to_string()).collect();
    (!lanes.is_empty()).then(|| format!("{name}: {}", lanes.join(", ")))
}

/// The lanes that must be the run's own before a step moves, in their order, each with the step that moves there.
fn lanes_of(run: &Run, id: StepId, rule: &RolloutRule) -> Vec<(LaneKey, StepId)> {
    let Some(name) = &rule.release else {
        return vec![(rule.lane.clone(), id)];
    };
    let release = run.pipeline.release(name);
    let open = release.filter(|(id, _)| is_open(run, *id));
    let mut lanes: Vec<_> = open.map(|(id, rule)| (rule.lane.clone(), id)).collect();
    lanes.sort();
    lanes
}

/// Whether a step of a release is still to be promoted. One whose candidate served already has given its lane free.
fn is_open(run: &Run, id: StepId) -> bool {
    run.step_run(id).is_some_and(|state| {
        let rollout = state.rollout.as_deref();
        let on_its_way = matches!(state.status, PartStatus::Pending | PartStatus::Running);
        on_its_way && rollout.is_none_or(|rollout| !rollout.is_over())
    })
}

#[cfg(test)]
mod tests;
