//! A run begins, or is refused before anything moves.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Decision, Draft, advance};
use crate::audit::{Action, genesis};
use crate::effect::{CommitState, Effect};
use crate::event::Moment;
use crate::ids::{LaneKey, RunId};
use crate::lane::Lane;
use crate::pipeline::{Pipeline, StageWork, StepWork};
use crate::run::{Cause, PartStatus, Run, RunStatus, SCHEMA, StageRun, State, StepRun};

/// Why a run is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// For people: what was found, what was expected, what to do.
    pub why: String,
}

/// Begins a run. A pipeline that would reach a place or a kind of step that cannot be driven yet is refused here,
/// before its first step.
pub fn begin(
    id: RunId,
    number: u64,
    cause: Cause,
    pipeline: Pipeline,
    lanes: BTreeMap<LaneKey, Lane>,
    moment: &Moment,
) -> Decision {
    let obstacle = cannot_be_driven(&pipeline);
    let mut draft = started(id, number, cause, pipeline, lanes, moment);
    match obstacle {
        Some(why) => end_refused(&mut draft, &why),
        None => advance::advance(&mut draft),
    }
    draft.finish()
}

/// A run whose definition does not validate at the pushed commit: it fails at once, with the diagnostics.
pub fn refuse(
    id: RunId,
    number: u64,
    cause: Cause,
    pipeline: Pipeline,
    refused: &Refused,
    moment: &Moment,
) -> Decision {
    let mut draft = started(id, number, cause, pipeline, BTreeMap::new(), moment);
    end_refused(&mut draft, &refused.why);
    draft.finish()
}

fn started(
    id: RunId,
    number: u64,
    cause: Cause,
    pipeline: Pipeline,
    lanes: BTreeMap<LaneKey, Lane>,
    moment: &Moment,
) -> Draft {
    let stages = pipeline
        .stages
        .iter()
        .map(|stage| fresh_stage(&stage.work))
        .collect();
    let detail = format!(
        "{} #{number} on {}: {}",
        pipeline.name,
        short(cause.after.as_str()),
        cause.reason
    );
    let actor = cause.actor.clone();
    let run = Run {
        schema: SCHEMA,
        log_tail: genesis(&id),
        id,
        number,
        cause,
        outputs: pipeline.outputs.clone(),
        pipeline: Arc::new(pipeline),
        status: RunStatus::Running,
        ending: None,
        stages,
        began: moment.now,
        ended: None,
        logged: 0,
        unknown: BTreeMap::new(),
    };
    let mut draft = Draft::new(
        &State {
            run,
            lanes,
            // What a run claims, it claims after a look.
            pools: BTreeMap::new(),
        },
        moment,
    );
    let (git_ref, before, after) = (
        draft.run.cause.git_ref.clone(),
        draft.run.cause.before.to_string(),
        draft.run.cause.after.to_string(),
    );
    let digest = draft.run.pipeline.digest.clone();
    draft
        .note_by(actor, Action::RunStarted, detail)
        .with("ref", git_ref)
        .with("definition", digest)
        .moved(before, after);
    draft
}

fn fresh_stage(work: &StageWork) -> StageRun {
    let steps = match work {
        StageWork::Steps { steps, .. } => steps.len(),
        StageWork::Approval(_) => 0,
    };
    let step = StepRun {
        status: PartStatus::Pending,
        began: None,
        ended: None,
        rollout: None,
        experiment: None,
        collecting: None,
        log_tail: String::new(),
        waits_for: String::new(),
        foreseen: String::new(),
    };
    StageRun {
        status: PartStatus::Pending,
        steps: vec![step; steps],
        approval: None,
    }
}

fn end_refused(draft: &mut Draft, why: &str) {
    draft.note(Action::RunRefused, why);
    draft.run.status = RunStatus::Failed { why: why.to_owned() };
    draft.run.ended = Some(draft.now);
    for stage in &mut draft.run.stages {
        stage.status = PartStatus::Skipped;
        stage
            .steps
            .iter_mut()
            .for_each(|step| step.status = PartStatus::Skipped);
    }
    draft.effects.push(Effect::ReportStatus {
        state: CommitState::Error,
        description: why.to_owned(),
    });
}

/// The first thing in a pipeline that Weir cannot drive.
fn cannot_be_driven(pipeline: &Pipeline) -> Option<String> {
    pipeline.stages.iter().find_map(|stage| {
        let StageWork::Steps { steps, .. } = &stage.work else { return None };
        steps.iter().find_map(|step| {
            let at = format!("step `{}` of stage `{}`", step.name, stage.name);
            match &step.work {
                StepWork::Rollout(rule) if !rule.target.provider.can_be_driven() => Some(format!(
                    "{at} would reach environment {}, which is on {}: Weir cannot drive that yet; nothing was moved",
                    rule.lane.environment,
                    rule.target.provider.as_str()
                )),
                StepWork::Rollout(_) | StepWork::Plugin(_) | StepWork::Collect(_) => None,
            }
        })
    })
}

/// The first ten digits of a commit.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
