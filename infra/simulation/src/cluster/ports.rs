//! The ports of the application, answered from memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;
use weir_app::{Clock, Clusters, Counting, EffectError, Placed, Scenery, Traffic};
use weir_domain::condition::Reading;
use weir_domain::effect::Effect;
use weir_domain::ids::{RevisionId, StepId};
use weir_domain::run::Run;
use weir_domain::seen::{ExecutionSeen, GroundSeen, RouteSeen, SiteSeen, TrafficSeen};

use super::SimulatedCluster;
use super::place::Place;

/// What a cluster that is away answers.
const REFUSED: &str = "connection refused";

#[async_trait]
impl Clusters for SimulatedCluster {
    async fn execution(&self, run: &Run, step: StepId) -> ExecutionSeen {
        let mut inside = self.inside();
        if inside.called_in_vain() {
            return ExecutionSeen::Unreachable(REFUSED.into());
        }
        let Some(began) = inside.executions.get(&(run.id.clone(), step)) else {
            return ExecutionSeen::Missing;
        };
        let slug = run.step(step).map(|step| step.slug.clone()).unwrap_or_default();
        let outcome = inside.outcomes.get(&slug).cloned().unwrap_or_default();
        if self.clock.now() < *began + outcome.after {
            return ExecutionSeen::Running;
        }
        ExecutionSeen::Finished {
            exit_code: outcome.exit_code,
            outputs: outcome.outputs,
            log_tail: format!("{slug} said so"),
        }
    }

    async fn scenery(&self, run: &Run, step: StepId) -> Result<Scenery, String> {
        let now = self.clock.now();
        let mut inside = self.inside();
        if inside.called_in_vain() {
            return Err(REFUSED.into());
        }
        inside.catch_up(now);
        let (Some(rule), Some(rollout)) = (run.rule(step), run.rollout(step)) else {
            return Err("no such rollout".into());
        };
        let empty = Place::default();
        let place = inside.environments.get(&rule.lane.environment).unwrap_or(&empty);
        let seen = |id: &RevisionId| place.revisions.get(id).map(|r| r.seen(now)).unwrap_or_default();
        Ok(Scenery {
            candidate: seen(&rollout.candidate),
            stable: rollout.stable.as_ref().map(|stable| seen(&stable.revision)),
            route: RouteSeen {
                weights: place.weights.clone(),
                fence: place.fence,
                observed: true,
                problem: None,
            },
            placed: Placed::default(),
        })
    }

    async fn site(&self, _: &Run, _: StepId) -> SiteSeen {
        let mut inside = self.inside();
        if inside.called_in_vain() {
            return SiteSeen::Unreachable(REFUSED.into());
        }
        SiteSeen::Seen {
            problems: inside.obstacles.clone(),
        }
    }

    async fn ground(&self, run: &Run, step: StepId, stable: Option<&RevisionId>) -> GroundSeen {
        let now = self.clock.now();
        let mut inside = self.inside();
        if inside.away {
            return GroundSeen::Unreachable(REFUSED.into());
        }
        inside.catch_up(now);
        let Some(rule) = run.rule(step) else {
            return GroundSeen::Hidden("no such step".into());
        };
        let places = inside.environments.values().flat_map(|place| &place.revisions);
        let pods = places.map(|(id, revision)| (id, revision.pods.as_slice()));
        GroundSeen::Known(Box::new(inside.pool.ground(pods, rule, stable)))
    }

    async fn perform(&self, run: &Run, effect: &Effect) -> Result<(), EffectError> {
        self.apply(run, effect)
    }

    async fn logs(&self, _: &Run, step: StepId, _: u32) -> Result<String, EffectError> {
        Ok(format!("log of {step}"))
    }
}

#[async_trait]
impl Traffic for SimulatedCluster {
    async fn count(&self, run: &Run, step: StepId, _: &Placed, before: Option<&Value>) -> Counting {
        let scrape = before.cloned();
        let seen = if self.inside().silent_metrics {
            TrafficSeen::SourceError(REFUSED.into())
        } else {
            match run.rule(step) {
                None => TrafficSeen::NoData("no rule".into()),
                Some(rule) => {
                    let mut inside = self.caught_up();
                    TrafficSeen::Counts(inside.place_mut(&rule.lane.environment).counts())
                }
            }
        };
        Counting { seen, scrape }
    }

    async fn values(&self, _: &Run, _: StepId) -> BTreeMap<String, Reading> {
        self.inside().values.clone()
    }
}
