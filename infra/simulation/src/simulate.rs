//! One rollout in a world, from the push to its end.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use weir_app::memory::MemoryStore;
use weir_app::{Clock, Engine, HandleError, Ports, Start, StartError, Store, StoreError};
use weir_domain::Duty;
use weir_domain::approval::{Answer, ApprovalState};
use weir_domain::condition::Reading;
use weir_domain::event::{Event, Limits};
use weir_domain::ids::{ApprovalToken, Commit, PushKey, RevisionId, RunId};
use weir_domain::people::{Actor, Identity, Person};
use weir_domain::pipeline::{Pipeline, StageWork, StepWork};
use weir_domain::run::{Cause, Repository, Run};
use weir_domain::time::{Span, Timestamp};

use crate::clock::{CountedIds, HeldQueue, ManualClock};
use crate::cluster::{Outcome, SimulatedCluster};
use crate::seed::{outputs, seeded, unchanged, variants};
use crate::stage::{History, Nobody};
use crate::world::{RevisionWorld, WorldFile};

/// A rollout that is looked at more often does not come to rest: seven days at the quickest pace are 600,000 looks.
const LOOKS_LIMIT: u64 = 2_000_000;
/// The simulation ends here unless the world says otherwise.
const RUN_FOR: Span = Span::hours(24 * 7);
/// What commands write for every output that they name.
const WRITTEN: &str = "simulated";
/// Mean and spread of what steps collect where the world says nothing of it.
const ORDINARY: (f64, f64) = (100.0, 10.0);

/// What came of it: the fields of `weir simulate --format json`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Told {
    /// The run's status when it ended, or `running`.
    pub result: String,
    /// What happened, in order.
    pub timeline: Vec<Moment>,
    /// Most GPUs that both revisions held at a look.
    pub gpu_peak: u32,
    /// Requests that the candidate answered badly.
    pub exposed_bad: u64,
    /// What the GPUs cost from the push to the end.
    pub cost_usd: f64,
    /// What is otherwise than a push would find it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One thing that happened.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Moment {
    /// Seconds after the push.
    pub at_s: f64,
    /// What kind of thing.
    pub event: String,
    /// A sentence.
    pub detail: String,
}

/// A simulation could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The run could not be started.
    #[error("the run could not be started")]
    Start(#[from] StartError),
    /// A look failed.
    #[error("a look at the world failed")]
    Look(#[from] HandleError),
    /// The store failed.
    #[error("the store in memory failed")]
    Store(#[from] StoreError),
    /// The stable revision could not be set up.
    #[error("the revision that serves before could not be brought up: {0}")]
    Stable(String),
    /// It went on and on.
    #[error("the simulation did not come to rest within {LOOKS_LIMIT} looks")]
    Restless,
}

/// A host in virtual time.
struct Host {
    clock: Arc<ManualClock>,
    cluster: Arc<SimulatedCluster>,
    queue: Arc<HeldQueue>,
    store: Arc<MemoryStore>,
    steps: Engine,
    traffic: Engine,
    approve_after: Option<Span>,
    /// Pauses that somebody has said something to.
    heard: BTreeSet<Option<ApprovalToken>>,
    looks: u64,
}

/// Brings up a stable revision, then pushes the pipeline's and follows it to its end. `pipeline` makes the pipeline of
/// a commit.
///
/// # Errors
/// The stable revision does not come up, or the run does not come to rest.
pub async fn simulate(pipeline: impl Fn(&str) -> Pipeline, world: &WorldFile) -> Result<Told, SimulateError> {
    let mut host = Host::new(world);
    let (before, pushed) = (pipeline(commit(1).as_str()), pipeline(commit(2).as_str()));
    host.run_variants(&pushed, world);
    host.bring_stable(seeded(before.clone()), world).await?;
    let began = host.clock.now();
    host.cluster.begin(world.rates());
    let notes = unchanged(&before, &pushed);
    let run = host.push(2, &world.candidate, alone(pushed)).await?;
    let run_for = world.run_for_s.map_or(RUN_FOR, Span::seconds);
    host.follow(&run, began + run_for, host.approve_after).await?;
    let told = host.told(&run, began, world).await?;
    Ok(Told { notes, ..told })
}

/// The n-th commit of the history.
fn commit(n: u32) -> Commit {
    Commit::new(format!("{n:040x}"))
}

/// The pipeline where everything that serves is Weir's: a run brings what is stable, so that there is nothing to adopt.
fn alone(mut pipeline: Pipeline) -> Pipeline {
    let stages = pipeline.stages.iter_mut().map(|stage| &mut stage.work);
    let steps = stages.filter_map(|work| match work {
        StageWork::Steps { steps, .. } => Some(steps),
        StageWork::Approval(_) => None,
    });
    for step in steps.flatten() {
        if let StepWork::Rollout(rule) = &mut step.work {
            rule.adopts = None;
        }
    }
    pipeline
}

impl Host {
    fn new(world: &WorldFile) -> Self {
        let clock = Arc::new(ManualClock::default());
        let cluster = Arc::new(SimulatedCluster::new(clock.clone()).with_nodes(world.pool.nodes()));
        cluster.collectable_everywhere(ORDINARY.0, ORDINARY.1);
        for (name, metric) in &world.metrics {
            cluster.collectable(name, metric.mean, metric.spread);
            cluster.measure(name, Reading::Number(metric.mean));
        }
        let (queue, store) = (Arc::new(HeldQueue::default()), Arc::new(MemoryStore::default()));
        let ports = Ports {
            store: store.clone(),
            clusters: cluster.clone(),
            traffic: cluster.clone(),
            source: Arc::new(History),
            people: Arc::new(Nobody),
            queue: queue.clone(),
            clock: clock.clone(),
            ids: Arc::new(CountedIds::default()),
            limits: Limits::default(),
        };
        Self {
            clock,
            cluster,
            queue,
            store,
            steps: weir_stage_executor::engine(ports.clone()),
            traffic: weir_metric_check::engine(ports),
            approve_after: world.approve_after_s.map(Span::seconds),
            heard: BTreeSet::new(),
            looks: 0,
        }
    }

    /// The pods of variants are somebody else's, and there before anything is pushed.
    fn run_variants(&self, pipeline: &Pipeline, world: &WorldFile) {
        let mut longest = Span::ZERO;
        for (n, variant) in variants(pipeline).iter().enumerate() {
            let written = world.variants.get(&variant.version).cloned().unwrap_or_default();
            let usual = if n == 0 { &world.stable } else { &world.candidate };
            let behaviour = written.behaves.as_ref().unwrap_or(usual).behaviour();
            longest = longest.max(behaviour.load);
            let pods = written.replicas as usize;
            self.cluster
                .run_variant(&variant.lane, &variant.version, pods, &behaviour);
        }
        self.clock.reach(self.clock.now() + longest);
    }

    /// Lets what serves before the push come up.
    async fn bring_stable(&mut self, seed: Pipeline, world: &WorldFile) -> Result<(), SimulateError> {
        if seed.stages.is_empty() {
            return Ok(());
        }
        let run = self.push(1, &world.stable, seed).await?;
        let soon = self.clock.now() + Span::hours(24);
        self.follow(&run, soon, Some(Span::ZERO)).await?;
        let status = self.run(&run).await?.status;
        match status.word() {
            "succeeded" => Ok(()),
            _ => Err(SimulateError::Stable(status.words())),
        }
    }

    async fn push(
        &self,
        n: u32,
        behaviour: &RevisionWorld,
        pipeline: Pipeline,
    ) -> Result<RunId, SimulateError> {
        let commit = commit(n);
        self.cluster.behave(&commit, behaviour.behaviour());
        for (slug, names) in outputs(&pipeline) {
            let outputs = names
                .iter()
                .map(|name| (name.clone(), WRITTEN.to_owned()))
                .collect();
            self.cluster.end_step(
                slug,
                Outcome {
                    outputs,
                    ..Outcome::default()
                },
            );
        }
        let start = Start {
            push: PushKey::new(format!("push {n}")),
            cause: Cause {
                repository: Repository {
                    name: "simulated/repository".into(),
                    clone_url: "https://git.invalid/simulated/repository".into(),
                },
                git_ref: "refs/heads/main".into(),
                before: self::commit(n - 1),
                after: commit.clone(),
                actor: Actor::Weir,
                headline: "a new model".into(),
                reason: "simulated".into(),
                received: self.clock.now(),
            },
            pipeline: Ok(pipeline),
        };
        Ok(self.steps.start(start).await?.run().clone())
    }

    /// Lets everything happen until the run is over, or until then.
    async fn follow(
        &mut self,
        run: &RunId,
        until: Timestamp,
        approve_after: Option<Span>,
    ) -> Result<(), SimulateError> {
        loop {
            let state = self.run(run).await?;
            if state.is_over() {
                return Ok(());
            }
            let due = self.next().await?.filter(|(at, ..)| *at <= until);
            let answer_at = asked(&state)
                .or_else(|| self.paused(&state))
                .zip(approve_after)
                .map(|((asked, event), after)| (asked + after, event));
            match (due, answer_at) {
                (Some((at, ..)), Some((answer, event))) if answer <= at.max(self.clock.now()) => {
                    self.answer(run, answer, &event).await?;
                }
                (None, Some((answer, event))) if answer <= until => {
                    self.answer(run, answer, &event).await?;
                }
                (Some((at, run, duty)), _) => {
                    self.clock.reach(at);
                    self.deliver(&run, duty).await?;
                }
                (None, _) => {
                    self.clock.reach(until);
                    return Ok(());
                }
            }
            self.looks += 1;
            if self.looks > LOOKS_LIMIT {
                return Err(SimulateError::Restless);
            }
        }
    }

    /// A pause that nobody has been heard about yet, since when, and what somebody says to it.
    fn paused(&self, run: &Run) -> Option<(Timestamp, Event)> {
        let rollouts = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
        let mut pauses = rollouts.filter_map(|rollout| rollout.paused.as_ref());
        let pause = pauses.find(|pause| pause.by.is_none() && !self.heard.contains(&pause.token))?;
        let mut people = run.pipeline.groups.iter().flat_map(|group| &group.members);
        let event = Event::PassRequested {
            by: people.find_map(identity)?,
            reason: "simulated".into(),
            pause: pause.token.clone(),
        };
        Some((pause.since, event))
    }

    /// A person says something. To a pause once: who may not let it go on is not heard a second time.
    async fn answer(&mut self, run: &RunId, at: Timestamp, event: &Event) -> Result<(), SimulateError> {
        self.clock.reach(at);
        if let Event::PassRequested { pause, .. } = event {
            self.heard.insert(pause.clone());
        }
        self.steps.handle(run, event).await?;
        Ok(())
    }

    async fn deliver(&self, run: &RunId, duty: Duty) -> Result<(), SimulateError> {
        self.forget(run, duty);
        match duty {
            Duty::Steps => weir_stage_executor::handle(&self.steps, run).await?,
            Duty::Traffic => weir_metric_check::handle(&self.traffic, run).await?,
        }
        Ok(())
    }

    /// Hints that this look answers.
    fn forget(&self, run: &RunId, duty: Duty) {
        let now = self.clock.now();
        let mut queue = self.queue.0.lock().expect("nobody panics while holding this");
        queue.retain(|(at, other, for_duty)| *at > now || other != run || *for_duty != duty);
    }

    /// What is due next: a hint, or what the store knows.
    async fn next(&self) -> Result<Option<(Timestamp, RunId, Duty)>, SimulateError> {
        let hint = self
            .queue
            .0
            .lock()
            .expect("nobody panics while holding this")
            .first()
            .cloned();
        let swept = match self.store.next_due().await? {
            Some(at) => self.store.due(at, 1).await?.pop(),
            None => None,
        };
        let swept = swept.map(|lookout| (lookout.at, lookout.run, lookout.duty));
        Ok(match (hint, swept) {
            (Some(hint), Some(swept)) => Some(if swept.0 < hint.0 { swept } else { hint }),
            (hint, swept) => hint.or(swept),
        })
    }

    async fn run(&self, run: &RunId) -> Result<Run, SimulateError> {
        let loaded = self.store.load(run).await?;
        Ok(loaded.expect("the run was started here").state.run)
    }

    async fn told(&self, id: &RunId, began: Timestamp, world: &WorldFile) -> Result<Told, SimulateError> {
        let run = self.run(id).await?;
        let entries = self.store.entries(id).await?;
        let timeline = entries.into_iter().map(|entry| Moment {
            at_s: entry.at.since(began).as_seconds(),
            event: entry.action.as_str(),
            detail: entry.detail,
        });
        let rollouts = || run.steps().filter_map(|(.., state)| state.rollout.as_deref());
        let hours = self.cluster.gpu_seconds() / 3_600.0;
        Ok(Told {
            result: run.status.word().to_owned(),
            timeline: timeline.collect(),
            gpu_peak: rollouts().map(|rollout| rollout.gpus_peak).max().unwrap_or(0),
            exposed_bad: exposed(&run).iter().map(|id| self.cluster.bad(id)).sum(),
            cost_usd: (hours * world.pool.usd_per_gpu_hour * 100.0).round() / 100.0,
            notes: Vec::new(),
        })
    }
}

/// Revisions that the run gave traffic to.
fn exposed(run: &Run) -> BTreeSet<RevisionId> {
    let states = || run.steps().map(|(.., state)| state);
    let candidates = states().filter_map(|state| Some(state.rollout.as_deref()?.candidate.clone()));
    let experiments = states().filter_map(|state| state.experiment.as_deref());
    let sides = experiments.flat_map(|experiment| &experiment.sides);
    candidates
        .chain(sides.map(|side| side.revision.clone()))
        .collect()
}

fn identity(person: &Person) -> Option<Identity> {
    let slack = person.slack.clone().map(Identity::Slack);
    slack
        .or_else(|| person.github.clone().map(Identity::Github))
        .or_else(|| person.uid.map(Identity::Uid))
}

/// The approval that the run waits for, since when, and the answer of the next person who may give it.
fn asked(run: &Run) -> Option<(Timestamp, Event)> {
    let stages = run.stages.iter().enumerate();
    let (stage, approval) = stages
        .filter_map(|(n, stage)| Some((n, stage.approval.as_ref()?)))
        .find(|(_, approval)| approval.state == ApprovalState::Waiting)?;
    let needs = &run.approval_rule(stage)?.needs;
    let groups = run.pipeline.groups.iter();
    let asked = groups.filter(|group| needs.iter().any(|need| need.group == group.name));
    let given = |person: &Person| approval.given.iter().any(|given| given.by == person.name);
    let person = asked
        .flat_map(|group| &group.members)
        .find(|person| !given(person))?;
    let event = Event::ApprovalAnswered {
        token: approval.token.clone(),
        by: identity(person)?,
        answer: Answer::Approve,
    };
    Some((approval.asked, event))
}
