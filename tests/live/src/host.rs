//! The whole loop over a real cluster: the handlers of stage-executor and metric-check, state in memory, and pages that are
//! counted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use weir_app::memory::MemoryStore;
use weir_app::{Clock, EffectError, Engine, Handled, People, Ports, Queue, Start, Store};
use weir_cluster::{Access, Fleet, Places};
use weir_domain::Duty;
use weir_domain::approval::MessageRef;
use weir_domain::audit::Entry;
use weir_domain::event::{Event, Limits};
use weir_domain::ids::{ClusterName, Commit, PushKey, RunId, StepId};
use weir_domain::people::Identity;
use weir_domain::pipeline::Pipeline;
use weir_domain::run::{Cause, Repository, Run};
use weir_domain::time::{Span, Timestamp};
use weir_metrics::provider::{Answer, Fold, Pace, Provider, Servers, Window};
use weir_metrics::{Direct, Sources};
use weir_simulation::{CountedIds, History};

use crate::clock::WallClock;
use crate::world::World;

/// Runs that are looked at in one round.
const ROUND: usize = 16;
/// Time between two rounds.
const ROUND_EVERY: Duration = Duration::from_millis(50);
/// A rollout with several model loads on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// The loop.
pub struct Host {
    store: Arc<MemoryStore>,
    clock: Arc<dyn Clock>,
    on_call: Arc<OnCall>,
    steps: Engine,
    traffic: Engine,
}

impl Host {
    /// A loop that drives with the rights of this fleet.
    pub fn new(fleet: Fleet) -> Self {
        let fleet = Arc::new(fleet);
        Self::of(fleet.clone(), fleet, Servers::new(), Arc::new(WallClock))
    }

    /// A loop in which steps are run with the rights of one fleet, and traffic is moved with those of another.
    pub fn of_two(steps: Fleet, traffic: Fleet) -> Self {
        Self::of(
            Arc::new(steps),
            Arc::new(traffic),
            Servers::new(),
            Arc::new(WallClock),
        )
    }

    fn of(steps: Arc<Fleet>, fleet: Arc<Fleet>, mut servers: Servers, clock: Arc<dyn Clock>) -> Self {
        servers.insert("datadog".to_owned(), Arc::new(Scores));
        let store = Arc::new(MemoryStore::default());
        let on_call = Arc::new(OnCall::default());
        let ports = Ports {
            store: store.clone(),
            clusters: fleet.clone(),
            traffic: Arc::new(Sources::new(
                Arc::new(Direct::new(fleet)),
                servers,
                clock.clone(),
                weir_cluster::names::revision_name,
            )),
            source: Arc::new(History),
            people: on_call.clone(),
            queue: Arc::new(Nowhere),
            clock: clock.clone(),
            ids: Arc::new(CountedIds::default()),
            limits: Limits {
                quick: Span::seconds(2),
                slow: Span::seconds(2),
                ..Limits::default()
            },
        };
        Self {
            store,
            clock,
            on_call,
            steps: weir_stage_executor::engine(Ports {
                clusters: steps,
                ..ports.clone()
            }),
            traffic: weir_metric_check::engine(ports),
        }
    }

    /// A loop that may do everything in the cluster of a world.
    pub fn of_admin(world: &World) -> Self {
        Self::asking(world, Servers::new())
    }

    /// The same with servers of metrics that definitions may name.
    pub fn asking(world: &World, servers: Servers) -> Self {
        Self::all_of(world, servers, Arc::new(WallClock))
    }

    /// A loop that may do everything in the cluster of a world, by another clock.
    pub fn by_clock(world: &World, clock: Arc<dyn Clock>) -> Self {
        Self::all_of(world, Servers::new(), clock)
    }

    fn all_of(world: &World, servers: Servers, clock: Arc<dyn Clock>) -> Self {
        let access = Access::kubeconfig(&world.cluster.kubeconfig, None);
        let fleet = Arc::new(Fleet::new(Places::all(access), clock.clone()));
        Self::of(fleet.clone(), fleet, servers, clock)
    }

    /// The same in the clusters of several worlds, by the names that a definition gives them.
    pub fn of_several(worlds: &[(&str, &World)]) -> Self {
        let places = worlds.iter().fold(Places::default(), |places, (name, world)| {
            let access = Access::kubeconfig(&world.cluster.kubeconfig, None);
            places.with(ClusterName::new(*name), access)
        });
        Self::new(Fleet::new(places, Arc::new(WallClock)))
    }

    /// Starts a run of a commit that nobody fetches.
    ///
    /// # Panics
    /// It cannot be started.
    pub async fn start(&self, commit: &str, pipeline: Pipeline) -> RunId {
        self.start_from("file:///nowhere", commit, commit, pipeline).await
    }

    /// Starts a run of a commit that is fetched from an address. Every push has a name of its own.
    ///
    /// # Panics
    /// It cannot be started.
    pub async fn start_from(&self, clone_url: &str, commit: &str, push: &str, pipeline: Pipeline) -> RunId {
        let start = Start {
            push: PushKey::new(push),
            cause: Cause {
                repository: Repository {
                    name: "acme/models".into(),
                    clone_url: clone_url.into(),
                },
                git_ref: "refs/heads/main".into(),
                before: Commit::new("0".repeat(40)),
                after: Commit::new(commit),
                actor: weir_domain::people::Actor::Weir,
                headline: "new model".into(),
                reason: "models/**".into(),
                received: WallClock.now(),
            },
            pipeline: Ok(pipeline),
        };
        self.steps.start(start).await.expect("a run starts").run().clone()
    }

    /// Something happens to a run.
    ///
    /// # Panics
    /// It cannot be handled.
    pub async fn tell(&self, run: &RunId, event: &Event) -> Handled {
        self.steps.handle(run, event).await.expect("the event is handled")
    }

    /// A person of Slack wants back what served before a run; the run that brings it.
    ///
    /// # Panics
    /// It is refused.
    pub async fn undo(&self, run: &RunId, slack: &str) -> RunId {
        let by = Identity::Slack(slack.into());
        let started = self.steps.undo(run, &by, "wrong language").await;
        started.expect("it can be undone").run().clone()
    }

    /// Does what is due, again and again, until the run is as expected.
    ///
    /// # Panics
    /// That takes too long, or a look fails.
    pub async fn until(&self, what: &str, run: &RunId, is: impl Fn(&Run) -> bool) -> Run {
        let mut ticks = tokio::time::interval(ROUND_EVERY);
        let all = async {
            loop {
                ticks.tick().await;
                self.round().await;
                let now = self.run(run).await;
                if is(&now) {
                    return now;
                }
            }
        };
        match tokio::time::timeout(LIMIT, all).await {
            Ok(run) => run,
            Err(_) => panic!(
                "{what}: not so after {LIMIT:?}: {:#?}",
                self.run(run).await.stages
            ),
        }
    }

    /// Does what is due, without an end: for who waits for the cluster.
    ///
    /// # Panics
    /// A look fails.
    pub async fn go_on(&self) {
        let mut ticks = tokio::time::interval(ROUND_EVERY);
        loop {
            ticks.tick().await;
            self.round().await;
        }
    }

    async fn round(&self) {
        let due = self.store.due(self.clock.now(), ROUND).await;
        for lookout in due.expect("memory answers") {
            match lookout.duty {
                Duty::Steps => weir_stage_executor::handle(&self.steps, &lookout.run).await,
                Duty::Traffic => weir_metric_check::handle(&self.traffic, &lookout.run).await,
            }
            .expect("a look succeeds");
        }
    }

    /// A run as it stands.
    ///
    /// # Panics
    /// There is none.
    pub async fn run(&self, run: &RunId) -> Run {
        let loaded = self.store.load(run).await.expect("memory answers");
        loaded.expect("the run exists").state.run
    }

    /// Whether somebody was called because of it.
    pub fn called(&self, run: &RunId) -> bool {
        let pages = self.on_call.0.lock();
        pages.unwrap_or_else(PoisonError::into_inner).contains(run)
    }

    /// Its log.
    ///
    /// # Panics
    /// There is none.
    pub async fn log(&self, run: &RunId) -> Vec<Entry> {
        self.store.entries(run).await.expect("memory answers")
    }
}

/// A server of metrics that has a number for every metric: how long its name is.
struct Scores;

#[async_trait]
impl Provider for Scores {
    fn pace(&self) -> Pace {
        Pace {
            lag: Span::ZERO,
            step: Span::minutes(1),
        }
    }

    async fn number(&self, query: &str, _: Window, _: Fold) -> Answer<f64> {
        Answer::Value(query.len() as f64)
    }
}

/// Who is called, and has no other messages.
#[derive(Default)]
struct OnCall(Mutex<Vec<RunId>>);

#[async_trait]
impl People for OnCall {
    async fn show_approval(&self, _: &Run, _: usize) -> Result<Option<MessageRef>, EffectError> {
        Ok(None)
    }

    async fn page(&self, run: &Run, _: StepId) -> Result<(), EffectError> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.push(run.id.clone());
        Ok(())
    }
}

/// Nobody takes hints: the tests look themselves.
struct Nowhere;

#[async_trait]
impl Queue for Nowhere {
    async fn hint(&self, _: &RunId, _: Duty, _: Timestamp) {}
}
