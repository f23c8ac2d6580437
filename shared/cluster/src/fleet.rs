//! All clusters of a host: the implementation of [`Clusters`].

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use weir_app::{Clock, Clusters, EffectError, Scenery, VariantScenery, with_causes};
use weir_domain::effect::Effect;
use weir_domain::ids::{ClusterName, StepId};
use weir_domain::pipeline::{Plugin, RolloutRule, Strategy};
use weir_domain::rollout::StableSide;
use weir_domain::run::Run;
use weir_domain::seen::{Bounds, ExecutionSeen, GroundSeen, SiteSeen};
use weir_domain::time::Timestamp;

use crate::api::{Api, Doubt};
use crate::connect::{ConnectError, Places, connect};
use crate::{adopt, autoscaler, execution, ground, names, ratio, revision, scenery, site, traffic, variant};

/// A client, and until when it is good if not for ever.
struct Kept(Api, Option<Timestamp>);

/// What is kept for one cluster. Whoever makes a client holds it alone, so that others wait for that client and not for a
/// pass of their own.
type Slot = Arc<Mutex<Option<Kept>>>;

/// The clusters that a host drives. Clients are made at the first use and kept until their pass ends, or until one met
/// what another might not: no API server, or one that does not know who it is. A gate that is slow delays no other cluster.
pub struct Fleet {
    places: Places,
    pub(crate) clock: Arc<dyn Clock>,
    clients: Mutex<BTreeMap<ClusterName, Slot>>,
    /// What was measured of a cluster, or of every one that is not named.
    bounds: BTreeMap<Option<ClusterName>, Bounds>,
}

impl Fleet {
    /// A fleet over these places. Nothing is connected yet.
    pub fn new(places: Places, clock: Arc<dyn Clock>) -> Self {
        Self {
            places,
            clock,
            clients: Mutex::default(),
            bounds: BTreeMap::new(),
        }
    }

    /// What `weir conformance` measured of a cluster, or of every one that is not named. Plans count on it and tell it.
    #[must_use]
    pub fn measured(mut self, cluster: Option<ClusterName>, bounds: Bounds) -> Self {
        self.bounds.insert(cluster, bounds);
        self
    }

    fn bounds_of(&self, cluster: &ClusterName) -> Option<Bounds> {
        let own = self.bounds.get(&Some(cluster.clone()));
        own.or_else(|| self.bounds.get(&None)).copied()
    }

    /// The API of a cluster.
    pub(crate) async fn api(&self, cluster: &ClusterName) -> Result<Api, ConnectError> {
        let slot = self
            .clients
            .lock()
            .await
            .entry(cluster.clone())
            .or_default()
            .clone();
        let mut kept = slot.lock().await;
        let now = self.clock.now();
        if let Some(Kept(api, until)) = &*kept {
            let doubts = api.doubts();
            if until.is_none_or(|until| now < until) && doubts.is_none() {
                return Ok(api.clone());
            }
            if doubts == Some(Doubt::Place) {
                self.places.lost(cluster);
            }
        }
        let (client, until) = connect(&self.places, cluster).await?;
        let api = Api::new(client);
        *kept = Some(Kept(api.clone(), until));
        Ok(api)
    }

    async fn rollout<'a>(&self, run: &'a Run, step: StepId) -> Result<(Api, &'a RolloutRule), EffectError> {
        let rule = run.rule(step).ok_or_else(|| wrong_step(run, step))?;
        Ok((self.effect_api(&rule.target.cluster).await?, rule))
    }

    async fn commands<'a>(&self, run: &'a Run, step: StepId) -> Result<(Api, &'a Plugin), EffectError> {
        let plugin = run.commands(step).ok_or_else(|| wrong_step(run, step))?;
        Ok((self.effect_api(&run.pipeline.builds.cluster).await?, plugin))
    }

    async fn effect_api(&self, cluster: &ClusterName) -> Result<Api, EffectError> {
        let object = format!("cluster {cluster}");
        self.api(cluster).await.map_err(|error| match error {
            // Who gives passes may be away, or the cluster be on its way.
            ConnectError::Gate { .. } => EffectError::later("enter", object, with_causes(&error)),
            _ => EffectError::never("enter", object, with_causes(&error)),
        })
    }
}

fn wrong_step(run: &Run, step: StepId) -> EffectError {
    EffectError::never(
        "find",
        format!("step {step} of run {}", run.id),
        "it is of another kind",
    )
}

#[async_trait]
impl Clusters for Fleet {
    async fn execution(&self, run: &Run, step: StepId) -> ExecutionSeen {
        let now = self.clock.now();
        match self.commands(run, step).await {
            Ok((api, plugin)) => execution::look(&api, run, step, plugin, now).await,
            Err(error) => ExecutionSeen::Unreachable(error.to_string()),
        }
    }

    async fn scenery(&self, run: &Run, step: StepId) -> Result<Scenery, String> {
        let (api, rule) = self.rollout(run, step).await.map_err(|error| error.to_string())?;
        let rollout = run
            .rollout(step)
            .ok_or_else(|| format!("step {step} has no rollout yet"))?;
        scenery::look(&api, run, step, rule, rollout).await
    }

    async fn variants(&self, run: &Run, step: StepId) -> Result<VariantScenery, String> {
        let (api, rule) = self.rollout(run, step).await.map_err(|error| error.to_string())?;
        let experiment = run
            .experiment(step)
            .ok_or_else(|| format!("step {step} has no experiment yet"))?;
        variant::look(&api, rule, experiment).await
    }

    async fn start(&self, run: &Run, step: StepId, series: &str) -> Result<(), EffectError> {
        let (api, plugin) = self.commands(run, step).await?;
        execution::start(&api, run, step, plugin, Some(series)).await
    }

    async fn site(&self, run: &Run, step: StepId) -> SiteSeen {
        match self.rollout(run, step).await {
            Ok((api, rule)) => {
                let variants = run
                    .experiment(step)
                    .map_or(0, |experiment| experiment.sides.len());
                site::look(&api, rule, run.rollout(step), variants).await
            }
            Err(error) => SiteSeen::Unreachable(error.to_string()),
        }
    }

    async fn ground(&self, run: &Run, step: StepId, stable: Option<&StableSide>) -> GroundSeen {
        match self.rollout(run, step).await {
            Ok((api, rule)) => {
                let mut seen = ground::look(&api, rule, stable).await;
                if let GroundSeen::Known(ground) = &mut seen {
                    ground.bounds = self.bounds_of(&rule.target.cluster);
                }
                seen
            }
            Err(error) => GroundSeen::Unreachable(error.to_string()),
        }
    }

    async fn perform(&self, run: &Run, effect: &Effect) -> Result<(), EffectError> {
        match effect {
            Effect::StartExecution { step } => {
                let (api, plugin) = self.commands(run, *step).await?;
                execution::start(&api, run, *step, plugin, None).await
            }
            Effect::StopExecution { step } => {
                let (api, _) = self.commands(run, *step).await?;
                execution::stop(&api, run, *step).await
            }
            Effect::EnsureRevision {
                step,
                revision,
                replicas,
                fence,
            } => {
                let (api, rule) = self.rollout(run, *step).await?;
                if let Strategy::Variant { version, .. } = &rule.strategy {
                    return variant::ensure(&api, run, rule, version, revision, *fence).await;
                }
                revision::Hand::new(&api, rule, revision, *fence)
                    .of(run.adopted(*step, revision))
                    .ensure(run, *replicas)
                    .await
            }
            Effect::ScaleRevision {
                step,
                revision,
                replicas,
                leaving,
                fence,
            } => {
                let (api, rule) = self.rollout(run, *step).await?;
                revision::Hand::new(&api, rule, revision, *fence)
                    .of(run.adopted(*step, revision))
                    .scale(*replicas, leaving)
                    .await
            }
            Effect::RemoveRevision {
                step,
                revision,
                fence,
            } => {
                let (api, rule) = self.rollout(run, *step).await?;
                revision::Hand::new(&api, rule, revision, *fence)
                    .of(run.adopted(*step, revision))
                    .remove()
                    .await
            }
            Effect::AdoptRevision { step, fence, .. } => {
                let (api, rule) = self.rollout(run, *step).await?;
                let adoption = run.rollout(*step).and_then(|rollout| rollout.adoption.as_ref());
                match adoption {
                    Some(adoption) => adopt::take_over(&api, run, rule, &adoption.workload, *fence).await,
                    None => Ok(()),
                }
            }
            Effect::ReleaseRevision {
                step,
                revision,
                fence,
            } => {
                let (api, rule) = self.rollout(run, *step).await?;
                match run.adopted(*step, revision) {
                    Some(adopted) => adopt::release(&api, run, rule, adopted, *fence).await,
                    None => Ok(()),
                }
            }
            Effect::HoldAutoscaler { step, by, fence } => {
                let (api, rule) = self.rollout(run, *step).await?;
                autoscaler::hold(&api, rule, by, *fence).await
            }
            Effect::FreeAutoscaler {
                step,
                by,
                target,
                fence,
            } => {
                let (api, rule) = self.rollout(run, *step).await?;
                let deployment = names::deployment_name(&rule.lane, target, run.adopted(*step, target));
                autoscaler::free(&api, rule, by, &deployment, *fence).await
            }
            Effect::SetWeights {
                step,
                split,
                mirror,
                keep,
                fence,
            } => {
                let (api, rule) = self.rollout(run, *step).await?;
                if rule.target.is_by_replicas() {
                    return ratio::set(&api, rule, run.rollout(*step), split, *fence).await;
                }
                let experiment = run.experiment(*step);
                let order = traffic::Order {
                    split,
                    mirror: mirror.as_ref(),
                    keep: keep.as_ref(),
                    fence: *fence,
                };
                traffic::set_weights(&api, &run.id, rule, experiment, order).await
            }
            Effect::RetargetService {
                step,
                revision,
                fence,
            } => {
                let (api, rule) = self.rollout(run, *step).await?;
                let adopted = run.adopted(*step, revision);
                traffic::retarget(&api, rule, revision, adopted, *fence).await
            }
            Effect::ShowApproval { .. }
            | Effect::Page { .. }
            | Effect::ReportStatus { .. }
            | Effect::Wake { .. } => Err(EffectError::never(
                "perform",
                effect.name(),
                "it is not a cluster's",
            )),
        }
    }

    async fn logs(&self, run: &Run, step: StepId, lines: u32) -> Result<String, EffectError> {
        let (api, _) = self.commands(run, step).await?;
        execution::logs(&api, run, step, lines).await
    }
}

#[cfg(test)]
mod tests;
