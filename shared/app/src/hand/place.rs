//! Where something is done, and what it is about.

use weir_domain::Wanted;
use weir_domain::effect::Effect;
use weir_domain::event::Event;
use weir_domain::ids::{ClusterName, StepId};
use weir_domain::run::Run;
use weir_domain::seen::{ExecutionSeen, ExperimentSeen, GroundSeen, RolloutSeen, SiteSeen};

use crate::store::Loaded;

/// Where something is done: on a cluster, or with people and servers beside them.
pub(super) type Place = Option<ClusterName>;

/// Whether all that was seen is that a cluster does not answer.
pub(super) fn is_silence(event: &Event) -> bool {
    match event {
        Event::RolloutSeen { seen, .. } => matches!(seen, RolloutSeen::Unreachable(_)),
        Event::ExperimentSeen { seen, .. } => matches!(seen, ExperimentSeen::Unreachable(_)),
        Event::ExecutionSeen { seen, .. } => matches!(seen, ExecutionSeen::Unreachable(_)),
        Event::SiteSeen { seen, .. } => matches!(seen, SiteSeen::Unreachable(_)),
        Event::GroundSeen { seen, .. } => matches!(seen, GroundSeen::Unreachable(_)),
        _ => false,
    }
}

/// Whether nothing was decided about a step since, so that what was seen of it is decided on as if it were seen now.
pub(super) fn is_as_before(under: &Loaded, now: &Loaded, step: StepId) -> bool {
    under.state.run.step_run(step) == now.state.run.step_run(step) && under.scrape(step) == now.scrape(step)
}

/// Where an effect is performed.
pub(super) fn place_of(run: &Run, effect: &Effect) -> Place {
    match effect {
        Effect::StartExecution { .. } | Effect::StopExecution { .. } => {
            Some(run.pipeline.builds.cluster.clone())
        }
        Effect::Page { .. } => None,
        effect => cluster_of(run, effect.step()?),
    }
}

/// Where something is looked at.
pub(super) fn place_of_look(run: &Run, wanted: &Wanted) -> Place {
    match wanted {
        Wanted::Execution(_) => Some(run.pipeline.builds.cluster.clone()),
        Wanted::Rollout(step) | Wanted::Ground(step, _) | Wanted::Experiment(step) | Wanted::Site(step) => {
            cluster_of(run, *step)
        }
        Wanted::Series(_) | Wanted::Lineage(..) => None,
    }
}

fn cluster_of(run: &Run, step: StepId) -> Place {
    run.rule(step).map(|rule| rule.target.cluster.clone())
}

pub(super) fn step_of(wanted: &Wanted) -> StepId {
    match wanted {
        Wanted::Execution(step)
        | Wanted::Rollout(step)
        | Wanted::Ground(step, _)
        | Wanted::Experiment(step)
        | Wanted::Series(step)
        | Wanted::Site(step)
        | Wanted::Lineage(step, _) => *step,
    }
}
