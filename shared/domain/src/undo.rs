//! Undo of a promotion: a new run that brings back exactly what served before.
//!
//! The old revision may hold nothing any more, so this is no revert but a rollout like every other: it asks what fits, grows
//! what is to serve, and moves traffic as it becomes warm. What it rolls out is what the lane kept of the old revision, not
//! what a commit says now.

use std::collections::BTreeMap;

use crate::approval::Refusal;
use crate::decide::Refused;
use crate::ids::{LaneKey, RunId};
use crate::lane::{Lane, Served};
use crate::people::{Actor, Identity};
use crate::pipeline::{Pipeline, RolloutRule, Stage, StageWork, Step, StepWork};
use crate::run::{Cause, State};
use crate::strategy::{Rolling, Strategy};
use crate::time::{Span, Timestamp};

/// Name of the only stage.
const STAGE: &str = "Undo";

/// The run that undoes another.
#[derive(Clone, PartialEq, Debug)]
pub struct Undo {
    /// What starts it.
    pub cause: Cause,
    /// What it does. Outputs of the run that brought the old revision are still missing.
    pub pipeline: Pipeline,
    /// That run.
    pub brought_by: RunId,
}

/// The run that brings back what served before `state.run` was promoted.
///
/// # Errors
/// Nobody whom the definition knows asks, the run does not serve, or nothing served before it.
pub fn undo(state: &State, by: &Identity, reason: &str, now: Timestamp) -> Result<Undo, Refused> {
    let run = &state.run;
    let actor = Actor::from_identity(&run.pipeline.groups, by.clone());
    if actor.person().is_none() {
        return Err(refused(Refusal::Unmapped(by.clone()).to_string()));
    }
    let serves = |lane: &Lane| lane.current.as_ref().is_some_and(|served| served.run == run.id);
    let promoted: Vec<&Lane> = state.lanes.values().filter(|lane| serves(lane)).collect();
    let (Some(first), rest) = (promoted.first(), promoted.get(1..).unwrap_or_default()) else {
        let words = format!(
            "run {} ({}) serves nothing that could be undone",
            run.id,
            run.status.word()
        );
        return Err(refused(words));
    };
    let old = previous(first)?;
    for lane in rest {
        let other = previous(lane)?;
        if other.run != old.run {
            let words = format!(
                "{} served a revision of run {} before, and {} one of run {}: revert the commit instead",
                first.key, old.run, lane.key, other.run
            );
            return Err(refused(words));
        }
    }
    let steps: Vec<Step> = run
        .steps()
        .filter_map(|(_, step, _)| undone(step, &state.lanes, &promoted))
        .collect();
    let before = first
        .current
        .as_ref()
        .map_or_else(|| old.commit.clone(), |served| served.commit.clone());
    Ok(Undo {
        cause: Cause {
            before,
            after: old.commit.clone(),
            headline: format!("undo of {} #{}", run.pipeline.name, run.number),
            reason: format!("{actor} undoes run {}: {reason}", run.id),
            actor,
            received: now,
            ..run.cause.clone()
        },
        brought_by: old.run.clone(),
        pipeline: Pipeline {
            stages: vec![Stage {
                name: STAGE.into(),
                work: StageWork::Steps {
                    parallel: true,
                    steps,
                },
            }],
            ..Pipeline::clone(&run.pipeline)
        },
    })
}

fn refused(why: String) -> Refused {
    Refused { why }
}

fn previous(lane: &Lane) -> Result<&Served, Refused> {
    let none = || refused(format!("nothing served {} before", lane.key));
    lane.previous.as_ref().ok_or_else(none)
}

/// The same step with what served before.
fn undone(step: &Step, lanes: &BTreeMap<LaneKey, Lane>, promoted: &[&Lane]) -> Option<Step> {
    let StepWork::Rollout(rule) = &step.work else {
        return None;
    };
    // A shadow moved nothing, and the lane is one rollout's.
    if rule.strategy.mirrored().is_some() {
        return None;
    }
    let lane = lanes.get(&rule.lane).filter(|lane| promoted.contains(lane))?;
    let old = lane.previous.as_ref()?;
    let rule = RolloutRule {
        workload: old.workload.clone(),
        strategy: Strategy::Rolling(Rolling::default()),
        // It served before: nothing is to be shown of it, and nothing may keep it from serving.
        rollback: None,
        bake: Span::ZERO,
        watch: Span::ZERO,
        undoes: true,
        adopts: None,
        ..(**rule).clone()
    };
    Some(Step {
        work: StepWork::Rollout(Box::new(rule)),
        ..step.clone()
    })
}
