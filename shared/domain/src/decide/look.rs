//! What a run wants to know before its next decision, and when.

use serde::{Deserialize, Serialize};

use super::foresee::unforeseen;
use crate::approval::ApprovalState;
use crate::event::Limits;
use crate::experiment::{self, collect::Collecting};
use crate::ids::{Commit, StepId};
use crate::pipeline::StepWork;
use crate::rollout::{self, Phase, StableSide};
use crate::run::{PartStatus, State, StepRun};
use crate::time::{Span, Timestamp};

/// Which part of a run somebody looks after. The two have queues of their own, so that a revert never stands behind
/// the polling of Kubernetes Jobs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// Stages, steps, approvals, turns in lanes, what people are told.
    Steps,
    /// Rollouts that move: revisions, weights, metrics.
    Traffic,
}

impl Duty {
    /// Both, the urgent one first.
    pub const ALL: [Self; 2] = [Self::Traffic, Self::Steps];

    /// The name in queues and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Traffic => "traffic",
        }
    }
}

/// One thing to look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// The Kubernetes Job of a step.
    Execution(StepId),
    /// The revisions, the route and the counts of a rollout.
    Rollout(StepId),
    /// What fits where a rollout would go; which revision is stable there.
    Ground(StepId, Option<StableSide>),
    /// The pods of an experiment's variants, the route and the counts; by its first step.
    Experiment(StepId),
    /// The numbers of a step that collects metrics.
    Series(StepId),
    /// Whether a rollout finds its route, its Service and its rights.
    Site(StepId),
    /// Whether the run's commit descends from this one, which serves.
    Lineage(StepId, Commit),
}

/// Looks at a Kubernetes Job slow down from the first to the second of these as it goes on.
const EXECUTION_LOOKS: (Span, Span) = (Span::seconds(1), Span::seconds(15));

/// Everything that is worth a look now.
pub fn wants(state: &State, duty: Duty, now: Timestamp) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    if duty == Duty::Steps {
        wanted.extend(unforeseen(state).map(|(id, stable)| Wanted::Ground(id, stable)));
    }
    for (id, step, step_run) in state.run.steps() {
        if duty == Duty::Traffic {
            wanted.extend(wanted_of_experiment(id, step_run, now));
        }
        match (&step.work, step_run.rollout.as_deref(), duty) {
            (StepWork::Plugin(_), _, Duty::Steps) if step_run.status == PartStatus::Running => {
                wanted.push(Wanted::Execution(id));
            }
            (StepWork::Rollout(rule), Some(rollout), Duty::Steps) if rollout.phase == Phase::Comparing => {
                let served = state.lanes.get(&rule.lane).and_then(|lane| lane.current.as_ref());
                wanted.extend(served.map(|served| Wanted::Lineage(id, served.commit.clone())));
            }
            (StepWork::Rollout(_), Some(rollout), Duty::Traffic) if rollout.lacks_site() => {
                wanted.push(Wanted::Site(id));
            }
            (StepWork::Rollout(_), Some(rollout), Duty::Steps)
                if rollout.phase == Phase::Surveying && rollout.site_clear =>
            {
                wanted.push(Wanted::Ground(id, rollout.stable.clone()));
            }
            (StepWork::Rollout(_), Some(rollout), Duty::Steps) if rollout.is_checked() => {
                wanted.push(Wanted::Execution(id));
            }
            (StepWork::Rollout(_), Some(rollout), Duty::Traffic) if is_on_a_cluster(&rollout.phase) => {
                wanted.push(Wanted::Rollout(id));
            }
            _ => {}
        }
    }
    wanted
}

/// What an experiment or its measuring wants to know.
fn wanted_of_experiment(id: StepId, step: &StepRun, now: Timestamp) -> Option<Wanted> {
    let collecting = step.collecting.as_deref();
    let due = collecting.and_then(Collecting::look_again);
    if step.status == PartStatus::Running && due.is_some_and(|at| at <= now) {
        return Some(Wanted::Series(id));
    }
    match step.experiment.as_deref()?.phase {
        experiment::Phase::Surveying => Some(Wanted::Site(id)),
        _ => step
            .experiment
            .as_deref()
            .filter(|experiment| experiment.moves())
            .map(|_| Wanted::Experiment(id)),
    }
}

/// When an experiment or its measuring is looked at again.
fn next_of_experiment(step: &StepRun, duty: Duty, limits: &Limits, now: Timestamp) -> Option<Timestamp> {
    let collects = step.status == PartStatus::Running && duty == Duty::Traffic;
    let collecting = step.collecting.as_deref().filter(|_| collects);
    let series = collecting.and_then(Collecting::look_again);
    let experiment = step.experiment.as_deref().filter(|experiment| {
        let waits = experiment.phase == experiment::Phase::Queued;
        waits == (duty == Duty::Steps)
    });
    let again = experiment.and_then(|experiment| experiment::look_again(experiment, limits, now));
    series.into_iter().chain(again).min()
}

fn is_on_a_cluster(phase: &Phase) -> bool {
    !matches!(
        phase,
        Phase::Queued | Phase::Comparing | Phase::Surveying | Phase::Drained | Phase::Removed
    )
}

fn look_at_execution(began: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let age = now.since(began.unwrap_or(now));
    now + Span(age.0 / 10).clamp(EXECUTION_LOOKS.0, EXECUTION_LOOKS.1)
}

/// When a run must be looked at again, at the latest. Nothing for both duties only for a run that has ended and holds
/// nothing (invariant 6).
pub fn next_look(state: &State, duty: Duty, limits: &Limits, now: Timestamp) -> Option<Timestamp> {
    let steps =
        state.run.steps().filter_map(
            |(_, step, step_run)| match (&step.work, step_run.rollout.as_deref()) {
                (StepWork::Plugin(_), _) if step_run.status == PartStatus::Running && duty == Duty::Steps => {
                    Some(look_at_execution(step_run.began, now))
                }
                (StepWork::Rollout(_), Some(rollout)) if rollout.is_checked() && duty == Duty::Steps => {
                    let began = rollout
                        .preview
                        .as_ref()
                        .and_then(|preview| preview.checks.began());
                    Some(look_at_execution(began, now))
                }
                // What is there is asked by whoever will write it, before anybody asks what fits.
                (StepWork::Rollout(rule), Some(rollout)) if rollout.lacks_site() => (duty == Duty::Traffic)
                    .then(|| rollout::look_again(rollout, rule, limits, now))
                    .flatten(),
                (StepWork::Rollout(rule), Some(rollout))
                    if (duty == Duty::Traffic) == is_on_a_cluster(&rollout.phase) =>
                {
                    rollout::look_again(rollout, rule, limits, now)
                }
                _ => None,
            },
        );
    let experiments = state.run.steps();
    let experiments = experiments.filter_map(|(.., step)| next_of_experiment(step, duty, limits, now));
    let first = steps.chain(experiments).min();
    if duty == Duty::Traffic || state.run.is_over() {
        return first;
    }
    let approvals = state.run.stages.iter().filter_map(|stage| {
        let approval = stage.approval.as_ref()?;
        (approval.state == ApprovalState::Waiting).then_some(approval.expires)
    });
    let ground = unforeseen(state).next().map(|_| now + limits.settle);
    // Nothing that is known of will happen: look anyway, so that nothing can get stuck.
    let first = first.into_iter().chain(approvals).chain(ground).min();
    first.or_else(|| {
        next_look(state, Duty::Traffic, limits, now)
            .is_none()
            .then(|| now + limits.slow)
    })
}
