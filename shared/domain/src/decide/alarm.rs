//! An alarm of a monitoring system: traffic goes back, or it is told why not.

use super::{Draft, Reply};
use crate::event::Alarm;
use crate::experiment::{self, Ending};
use crate::ids::{LaneKey, StepId};
use crate::people::Actor;
use crate::rollout::{self, Rollout};
use crate::time::Timestamp;
use crate::units::Weight;

/// Sends traffic back that the rollout in `lane` gave to its candidate. An alarm from before the candidate's first
/// request says nothing about it: the rollout may well be the cure.
pub(super) fn raised(draft: &mut Draft, lane: &LaneKey, alarm: &Alarm) {
    let reply = match candidate_in(draft, lane) {
        Ok((id, first)) if alarm.since >= first => {
            match draft.run.experiment(id) {
                Some(_) => experiment::end(draft, id, Ending::early(words(alarm)), Actor::Weir),
                None => rollout::revert(draft, id, &words(alarm), Actor::Weir),
            }
            Reply::Done(format!("traffic of {lane} goes back"))
        }
        Ok((_, first)) => Reply::Refused(format!(
            "it was raised {} before the candidate in {lane} got its first request",
            first.since(alarm.since)
        )),
        Err(why) => Reply::Refused(why),
    };
    draft.reply = Some(reply);
}

/// The step whose candidate has traffic in the lane, and since when.
fn candidate_in(draft: &Draft, lane: &LaneKey) -> Result<(StepId, Timestamp), String> {
    let here = |id: StepId| draft.run.rule(id).is_some_and(|rule| &rule.lane == lane);
    let experiment = draft.run.steps().find_map(|(id, _, state)| {
        let experiment = state.experiment.as_deref()?;
        (here(id) && experiment.can_end()).then_some((id, experiment.first_traffic()))
    });
    if let Some((id, first)) = experiment {
        let none = || format!("the variants in {lane} have had no request yet");
        return first.map(|first| (id, first)).ok_or_else(none);
    }
    let moving = draft.run.steps().find_map(|(id, _, state)| {
        let rollout = state.rollout.as_deref()?;
        let here = draft.run.rule(id).is_some_and(|rule| &rule.lane == lane);
        (here && rollout.moves()).then_some((id, rollout))
    });
    let (id, rollout) = moving.ok_or_else(|| format!("nothing is being rolled out to {lane}"))?;
    if !rollout.can_revert() {
        return Err(format!("traffic of {lane} is on its way back already"));
    }
    let first = first_request(rollout);
    first
        .map(|first| (id, first))
        .ok_or_else(|| format!("the candidate in {lane} has had no request yet"))
}

fn first_request(rollout: &Rollout) -> Option<Timestamp> {
    let mut given = rollout
        .changes
        .iter()
        .filter(|change| change.weight > Weight::ZERO);
    given.find_map(|change| change.accepted)
}

fn words(alarm: &Alarm) -> String {
    match alarm.summary.as_str() {
        "" => format!("alarm {}", alarm.name),
        summary => format!("alarm {}: {summary}", alarm.name),
    }
}
