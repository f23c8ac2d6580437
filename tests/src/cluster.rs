//! A cluster in memory: revisions whose pods load and warm up, a fenced route, Kubernetes Jobs, and live traffic that
//! is counted where it went.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use serde_json::Value;
use weir_app::{Clock, Clusters, Counting, EffectError, Placed, Scenery, Traffic};
use weir_domain::condition::Reading;
use weir_domain::effect::Effect;
use weir_domain::ids::{Commit, EnvironmentName, Fence, RevisionId, RunId, StepId};
use weir_domain::rollout::Rollout;
use weir_domain::run::Run;
use weir_domain::seen::{Counts, ExecutionSeen, GroundSeen, PodPhase, RevisionSeen, RouteSeen, TrafficSeen};
use weir_domain::time::{Span, Timestamp};
use weir_domain::units::Weight;

use crate::faults::Faults;
use crate::pool::{CAPACITY, Pod, Pool};
use crate::ports::ManualClock;

/// How a revision behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// From creation to Ready.
    pub load: Span,
    /// Requests that fail, of a thousand.
    pub errors_per_mille: u64,
    /// Requests slower than a second, of a thousand.
    pub slow_per_mille: u64,
    /// Both begin this long after it first got traffic.
    pub healthy_for: Span,
    /// Every pod crashes this long after it first got traffic.
    pub crash_after: Option<Span>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            load: Span::seconds(20),
            errors_per_mille: 4,
            slow_per_mille: 2,
            healthy_for: Span::ZERO,
            crash_after: None,
        }
    }
}

/// How the commands of a step end.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// After this time.
    pub after: Span,
    /// With this exit code.
    pub exit_code: i32,
    /// Having written these.
    pub outputs: BTreeMap<String, String>,
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            after: Span::seconds(3),
            exit_code: 0,
            outputs: BTreeMap::new(),
        }
    }
}

/// The cluster.
pub struct FakeCluster {
    clock: Arc<ManualClock>,
    faults: Arc<Faults>,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    away: bool,
    /// Calls that came while it was away.
    calls_in_vain: u64,
    silent_metrics: bool,
    misrouted: bool,
    values: BTreeMap<String, Reading>,
    rate_per_second: u64,
    behaviours: BTreeMap<Commit, Behaviour>,
    outcomes: BTreeMap<String, Outcome>,
    executions: BTreeMap<(RunId, StepId), Timestamp>,
    environments: BTreeMap<EnvironmentName, Place>,
    raised_after_revert: Vec<String>,
    pool: Pool,
}

impl Inside {
    /// Lets pods get nodes and leave them, and traffic flow, up to now.
    fn catch_up(&mut self, now: Timestamp) {
        let (flows, counted) = (self.flows(), self.pool.nodes.is_some());
        self.environments
            .values_mut()
            .for_each(|place| place.flow(now, flows, counted));
        let lists = self
            .environments
            .values_mut()
            .flat_map(|place| place.revisions.values_mut());
        self.pool.settle(lists.map(|revision| &mut revision.pods), now);
    }

    /// Requests per second, and whether the route does as it is told.
    fn flows(&self) -> (u64, bool) {
        (self.rate_per_second, self.misrouted)
    }

    /// Whether the cluster is away; counts the call if so.
    fn called_in_vain(&mut self) -> bool {
        self.calls_in_vain += u64::from(self.away);
        self.away
    }
}

/// One namespace.
#[derive(Default)]
struct Place {
    revisions: BTreeMap<RevisionId, Revision>,
    weights: BTreeMap<RevisionId, Weight>,
    fence: Fence,
    plain: Option<RevisionId>,
    counted_to: Option<Timestamp>,
    /// Highest share that each revision ever had, and whether it was taken to 0 afterwards.
    writes: u64,
    /// Requests in thousandths that no warm replica had room for, where GPUs are counted.
    lost: u64,
}

struct Revision {
    pods: Vec<Pod>,
    fence: Fence,
    behaviour: Behaviour,
    first_traffic: Option<Timestamp>,
    /// In thousandths, so that shares of requests add up without rounding.
    started: u64,
    bad: u64,
    slow: u64,
}

impl Revision {
    fn replicas(&self) -> u32 {
        let staying = self.pods.iter().filter(|pod| pod.stays());
        u32::try_from(staying.count()).unwrap_or(u32::MAX)
    }

    fn crashed(&self, now: Timestamp) -> bool {
        let after = self.behaviour.crash_after;
        self.first_traffic
            .zip(after)
            .is_some_and(|(first, after)| now >= first + after)
    }

    /// Requests of a thousand that fail, and that are slow.
    fn harm(&self, now: Timestamp) -> (u64, u64) {
        let first = self.first_traffic.unwrap_or(now);
        if now <= first + self.behaviour.healthy_for {
            let good = Behaviour::default();
            return match self.behaviour.healthy_for {
                Span::ZERO => (self.behaviour.errors_per_mille, self.behaviour.slow_per_mille),
                _ => (good.errors_per_mille, good.slow_per_mille),
            };
        }
        (self.behaviour.errors_per_mille, self.behaviour.slow_per_mille)
    }

    fn warm(&self, now: Timestamp) -> u32 {
        let serves = |pod: &&Pod| pod.stays() && pod.node.is_some() && now >= pod.bound + self.behaviour.load;
        let warm = self.pods.iter().filter(|pod| serves(pod) && !self.crashed(now));
        u32::try_from(warm.count()).unwrap_or(u32::MAX)
    }

    fn seen(&self, now: Timestamp, gpus: u32) -> RevisionSeen {
        let (warm, replicas) = (self.warm(now), self.replicas());
        let crashed = self.crashed(now);
        let count = |which: &dyn Fn(&&Pod) -> bool| {
            u32::try_from(self.pods.iter().filter(which).count()).unwrap_or(u32::MAX)
        };
        let waiting = count(&|pod| pod.stays() && pod.node.is_none());
        RevisionSeen {
            desired: replicas,
            pods: replicas,
            warm,
            terminating: count(&|pod| !pod.stays()),
            gpus: count(&|pod| pod.node.is_some()) * gpus,
            phase: match (waiting, warm == replicas) {
                (1.., _) => PodPhase::Scheduling,
                (0, true) => PodPhase::Serving,
                (0, false) => PodPhase::Loading,
            },
            words: match waiting {
                0 => format!("{warm} of {replicas} warm"),
                _ => "no node has a GPU free".into(),
            },
            crashes: if crashed { replicas } else { 0 },
            last_crash: crashed.then(|| "pod exited with code 139 (Error)".to_owned()),
        }
    }
}

/// Percent of the requests that a share gets; a route at fault gives a small share twice what it was told.
fn share(weight: Weight, misrouted: bool) -> u64 {
    let percent = u64::from(weight.percent());
    match percent {
        1..=49 if misrouted => 2 * percent,
        51..=99 if misrouted => 100 - 2 * (100 - percent),
        _ => percent,
    }
}

impl Place {
    /// Sends the traffic of the time since the last look to where it went.
    fn flow(&mut self, now: Timestamp, (rate_per_second, misrouted): (u64, bool), counted: bool) {
        let from = self.counted_to.replace(now).unwrap_or(now);
        let requests = now.since(from).0 * rate_per_second;
        for (id, weight) in &self.weights {
            let Some(revision) = self.revisions.get_mut(id).filter(|_| *weight > Weight::ZERO) else {
                continue;
            };
            revision.first_traffic.get_or_insert(from);
            let mine = requests * share(*weight, misrouted) / 100;
            let room = u64::from(revision.warm(now)) * CAPACITY * now.since(from).0;
            if counted {
                self.lost += mine.saturating_sub(room);
            }
            let failing = revision.replicas() == 0 || revision.crashed(now);
            let (errors, slow) = revision.harm(now);
            revision.started += mine;
            revision.bad += if failing { mine } else { mine * errors / 1_000 };
            revision.slow += mine * slow / 1_000;
        }
    }

    fn counts(&self) -> BTreeMap<RevisionId, Counts> {
        let of = |revision: &Revision| {
            let (requests, slow) = (revision.started / 1_000, revision.slow / 1_000);
            let within_ms = [(1_000, requests - slow), (10_000, requests)].into();
            Counts {
                started: requests,
                requests,
                bad: revision.bad / 1_000,
                within_ms,
                timed: requests,
                ..Counts::default()
            }
        };
        self.revisions
            .iter()
            .map(|(id, revision)| (id.clone(), of(revision)))
            .collect()
    }
}

impl FakeCluster {
    pub(crate) fn new(clock: Arc<ManualClock>, faults: Arc<Faults>) -> Self {
        let inside = Mutex::new(Inside {
            rate_per_second: 60,
            ..Inside::default()
        });
        Self {
            clock,
            faults,
            inside,
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("no story panics while it holds this")
    }

    /// Whether the API server answers.
    pub fn set_away(&self, away: bool) {
        self.inside().away = away;
    }

    /// Executions that were ever started.
    pub fn executions(&self) -> usize {
        self.inside().executions.len()
    }

    /// Calls that came while the cluster was away.
    pub fn calls_in_vain(&self) -> u64 {
        self.inside().calls_in_vain
    }

    /// Whether the metrics source answers.
    pub fn silence_metrics(&self, silent: bool) {
        self.inside().silent_metrics = silent;
    }

    /// How many requests come per second.
    pub fn set_rate(&self, per_second: u64) {
        self.inside().rate_per_second = per_second;
    }

    /// Whether a small share gets twice what the route was told.
    pub fn misroute(&self, misrouted: bool) {
        self.inside().misrouted = misrouted;
    }

    /// What a source says about a metric that is a plain number.
    pub fn measure(&self, metric: &str, reading: Reading) {
        self.inside().values.insert(metric.to_owned(), reading);
    }

    /// How revisions of this commit behave.
    pub fn behave(&self, commit: &Commit, behaviour: Behaviour) {
        self.inside().behaviours.insert(commit.clone(), behaviour);
    }

    /// How the commands of a step end.
    pub fn end_step(&self, slug: &str, outcome: Outcome) {
        self.inside().outcomes.insert(slug.to_owned(), outcome);
    }

    /// Somebody else writes the route.
    pub fn foreign_write(&self, environment: &str, revision: &RevisionId, weight: Weight) {
        let now = self.clock.now();
        let mut inside = self.inside();
        inside.catch_up(now);
        let place = inside
            .environments
            .entry(EnvironmentName::new(environment))
            .or_default();
        place.weights.insert(revision.clone(), weight);
    }

    /// The cluster has so many GPUs, one a node, and from here on they are counted.
    pub fn set_pool(&self, gpus: usize) {
        self.inside().pool.nodes = Some(gpus);
    }

    /// Somebody else's pods take what is free, at most `gpus`, and leave at `until` if that is given.
    pub fn occupy(&self, gpus: usize, until: Option<Timestamp>) {
        let now = self.clock.now();
        let mut inside = self.inside();
        inside.catch_up(now);
        let inside = &mut *inside;
        let pods = inside
            .environments
            .values()
            .flat_map(|place| place.revisions.values());
        let mut taken: Vec<usize> = pods
            .flat_map(|r| r.pods.iter().filter_map(|pod| pod.node))
            .collect();
        taken.extend(inside.pool.foreign.iter().map(|(node, _)| *node));
        let free = (0..inside.pool.nodes.unwrap_or(0)).filter(|node| !taken.contains(node));
        let news: Vec<_> = free.take(gpus).map(|node| (node, until)).collect();
        inside.pool.foreign.extend(news);
    }

    /// The next GPU that comes free goes to somebody else, whoever waits for it.
    pub fn steal(&self) {
        self.inside().pool.thieves += 1;
    }

    /// Requests that no warm replica had room for, where GPUs are counted.
    pub fn lost(&self, environment: &str) -> u64 {
        let now = self.clock.now();
        let mut inside = self.inside();
        inside.catch_up(now);
        let place = inside.environments.get(&EnvironmentName::new(environment));
        place.map_or(0, |place| place.lost / 1_000)
    }

    /// Shares of an environment's route that are not zero.
    pub fn shares(&self, environment: &str) -> Vec<(RevisionId, u8)> {
        let inside = self.inside();
        let Some(place) = inside.environments.get(&EnvironmentName::new(environment)) else {
            return Vec::new();
        };
        let shares = place.weights.iter().filter(|(_, weight)| **weight > Weight::ZERO);
        shares
            .map(|(id, weight)| (id.clone(), weight.percent()))
            .collect()
    }

    /// Replicas of each revision that has any.
    pub fn replicas(&self, environment: &str) -> Vec<(RevisionId, u32)> {
        let inside = self.inside();
        let Some(place) = inside.environments.get(&EnvironmentName::new(environment)) else {
            return Vec::new();
        };
        let alive = place
            .revisions
            .iter()
            .filter(|(_, revision)| revision.replicas() > 0);
        alive
            .map(|(id, revision)| (id.clone(), revision.replicas()))
            .collect()
    }

    /// What the plain Service selects.
    pub fn plain(&self, environment: &str) -> Option<RevisionId> {
        self.inside()
            .environments
            .get(&EnvironmentName::new(environment))?
            .plain
            .clone()
    }

    /// Writes of the route so far.
    pub fn route_writes(&self, environment: &str) -> u64 {
        self.inside()
            .environments
            .get(&EnvironmentName::new(environment))
            .map_or(0, |place| place.writes)
    }

    /// Writes that gave a reverted candidate traffic again; there must be none.
    pub fn raised_after_revert(&self) -> Vec<String> {
        self.inside().raised_after_revert.clone()
    }

    fn apply(&self, run: &Run, effect: &Effect) -> Result<(), EffectError> {
        let now = self.clock.now();
        let mut inside = self.inside();
        if inside.called_in_vain() {
            return Err(EffectError::later("reach", "the cluster", "connection refused"));
        }
        let inside = &mut *inside;
        let Some(step) = effect.step() else { return Ok(()) };
        if let Effect::StartExecution { step } = effect {
            inside.executions.entry((run.id.clone(), *step)).or_insert(now);
            return Ok(());
        }
        let Some(rule) = run.rule(step) else { return Ok(()) };
        inside.catch_up(now);
        let place = inside
            .environments
            .entry(rule.lane.environment.clone())
            .or_default();
        match effect {
            Effect::EnsureRevision {
                revision,
                replicas,
                fence,
                ..
            }
            | Effect::ScaleRevision {
                revision,
                replicas,
                fence,
                ..
            } => {
                let behaviour = inside
                    .behaviours
                    .get(&run.cause.after)
                    .cloned()
                    .unwrap_or_default();
                let entry = place
                    .revisions
                    .entry(revision.clone())
                    .or_insert_with(|| Revision {
                        pods: Vec::new(),
                        fence: Fence::default(),
                        behaviour,
                        first_traffic: None,
                        started: 0,
                        bad: 0,
                        slow: 0,
                    });
                if *fence >= entry.fence {
                    inside.pool.scale(&mut entry.pods, *replicas as usize, now);
                    entry.fence = *fence;
                }
            }
            Effect::SetWeights { split, fence, .. } if *fence >= place.fence => {
                let wanted: BTreeMap<_, _> = split.iter().cloned().collect();
                if wanted != place.weights {
                    place.writes += 1;
                }
                for (id, weight) in &wanted {
                    let reverted = run
                        .rollout(step)
                        .filter(|r| r.reverted_because.is_some() && &r.candidate == id);
                    // What stable cannot carry yet may stay; no decision gives back more than the one before it.
                    let before = |r: &Rollout| {
                        r.changes
                            .iter()
                            .rfind(|change| change.fence < *fence)
                            .map(|c| c.weight)
                    };
                    if reverted.is_some_and(|r| *weight > before(r).unwrap_or_default()) {
                        inside
                            .raised_after_revert
                            .push(format!("{id} to {weight} with fence {fence}"));
                    }
                }
                (place.weights, place.fence) = (wanted, *fence);
            }
            Effect::RetargetService { revision, .. } => place.plain = Some(revision.clone()),
            Effect::RemoveRevision { revision, fence, .. }
                if place
                    .revisions
                    .get(revision)
                    .is_some_and(|entry| entry.fence <= *fence) =>
            {
                place.revisions.remove(revision);
            }
            _ => {}
        }
        inside.catch_up(now);
        Ok(())
    }
}

#[async_trait]
impl Clusters for FakeCluster {
    async fn execution(&self, run: &Run, step: StepId) -> ExecutionSeen {
        let mut inside = self.inside();
        if inside.called_in_vain() {
            return ExecutionSeen::Unreachable("connection refused".into());
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
            return Err("connection refused".into());
        }
        inside.catch_up(now);
        let (Some(rule), Some(rollout)) = (run.rule(step), run.rollout(step)) else {
            return Err("no such rollout".into());
        };
        let empty = Place::default();
        let place = inside.environments.get(&rule.lane.environment).unwrap_or(&empty);
        let seen = |id: &RevisionId| {
            place
                .revisions
                .get(id)
                .map(|r| r.seen(now, rule.workload.gpus))
                .unwrap_or_default()
        };
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

    async fn ground(&self, run: &Run, step: StepId, stable: Option<&RevisionId>) -> GroundSeen {
        let now = self.clock.now();
        let mut inside = self.inside();
        if inside.away {
            return GroundSeen::Unreachable("connection refused".into());
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
        let n = self.faults.before_effect();
        if self.faults.dead() {
            return Err(EffectError::later("reach", "the cluster", "the process is dead"));
        }
        self.apply(run, effect)?;
        self.faults.after_effect(n);
        Ok(())
    }

    async fn logs(&self, _: &Run, step: StepId, _: u32) -> Result<String, EffectError> {
        Ok(format!("log of {step}"))
    }
}

#[async_trait]
impl Traffic for FakeCluster {
    async fn count(&self, run: &Run, step: StepId, _: &Placed, before: Option<&Value>) -> Counting {
        let now = self.clock.now();
        let mut inside = self.inside();
        let scrape = before.cloned();
        if inside.silent_metrics {
            return Counting {
                seen: TrafficSeen::SourceError("connection refused".into()),
                scrape,
            };
        }
        inside.catch_up(now);
        let Some(rule) = run.rule(step) else {
            return Counting {
                seen: TrafficSeen::NoData("no rule".into()),
                scrape,
            };
        };
        let place = inside
            .environments
            .entry(rule.lane.environment.clone())
            .or_default();
        Counting {
            seen: TrafficSeen::Counts(place.counts()),
            scrape,
        }
    }

    async fn values(&self, _: &Run, _: StepId) -> BTreeMap<String, Reading> {
        self.inside().values.clone()
    }
}
