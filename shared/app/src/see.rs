//! What one look sees: the cluster, the sources of metrics, the source host.

use weir_domain::Wanted;
use weir_domain::event::Event;
use weir_domain::ids::{RevisionId, StepId};
use weir_domain::run::Run;
use weir_domain::seen::{Replica, RolloutSeen, Scene, SiteSeen};

use crate::engine::{Engine, HandleError};
use crate::store::{Loaded, Scrape};

impl Engine {
    /// Looks at one thing.
    pub(crate) async fn see(
        &self,
        loaded: &Loaded,
        wanted: &Wanted,
    ) -> Result<(Event, Option<Scrape>), HandleError> {
        let run = &loaded.state.run;
        match wanted {
            Wanted::Execution(step) => {
                let seen = self.ports.clusters.execution(run, *step).await;
                Ok((Event::ExecutionSeen { step: *step, seen }, None))
            }
            Wanted::Ground(step, stable) => {
                let seen = self.ports.clusters.ground(run, *step, stable.as_ref()).await;
                Ok((Event::GroundSeen { step: *step, seen }, None))
            }
            Wanted::Site(step) => {
                let mut seen = self.ports.clusters.site(run, *step).await;
                if run.experiment(*step).is_some() {
                    self.add_unknown_sources(run, &mut seen);
                } else {
                    self.add_blocked_metrics(run, *step, &mut seen).await;
                }
                Ok((Event::SiteSeen { step: *step, seen }, None))
            }
            Wanted::Lineage(step, ancestor) => {
                let cause = &run.cause;
                let descends = self
                    .ports
                    .source
                    .descends(&cause.repository, ancestor, &cause.after)
                    .await;
                let descends = descends.map_err(|error| error.to_string());
                Ok((
                    Event::LineageSeen {
                        step: *step,
                        descends,
                    },
                    None,
                ))
            }
            Wanted::Rollout(step) => self.see_rollout(loaded, *step).await,
            Wanted::Experiment(step) => self.see_experiment(loaded, *step).await,
            Wanted::Series(step) => self.see_series(loaded, *step).await,
        }
    }

    /// Adds why a rollout could not be judged, once nothing else is in its way.
    async fn add_blocked_metrics(&self, run: &Run, step: StepId, seen: &mut SiteSeen) {
        let judged = run
            .rule(step)
            .is_some_and(|rule| rule.rollback.is_some() || rule.strategy.judged().is_some());
        let split = run.rollout(step).is_some_and(|rollout| rollout.stable.is_some());
        let SiteSeen::Seen { problems, .. } = seen else {
            return;
        };
        if !judged || !split || !problems.is_empty() {
            return;
        }
        // A cluster that does not answer now is waited for at the next look.
        if let Ok(scenery) = self.ports.clusters.scenery(run, step).await {
            problems.extend(self.ports.traffic.blocked(run, step, &scenery.placed).await);
        }
    }

    async fn see_rollout(
        &self,
        loaded: &Loaded,
        step: StepId,
    ) -> Result<(Event, Option<Scrape>), HandleError> {
        let run = &loaded.state.run;
        let scenery = match self.ports.clusters.scenery(run, step).await {
            Ok(scenery) => scenery,
            Err(why) => {
                let seen = RolloutSeen::Unreachable(why);
                return Ok((Event::RolloutSeen { step, seen }, None));
            }
        };
        let traffic = &self.ports.traffic;
        // A source that dawdles has the time of one answer.
        let (counting, values, gpus) = tokio::join!(
            traffic.count(run, step, &scenery.placed, loaded.scrape(step)),
            traffic.values(run, step),
            traffic.gpus(run, step),
        );
        let gpus_of = |pod: &str| gpus.as_ref().map(|all| all.get(pod).cloned().unwrap_or_default());
        let mut apart = counting.replicas;
        let rollout = run.rollout(step);
        let mut of = |revision: Option<&RevisionId>| {
            let pods = revision.and_then(|revision| apart.remove(revision));
            pods.unwrap_or_default()
        };
        let mut counted = of(rollout.map(|rollout| &rollout.candidate));
        let serving = of(rollout.and_then(|rollout| Some(&rollout.stable.as_ref()?.revision)));
        let replicas = scenery.replicas.into_iter().map(|(pod, node)| Replica {
            counts: counted.remove(&pod).unwrap_or_default(),
            gpus: gpus_of(&pod),
            pod,
            node,
        });
        let scene = Scene {
            replicas: replicas.collect(),
            serving,
            values,
            candidate: scenery.candidate,
            stable: scenery.stable,
            route: scenery.route,
            traffic: counting.seen,
            unprepared: scenery.unprepared,
            landing: scenery.landing,
        };
        let scrape = counting.scrape.map(|value| Scrape { step, value });
        let seen = RolloutSeen::Scene(Box::new(scene));
        Ok((Event::RolloutSeen { step, seen }, scrape))
    }
}
