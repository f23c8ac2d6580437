//! A cluster in memory: revisions whose pods load and warm up, a fenced route, Kubernetes Jobs, and live traffic that
//! is counted where it went.

mod behaviour;
mod effects;
mod place;
mod pool;
mod ports;
mod rates;
mod revision;
mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use weir_app::Clock;
use weir_domain::condition::Reading;
use weir_domain::ids::{ClusterName, Commit, EnvironmentName, RunId, StepId};
use weir_domain::run::Run;
use weir_domain::time::Timestamp;

pub use behaviour::{Behaviour, Outcome};
pub use rates::Rates;

use crate::clock::ManualClock;
use place::Place;
use pool::{Pod, Pool};
use rates::Flows;

/// The cluster.
pub struct SimulatedCluster {
    clock: Arc<ManualClock>,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    away: bool,
    /// Clusters that are away while others answer.
    others_away: BTreeSet<ClusterName>,
    /// Calls that came while it was away.
    calls_in_vain: u64,
    silent_metrics: bool,
    /// What is in the way of a rollout before it begins.
    obstacles: Vec<String>,
    /// What the site's look tells beside them.
    advice: Vec<String>,
    /// Why counters could not be read, if anything asks beforehand.
    blocked: Vec<String>,
    values: BTreeMap<String, Reading>,
    /// Mean and spread of metrics that steps collect.
    series: BTreeMap<String, (f64, f64)>,
    /// Those of every metric that is not among them, whatever source it is asked of.
    any_series: Option<(f64, f64)>,
    /// What steps were handed of what was collected before, by slug.
    handed: BTreeMap<String, String>,
    flows: Flows,
    behaviours: BTreeMap<Commit, Behaviour>,
    /// Where a commit behaves otherwise.
    elsewhere: BTreeMap<(EnvironmentName, Commit), Behaviour>,
    outcomes: BTreeMap<String, Outcome>,
    executions: BTreeMap<(RunId, StepId), Timestamp>,
    environments: BTreeMap<EnvironmentName, Place>,
    raised_after_revert: Vec<String>,
    pool: Pool,
}

impl SimulatedCluster {
    /// An empty one, with as many GPUs as are asked for and 60 requests a second.
    pub fn new(clock: Arc<ManualClock>) -> Self {
        Self {
            clock,
            inside: Mutex::default(),
        }
    }

    /// The inside as it stands, without letting time pass.
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("nobody panics while holding this")
    }

    /// The inside as it is now.
    fn caught_up(&self) -> MutexGuard<'_, Inside> {
        let now = self.clock.now();
        let mut inside = self.inside();
        inside.catch_up(now);
        inside
    }
}

impl Inside {
    /// Lets pods get nodes and leave them, and traffic flow, up to now.
    fn catch_up(&mut self, now: Timestamp) {
        let counted = self.pool.counted();
        for place in self.environments.values_mut() {
            place.flow(now, &self.flows, counted);
            place.scale(&self.pool, now);
        }
        let lists = self
            .environments
            .values_mut()
            .flat_map(|place| place.revisions.values_mut());
        self.pool.settle(lists.map(|revision| &mut revision.pods), now);
    }

    /// Whether the cluster of a step is away; counts the call if so.
    fn called_in_vain(&mut self, run: &Run, step: StepId) -> bool {
        let away = self.is_away(run, step);
        self.calls_in_vain += u64::from(away);
        away
    }

    fn is_away(&self, run: &Run, step: StepId) -> bool {
        let cluster = run.rule(step).map(|rule| &rule.target.cluster);
        let cluster = cluster.unwrap_or(&run.pipeline.builds.cluster);
        self.away || self.others_away.contains(cluster)
    }

    fn place(&self, environment: &str) -> Option<&Place> {
        self.environments.get(&EnvironmentName::new(environment))
    }

    fn place_mut(&mut self, environment: &EnvironmentName) -> &mut Place {
        self.environments.entry(environment.clone()).or_default()
    }

    fn pods(&self) -> impl Iterator<Item = &Pod> {
        let places = self.environments.values();
        places
            .flat_map(|place| place.revisions.values())
            .flat_map(|revision| &revision.pods)
    }
}
