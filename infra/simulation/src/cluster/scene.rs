//! What a story or a world sets, and what it asks afterwards.

use std::collections::BTreeMap;

use weir_app::Clock;
use weir_domain::budget::Asks;
use weir_domain::condition::Reading;
use weir_domain::experiment::variant_revision;
use weir_domain::ids::{ClusterName, Commit, EnvironmentName, Fence, LaneKey, RevisionId};
use weir_domain::time::Timestamp;
use weir_domain::units::Weight;
use weir_domain::workload::{Adopted, TEMPLATE_HASH, Workload};

use super::place::{Place, Scales};
use super::revision::Revision;
use super::{Behaviour, Outcome, Rates, SimulatedCluster};

/// What is set.
impl SimulatedCluster {
    /// Nodes with so many GPUs each; from here on they are counted.
    #[must_use]
    pub fn with_nodes(self, gpus: Vec<usize>) -> Self {
        self.inside().pool.nodes = Some(gpus);
        self
    }

    /// The cluster has so many GPUs, one a node, and from here on they are counted.
    pub fn set_pool(&self, gpus: usize) {
        self.inside().pool.nodes = Some(vec![1; gpus]);
    }

    /// No gateway takes up what is written into the route from here on, and why; nothing: they do again.
    pub fn refuse_route(&self, environment: &str, why: Option<&str>) {
        let mut inside = self.caught_up();
        let place = inside.place_mut(&EnvironmentName::new(environment));
        place.refused = why.map(str::to_owned);
    }

    /// Whether pods that are told to leave stay for good.
    pub fn hold_pods(&self, held: bool) {
        self.inside().pool.held = held;
    }

    /// What a budget asks of the pods of a service, whatever their revision; nothing: there is none.
    pub fn set_budget(&self, asks: Option<Asks>) {
        self.inside().pool.asks = asks;
    }

    /// A node has this label.
    pub fn label_node(&self, node: usize, key: &str, value: &str) {
        let mut inside = self.inside();
        let labels = inside.pool.labels.entry(node).or_default();
        labels.insert(key.to_owned(), value.to_owned());
    }

    /// A node is lost, with its GPUs.
    pub fn lose_node(&self, node: usize) {
        let now = self.clock.now();
        let mut inside = self.caught_up();
        let mut pool = std::mem::take(&mut inside.pool);
        let places = inside.environments.values_mut();
        let revisions = places.flat_map(|place| place.revisions.values_mut());
        let mut revisions: Vec<&mut Revision> = revisions.collect();
        pool.lose(node, revisions.iter_mut().map(|revision| &mut revision.pods));
        revisions.iter_mut().for_each(|revision| revision.number_pods());
        inside.pool = pool;
        inside.catch_up(now);
    }

    /// Somebody else's pods take what is free, at most `gpus`, and leave at `until` if that is given.
    pub fn occupy(&self, gpus: usize, until: Option<Timestamp>) {
        let mut inside = self.caught_up();
        let mut pool = std::mem::take(&mut inside.pool);
        pool.occupy(inside.pods(), gpus, until);
        inside.pool = pool;
    }

    /// The next GPU that comes free goes to somebody else, whoever waits for it.
    pub fn steal(&self) {
        self.inside().pool.thieves += 1;
    }

    /// Traffic, cost and bad answers begin now.
    pub fn begin(&self, rates: Rates) {
        let mut inside = self.caught_up();
        (inside.flows.rates, inside.flows.from) = (rates, self.clock.now());
        inside.environments.values_mut().for_each(Place::begin);
    }

    /// Something that a rollout needs is not there, in these words.
    pub fn obstruct(&self, problem: &str) {
        self.inside().obstacles.push(problem.to_owned());
    }

    /// Something is not in the way of a rollout and may cost requests, in these words.
    pub fn advise(&self, words: &str) {
        self.inside().advice.push(words.to_owned());
    }

    /// Counters cannot be read, for this reason.
    pub fn block_metrics(&self, why: &str) {
        self.inside().blocked.push(why.to_owned());
    }

    /// How many requests come per second.
    pub fn set_rate(&self, per_second: u64) {
        self.inside().flows.rates = Rates::constant(per_second as f64);
    }

    /// Whether a small share gets twice what the route was told.
    pub fn misroute(&self, misrouted: bool) {
        self.inside().flows.misrouted = misrouted;
    }

    /// Whether the API server answers.
    pub fn set_away(&self, away: bool) {
        self.inside().away = away;
    }

    /// Whether the API server of one cluster answers.
    pub fn set_cluster_away(&self, cluster: &str, away: bool) {
        let others = &mut self.inside().others_away;
        let cluster = ClusterName::new(cluster);
        match away {
            true => others.insert(cluster),
            false => others.remove(&cluster),
        };
    }

    /// Whether the metrics source answers.
    pub fn silence_metrics(&self, silent: bool) {
        self.inside().silent_metrics = silent;
    }

    /// What a source says about a metric that is a plain number.
    pub fn measure(&self, metric: &str, reading: Reading) {
        self.inside().values.insert(metric.to_owned(), reading);
    }

    /// Numbers that steps collect of a metric: around `mean`, at most `spread` away from it.
    pub fn collectable(&self, metric: &str, mean: f64, spread: f64) {
        self.inside().series.insert(metric.to_owned(), (mean, spread));
    }

    /// Every metric is known to every source: what has no numbers of its own is around `mean`.
    pub fn collectable_everywhere(&self, mean: f64, spread: f64) {
        self.inside().any_series = Some((mean, spread));
    }

    /// Somebody runs, or scales, the Deployment of a variant: so many pods, one GPU each.
    pub fn run_variant(&self, lane: &LaneKey, version: &str, pods: usize, behaviour: &Behaviour) {
        let now = self.clock.now();
        let mut inside = self.caught_up();
        let pool = std::mem::take(&mut inside.pool);
        let place = inside.place_mut(&lane.environment);
        let revision = place
            .revisions
            .entry(variant_revision(lane, version))
            .or_insert_with(|| Revision::new(behaviour.clone()));
        revision.behaviour = behaviour.clone();
        pool.scale(&mut revision.pods, pods, 1, &[], now);
        revision.number_pods();
        inside.pool = pool;
        inside.catch_up(now);
    }

    /// Somebody runs a Deployment that Weir did not make: so many pods, one GPU each; the revision that it is.
    pub fn run_deployment(
        &self,
        environment: &str,
        name: &str,
        mut workload: Workload,
        behaviour: &Behaviour,
    ) -> RevisionId {
        let now = self.clock.now();
        let selector = [(TEMPLATE_HASH.to_owned(), "5f6d".to_owned())];
        workload.adopted = Some(Adopted {
            deployment: name.to_owned(),
            selector: selector.into(),
        });
        let id = workload.revision();
        let mut inside = self.caught_up();
        let pool = std::mem::take(&mut inside.pool);
        let place = inside.place_mut(&EnvironmentName::new(environment));
        let revision = place
            .revisions
            .entry(id.clone())
            .or_insert_with(|| Revision::new(behaviour.clone()));
        pool.scale(&mut revision.pods, workload.replicas as usize, 1, &[], now);
        revision.number_pods();
        place.deployments.insert(name.to_owned(), workload);
        inside.pool = pool;
        inside.catch_up(now);
        id
    }

    /// Something scales a revision, and wants so many replicas of it.
    pub fn autoscale(&self, environment: &str, name: &str, target: &RevisionId, wants: usize) {
        let mut inside = self.caught_up();
        inside.place_mut(&EnvironmentName::new(environment)).autoscaler = Some(Scales {
            name: name.to_owned(),
            target: target.clone(),
            wants,
            held: false,
            fence: Fence::default(),
        });
        inside.catch_up(self.clock.now());
    }

    /// The load changes, and it wants another number.
    pub fn autoscaler_wants(&self, environment: &str, wants: usize) {
        let mut inside = self.caught_up();
        let place = inside.place_mut(&EnvironmentName::new(environment));
        if let Some(by) = &mut place.autoscaler {
            by.wants = wants;
        }
        inside.catch_up(self.clock.now());
    }

    /// How revisions of this commit behave.
    pub fn behave(&self, commit: &Commit, behaviour: Behaviour) {
        self.inside().behaviours.insert(commit.clone(), behaviour);
    }

    /// The same in one environment alone.
    pub fn behave_in(&self, environment: &str, commit: &Commit, behaviour: Behaviour) {
        let here = (EnvironmentName::new(environment), commit.clone());
        self.inside().elsewhere.insert(here, behaviour);
    }

    /// How the commands of a step end.
    pub fn end_step(&self, slug: &str, outcome: Outcome) {
        self.inside().outcomes.insert(slug.to_owned(), outcome);
    }

    /// Somebody else writes the route.
    pub fn foreign_write(&self, environment: &str, revision: &RevisionId, weight: Weight) {
        let mut inside = self.caught_up();
        let place = inside.place_mut(&EnvironmentName::new(environment));
        place.weights.insert(revision.clone(), weight);
    }
}

impl SimulatedCluster {
    /// Somebody else lets so many requests of a hundred be copied to a revision, or none.
    pub fn foreign_mirror(&self, environment: &str, revision: &RevisionId, part: Weight) {
        let mut inside = self.caught_up();
        let place = inside.place_mut(&EnvironmentName::new(environment));
        place.mirrors.remove(revision);
        if part > Weight::ZERO {
            place.mirrors.insert(revision.clone(), part);
        }
    }

    /// Of a hundred requests of the callers who stay with a variant, how many it gets.
    pub fn kept(&self, environment: &str) -> Vec<(RevisionId, u8)> {
        percents(self.inside().place(environment).map(|place| &place.kept))
    }

    /// Somebody else takes out what keeps the callers of a variant.
    pub fn foreign_unkeep(&self, environment: &str, revision: &RevisionId) {
        let mut inside = self.caught_up();
        let place = inside.place_mut(&EnvironmentName::new(environment));
        place.kept.remove(revision);
    }

    /// Of a hundred requests, how many are copied to whom.
    pub fn mirrors(&self, environment: &str) -> Vec<(RevisionId, u8)> {
        percents(self.inside().place(environment).map(|place| &place.mirrors))
    }
}

/// What is asked.
impl SimulatedCluster {
    /// Executions that were ever started.
    pub fn executions(&self) -> usize {
        self.inside().executions.len()
    }

    /// Calls that came while the cluster was away.
    pub fn calls_in_vain(&self) -> u64 {
        self.inside().calls_in_vain
    }

    /// GPU-seconds since the beginning.
    pub fn gpu_seconds(&self) -> f64 {
        let inside = self.caught_up();
        let held: f64 = inside.environments.values().map(|place| place.gpu_ms).sum();
        held / 1_000.0
    }

    /// Requests that a revision answered badly to those who asked; copies are not among them.
    pub fn bad(&self, revision: &RevisionId) -> u64 {
        let inside = self.inside();
        let bad: u64 = inside
            .environments
            .values()
            .map(|place| place.bad(revision))
            .sum();
        bad / 1_000
    }

    /// Requests that no warm replica had room for, where GPUs are counted.
    pub fn lost(&self, environment: &str) -> u64 {
        let inside = self.caught_up();
        inside.place(environment).map_or(0, |place| place.lost / 1_000)
    }

    /// Shares of an environment's route that are not zero.
    pub fn shares(&self, environment: &str) -> Vec<(RevisionId, u8)> {
        let mut shares = percents(self.inside().place(environment).map(|place| &place.weights));
        shares.retain(|(_, percent)| *percent > 0);
        shares
    }

    /// Replicas of each revision that has any.
    pub fn replicas(&self, environment: &str) -> Vec<(RevisionId, u32)> {
        let inside = self.inside();
        let revisions = inside
            .place(environment)
            .into_iter()
            .flat_map(|place| &place.revisions);
        revisions
            .map(|(id, revision)| (id.clone(), revision.replicas()))
            .filter(|(_, replicas)| *replicas > 0)
            .collect()
    }

    /// What the plain Service selects.
    pub fn plain(&self, environment: &str) -> Option<RevisionId> {
        self.inside().place(environment)?.plain.clone()
    }

    /// Pods of a revision, by the order in which they were made: no number is used twice.
    pub fn pods(&self, environment: &str, revision: &RevisionId) -> Vec<u64> {
        let inside = self.inside();
        let place = inside.place(environment);
        let revision = place.and_then(|place| place.revisions.get(revision));
        let pods = revision.into_iter().flat_map(|revision| &revision.pods);
        pods.map(|pod| pod.number).collect()
    }

    /// Whom the autoscaler scales, unless it is held.
    pub fn autoscaled(&self, environment: &str) -> Option<RevisionId> {
        let inside = self.inside();
        let by = inside.place(environment)?.autoscaler.as_ref()?;
        (!by.held).then(|| by.target.clone())
    }

    /// Variants that have a Service.
    pub fn variant_services(&self, environment: &str) -> usize {
        self.inside()
            .place(environment)
            .map_or(0, |place| place.services.len())
    }

    /// What a step was handed of what was collected before it.
    pub fn handed(&self, slug: &str) -> Option<String> {
        self.inside().handed.get(slug).cloned()
    }

    /// Writes of the route so far.
    pub fn route_writes(&self, environment: &str) -> u64 {
        self.inside().place(environment).map_or(0, |place| place.writes)
    }

    /// Writes that gave a reverted candidate more traffic than it had; there must be none.
    pub fn raised_after_revert(&self) -> Vec<String> {
        self.inside().raised_after_revert.clone()
    }
}

/// By revision, of a hundred; nothing where there is no such place.
fn percents(parts: Option<&BTreeMap<RevisionId, Weight>>) -> Vec<(RevisionId, u8)> {
    let parts = parts.into_iter().flatten();
    parts.map(|(id, part)| (id.clone(), part.percent())).collect()
}
