//! A service with users, on which rollouts of one strategy are tried one after another.

use serde_json::{Value, json};
use weir_domain::audit::Action;
use weir_domain::event::Event;
use weir_domain::ids::{RevisionId, RunId};
use weir_domain::people::Identity;
use weir_domain::pipeline::{Pipeline, RolloutRule, StageWork, Step, StepWork};
use weir_domain::rollout::{Phase, Rollout};
use weir_domain::run::Run;
use weir_domain::strategy::{Sticky, Strategy};
use weir_metrics::provider::Servers;

use crate::cluster::{Nodes, shared_with};
use crate::gate::Gate;
use crate::git::{GitServer, commit_model};
use crate::host::Host;
use crate::identity::Role;
use crate::load::{Load, Mix};
use crate::run::Shape;
use crate::wait::eventually;
use crate::world::World;

/// Replicas of the service.
pub const REPLICAS: u32 = 2;
/// Requests a second.
const RPS: u32 = 40;

/// Rollouts wait more than they work, so several stages run at the same time.
const NODES: Nodes = Nodes {
    with_gpus: 4,
    pretended: 0,
};

/// The service and its users.
pub struct Stage {
    // Stages whose GPUs fit run at the same time.
    _gpus: tokio::sync::SemaphorePermit<'static>,
    /// Where it is.
    pub world: World,
    /// The loop that drives its rollouts.
    pub host: Host,
    replicas: u32,
    strategy: Value,
    commit: String,
    git: GitServer,
    repository: String,
}

impl Stage {
    /// A service of a name of its own, which holds so many times its replicas' GPUs at most. Who is first and did not ask
    /// for a cluster gets one of four nodes with GPUs.
    ///
    /// # Panics
    /// Its surroundings cannot be made.
    pub async fn new(name: &str, strategy: Value, times: u32) -> Self {
        Self::of(name, strategy, REPLICAS, times).await
    }

    /// The same with so many replicas.
    ///
    /// # Panics
    /// As above.
    pub async fn of(name: &str, strategy: Value, replicas: u32, times: u32) -> Self {
        let gpus = shared_with(NODES).gpus.acquire_many(times * replicas).await;
        let world = World::new(name).await;
        let path = world.directory("repository");
        let folder = path.parent().expect("it lies in the tests' folder");
        let git = GitServer::start(folder).await.expect("git serves it");
        world.cluster.expose(git.port()).expect("pods reach it");
        let name = path.file_name().expect("it has a name");
        Self {
            _gpus: gpus.expect("nobody closes the pool"),
            host: Host::of_admin(&world),
            commit: commit_model(&path, "weights\n"),
            repository: name.to_string_lossy().into_owned(),
            world,
            replicas,
            strategy,
            git,
        }
    }

    /// The same with servers of metrics that definitions may name.
    pub fn asking(mut self, servers: Servers) -> Self {
        self.host = Host::asking(&self.world, servers);
        self
    }

    /// The same by way of a gate, with the rights that the functions have.
    ///
    /// # Panics
    /// They cannot be given.
    pub async fn by_way_of(mut self, gate: &Gate) -> Self {
        self.bind().await;
        let fleet = |role| self.world.fleet_by_way_of(gate, role);
        self.host = Host::of_two(fleet(Role::StageExecutor), fleet(Role::MetricCheck));
        self
    }

    /// The same with the rights that the functions have.
    ///
    /// # Panics
    /// They cannot be given.
    pub async fn of_functions(mut self) -> Self {
        self.bind().await;
        let fleet = |role| self.world.fleet(role);
        self.host = Host::of_two(fleet(Role::StageExecutor), fleet(Role::MetricCheck));
        self
    }

    /// The same with the rights of the functions' groups, which stages that run side by side have too.
    ///
    /// # Panics
    /// They cannot be given.
    pub async fn of_groups(mut self) -> Self {
        self.bind().await;
        let classes = self.world.bind_everywhere("classes.yaml").await;
        classes.expect("it can be applied");
        let steps = self.world.fleet_of_group(Role::StageExecutor).await;
        let traffic = self.world.fleet_of_group(Role::MetricCheck).await;
        self.host = Host::of_two(steps, traffic);
        self
    }

    async fn bind(&self) {
        let world = &self.world;
        for (file, namespace) in [
            ("ground.yaml", ""),
            ("gateway.yaml", "envoy-gateway-system"),
            ("pod-proxy.yaml", &world.namespace),
        ] {
            let bound = world.bind(file, namespace).await;
            bound.unwrap_or_else(|error| panic!("{file} cannot be applied: {error:#}"));
        }
    }

    /// Pushes a version whose model behaves like this.
    pub async fn push(&self, version: &str, model: Value) -> RunId {
        self.push_with(version, model, self.strategy.clone()).await
    }

    /// The same by another strategy.
    pub async fn push_with(&self, version: &str, model: Value, strategy: Value) -> RunId {
        self.push_changed(version, model, strategy, |_| ()).await
    }

    /// The same with a rule for its rollout that the test changes.
    pub async fn push_changed(
        &self,
        version: &str,
        model: Value,
        strategy: Value,
        change: impl Fn(&mut RolloutRule),
    ) -> RunId {
        let shape = Shape {
            model,
            ..Shape::rollout(version, None)
        };
        let world = &self.world;
        let mut pipeline = shape.pipeline(&world.namespace, &world.builds, self.replicas, strategy);
        change_rules(&mut pipeline, change);
        let url = self.git.url(&self.repository);
        self.host.start_from(&url, &self.commit, version, pipeline).await
    }

    /// Starts an experiment of these variants that run already.
    pub async fn experiment(
        &self,
        push: &str,
        variants: &[(&str, u8)],
        duration_ms: u64,
        command: &str,
    ) -> RunId {
        self.experiment_changed(push, variants, duration_ms, command, |_| ())
            .await
    }

    /// The same whose callers stay with their variant.
    pub async fn sticky_experiment(
        &self,
        push: &str,
        variants: &[(&str, u8)],
        duration_ms: u64,
        command: &str,
        sticky: Option<Sticky>,
    ) -> RunId {
        let stays = |rule: &mut RolloutRule| {
            if let Strategy::Variant { sticky: by, .. } = &mut rule.strategy {
                by.clone_from(&sticky);
            }
        };
        self.experiment_changed(push, variants, duration_ms, command, stays)
            .await
    }

    /// The same with rules that the test changes.
    pub async fn experiment_changed(
        &self,
        push: &str,
        variants: &[(&str, u8)],
        duration_ms: u64,
        command: &str,
        change: impl Fn(&mut RolloutRule),
    ) -> RunId {
        let shape = Shape {
            commands: vec![command.to_owned()],
            ..Shape::rollout(push, None)
        };
        let world = &self.world;
        let mut pipeline = shape.experiment(&world.namespace, &world.builds, variants, duration_ms);
        change_rules(&mut pipeline, change);
        let url = self.git.url(&self.repository);
        self.host.start_from(&url, &self.commit, push, pipeline).await
    }

    /// The first release, and the users who ask from then on.
    pub async fn first(&self, version: &str) -> Load {
        let run = self.push(version, json!({})).await;
        self.ends(&run, "succeeded").await;
        self.users(version).await
    }

    /// The users of a version that serves.
    pub async fn users(&self, version: &str) -> Load {
        self.users_of(version, Mix::of(RPS)).await
    }

    /// The same who ask for something else.
    pub async fn users_of(&self, version: &str, mix: Mix) -> Load {
        self.answers(version).await;
        Load::start(&self.world.host(), mix).await
    }

    /// A run that has ended, as expected.
    ///
    /// # Panics
    /// It has ended otherwise, or does not end.
    pub async fn ends(&self, run: &RunId, word: &str) -> Run {
        let ended = self.host.until(word, run, Run::is_over).await;
        if ended.status.word() != word {
            self.tell_log(run).await;
        }
        assert_eq!(ended.status.word(), word, "{}", ended.status.words());
        ended
    }

    /// Lets it go on until its rollout is as expected.
    pub async fn until(&self, run: &RunId, what: &str, is: impl Fn(&Rollout) -> bool) -> Run {
        let is = |run: &Run| {
            let mut all = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
            all.next().is_some_and(&is)
        };
        self.host.until(what, run, is).await
    }

    /// A person takes it back.
    pub async fn roll_back(&self, run: &RunId) {
        let (by, reason) = (Identity::Slack("U1".into()), "wrong language".into());
        let event = Event::RollbackRequested {
            by,
            reason,
            force: false,
        };
        self.host.tell(run, &event).await;
    }

    /// A person lets it go on.
    pub async fn go_on(&self, run: &RunId) {
        let (by, reason) = (Identity::Slack("U1".into()), "looked at it".into());
        self.host
            .tell(
                run,
                &Event::PassRequested {
                    by,
                    reason,
                    pause: None,
                },
            )
            .await;
    }

    /// Every answer is of this version, soon and then ten times in a row.
    pub async fn answers(&self, version: &str) {
        eventually("users are answered by one version", async || {
            for _ in 0..10 {
                match self.world.ask().await {
                    Ok(own) if own == version => {}
                    other => return Err(format!("{other:?}")),
                }
            }
            Ok(())
        })
        .await;
    }

    /// Draws what a run did, for the docs, where it is asked for.
    ///
    /// # Panics
    /// It cannot be drawn.
    pub async fn draw(&self, file: &str, title: &str, run: &RunId, load: &Load) {
        let Some(folder) = std::env::var_os("WEIR_PLOTS") else {
            return;
        };
        let log = self.host.log(run).await;
        let entries: Vec<Value> = log.iter().map(|entry| json!(entry)).collect();
        let totals = load.totals().await;
        let svg = weir_plot::rollout(title, &entries, &totals["failures"]).expect("it has shares");
        let path = std::path::Path::new(&folder).join(file);
        std::fs::write(path, svg).expect("the folder of the pictures can be written to");
    }

    /// What a run's log says of one kind of action.
    pub async fn told(&self, run: &RunId, action: Action) -> Vec<String> {
        let log = self.host.log(run).await.into_iter();
        log.filter(|entry| entry.action == action)
            .map(|entry| entry.detail)
            .collect()
    }

    /// Lets half of the requests to one pod of a revision fail, whatever its model is; its name.
    ///
    /// # Panics
    /// The revision has no pod, or it cannot be told.
    pub async fn spoil_one(&self, revision: &RevisionId) -> String {
        let pod = self.pods(revision).await.swap_remove(0);
        let fault = json!({"error_ratio": 0.5});
        assert_eq!(self.world.spoil(&pod, &fault).await.ok(), fault);
        pod
    }

    /// Names of the pods of a revision.
    pub async fn pods(&self, revision: &RevisionId) -> Vec<String> {
        let found = self.world.pods(&format!("weir.dev/revision={revision}")).await;
        let name = |pod: &Value| Some(pod["metadata"]["name"].as_str()?.to_owned());
        found.iter().filter_map(name).collect()
    }

    /// Gives the GPUs back: only when no pod holds one is there room for the next test.
    pub async fn clear(self) {
        self.world.clear().await;
    }

    /// Prints what happened.
    pub async fn tell_log(&self, run: &RunId) {
        for entry in self.host.log(run).await {
            eprintln!("{} {}", entry.action.as_str(), entry.detail);
        }
    }
}

/// Changes the rules of all rollouts of a pipeline.
pub fn change_rules(pipeline: &mut Pipeline, change: impl Fn(&mut RolloutRule)) {
    let work = pipeline.stages.iter_mut().map(|stage| &mut stage.work);
    for step in work.flat_map(steps) {
        if let StepWork::Rollout(rule) = &mut step.work {
            change(rule);
        }
    }
}

fn steps(work: &mut StageWork) -> &mut [Step] {
    match work {
        StageWork::Steps { steps, .. } => steps,
        StageWork::Approval(_) => &mut [],
    }
}

/// The rollout of a run.
///
/// # Panics
/// It has none.
pub fn rollout(run: &Run) -> &Rollout {
    let mut all = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
    all.next().expect("the run rolls out")
}

/// Milliseconds from the last decision about traffic to the moment in which requests followed.
pub fn effective_ms(rollout: &Rollout) -> Option<u64> {
    let change = rollout.changes.last()?;
    Some(change.effective?.since(change.decided).0)
}

/// The first step has its share, and users have followed.
pub fn first_step_in_effect(rollout: &Rollout) -> bool {
    let last = rollout.changes.last();
    let effective = last.is_some_and(|change| change.effective.is_some());
    rollout.phase == Phase::Watching { step: 0 } && effective
}

/// A replica that was replaced has left.
pub fn replaced(rollout: &Rollout) -> bool {
    rollout.replaced.as_ref().is_some_and(|replaced| replaced.gone)
}

/// Expects that nothing failed any more from one moment to another, that what failed before was answered by one version, and
/// that nothing was cut; how many failed.
///
/// # Panics
/// It was not so.
pub fn failed_by_version_alone(version: &str, before: &Value, after: &Value) -> u64 {
    let lost = |totals: &Value| (totals["total"]["failed"].clone(), totals["total"]["cut"].clone());
    assert_eq!(lost(after), lost(before), "{after}");
    assert_eq!(after["total"]["cut"], 0, "{after}");
    let failed = after["total"]["failed"].as_u64().expect("it is a count");
    assert_eq!(after["total"]["by_version"][version]["failed"], failed, "{after}");
    failed
}
