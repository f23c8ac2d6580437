//! The world of a story.

use std::sync::Arc;

use weir_app::memory::MemoryStore;
use weir_app::{Classified, StartError};
use weir_app::{Clock, Engine, HandleError, Handled, Ports, Retry, Start, Store};
use weir_domain::Duty;
use weir_domain::approval::{Answer, ApprovalState};
use weir_domain::audit::{Entry, verify};
use weir_domain::event::{Event, Limits};
use weir_domain::ids::{ApprovalToken, Commit, PushKey, RevisionId, RunId};
use weir_domain::people::{Actor, Identity};
use weir_domain::pipeline::Pipeline;
use weir_domain::rollout::Rollout;
use weir_domain::run::{Cause, Repository, Run, RunStatus};
use weir_domain::time::{Span, Timestamp};

use weir_simulation::{Behaviour, CountedIds, HeldQueue, ManualClock};

use crate::cluster::FakeCluster;
use crate::doors::Doors;
use crate::faults::{Fault, Faults};
use crate::pipelines::{canary_to_production, commit};
use crate::ports::{FakePeople, FakeSource};
use crate::store::FaultyStore;
use crate::version::{Ledger, Owner, Version};

/// Looks a story may need; more means that it does not come to rest.
const LOOKS_LIMIT: usize = 20_000;

/// Longer waits than this are schedules.
const SCHEDULED: Span = Span::minutes(15);

/// How late messages come that come late.
const LATE: Span = Span::seconds(30);

/// A world in memory around the real handlers.
pub struct World {
    /// The cluster and its traffic.
    pub cluster: Arc<FakeCluster>,
    /// The source host.
    pub source: Arc<FakeSource>,
    /// People.
    pub people: Arc<FakePeople>,
    /// The doors, as strangers reach them.
    pub doors: Doors,
    clock: Arc<ManualClock>,
    pub(crate) faults: Arc<Faults>,
    queue: Arc<HeldQueue>,
    store: Arc<FaultyStore>,
    steps: Engine,
    traffic: Engine,
    ledger: Ledger,
}

impl World {
    /// A world in which `fault` happens.
    pub fn new(fault: Fault) -> Self {
        Self::of(fault, Ledger::default(), |_| Version::Only)
    }

    /// A world in which one function is of this version and all others of the next.
    pub fn with_one_older(older: Owner) -> Self {
        let ledger = Ledger::default();
        Self::of(Fault::None, ledger.clone(), |owner| match owner == older {
            true => Version::This(ledger.clone()),
            false => Version::Next(ledger.clone()),
        })
    }

    fn of(fault: Fault, ledger: Ledger, version: impl Fn(Owner) -> Version) -> Self {
        let faults = Arc::new(Faults::new(fault));
        let clock = Arc::new(ManualClock::default());
        let cluster = Arc::new(FakeCluster::new(clock.clone(), faults.clone()));
        let source = Arc::new(FakeSource::new(faults.clone()));
        let people = Arc::new(FakePeople::new(faults.clone()));
        let queue = Arc::new(HeldQueue::default());
        let store = Arc::new(FaultyStore {
            inner: Arc::new(MemoryStore::default()),
            faults: faults.clone(),
            version: Version::Only,
        });
        let ports = Ports {
            store: store.clone(),
            clusters: cluster.clone(),
            traffic: cluster.clone(),
            source: source.clone(),
            people: people.clone(),
            queue: queue.clone(),
            clock: clock.clone(),
            ids: Arc::new(CountedIds::default()),
            limits: Limits::default(),
        };
        let of = |owner| {
            let own = FaultyStore {
                version: version(owner),
                ..FaultyStore::clone(&store)
            };
            Ports {
                store: Arc::new(own),
                ..ports.clone()
            }
        };
        let steps = weir_stage_executor::engine(of(Owner::Steps));
        let traffic = weir_metric_check::engine(of(Owner::Traffic));
        Self {
            cluster,
            source,
            people,
            doors: Doors::new(of),
            ledger,
            clock,
            faults,
            queue,
            store,
            steps,
            traffic,
        }
    }

    /// How often functions of this version and of the next have written a run.
    pub fn writes(&self, run: &RunId) -> (u32, u64) {
        self.ledger.writes(run)
    }

    /// Somebody pushes `commit`, whose revisions behave like this; the run that it starts.
    pub async fn push(&self, commit: &Commit, behaviour: Behaviour, pipeline: Pipeline) -> RunId {
        self.cluster.behave(commit, behaviour);
        let mut history = self
            .source
            .history
            .lock()
            .expect("no story panics while it holds this")
            .clone();
        let before = history
            .last()
            .cloned()
            .unwrap_or_else(|| Commit::new("0".repeat(40)));
        history.push(commit.clone());
        *self
            .source
            .history
            .lock()
            .expect("no story panics while it holds this") = history;
        let start = Start {
            push: PushKey::new(format!("push of {commit}")),
            cause: Cause {
                repository: Repository {
                    name: "acme/llm".into(),
                    clone_url: "https://git.invalid/acme/llm".into(),
                },
                git_ref: "refs/heads/main".into(),
                before,
                after: commit.clone(),
                actor: Actor::from_identity(&pipeline.groups, Identity::Github("bo".into())),
                headline: "a new model".into(),
                reason: "models/model.safetensors matches models/**".into(),
                received: self.clock.now(),
            },
            pipeline: Ok(pipeline),
        };
        let mut result: Result<_, StartError> = self.steps.start(start.clone()).await;
        // GitHub's delivery is lost with the process; the next one is sent again by whoever redelivers it.
        while self.survived(result.as_ref().err().map(Classified::retry)) {
            result = self.steps.start(start.clone()).await;
        }
        if self.faults.plan() == Fault::Duplicates {
            result = self.steps.start(start).await;
        }
        result.expect("a push starts a run").run().clone()
    }

    /// A person answers the approval that the run waits for.
    pub async fn answer(&self, run: &RunId, slack: &str, answer: Answer) -> Handled {
        let token = self.approval(run).await;
        let event = Event::ApprovalAnswered {
            token,
            by: Identity::Slack(slack.into()),
            answer,
        };
        let mut result = self.steps.handle(run, &event).await;
        while self.survived(result.as_ref().err().map(Classified::retry)) {
            result = self.steps.handle(run, &event).await;
        }
        let first: Handled = result.expect("an answer is handled");
        if self.faults.plan() == Fault::Duplicates {
            self.steps
                .handle(run, &event)
                .await
                .expect("a second tap is handled");
        }
        first
    }

    /// A person does something else to a run.
    pub async fn tell(&self, run: &RunId, event: Event) -> Handled {
        let mut result = self.steps.handle(run, &event).await;
        while self.survived(result.as_ref().err().map(Classified::retry)) {
            result = self.steps.handle(run, &event).await;
        }
        result.expect("a request is handled")
    }

    /// A person wants back what served before a run; the run that brings it.
    pub async fn undo(&self, run: &RunId, slack: &str) -> Result<RunId, String> {
        let by = Identity::Slack(slack.into());
        let mut result = self.steps.undo(run, &by, "wrong language").await;
        while self.survived(result.as_ref().err().map(Classified::retry)) {
            result = self.steps.undo(run, &by, "wrong language").await;
        }
        result
            .map(|started| started.run().clone())
            .map_err(|error| error.to_string())
    }

    /// The token of the approval that the run asked for last.
    pub async fn approval(&self, run: &RunId) -> ApprovalToken {
        let run = self.run(run).await;
        let approval = run
            .stages
            .iter()
            .filter_map(|stage| stage.approval.as_ref())
            .next_back();
        approval.expect("the run asks for an approval").token.clone()
    }

    /// After a crash the next process starts, and the caller tries again. Says whether it was one.
    pub(crate) fn survived(&self, failed: Option<Retry>) -> bool {
        let dead = self.faults.dead();
        self.faults.restart();
        dead && failed.is_some()
    }

    /// Lets everything happen that happens until `until`, and moves the clock there.
    pub async fn run_until(&self, until: Timestamp) {
        for _ in 0..LOOKS_LIMIT {
            let Some((at, run, duty)) = self.next().await.filter(|(at, ..)| *at <= until) else {
                self.clock.reach(until);
                return;
            };
            self.clock.reach(at);
            self.deliver(&run, duty).await;
        }
        panic!("the story does not come to rest");
    }

    /// Lets `span` pass.
    pub async fn pass(&self, span: Span) {
        self.run_until(self.clock.now() + span).await;
    }

    /// Lets everything happen until nothing is left to happen, but not longer than a week.
    pub async fn run_until_idle(&self) {
        self.pass(Span::hours(24 * 7)).await;
    }

    /// Lets time pass until the run is as expected; at most a day.
    pub async fn run_until_run(&self, run: &RunId, expected: impl Fn(&Run) -> bool) {
        let end = self.clock.now() + Span::hours(24);
        while !expected(&self.run(run).await) {
            assert!(
                self.clock.now() < end,
                "never came to be: {:#?}",
                self.run(run).await.stages
            );
            let at = self.next().await.map_or(end, |(at, ..)| at);
            self.run_until(at.max(self.clock.now() + Span::millis(1))).await;
        }
    }

    /// What is delivered next: a hint, or what the sweep finds.
    async fn next(&self) -> Option<(Timestamp, RunId, Duty)> {
        let hint = self.next_hint();
        let arrives = hint.as_ref().map(|(at, ..)| self.arrives(*at));
        let swept = match self.store.next_due().await.expect("memory answers") {
            Some(at) => self.store.inner.due(at, 1).await.expect("memory answers").pop(),
            None => None,
        };
        let swept = swept.map(|lookout| (lookout.at, lookout.run, lookout.duty));
        match (hint, arrives, swept) {
            (Some(_), Some(arrives), Some(due)) if due.0 < arrives => Some(due),
            (Some(hint), Some(arrives), _) => {
                let mut hints = self.queue.0.lock().expect("no story panics while it holds this");
                hints.remove(&hint);
                Some((arrives, hint.1, hint.2))
            }
            (_, _, due) => due,
        }
    }

    /// The hint that comes next, if any does.
    fn next_hint(&self) -> Option<(Timestamp, RunId, Duty)> {
        let hints = self.queue.0.lock().expect("no story panics while it holds this");
        match self.faults.plan() {
            Fault::LostMessages => None,
            Fault::Reordered => {
                let now = self.clock.now();
                let due = hints.iter().rev().find(|(at, ..)| *at <= now);
                due.or(hints.first()).cloned()
            }
            _ => hints.first().cloned(),
        }
    }

    /// When a hint comes that was to come then.
    fn arrives(&self, at: Timestamp) -> Timestamp {
        match self.faults.plan() {
            Fault::EarlySchedules if at.since(self.clock.now()) > SCHEDULED => self.clock.now(),
            Fault::LateMessages => at + LATE,
            _ => at,
        }
    }

    async fn deliver(&self, run: &RunId, duty: Duty) {
        let times = if self.faults.plan() == Fault::Duplicates {
            2
        } else {
            1
        };
        for _ in 0..times {
            let result: Result<(), HandleError> = match duty {
                Duty::Steps => weir_stage_executor::handle(&self.steps, run).await,
                Duty::Traffic => weir_metric_check::handle(&self.traffic, run).await,
            };
            if !self.survived(result.as_ref().err().map(Classified::retry)) {
                result.expect("a look succeeds unless the process died");
            }
        }
    }

    /// A run as it is stored.
    pub async fn run(&self, run: &RunId) -> Run {
        let loaded = self.store.inner.load(run).await.expect("memory answers");
        loaded.expect("the run exists").state.run
    }

    /// Every run, newest first.
    pub async fn runs(&self) -> Vec<Run> {
        self.store.inner.runs(1_000).await.expect("memory answers")
    }

    /// The log of a run.
    pub async fn log(&self, run: &RunId) -> Vec<Entry> {
        self.store.inner.entries(run).await.expect("memory answers")
    }

    /// A good model goes out as the first release; what serves then.
    pub async fn good_model_serves(&self) -> RevisionId {
        let first = commit(1);
        let run = self
            .push(&first, Behaviour::default(), canary_to_production(&first))
            .await;
        self.run_until_run(&run, Run::is_over).await;
        self.expect_status(&run, "succeeded").await;
        self.revision(&run).await
    }

    /// GPUs that anybody still claims.
    pub async fn claims(&self) -> u32 {
        let mut sum = 0;
        for run in self.runs().await {
            let loaded = self.store.inner.load(&run.id).await.expect("memory answers");
            let pools = loaded.expect("the run exists").state.pools;
            sum += pools
                .values()
                .flat_map(|pool| &pool.claims)
                .map(|claim| claim.gpus)
                .sum::<u32>();
        }
        sum
    }

    /// The one rollout of a run.
    pub async fn rollout(&self, run: &RunId) -> Rollout {
        let run = self.run(run).await;
        let rollout = run.steps().find_map(|(.., state)| state.rollout.clone());
        *rollout.expect("the run has a rollout")
    }

    /// The revision that a run brings.
    pub async fn revision(&self, run: &RunId) -> RevisionId {
        self.rollout(run).await.candidate
    }

    /// Now, in the story.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Expects that `revision` alone serves an environment.
    pub fn expect_serving(&self, environment: &str, revision: &RevisionId) {
        assert_eq!(self.cluster.shares(environment), [(revision.clone(), 100)]);
        let replicas = self.cluster.replicas(environment);
        assert_eq!(replicas, [(revision.clone(), 4)], "and nothing else holds GPUs");
    }

    /// Expects a final status.
    pub async fn expect_status(&self, run: &RunId, word: &str) {
        let run = self.run(run).await;
        assert_eq!(run.status.word(), word, "{}", run.status.words());
    }

    /// Commits and effects so far.
    pub fn counted(&self) -> (usize, usize) {
        self.faults.counted()
    }

    /// Every story ends like this: nothing is due, nothing is in an outbox, every run has ended, no approval waits,
    /// every log is chained, and no candidate that was sent back got traffic again.
    pub async fn expect_silence(&self) {
        self.run_until_idle().await;
        assert_eq!(
            self.store.inner.next_due().await.expect("memory answers"),
            None,
            "something is left to do"
        );
        assert_eq!(self.cluster.raised_after_revert(), Vec::<String>::new());
        for run in self.store.inner.runs(1_000).await.expect("memory answers") {
            assert_ne!(run.status, RunStatus::Running, "run {} never ended", run.id);
            let waits = |state: &ApprovalState| *state == ApprovalState::Waiting;
            assert!(
                !run.stages
                    .iter()
                    .filter_map(|s| s.approval.as_ref())
                    .any(|a| waits(&a.state))
            );
            let lines: Vec<String> = self
                .log(&run.id)
                .await
                .iter()
                .map(|entry| serde_json::to_string(entry).expect("an entry is plain data"))
                .collect();
            assert!(verify(&lines.join("\n")).expect("entries are JSON").valid);
        }
    }
}
