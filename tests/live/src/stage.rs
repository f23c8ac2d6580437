//! A service with users, on which rollouts of one strategy are tried one after another.

use serde_json::{Value, json};
use weir_domain::ids::RunId;
use weir_domain::pipeline::{Pipeline, RolloutRule, StageWork, Step, StepWork};
use weir_domain::strategy::{Sticky, Strategy};
use weir_metrics::provider::Servers;

use crate::cluster::{Nodes, shared_with};
use crate::gate::Gate;
use crate::git::{GitServer, commit_model};
use crate::host::Host;
use crate::identity::Role;
use crate::load::{Load, Mix};
use crate::run::Shape;
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
