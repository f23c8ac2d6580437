//! The services' rollouts, and the host that drives them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{RwLock, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use weir_app::{Clock, Engine, Ports, Queue, Start, Store, SystemClock};
use weir_cluster::{Access, Fleet, Places};
use weir_domain::Duty;
use weir_domain::ids::{Commit, PushKey, RunId};
use weir_domain::people::Actor;
use weir_domain::pipeline::Pipeline;
use weir_domain::rollout::Rollout;
use weir_domain::run::{Cause, Repository};
use weir_domain::time::Timestamp;
use weir_local::{LocalQueue, Look, SqliteStore, sweep, work};
use weir_simulation::{CountedIds, History, Nobody};

use crate::order::Order;
use crate::played::Played;

/// Services that begin together. A person's cluster is not asked for hundreds of releases at once.
const BATCH: usize = 50;
/// The slowest machine that tests run on rolls a batch out within half of this.
const LIMIT: Duration = Duration::from_secs(180);
/// Time between two looks at a rollout.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a rollout is to be.
pub(crate) type Is = dyn Fn(&Rollout) -> bool;

/// The rollouts and what drives them.
pub(crate) struct Crowd {
    played: Arc<Played>,
    store: Arc<SqliteStore>,
    queue: Arc<LocalQueue>,
    steps: Arc<Engine>,
    /// Looks hold it; whoever holds it alone knows that none goes on.
    gate: Arc<RwLock<()>>,
    services: Vec<String>,
    // Dropped with it: workers, and the folder of the store.
    _parts: JoinSet<()>,
    _stop: watch::Sender<bool>,
    _folder: TempDir,
}

impl Crowd {
    /// The loop of `weir up`; steps and traffic enter as who they are. Nothing is rolled out yet.
    pub(crate) fn new(order: &Order) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = Arc::new(SqliteStore::open(&folder.path().join("weir.db"))?);
        let fleet = |kubeconfig| {
            let access = Access::kubeconfig(kubeconfig, None);
            Arc::new(Fleet::new(Places::all(access), Arc::new(SystemClock)))
        };
        let steps = fleet(&order.kubeconfigs.steps);
        let traffic = fleet(&order.kubeconfigs.traffic);
        let (queue, played) = (
            Arc::new(LocalQueue::default()),
            Arc::new(Played::new(traffic.clone())),
        );
        let limits = order.limits();
        let ports = |clusters| Ports {
            store: store.clone(),
            clusters,
            traffic: played.clone(),
            source: Arc::new(History),
            people: Arc::new(Nobody),
            queue: queue.clone(),
            clock: Arc::new(SystemClock),
            ids: Arc::new(CountedIds::default()),
            limits,
        };
        let steps = Arc::new(weir_stage_executor::engine(ports(steps)));
        let traffic = Arc::new(weir_metric_check::engine(ports(traffic)));
        let gate = Arc::new(RwLock::new(()));
        let (stop, stopping) = watch::channel(false);
        let mut parts = JoinSet::new();
        for (duty, engine) in [(Duty::Steps, steps.clone()), (Duty::Traffic, traffic)] {
            let held = gate.clone();
            let look: Look = Arc::new(move |run| {
                let (engine, gate) = (engine.clone(), held.clone());
                Box::pin(async move {
                    let _held = gate.read().await;
                    engine.look(&run, duty).await
                })
            });
            let clock = Arc::new(SystemClock);
            parts.spawn(work(queue.clone(), duty, look, clock, stopping.clone()));
        }
        let clock = Arc::new(SystemClock);
        parts.spawn(sweep(queue.clone(), store.clone(), clock, stopping));
        Ok(Self {
            played,
            store,
            queue,
            steps,
            gate,
            services: order.services.clone(),
            _parts: parts,
            _stop: stop,
            _folder: folder,
        })
    }

    /// Rolls a version out on all services, and waits until each rollout is as expected.
    pub(crate) async fn roll_out(&self, version: &str, pipeline: &Value, is: &Is) -> Result<Vec<RunId>> {
        let mut runs = Vec::new();
        for batch in self.services.chunks(BATCH) {
            for service in batch {
                runs.push(self.start(service, version, pipeline).await?);
            }
            for run in &runs[runs.len() - batch.len()..] {
                self.until(run, version, is).await?;
            }
        }
        Ok(runs)
    }

    /// Waits until a run's rollout is as expected.
    pub(crate) async fn until(&self, run: &RunId, what: &str, is: &Is) -> Result<Rollout> {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let found = timeout(LIMIT, async {
            loop {
                ticks.tick().await;
                let rollout = self.rollout(run).await?;
                if is(&rollout) {
                    return anyhow::Ok(rollout);
                }
            }
        });
        if let Ok(found) = found.await {
            return found;
        }
        let rollout = self.rollout(run).await?;
        bail!(
            "{what}: not so after {LIMIT:?}: {run}: {}; {}",
            rollout.words(),
            rollout.waits_for
        )
    }

    /// Lets every candidate fail, and makes the checks of all runs due at that moment, which it gives. No look goes on then: one
    /// that had counted before would take its own time as that of the last check.
    pub(crate) async fn breach_together(&self, runs: &[RunId]) -> Result<Timestamp> {
        let alone = self.gate.write().await;
        let mut stored = JoinSet::new();
        for run in runs {
            let (store, run) = (self.store.clone(), run.clone());
            stored.spawn(async move { store.wake(&run, Duty::Traffic, SystemClock.now()).await });
        }
        while let Some(end) = stored.join_next().await {
            end??;
        }
        self.played.breach(runs);
        let now = SystemClock.now();
        drop(alone);
        for run in runs {
            self.queue.hint(run, Duty::Traffic, now).await;
        }
        Ok(now)
    }

    /// Lets one candidate fail at a moment that no check knows of, and gives it.
    pub(crate) fn breach(&self, run: &RunId) -> Timestamp {
        let now = SystemClock.now();
        self.played.breach(std::slice::from_ref(run));
        now
    }

    /// When the source first said that a run's candidate fails.
    pub(crate) fn told(&self, run: &RunId) -> Result<Timestamp> {
        self.played
            .told(run)
            .with_context(|| format!("{run} was sent back before its source said why"))
    }

    async fn rollout(&self, run: &RunId) -> Result<Rollout> {
        let loaded = self.store.load(run).await?.context("the run exists")?;
        let mut all = loaded
            .state
            .run
            .steps()
            .filter_map(|(.., step)| step.rollout.clone());
        Ok(*all.next().context("the run rolls out")?)
    }

    async fn start(&self, service: &str, version: &str, pipeline: &Value) -> Result<RunId> {
        let start = Start {
            push: PushKey::new(format!("{service}-{version}")),
            cause: Cause {
                repository: Repository {
                    name: "acme/models".into(),
                    clone_url: "file:///nowhere".into(),
                },
                git_ref: "refs/heads/main".into(),
                before: Commit::new("0".repeat(40)),
                after: Commit::new(version),
                actor: Actor::Weir,
                headline: "new model".into(),
                reason: "models/**".into(),
                received: SystemClock.now(),
            },
            pipeline: Ok(of_service(pipeline, service)?),
        };
        Ok(self.steps.start(start).await?.run().clone())
    }
}

/// The pipeline for one of the services: what a service is called makes its revisions its own.
fn of_service(pipeline: &Value, service: &str) -> Result<Pipeline> {
    let mut pipeline = pipeline.clone();
    let rule = &mut pipeline["stages"][0]["work"]["steps"]["steps"][0]["work"]["rollout"];
    rule["lane"]["service"] = service.into();
    (rule["target"]["route"], rule["target"]["service"]) = (service.into(), service.into());
    rule["workload"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] = service.into();
    Ok(serde_json::from_value(pipeline)?)
}
