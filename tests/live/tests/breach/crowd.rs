//! Many services, each with a route and a rollout of its own, on the host's own workers and store.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use weir_app::{Clock, Engine, Ports, Queue, Start, Store, SystemClock};
use weir_domain::Duty;
use weir_domain::event::Limits;
use weir_domain::ids::{Commit, PushKey, RunId};
use weir_domain::people::Actor;
use weir_domain::pipeline::Pipeline;
use weir_domain::rollout::Rollout;
use weir_domain::run::{Cause, Repository};
use weir_domain::time::Timestamp;
use weir_live::{Role, Shape, World, eventually};
use weir_local::{LocalQueue, Look, SqliteStore, sweep, work};
use weir_simulation::{CountedIds, History, Nobody};

use crate::played::Played;

/// The candidates' share, in percent.
pub(crate) const SHARE: u8 = 5;
/// No step ends while the rollouts are measured.
const HOLD_MS: u64 = 3_600_000;
/// Services that begin together. A person's cluster is not asked for hundreds of releases at once.
const BATCH: usize = 50;

/// The services and what drives them.
pub(crate) struct Crowd {
    pub(crate) world: World,
    played: Arc<Played>,
    store: Arc<SqliteStore>,
    queue: Arc<LocalQueue>,
    steps: Arc<Engine>,
    names: Vec<String>,
    // Dropped with it: workers, and the folder of the store.
    _parts: JoinSet<()>,
    _stop: watch::Sender<bool>,
    _folder: TempDir,
}

impl Crowd {
    /// So many services with a plain Service and a route each; nothing is rolled out yet. The loop is that of `weir up`
    /// with its default limits; steps and traffic enter as who they are.
    pub(crate) async fn new(services: usize) -> Self {
        let world = World::new("breach").await;
        let names: Vec<String> = (0..services).map(|n| format!("chat-{n:03}")).collect();
        for name in &names {
            world
                .admin
                .create(&world.core("services"), &service(name))
                .await
                .ok();
            let routes = world.path("gateway.networking.k8s.io/v1", "httproutes");
            world.admin.create(&routes, &route(name)).await.ok();
        }
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("weir.db")).unwrap());
        let (queue, played) = (Arc::new(LocalQueue::default()), Arc::new(Played::default()));
        let ports = |role| Ports {
            store: store.clone(),
            clusters: Arc::new(world.fleet(role)),
            traffic: played.clone(),
            source: Arc::new(History),
            people: Arc::new(Nobody),
            queue: queue.clone(),
            clock: Arc::new(SystemClock),
            ids: Arc::new(CountedIds::default()),
            limits: Limits::default(),
        };
        let steps = Arc::new(weir_stage_executor::engine(ports(Role::StageExecutor)));
        let traffic = Arc::new(weir_metric_check::engine(ports(Role::MetricCheck)));
        let (stop, stopping) = watch::channel(false);
        let mut parts = JoinSet::new();
        for (duty, engine) in [(Duty::Steps, steps.clone()), (Duty::Traffic, traffic)] {
            let look: Look = Arc::new(move |run| {
                let engine = engine.clone();
                Box::pin(async move { engine.look(&run, duty).await })
            });
            parts.spawn(work(
                queue.clone(),
                duty,
                look,
                Arc::new(SystemClock),
                stopping.clone(),
            ));
        }
        parts.spawn(sweep(
            queue.clone(),
            store.clone(),
            Arc::new(SystemClock),
            stopping,
        ));
        Self {
            world,
            played,
            store,
            queue,
            steps,
            names,
            _parts: parts,
            _stop: stop,
            _folder: folder,
        }
    }

    /// Rolls a version out on all services, and waits until each rollout is as expected.
    pub(crate) async fn roll_out(
        &self,
        version: &str,
        what: &str,
        is: impl Fn(&Rollout) -> bool,
    ) -> Vec<RunId> {
        let mut runs = Vec::new();
        for batch in self.names.chunks(BATCH) {
            for name in batch {
                runs.push(self.start(name, version).await);
            }
            for run in &runs[runs.len() - batch.len()..] {
                self.until(run, what, &is).await;
            }
        }
        runs
    }

    /// Waits until a run's rollout is as expected.
    pub(crate) async fn until(&self, run: &RunId, what: &str, is: impl Fn(&Rollout) -> bool) -> Rollout {
        eventually(what, async || {
            let rollout = self.rollout(run).await;
            match is(&rollout) {
                true => Ok(rollout),
                false => Err(format!("{run}: {}; {}", rollout.words(), rollout.waits_for)),
            }
        })
        .await
    }

    /// Lets every candidate fail, and makes the checks of all runs due at that moment, which it gives.
    pub(crate) async fn breach(&self, runs: &[RunId]) -> Timestamp {
        let mut stored = JoinSet::new();
        for run in runs {
            let (store, run) = (self.store.clone(), run.clone());
            stored.spawn(async move { store.wake(&run, Duty::Traffic, SystemClock.now()).await });
        }
        while let Some(end) = stored.join_next().await {
            end.unwrap().unwrap();
        }
        self.played.breach();
        let now = SystemClock.now();
        for run in runs {
            self.queue.hint(run, Duty::Traffic, now).await;
        }
        now
    }

    /// Candidate's share by route, as the API server has it.
    pub(crate) async fn shares(&self) -> BTreeMap<String, u64> {
        let routes = self.world.path("gateway.networking.k8s.io/v1", "httproutes");
        let all = self.world.admin.get(&routes).await.ok();
        let all = all["items"].as_array().unwrap().clone();
        let share = |route: &Value| {
            let backends = route["spec"]["rules"][0]["backendRefs"].as_array()?;
            // The plain Service, stable, the candidate.
            Some((
                route["metadata"]["name"].as_str()?.to_owned(),
                backends.get(2)?["weight"].as_u64()?,
            ))
        };
        all.iter().filter_map(share).collect()
    }

    async fn rollout(&self, run: &RunId) -> Rollout {
        let loaded = self.store.load(run).await.unwrap().expect("the run exists");
        let mut all = loaded
            .state
            .run
            .steps()
            .filter_map(|(.., step)| step.rollout.clone());
        *all.next().expect("the run rolls out")
    }

    async fn start(&self, name: &str, version: &str) -> RunId {
        let start = Start {
            push: PushKey::new(format!("{name}-{version}")),
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
            pipeline: Ok(self.pipeline(name, version)),
        };
        self.steps.start(start).await.unwrap().run().clone()
    }

    /// A canary of one replica without a GPU, on the pretended nodes.
    fn pipeline(&self, name: &str, version: &str) -> Pipeline {
        let strategy = json!({"canary": {
            "steps": [{"weight": SHARE, "interval": HOLD_MS}], "threshold": 0.95, "min_samples": 20,
        }});
        let shape = Shape {
            gpus: 0,
            ..Shape::rollout(version, None)
        };
        let pipeline = shape.pipeline(&self.world.namespace, &self.world.builds, 1, strategy);
        let mut pipeline = json!(pipeline);
        let rule = &mut pipeline["stages"][0]["work"]["steps"]["steps"][0]["work"]["rollout"];
        rule["bake"] = 0.into();
        rule["lane"]["service"] = name.into();
        (rule["target"]["route"], rule["target"]["service"]) = (name.into(), name.into());
        let template = &mut rule["workload"]["template"];
        // What a service is called makes its revisions its own.
        template["metadata"]["labels"]["app.kubernetes.io/name"] = name.into();
        template["spec"]["nodeSelector"] = json!({"type": "kwok"});
        template["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
        serde_json::from_value(pipeline).unwrap()
    }
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8000}]},
    })
}

fn route(name: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "gateway"}],
            "hostnames": [format!("{name}.example")],
            "rules": [{"backendRefs": [{"name": name, "port": 80}]}],
        },
    })
}
