//! A service with users, on which rollouts of one strategy are tried one after another.

use serde_json::{Value, json};
use weir_domain::audit::Action;
use weir_domain::event::Event;
use weir_domain::ids::{RevisionId, RunId};
use weir_domain::people::Identity;
use weir_domain::pipeline::{RolloutRule, StageWork, Step, StepWork};
use weir_domain::rollout::{Phase, Rollout};
use weir_domain::run::Run;
use weir_domain::strategy::{Sticky, Strategy};
use weir_live::{Gate, GitServer, Host, Load, Role, Shape, World, commit_model, eventually};
use weir_metrics::provider::Servers;

/// Replicas of the service.
pub(crate) const REPLICAS: u32 = 2;
/// Requests a second.
const RPS: u32 = 40;

/// The cluster's GPUs: tests whose share fits run at the same time.
static POOL: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(8);

/// The service and its users.
pub(crate) struct Stage {
    _pool: tokio::sync::SemaphorePermit<'static>,
    pub(crate) world: World,
    pub(crate) host: Host,
    replicas: u32,
    strategy: Value,
    commit: String,
    git: GitServer,
    repository: String,
}

impl Stage {
    /// A service of a name of its own, which holds so many times its replicas' GPUs at most.
    pub(crate) async fn new(name: &str, strategy: Value, times: u32) -> Self {
        Self::of(name, strategy, REPLICAS, times).await
    }

    /// The same with so many replicas.
    pub(crate) async fn of(name: &str, strategy: Value, replicas: u32, times: u32) -> Self {
        let pool = POOL.acquire_many(times * replicas).await.unwrap();
        let world = World::new(name).await;
        let path = world.directory("repository");
        let git = GitServer::start(path.parent().unwrap()).await.unwrap();
        world.cluster.expose(git.port()).unwrap();
        Self {
            _pool: pool,
            host: Host::of_admin(&world),
            commit: commit_model(&path, "weights\n"),
            repository: path.file_name().unwrap().to_str().unwrap().to_owned(),
            world,
            replicas,
            strategy,
            git,
        }
    }

    /// The same with servers of metrics that definitions may name.
    pub(crate) fn asking(mut self, servers: Servers) -> Self {
        self.host = Host::asking(&self.world, servers);
        self
    }

    /// The same by way of a gate, with the rights that the functions have.
    pub(crate) async fn by_way_of(mut self, gate: &Gate) -> Self {
        self.bind().await;
        let fleet = |role| self.world.fleet_by_way_of(gate, role);
        self.host = Host::of_two(fleet(Role::StageExecutor), fleet(Role::MetricCheck));
        self
    }

    /// The same with the rights that the functions have.
    pub(crate) async fn of_functions(mut self) -> Self {
        self.bind().await;
        let fleet = |role| self.world.fleet(role);
        self.host = Host::of_two(fleet(Role::StageExecutor), fleet(Role::MetricCheck));
        self
    }

    async fn bind(&self) {
        let world = &self.world;
        world.bind_everywhere("ground.yaml").await.unwrap();
        world.bind("gateway.yaml", "envoy-gateway-system").await.unwrap();
        world.bind("pod-proxy.yaml", &world.namespace).await.unwrap();
    }

    /// Pushes a version whose model behaves like this.
    pub(crate) async fn push(&self, version: &str, model: Value) -> RunId {
        self.push_with(version, model, self.strategy.clone()).await
    }

    /// The same by another strategy.
    pub(crate) async fn push_with(&self, version: &str, model: Value, strategy: Value) -> RunId {
        self.push_changed(version, model, strategy, |_| ()).await
    }

    /// The same with a rule for its rollout that the test changes.
    pub(crate) async fn push_changed(
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
        let work = pipeline.stages.iter_mut().map(|stage| &mut stage.work);
        for step in work.flat_map(steps) {
            if let StepWork::Rollout(rule) = &mut step.work {
                change(rule);
            }
        }
        let url = self.git.url(&self.repository);
        self.host.start_from(&url, &self.commit, version, pipeline).await
    }

    /// Starts an experiment of these variants that run already.
    pub(crate) async fn experiment(
        &self,
        push: &str,
        variants: &[(&str, u8)],
        duration_ms: u64,
        command: &str,
    ) -> RunId {
        self.sticky_experiment(push, variants, duration_ms, command, None)
            .await
    }

    /// The same whose callers stay with their variant.
    pub(crate) async fn sticky_experiment(
        &self,
        push: &str,
        variants: &[(&str, u8)],
        duration_ms: u64,
        command: &str,
        sticky: Option<Sticky>,
    ) -> RunId {
        let shape = Shape {
            commands: vec![command.to_owned()],
            ..Shape::rollout(push, None)
        };
        let world = &self.world;
        let mut pipeline = shape.experiment(&world.namespace, &world.builds, variants, duration_ms);
        let work = pipeline.stages.iter_mut().map(|stage| &mut stage.work);
        for step in work.flat_map(steps) {
            if let StepWork::Rollout(rule) = &mut step.work
                && let Strategy::Variant { sticky: by, .. } = &mut rule.strategy
            {
                by.clone_from(&sticky);
            }
        }
        let url = self.git.url(&self.repository);
        self.host.start_from(&url, &self.commit, push, pipeline).await
    }

    /// The first release, and the users who ask from then on.
    pub(crate) async fn first(&self, version: &str) -> Load {
        let run = self.push(version, json!({})).await;
        self.ends(&run, "succeeded").await;
        self.users(version).await
    }

    /// The users of a version that serves.
    pub(crate) async fn users(&self, version: &str) -> Load {
        self.answers(version).await;
        Load::start(&self.world.host(), RPS).await
    }

    /// A run that has ended, as expected.
    pub(crate) async fn ends(&self, run: &RunId, word: &str) -> Run {
        let ended = self.host.until(word, run, Run::is_over).await;
        if ended.status.word() != word {
            self.tell_log(run).await;
        }
        assert_eq!(ended.status.word(), word, "{}", ended.status.words());
        ended
    }

    /// Lets it go on until its rollout is as expected.
    pub(crate) async fn until(&self, run: &RunId, what: &str, is: impl Fn(&Rollout) -> bool) -> Run {
        let is = |run: &Run| {
            let mut all = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
            all.next().is_some_and(&is)
        };
        self.host.until(what, run, is).await
    }

    /// A person takes it back.
    pub(crate) async fn roll_back(&self, run: &RunId) {
        let (by, reason) = (Identity::Slack("U1".into()), "wrong language".into());
        let event = Event::RollbackRequested {
            by,
            reason,
            force: false,
        };
        self.host.tell(run, &event).await;
    }

    /// A person lets it go on.
    pub(crate) async fn go_on(&self, run: &RunId) {
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
    pub(crate) async fn answers(&self, version: &str) {
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
    pub(crate) async fn draw(&self, file: &str, title: &str, run: &RunId, load: &Load) {
        let Some(folder) = std::env::var_os("WEIR_PLOTS") else {
            return;
        };
        let log = self.host.log(run).await;
        let entries: Vec<Value> = log.iter().map(|entry| json!(entry)).collect();
        let totals = load.totals().await;
        let svg = weir_plot::rollout(title, &entries, &totals["failures"]).unwrap();
        std::fs::write(std::path::Path::new(&folder).join(file), svg).unwrap();
    }

    /// What a run's log says of one kind of action.
    pub(crate) async fn told(&self, run: &RunId, action: Action) -> Vec<String> {
        let log = self.host.log(run).await.into_iter();
        log.filter(|entry| entry.action == action)
            .map(|entry| entry.detail)
            .collect()
    }

    /// Lets half of the requests to one pod of a revision fail, whatever its model is; its name.
    pub(crate) async fn spoil_one(&self, revision: &RevisionId) -> String {
        let pod = self.pods(revision).await.swap_remove(0);
        let path = format!("{}/{pod}:8000/proxy/fault", self.world.core("pods"));
        let fault = json!({"error_ratio": 0.5});
        assert_eq!(self.world.admin.create(&path, &fault).await.ok(), fault);
        pod
    }

    /// Names of the pods of a revision.
    pub(crate) async fn pods(&self, revision: &RevisionId) -> Vec<String> {
        let query = format!(
            "{}?labelSelector=weir.dev/revision={revision}",
            self.world.core("pods")
        );
        let found = self.world.admin.get(&query).await.ok();
        let items = found["items"].as_array().cloned().unwrap_or_default();
        let name = |pod: &Value| Some(pod["metadata"]["name"].as_str()?.to_owned());
        items.iter().filter_map(name).collect()
    }

    /// Gives the GPUs back: only when no pod holds one is there room for the next test.
    pub(crate) async fn clear(self) {
        let world = &self.world;
        let deployments = world.path("apps/v1", "deployments");
        world.admin.delete(&deployments).await.ok();
        eventually("no pod is left", async || {
            let pods = world.admin.get(&world.core("pods")).await.ok();
            match pods["items"].as_array().map_or(0, Vec::len) {
                0 => Ok(()),
                left => Err(format!("{left} pods")),
            }
        })
        .await;
    }

    /// Prints what happened.
    pub(crate) async fn tell_log(&self, run: &RunId) {
        for entry in self.host.log(run).await {
            eprintln!("{} {}", entry.action.as_str(), entry.detail);
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
pub(crate) fn rollout(run: &Run) -> &Rollout {
    let mut all = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
    all.next().expect("the run rolls out")
}

/// Milliseconds from the last decision about traffic to the moment in which requests followed.
pub(crate) fn effective_ms(rollout: &Rollout) -> Option<u64> {
    let change = rollout.changes.last()?;
    Some(change.effective?.since(change.decided).0)
}

/// The first step has its share, and users have followed.
pub(crate) fn first_step_in_effect(rollout: &Rollout) -> bool {
    let last = rollout.changes.last();
    let effective = last.is_some_and(|change| change.effective.is_some());
    rollout.phase == Phase::Watching { step: 0 } && effective
}

/// A replica that was replaced has left.
pub(crate) fn replaced(rollout: &Rollout) -> bool {
    rollout.replaced.as_ref().is_some_and(|replaced| replaced.gone)
}

/// Expects that nothing failed any more from one moment to another, that what failed before was answered by one version, and
/// that nothing was cut; how many failed.
pub(crate) fn failed_by_version_alone(version: &str, before: &Value, after: &Value) -> u64 {
    let lost = |totals: &Value| (totals["total"]["failed"].clone(), totals["total"]["cut"].clone());
    assert_eq!(lost(after), lost(before), "{after}");
    assert_eq!(after["total"]["cut"], 0, "{after}");
    let failed = after["total"]["failed"].as_u64().unwrap();
    assert_eq!(after["total"]["by_version"][version]["failed"], failed, "{after}");
    failed
}
