//! The simulated cluster, whose effects meet the faults of a story.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use weir_app::{Clusters, Counting, EffectError, Measured, Placed, Scenery, Traffic, VariantScenery};
use weir_domain::condition::Reading;
use weir_domain::effect::Effect;
use weir_domain::ids::{ClusterName, StepId};
use weir_domain::pipeline::Collect;
use weir_domain::rollout::StableSide;
use weir_domain::run::Run;
use weir_domain::seen::{ExecutionSeen, Gpus, GroundSeen, SiteSeen};
use weir_domain::time::Timestamp;
use weir_simulation::{ManualClock, SimulatedCluster};

use crate::faults::Faults;

/// The cluster.
pub struct FakeCluster {
    inner: SimulatedCluster,
    faults: Arc<Faults>,
    mute: AtomicBool,
    mute_cluster: Mutex<Option<ClusterName>>,
    dawdles: AtomicBool,
    dawdled: AtomicU32,
}

/// What a source takes that dawdles: as long as it is waited for.
pub const DAWDLES: Duration = Duration::from_secs(8);

impl FakeCluster {
    pub(crate) fn new(clock: Arc<ManualClock>, faults: Arc<Faults>) -> Self {
        Self {
            inner: SimulatedCluster::new(clock),
            faults,
            mute: AtomicBool::new(false),
            mute_cluster: Mutex::default(),
            dawdles: AtomicBool::new(false),
            dawdled: AtomicU32::new(0),
        }
    }

    /// Whether whoever measures takes [`DAWDLES`] for each answer.
    pub fn dawdle(&self, dawdle: bool) {
        self.dawdles.store(dawdle, Ordering::SeqCst);
    }

    /// Answers that took so long.
    pub fn dawdled(&self) -> u32 {
        self.dawdled.load(Ordering::SeqCst)
    }

    async fn measured(&self) {
        if self.dawdles.load(Ordering::SeqCst) {
            self.dawdled.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(DAWDLES).await;
        }
    }

    /// Whether it takes every write and answers none, nor does it: whoever asks waits until their own patience ends.
    pub fn mute(&self, mute: bool) {
        self.mute.store(mute, Ordering::SeqCst);
    }

    /// The same of one cluster; nothing: all answer.
    pub fn mute_cluster(&self, cluster: Option<&str>) {
        let mut mute = self
            .mute_cluster
            .lock()
            .expect("no story panics while it holds this");
        *mute = cluster.map(ClusterName::new);
    }

    fn is_mute(&self, run: &Run, effect: &Effect) -> bool {
        let mute = self
            .mute_cluster
            .lock()
            .expect("no story panics while it holds this");
        let rule = effect.step().and_then(|step| run.rule(step));
        let here = rule.is_some_and(|rule| mute.as_ref() == Some(&rule.target.cluster));
        here || self.mute.load(Ordering::SeqCst)
    }
}

impl Deref for FakeCluster {
    type Target = SimulatedCluster;

    fn deref(&self) -> &SimulatedCluster {
        &self.inner
    }
}

#[async_trait]
impl Clusters for FakeCluster {
    async fn execution(&self, run: &Run, step: StepId) -> ExecutionSeen {
        self.inner.execution(run, step).await
    }

    async fn scenery(&self, run: &Run, step: StepId) -> Result<Scenery, String> {
        self.inner.scenery(run, step).await
    }

    async fn variants(&self, run: &Run, step: StepId) -> Result<VariantScenery, String> {
        self.inner.variants(run, step).await
    }

    async fn start(&self, run: &Run, step: StepId, series: &str) -> Result<(), EffectError> {
        self.perform(run, &Effect::StartExecution { step }).await?;
        self.inner.hand_over(run, step, series);
        Ok(())
    }

    async fn site(&self, run: &Run, step: StepId) -> SiteSeen {
        self.inner.site(run, step).await
    }

    async fn ground(&self, run: &Run, step: StepId, stable: Option<&StableSide>) -> GroundSeen {
        self.inner.ground(run, step, stable).await
    }

    async fn perform(&self, run: &Run, effect: &Effect) -> Result<(), EffectError> {
        if self.is_mute(run, effect) {
            std::future::pending::<()>().await;
        }
        let n = self.faults.before_effect();
        if self.faults.dead() {
            return Err(EffectError::later("reach", "the cluster", "the process is dead"));
        }
        self.inner.apply(run, effect)?;
        self.faults.after_effect(n);
        Ok(())
    }

    async fn logs(&self, run: &Run, step: StepId, lines: u32) -> Result<String, EffectError> {
        self.inner.logs(run, step, lines).await
    }
}

#[async_trait]
impl Traffic for FakeCluster {
    async fn count(&self, run: &Run, step: StepId, placed: &Placed, before: Option<&Value>) -> Counting {
        self.measured().await;
        self.inner.count(run, step, placed, before).await
    }

    async fn blocked(&self, run: &Run, step: StepId, placed: &Placed) -> Vec<String> {
        self.inner.blocked(run, step, placed).await
    }

    async fn values(&self, run: &Run, step: StepId) -> BTreeMap<String, Reading> {
        self.measured().await;
        self.inner.values(run, step).await
    }

    async fn gpus(&self, run: &Run, step: StepId) -> Option<BTreeMap<String, Gpus>> {
        self.measured().await;
        self.inner.gpus(run, step).await
    }

    async fn measure(&self, collect: &Collect, from: Timestamp, to: Timestamp) -> Measured {
        Traffic::measure(&self.inner, collect, from, to).await
    }

    fn unknown(&self, collect: &Collect) -> Option<String> {
        self.inner.unknown(collect)
    }
}
