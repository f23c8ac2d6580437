//! A definition as it was read: every section, with the places that complaints point to.
//!
//! Nothing is resolved in here: references are names, `${NAME}` stands as written.

use std::collections::BTreeMap;
use std::path::Path;

use weir_domain::condition::Condition;
use weir_domain::deadlines::Deadlines;
use weir_domain::judge::{Alpha, Promote};
use weir_domain::people::Group;
use weir_domain::pipeline::{Measure, NoData, OnNewPush, Parity, Provider};
use weir_domain::strategy::{BlueGreen, DEFAULT_PAUSE, Pause, Question, Rolling, Shadow};
use weir_domain::time::Span;
use weir_domain::units::Weight;

use crate::condition::Metrics;
use crate::source::{Located, Place};

/// All files of a definition, merged by section.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    /// SHA-256 over paths and texts of the files, hex.
    pub digest: String,
    /// Pipelines, in the order of the files.
    pub pipelines: Vec<PipelineDef>,
    /// Services.
    pub services: Vec<ServiceDef>,
    /// Environments.
    pub environments: Vec<EnvironmentDef>,
    /// Groups of people.
    pub groups: Vec<Group>,
    /// Where each group is declared.
    pub group_places: Vec<Place>,
    /// Who must approve what.
    pub policy: Policy,
    /// How clusters are reached.
    pub clusters: Vec<ClusterDef>,
    /// Where Plugin steps run.
    pub builds: BuildsDef,
    /// Conditions that send every canary back.
    pub automatic_rollback: Vec<AutomaticRollback>,
    /// Isolation blocks.
    pub isolation: Vec<IsolationDef>,
    /// Names that conditions may use.
    pub metrics: Metrics,
    /// What servers of metrics are asked, by name.
    pub measures: BTreeMap<String, Measure>,
    /// What a reader of a run should know, for example a key that has no effect yet.
    pub warnings: Vec<String>,
    /// Kubernetes manifests among the files, by path.
    pub(crate) manifests: BTreeMap<String, String>,
}

impl Definition {
    /// The pipeline of that name.
    pub fn pipeline(&self, name: &str) -> Option<&PipelineDef> {
        self.pipelines.iter().find(|p| p.name.value == name)
    }

    /// A manifest that lies beside the definition's files, by its path or by its name in their folder.
    pub(crate) fn manifest(&self, path: &str) -> Option<&str> {
        let named = |at: &str| Path::new(at).file_name().is_some_and(|name| name == path);
        let found = self.manifests.get(path);
        let beside = || {
            self.manifests
                .iter()
                .find(|(at, _)| named(at))
                .map(|(_, text)| text)
        };
        found.or_else(beside).map(String::as_str)
    }

    /// Paths of the commit that the pipeline's steps read manifests from.
    pub fn resource_paths(&self, pipeline: &str) -> Vec<String> {
        let steps = self
            .pipeline(pipeline)
            .into_iter()
            .flat_map(|p| &p.stages)
            .flat_map(|s| &s.steps);
        let paths = steps.flat_map(|step| match &step.work {
            StepDefWork::Rollout(rollout) => rollout.resources.clone(),
            _ => Vec::new(),
        });
        let mut paths: Vec<String> = paths.map(|path| path.value).collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }
}

/// A pipeline as written.
#[derive(Clone, Debug)]
pub struct PipelineDef {
    /// Its name.
    pub name: Located<String>,
    /// What starts it.
    pub triggers: Vec<Trigger>,
    /// What a newer push does.
    pub on_new_push: OnNewPush,
    /// Stages in order.
    pub stages: Vec<StageDef>,
}

/// What starts a pipeline. Lists are empty where the key is absent.
#[derive(Clone, PartialEq, Debug)]
pub enum Trigger {
    /// A push that a webhook tells of. Patterns are GitHub Actions' own.
    Push {
        /// Branch patterns.
        branches: Vec<String>,
        /// Branch patterns that do not start a run.
        branches_ignore: Vec<String>,
        /// Tag patterns; without one a tag starts nothing.
        tags: Vec<String>,
        /// Path patterns.
        paths: Vec<String>,
        /// Path patterns that do not start a run when they cover everything.
        paths_ignore: Vec<String>,
        /// Where it stands.
        place: Place,
    },
    /// A repository that is watched; starts nothing yet.
    Git {
        /// The repository.
        repo: String,
        /// Branch patterns.
        branches: Vec<String>,
        /// Path patterns.
        paths: Vec<String>,
        /// What a change does.
        on_change: Option<String>,
        /// Where it stands.
        place: Place,
    },
}

/// A stage as written.
#[derive(Clone, Debug)]
pub struct StageDef {
    /// Its name.
    pub name: Located<String>,
    /// Whether it waits for people.
    pub approval: bool,
    /// Whether its steps run at once.
    pub parallel: bool,
    /// The release that it is a wave of.
    pub release: Option<Located<String>>,
    /// Its steps.
    pub steps: Vec<StepDef>,
    /// Who must approve; empty: the policy says.
    pub approvers: Vec<NeedDef>,
    /// Deadline of the approval.
    pub timeout: Option<Span>,
}

/// A group that must approve.
#[derive(Clone, Debug)]
pub struct NeedDef {
    /// The group.
    pub group: Located<String>,
    /// How many of its people.
    pub people: u32,
}

/// A step as written.
#[derive(Clone, Debug)]
pub struct StepDef {
    /// Its name.
    pub name: Located<String>,
    /// The environment it names.
    pub environment: Option<Located<String>>,
    /// The service it names.
    pub service: Option<Located<String>>,
    /// Its deadline.
    pub timeout: Option<Span>,
    /// What it does.
    pub work: StepDefWork,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum StepDefWork {
    /// Commands in a container.
    Plugin(PluginDef),
    /// A service moves to a new revision.
    Rollout(Box<RolloutDef>),
    /// Metrics are collected.
    Collect {
        /// Names or queries.
        metrics: Vec<String>,
        /// For how long.
        duration: Span,
        /// The server that is asked.
        source: Option<String>,
    },
}

/// A container step as written.
#[derive(Clone, Debug)]
pub struct PluginDef {
    /// Its image.
    pub image: Located<String>,
    /// Its commands.
    pub commands: Vec<Located<String>>,
    /// Its environment.
    pub env: Vec<(String, Located<String>)>,
    /// Environment, Secret and key.
    pub secrets: Vec<(Located<String>, String, String)>,
    /// Names of its outputs.
    pub outputs: Vec<Located<String>>,
}

/// A rollout step as written.
#[derive(Clone, Debug)]
pub struct RolloutDef {
    /// Where its `spec` stands.
    pub place: Place,
    /// The namespace it names.
    pub namespace: Option<Located<String>>,
    /// Manifests of the commit.
    pub resources: Vec<Located<String>>,
    /// Replicas.
    pub replicas: Option<u32>,
    /// Strategy as written.
    pub strategy: Option<Located<String>>,
    /// The canary.
    pub canary: Option<CanaryDef>,
    /// Blue-green.
    pub blue_green: Option<BlueGreenDef>,
    /// Rolling.
    pub rolling: Option<RollingDef>,
    /// Shadow.
    pub shadow: Option<ShadowDef>,
    /// What sends traffic back.
    pub rollback: Option<Located<Condition>>,
    /// The variant it rolls out, and its share.
    pub version: Option<Located<String>>,
    /// The variant's share.
    pub weight: Option<Located<u8>>,
    /// How a caller stays with it.
    pub sticky: Option<StickyDef>,
    /// Keys that only mean something where a revision is made, as far as they are written.
    pub making: Vec<&'static str>,
    /// See the reference page; so for the three below.
    pub bake: Option<Span>,
    /// Kept after a rollback.
    pub keep: Option<Span>,
    /// Exposure without data.
    pub hold_exposure: Option<Span>,
    /// Chance of a false alarm.
    pub alpha: Alpha,
    /// Deadline to become warm.
    pub warm_within: Option<Span>,
    /// How long latencies are left out after a replica has begun to answer.
    pub warm_up: Option<Located<Span>>,
    /// Deadlines of its phases.
    pub deadlines: Deadlines,
    /// What missing data does.
    pub no_data: NoData,
    /// What other hardware does.
    pub parity: Parity,
    /// Where it says that stable replicas may be replaced in their own places.
    pub swaps: Option<Place>,
}

/// How a caller stays with a variant, as written.
#[derive(Clone, Debug)]
pub struct StickyDef {
    /// Where it stands.
    pub place: Place,
    /// The header that callers send.
    pub header: Option<Located<String>>,
    /// The cookie that they are given.
    pub cookie: Option<Located<String>>,
}

/// A canary as written.
#[derive(Clone, Debug)]
pub struct CanaryDef {
    /// Where it stands.
    pub place: Place,
    /// Steps.
    pub steps: Vec<CanaryStepDef>,
    /// Whether steps were written that cannot be read, which has been complained about.
    pub unread: bool,
    /// Where `weight` or `interval` stands beside `steps`.
    pub beside: Option<Place>,
    /// Success rate in percent.
    pub threshold: f64,
    /// Requests without which no step passes.
    pub min_samples: u64,
    /// What a step needs to pass; nothing: it is not written.
    pub promote: Option<Located<Promote>>,
    /// The ratio that a proof must rule out.
    pub margin: f64,
    /// Requests a second that the service gets, as far as that is declared.
    pub requests_per_second: Option<u32>,
}

/// A step of a canary as written.
#[derive(Clone, Debug)]
pub struct CanaryStepDef {
    /// The share.
    pub weight: Located<u8>,
    /// For at least this long.
    pub interval: Span,
    /// Then it waits for a person, for at most this long.
    pub pause: Option<Span>,
}

/// Blue-green as written.
#[derive(Clone, Debug)]
pub struct BlueGreenDef {
    /// Where it stands.
    pub place: Place,
    /// The strategy, without its checks.
    pub strategy: BlueGreen,
    /// Commands that check the new revision before it gets traffic, and their deadline.
    pub checks: Option<(PluginDef, Option<Span>)>,
}

/// Shadow as written.
#[derive(Clone, Debug)]
pub struct ShadowDef {
    /// Where it stands.
    pub place: Place,
    /// The part of the requests, where it is written.
    pub percent: Option<Located<u8>>,
    /// What both versions are asked, where that is written.
    pub answers: Option<Vec<Located<Question>>>,
    /// The strategy.
    pub strategy: Shadow,
}

/// Rolling as written.
#[derive(Clone, Debug)]
pub struct RollingDef {
    /// Where it stands.
    pub place: Place,
    /// GPUs beside those of stable.
    pub surge: Option<u32>,
    /// GPUs that may be missing.
    pub unavailable: Option<u32>,
    /// The share at which it waits.
    pub pause_at: Option<Located<u8>>,
    /// How long it waits.
    pub pause_within: Option<Span>,
}

impl RollingDef {
    /// The strategy that it means.
    pub fn strategy(&self) -> Rolling {
        let pause = self.pause_at.as_ref().and_then(|at| Weight::new(at.value));
        Rolling {
            // Fewer and not more is a swap.
            surge: self.surge.or(self.unavailable.map(|_| 0)),
            unavailable: self.unavailable.unwrap_or(0),
            pause: pause.map(|at| Pause {
                at,
                within: self.pause_within.unwrap_or(DEFAULT_PAUSE),
            }),
        }
    }
}

/// A service as written; its containers stay a tree in Kubernetes' words.
#[derive(Clone, Debug)]
pub struct ServiceDef {
    /// Its name.
    pub name: Located<String>,
    /// Its containers.
    pub containers: Vec<ContainerDef>,
    /// Replicas.
    pub replicas: Option<u32>,
    /// Port that serves.
    pub port: Option<u16>,
    /// Port of the metrics.
    pub metrics_port: Option<u16>,
    /// Path of the metrics.
    pub metrics_path: Option<String>,
    /// Labels of the nodes.
    pub node_selector: Vec<(String, String)>,
    /// Taints it tolerates, in Kubernetes' words.
    pub tolerations: Vec<serde_json::Value>,
    /// Time to finish requests.
    pub termination_grace: Option<Span>,
    /// Time that the longest answer takes.
    pub longest_generation: Option<Span>,
    /// What its startup probe asks for.
    pub first_generation: Option<WarmUpDef>,
    /// Volumes, in Kubernetes' words.
    pub volumes: Vec<Located<serde_json::Value>>,
}

/// One answer that a server is asked for before its pod is ready, as written.
#[derive(Clone, Debug)]
pub struct WarmUpDef {
    /// Where it stands.
    pub place: Place,
    /// What serves.
    pub preset: Option<String>,
    /// Path that is posted to.
    pub path: Option<Located<String>>,
    /// What is posted.
    pub body: Option<Located<String>>,
    /// Time for the answer.
    pub timeout: Option<Span>,
    /// Program of the image that asks.
    pub tool: Option<String>,
}

/// A container as written.
#[derive(Clone, Debug)]
pub struct ContainerDef {
    /// Its name.
    pub name: Located<String>,
    /// Its image.
    pub image: Located<String>,
    /// Entry point.
    pub command: Vec<Located<String>>,
    /// Arguments.
    pub args: Vec<Located<String>>,
    /// Its port.
    pub port: Option<u16>,
    /// Requests, as written.
    pub requests: Vec<(String, Located<String>)>,
    /// Limits, as written.
    pub limits: Vec<(String, Located<String>)>,
    /// Environment.
    pub env: Vec<(String, Located<String>)>,
    /// Probes.
    pub health: Vec<HealthDef>,
    /// Pull policy.
    pub pull_policy: Option<String>,
    /// Mounts, in Kubernetes' words.
    pub volume_mounts: Vec<Located<serde_json::Value>>,
}

/// A probe as written.
#[derive(Clone, Debug)]
pub struct HealthDef {
    /// Path.
    pub path: Located<String>,
    /// Port.
    pub port: Option<u16>,
    /// Time between two.
    pub interval: Option<Span>,
    /// Time for one.
    pub timeout: Option<Span>,
}

/// An environment as written.
#[derive(Clone, Debug)]
pub struct EnvironmentDef {
    /// Its name.
    pub name: Located<String>,
    /// What drives it.
    pub provider: Provider,
    /// Its cluster.
    pub cluster: Located<String>,
    /// Its namespace; by its name if absent.
    pub namespace: Option<Located<String>>,
    /// Environment of its containers.
    pub variables: Vec<(String, Located<String>)>,
    /// Name of the HTTPRoute.
    pub route: Option<String>,
    /// The Gateway.
    pub gateway: Option<String>,
    /// Where it says that there is no gateway.
    pub by_replicas: Option<Place>,
    /// Services, each with the Deployment that serves before Weir's first rollout.
    pub adopt: Vec<(Located<String>, String)>,
    /// How long a promoted revision is watched.
    pub watch: Option<Span>,
    /// Whether it is production; by its name if absent.
    pub production: Option<bool>,
}

impl EnvironmentDef {
    /// The namespace: as written, else the name in lower case with dashes.
    pub fn namespace(&self) -> String {
        match &self.namespace {
            Some(namespace) => namespace.value.clone(),
            None => crate::slug::slug(&self.name.value),
        }
    }

    /// The Deployment that serves before Weir's first rollout of a service.
    pub fn adopts(&self, service: &str) -> Option<&str> {
        let mut all = self.adopt.iter();
        let found = all.find(|(name, _)| name.value == service);
        found.map(|(_, deployment)| deployment.as_str())
    }

    /// Whether pushers may not approve their own change: as written, else by name or namespace.
    pub fn is_production(&self) -> bool {
        let by_name = |name: &str| {
            let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
            let is = |word: &str| matches!(word, "prod" | "production" | "live");
            let lower = name.to_ascii_lowercase();
            !lower.starts_with("pre")
                && !lower.starts_with("non")
                && words.any(|w| is(&w.to_ascii_lowercase()))
        };
        self.production
            .unwrap_or_else(|| by_name(&self.name.value) || by_name(&self.namespace()))
    }
}

/// Who must approve what.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// By environment.
    pub approvals: Vec<ApprovalDef>,
    /// Whether pushers may approve their own change to production.
    pub pusher_may_approve: bool,
}

/// The approval of one environment.
#[derive(Clone, Debug)]
pub struct ApprovalDef {
    /// The environment.
    pub environment: Located<String>,
    /// Groups; empty for `none`.
    pub needs: Vec<NeedDef>,
    /// Deadline.
    pub timeout: Option<Span>,
    /// Overrides the policy's.
    pub pusher_may_approve: Option<bool>,
}

/// How a cluster is reached.
#[derive(Clone, Debug)]
pub struct ClusterDef {
    /// The name that environments use.
    pub name: Located<String>,
    /// By what.
    pub access: ClusterAccess,
}

/// By what a cluster is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClusterAccess {
    /// The host knows the name.
    Host,
    /// Amazon EKS.
    Eks {
        /// Region.
        region: String,
        /// Name.
        name: String,
    },
    /// Google GKE.
    Gke {
        /// Project.
        project: String,
        /// Zone or region.
        location: String,
        /// Name.
        name: String,
    },
}

/// Where Plugin steps run, as written.
#[derive(Clone, Debug, Default)]
pub struct BuildsDef {
    /// The cluster.
    pub cluster: Option<Located<String>>,
    /// The namespace.
    pub namespace: Option<String>,
    /// Image of the fetch step.
    pub fetch_image: Option<String>,
    /// Address of the builder.
    pub builder: Option<String>,
    /// What `${REGISTRY}` stands for.
    pub registry: Option<String>,
}

/// A condition that sends every canary back.
#[derive(Clone, Debug)]
pub struct AutomaticRollback {
    /// The condition, its `duration` already in its comparisons.
    pub condition: Condition,
    /// Where it stands.
    pub place: Place,
}

/// Settings of one environment.
#[derive(Clone, Debug)]
pub struct IsolationDef {
    /// The block's name.
    pub name: Located<String>,
    /// Replicas of every service there.
    pub replicas: Option<u32>,
    /// Pull policy of containers without their own.
    pub pull_policy: Option<String>,
}
