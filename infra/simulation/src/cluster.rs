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
use weir_domain::run::Run;
use weir_domain::seen::{Counts, ExecutionSeen, PodPhase, RevisionSeen, RouteSeen, TrafficSeen};
use weir_domain::time::{Span, Timestamp};
use weir_domain::units::Weight;

use crate::clock::ManualClock;

/// How a revision behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// From creation to Ready.
    pub load: Span,
    /// Requests that fail, of a thousand.
    pub errors_per_mille: f64,
    /// Requests slower than a second, of a thousand.
    pub slow_per_mille: f64,
    /// Both begin this long after it first got traffic.
    pub healthy_for: Span,
    /// Every pod crashes this long after it first got traffic.
    pub crash_after: Option<Span>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            load: Span::seconds(20),
            errors_per_mille: 4.0,
            slow_per_mille: 2.0,
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

/// Requests per second over time.
#[derive(Clone, PartialEq, Debug)]
pub struct Rates {
    /// From this time on, so many.
    pub steps: Vec<(Span, f64)>,
    /// The steps begin again after this time.
    pub repeat: Option<Span>,
}

impl Default for Rates {
    fn default() -> Self {
        Self::constant(60.0)
    }
}

impl Rates {
    /// As many all the time.
    pub fn constant(per_second: f64) -> Self {
        Self {
            steps: vec![(Span::ZERO, per_second)],
            repeat: None,
        }
    }

    fn at(&self, since: Span) -> f64 {
        let into = match self.repeat.filter(|repeat| repeat.0 > 0) {
            Some(repeat) => Span(since.0 % repeat.0),
            None => since,
        };
        let begun = self.steps.iter().rev().find(|(from, _)| *from <= into);
        begun.map_or(0.0, |(_, rate)| *rate)
    }

    /// Thousandths of requests between two moments, in pieces as long as looks are apart.
    fn between(&self, from: Span, to: Span) -> u64 {
        const PIECE: u64 = 15_000;
        let mut at = from;
        let mut sum = 0.0;
        while at < to {
            let end = Span((at.0 + PIECE).min(to.0));
            sum += self.at(at) * (end.0 - at.0) as f64;
            at = end;
        }
        sum.round() as u64
    }
}

/// The cluster.
pub struct SimulatedCluster {
    clock: Arc<ManualClock>,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    away: bool,
    silent_metrics: bool,
    misrouted: bool,
    values: BTreeMap<String, Reading>,
    rates: Rates,
    rates_from: Timestamp,
    /// GPUs that there are; none: as many as are asked for.
    pool: Option<u32>,
    gpu_ms: f64,
    /// Bad answers of revisions that are removed, in thousandths.
    gone_bad: BTreeMap<RevisionId, u64>,
    behaviours: BTreeMap<Commit, Behaviour>,
    outcomes: BTreeMap<String, Outcome>,
    executions: BTreeMap<(RunId, StepId), Timestamp>,
    environments: BTreeMap<EnvironmentName, Place>,
    raised_after_revert: Vec<String>,
}

/// What comes in, and whether the route does as it is told.
#[derive(Clone)]
struct Flows {
    rates: Rates,
    from: Timestamp,
    misrouted: bool,
}

impl Inside {
    fn flows(&self) -> Flows {
        Flows {
            rates: self.rates.clone(),
            from: self.rates_from,
            misrouted: self.misrouted,
        }
    }

    /// Lets time pass everywhere: requests flow, GPUs are held, and pods that waited for one get it.
    fn pass(&mut self, now: Timestamp) {
        let flows = self.flows();
        for place in self.environments.values_mut() {
            self.gpu_ms += place.flow(now, &flows);
        }
        let Some(pool) = self.pool else { return };
        let revisions = self
            .environments
            .values_mut()
            .flat_map(|place| place.revisions.values_mut());
        let mut free = i64::from(pool);
        let mut waiting = Vec::new();
        for revision in revisions {
            free -= i64::from(revision.held());
            waiting.push(revision);
        }
        for revision in waiting {
            let gpus = revision.gpus.max(1);
            for pod in revision.pods.iter_mut().filter(|pod| pod.is_none()) {
                if free >= i64::from(gpus) {
                    free -= i64::from(gpus);
                    *pod = Some(now);
                }
            }
        }
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
}

struct Revision {
    /// When each pod got its GPUs; nothing: it waits for them.
    pods: Vec<Option<Timestamp>>,
    gpus: u32,
    fence: Fence,
    behaviour: Behaviour,
    first_traffic: Option<Timestamp>,
    /// In thousandths, so that shares of requests add up without rounding.
    started: u64,
    bad: u64,
    slow: u64,
}

impl Revision {
    /// GPUs that its pods hold.
    fn held(&self) -> u32 {
        let placed = self.pods.iter().flatten().count();
        u32::try_from(placed).unwrap_or(u32::MAX) * self.gpus
    }

    fn replicas(&self) -> u32 {
        u32::try_from(self.pods.len()).unwrap_or(u32::MAX)
    }

    fn crashed(&self, now: Timestamp) -> bool {
        let after = self.behaviour.crash_after;
        self.first_traffic
            .zip(after)
            .is_some_and(|(first, after)| now >= first + after)
    }

    /// Requests of a thousand that fail, and that are slow.
    fn harm(&self, now: Timestamp) -> (f64, f64) {
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
        let warm = self
            .pods
            .iter()
            .flatten()
            .filter(|born| now >= **born + self.behaviour.load && !self.crashed(now));
        u32::try_from(warm.count()).unwrap_or(u32::MAX)
    }

    fn seen(&self, now: Timestamp) -> RevisionSeen {
        let (warm, replicas) = (self.warm(now), self.replicas());
        let waiting = self.pods.iter().filter(|pod| pod.is_none()).count();
        let crashed = self.crashed(now);
        RevisionSeen {
            desired: replicas,
            pods: replicas,
            warm,
            terminating: 0,
            gpus: self.held(),
            phase: match (warm == replicas, waiting) {
                (true, _) => PodPhase::Serving,
                (false, 0) => PodPhase::Loading,
                (false, _) => PodPhase::Scheduling,
            },
            words: match waiting {
                0 => format!("{warm} of {replicas} warm"),
                n => format!("{warm} of {replicas} warm, {n} wait for a GPU"),
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
    /// Sends the traffic of the time since the last look to where it went. GPU-milliseconds of that time come back.
    fn flow(&mut self, now: Timestamp, flows: &Flows) -> f64 {
        let from = self.counted_to.replace(now).unwrap_or(now);
        let misrouted = flows.misrouted;
        let requests = flows.rates.between(from.since(flows.from), now.since(flows.from));
        let held: u32 = self.revisions.values().map(Revision::held).sum();
        for (id, weight) in &self.weights {
            let Some(revision) = self.revisions.get_mut(id).filter(|_| *weight > Weight::ZERO) else {
                continue;
            };
            revision.first_traffic.get_or_insert(from);
            let mine = requests * share(*weight, misrouted) / 100;
            let failing = revision.pods.is_empty() || revision.crashed(now);
            let (errors, slow) = revision.harm(now);
            revision.started += mine;
            let part = |per_mille: f64| (mine as f64 * per_mille / 1_000.0) as u64;
            revision.bad += if failing { mine } else { part(errors) };
            revision.slow += part(slow);
        }
        f64::from(held) * now.since(from).0 as f64
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

impl SimulatedCluster {
    /// An empty one, with as many GPUs as are asked for and 60 requests a second.
    pub fn new(clock: Arc<ManualClock>) -> Self {
        Self {
            clock,
            inside: Mutex::default(),
        }
    }

    /// The same with so many GPUs.
    #[must_use]
    pub fn with_gpus(self, gpus: u32) -> Self {
        self.inside().pool = Some(gpus);
        self
    }

    /// Traffic and cost begin now.
    pub fn begin(&self, rates: Rates) {
        let now = self.clock.now();
        let mut inside = self.inside();
        inside.pass(now);
        (inside.rates, inside.rates_from, inside.gpu_ms) = (rates, now, 0.0);
    }

    /// GPU-seconds since the beginning.
    pub fn gpu_seconds(&self) -> f64 {
        let now = self.clock.now();
        let mut inside = self.inside();
        inside.pass(now);
        inside.gpu_ms / 1_000.0
    }

    /// Requests that a revision answered badly.
    pub fn bad(&self, revision: &RevisionId) -> u64 {
        let inside = self.inside();
        let all = inside
            .environments
            .values()
            .filter_map(|place| place.revisions.get(revision));
        let bad: u64 = all.map(|revision| revision.bad).sum();
        (bad + inside.gone_bad.get(revision).copied().unwrap_or(0)) / 1_000
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("nobody panics while holding this")
    }

    /// Whether the API server answers.
    pub fn set_away(&self, away: bool) {
        self.inside().away = away;
    }

    /// Whether the metrics source answers.
    pub fn silence_metrics(&self, silent: bool) {
        self.inside().silent_metrics = silent;
    }

    /// How many requests come per second.
    pub fn set_rate(&self, per_second: u64) {
        self.inside().rates = Rates::constant(per_second as f64);
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
        inside.pass(now);
        let place = inside
            .environments
            .entry(EnvironmentName::new(environment))
            .or_default();
        place.weights.insert(revision.clone(), weight);
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

    /// Performs an effect, as [`Clusters::perform`] does.
    ///
    /// # Errors
    /// The cluster is away.
    pub fn apply(&self, run: &Run, effect: &Effect) -> Result<(), EffectError> {
        let now = self.clock.now();
        let mut inside = self.inside();
        if inside.away {
            return Err(EffectError::later("reach", "the cluster", "connection refused"));
        }
        let inside = &mut *inside;
        inside.pass(now);
        let Some(step) = effect.step() else { return Ok(()) };
        if let Effect::StartExecution { step } = effect {
            inside.executions.entry((run.id.clone(), *step)).or_insert(now);
            return Ok(());
        }
        let Some(rule) = run.rule(step) else { return Ok(()) };
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
                        gpus: rule.workload.gpus,
                        fence: Fence::default(),
                        behaviour,
                        first_traffic: None,
                        started: 0,
                        bad: 0,
                        slow: 0,
                    });
                if *fence >= entry.fence {
                    let place = inside.pool.is_none().then_some(now);
                    entry.pods.resize(*replicas as usize, place);
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
                        .is_some_and(|r| r.reverted_because.is_some() && &r.candidate == id);
                    if reverted && *weight > Weight::ZERO {
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
                let gone = place.revisions.remove(revision).map_or(0, |gone| gone.bad);
                *inside.gone_bad.entry(revision.clone()).or_insert(0) += gone;
            }
            _ => {}
        }
        Ok(())
    }
}

#[async_trait]
impl Clusters for SimulatedCluster {
    async fn execution(&self, run: &Run, step: StepId) -> ExecutionSeen {
        let inside = self.inside();
        if inside.away {
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
        if inside.away {
            return Err("connection refused".into());
        }
        inside.pass(now);
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
        let now = self.clock.now();
        let mut inside = self.inside();
        let scrape = before.cloned();
        if inside.silent_metrics {
            return Counting {
                seen: TrafficSeen::SourceError("connection refused".into()),
                scrape,
            };
        }
        inside.pass(now);
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
