//! A pipeline as a run holds it: checked, merged, with its variables resolved and its targets named.
//!
//! `weir-spec` makes it from the user's files at the pushed commit; from then on the run keeps it and its digest
//! (invariant 13), whatever the files say later.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::deadlines::Deadlines;
use crate::ids::{
    ClusterName, GroupName, LaneKey, Namespace, PipelineName, PoolKey, ReleaseName, RevisionId, StepId,
};
use crate::judge::Alpha;
use crate::people::Group;
use crate::time::Span;
use crate::workload::{Workload, revision_name};

pub use crate::strategy::{BlueGreen, Canary, CanaryStep, DEFAULT_MARGIN, Pause, Rolling, Strategy};

/// A resolved pipeline.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Pipeline {
    /// Its name.
    pub name: PipelineName,
    /// SHA-256 over the definition files it was made from, hex.
    pub digest: String,
    /// Stages in order.
    pub stages: Vec<Stage>,
    /// What a newer push does to a run that waits or moves.
    #[serde(default)]
    pub on_new_push: OnNewPush,
    /// The people that the definition knows.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Where Plugin steps run.
    pub builds: Builds,
    /// Outputs of an earlier run that its workloads name, by slug and name: those of a revision that is brought back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, BTreeMap<String, String>>,
    /// What a reader of the run should know, for example a key that has no effect yet.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl Pipeline {
    /// The lanes that its rollout steps move in, sorted, each once.
    pub fn lanes(&self) -> Vec<LaneKey> {
        sorted(self.rules().map(|(_, rule)| rule.lane.clone()))
    }

    /// The steps that are promoted together under this name, in order.
    pub fn release(&self, name: &ReleaseName) -> impl Iterator<Item = (StepId, &RolloutRule)> {
        self.rules()
            .filter(move |(_, rule)| rule.release.as_ref() == Some(name))
    }

    /// The names under which steps are promoted together, sorted, each once.
    pub fn releases(&self) -> Vec<ReleaseName> {
        sorted(self.rules().filter_map(|(_, rule)| rule.release.clone()))
    }

    fn rules(&self) -> impl Iterator<Item = (StepId, &RolloutRule)> {
        let steps = self.stages.iter().enumerate().flat_map(|(index, stage)| {
            let steps: &[Step] = match &stage.work {
                StageWork::Steps { steps, .. } => steps,
                StageWork::Approval(_) => &[],
            };
            let ids = (0..).map(move |step| StepId { stage: index, step });
            ids.zip(steps)
        });
        steps.filter_map(|(id, step)| match &step.work {
            StepWork::Rollout(rule) => Some((id, &**rule)),
            _ => None,
        })
    }
}

/// Keys in order, each once.
pub(crate) fn sorted<K: Ord>(keys: impl Iterator<Item = K>) -> Vec<K> {
    let mut keys: Vec<K> = keys.collect();
    keys.sort();
    keys.dedup();
    keys
}

/// What a newer push of the same pipeline does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNewPush {
    /// It waits for the lane; of several that wait, the newest goes on and the others are superseded.
    #[default]
    Queue,
    /// It sends the moving one back first.
    Supersede,
}

/// Where Kubernetes Jobs of Plugin steps run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Builds {
    /// The cluster.
    pub cluster: ClusterName,
    /// Their namespace; it holds no API token.
    pub namespace: Namespace,
    /// Image of the init step that fetches the pushed commit; it needs `git`.
    pub fetch_image: String,
}

/// One stage.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Stage {
    /// Name as written.
    pub name: String,
    /// What it does.
    pub work: StageWork,
}

/// What a stage does.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageWork {
    /// Steps, one after another or all at once.
    Steps {
        /// `true`: all at once.
        parallel: bool,
        /// The steps.
        steps: Vec<Step>,
    },
    /// Waits for people.
    Approval(ApprovalRule),
}

/// Who must approve, and until when.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ApprovalRule {
    /// Every one of these groups must approve; a person fills one place only.
    pub needs: Vec<Quorum>,
    /// The wait ends after this time, as expired.
    pub timeout: Span,
    /// Whether the pusher may approve their own change.
    #[serde(default)]
    pub pusher_may_approve: bool,
    /// What the approval opens, for the message: environments of the rollout steps that follow.
    #[serde(default)]
    pub opens: Vec<String>,
}

/// How many people of one group must approve.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Quorum {
    /// The group.
    pub group: GroupName,
    /// Number of people, at least 1.
    pub people: u32,
}

/// One step.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Name as written.
    pub name: String,
    /// Lower-case letters, digits and dashes; unique in the pipeline; the name that outputs are referred to by.
    pub slug: String,
    /// What it does.
    pub work: StepWork,
}

/// What a step does.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepWork {
    /// Runs commands in a container.
    Plugin(Plugin),
    /// Moves a service in an environment to the revision of this run.
    Rollout(Box<RolloutRule>),
    /// Collects metrics for a while.
    Collect(Collect),
}

/// Commands in a container, run as a Kubernetes Job with the pushed commit in the working directory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plugin {
    /// Container image.
    pub image: String,
    /// Shell commands, run in order; the first that fails ends the step.
    pub commands: Vec<String>,
    /// Environment. A value may still hold `${steps.SLUG.NAME}`, the output of an earlier step.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Secrets by reference; values never pass through Weir.
    #[serde(default)]
    pub secrets: Vec<SecretRef>,
    /// Names of the outputs that the commands may write.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// The Kubernetes Job is stopped after this time.
    pub timeout: Span,
}

/// A key of a Kubernetes Secret in the build namespace, given to a step as an environment variable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SecretRef {
    /// Name of the variable.
    pub env: String,
    /// Name of the Secret.
    pub secret: String,
    /// Key in the Secret.
    pub key: String,
}

/// How a service moves to its new revision.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RolloutRule {
    /// Which service in which environment.
    pub lane: LaneKey,
    /// Where that is.
    pub target: Target,
    /// What is rolled out.
    pub workload: Workload,
    /// How.
    pub strategy: Strategy,
    /// Sends traffic back whenever it is shown to hold.
    #[serde(default)]
    pub rollback: Option<Condition>,
    /// Chance of sending a good version back, over the whole rollout and all its metrics.
    #[serde(default, skip_serializing_if = "Alpha::is_default")]
    pub alpha: Alpha,
    /// How long the new revision is watched at 100 % before the old one is given up.
    pub bake: Span,
    /// How long a revision that was rolled back is kept for a look.
    pub keep: Span,
    /// How long traffic may stay on a candidate that nothing can be measured of.
    pub hold_exposure: Span,
    /// Deadline for the candidate to become warm.
    pub warm_within: Span,
    /// How long latencies are left out after a replica of the candidate has begun to answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub warm_up: Span,
    /// Deadlines of the phases on the way there.
    #[serde(default, skip_serializing_if = "Deadlines::are_none")]
    pub deadlines: Deadlines,
    /// What happens while a source answers and has nothing to count.
    #[serde(default, skip_serializing_if = "NoData::is_hold")]
    pub no_data: NoData,
    /// How long the new revision is watched after the bake, with the old one warm for an instant way back. A newer
    /// release ends it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub watch: Span,
    /// What happens where the candidate could go to other hardware than stable's.
    #[serde(default, skip_serializing_if = "Parity::is_refuse")]
    pub parity: Parity,
    /// Where nothing else makes room, stable replicas may be replaced in their own places, below what an instant way back needs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_swap: bool,
    /// It brings back what served before, on purpose: its commit need not descend from the one that serves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undoes: bool,
    /// The Deployment that serves before Weir's first rollout there, and that this one takes as stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopts: Option<String>,
    /// The release that it is part of: rollouts of one are promoted together, or go back together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseName>,
    /// Metrics that servers of metrics are asked for, by name; the others are counted at gateway and pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<String, Measure>,
}

fn is_zero(span: &Span) -> bool {
    *span == Span::ZERO
}

/// What missing data does to a candidate that has traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoData {
    /// Nothing moves, for at most `hold_exposure`; then weight 0 and a person.
    #[default]
    Hold,
    /// Traffic goes back at once. A source that fails is still held: that says nothing about the candidate.
    Fail,
}

impl NoData {
    fn is_hold(&self) -> bool {
        *self == Self::Hold
    }
}

/// What other hardware does to a rollout whose candidate is compared with stable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    /// It does not begin.
    #[default]
    Refuse,
    /// It begins, and says so.
    Report,
}

impl Parity {
    fn is_refuse(&self) -> bool {
        *self == Self::Refuse
    }
}

/// A metric that a server of metrics is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Measure {
    /// Name of the server, as the host knows it. Where it is and how it is entered is not the definition's to say.
    pub source: String,
    /// What it is asked, in its own language. `${revision}`, `${revision_id}`, `${namespace}`, `${service}`, `${route}`
    /// and `${window}` are filled in when it is asked.
    pub query: Query,
}

/// What a server of metrics is asked for one revision.
///
/// A query with `${window}` gives what was added in a window. One without gives counters, which are subtracted series
/// by series: exact, while a server's own `increase` extrapolates to the ends of the window.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// A number that is neither a share nor a quantile.
    Value(String),
    /// Requests, and the failed ones among them: `error_rate` and `success_rate`.
    Requests {
        /// All.
        total: String,
        /// Failed ones.
        bad: String,
    },
    /// Buckets of latencies by their label `le`: `latency_p99` and the like.
    Latencies {
        /// The buckets.
        buckets: String,
        /// Milliseconds of the unit that `le` counts in: 1000 for seconds.
        unit_ms: u32,
    },
    /// Series of DCGM about the GPUs of pods, by which a GPU says that it is at fault.
    Gpus(String),
}

impl RolloutRule {
    /// Where callers inside the cluster reach a revision that has no traffic: its own Service.
    pub fn preview_address(&self, revision: &RevisionId) -> String {
        let (name, namespace) = (revision_name(&self.lane, revision), &self.target.namespace);
        format!("http://{name}.{namespace}.svc")
    }

    /// The pool that its GPUs come from; none for a service without.
    pub fn pool(&self) -> Option<PoolKey> {
        (self.workload.gpus > 0).then(|| PoolKey {
            cluster: self.target.cluster.clone(),
            resource: self.workload.gpu_resource.clone(),
        })
    }
}

/// Where a service lives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Target {
    /// The cluster.
    pub cluster: ClusterName,
    /// What kind of place it is; a run that would reach one that cannot be driven is refused before it starts.
    pub provider: Provider,
    /// The namespace.
    pub namespace: Namespace,
    /// Name of the `HTTPRoute` that splits the traffic; it belongs to the user.
    pub route: String,
    /// Name of the plain Service, which exists before Weir and stays after it.
    pub service: String,
    /// The Gateway of the route as `name` or `namespace/name`, where the environment names it; else the route's own
    /// parent is it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// What splits the traffic.
    #[serde(default, skip_serializing_if = "SplitBy::is_route")]
    pub split: SplitBy,
}

impl Target {
    /// Whether traffic is split by counts of pods.
    pub fn is_by_replicas(&self) -> bool {
        self.split == SplitBy::Replicas
    }
}

/// What splits the traffic of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// The weights of its route.
    #[default]
    Route,
    /// Nothing: its plain Service has pods of both revisions, and shares are ratios of counts.
    Replicas,
}

impl SplitBy {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    fn is_route(&self) -> bool {
        *self == Self::Route
    }

    /// What takes up a share that the API server has accepted.
    pub fn follower(self) -> &'static str {
        match self {
            Self::Route => "the gateway's controller",
            Self::Replicas => "the Service's endpoints",
        }
    }
}

/// What drives the place a service lives in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// Any cluster reached by a kubeconfig.
    Kubernetes,
    /// Amazon EKS.
    AwsEks,
    /// Google GKE.
    GcpGke,
    /// Amazon ECS: validates, cannot be driven yet.
    AwsEcs,
    /// Azure AKS.
    AzureAks,
}

impl Provider {
    /// The name as it is written in a definition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kubernetes => "Kubernetes",
            Self::AwsEks => "AWS-EKS",
            Self::GcpGke => "GCP-GKE",
            Self::AwsEcs => "AWS-ECS",
            Self::AzureAks => "Azure-AKS",
        }
    }

    /// Whether Weir can move traffic there.
    pub fn can_be_driven(self) -> bool {
        !matches!(self, Self::AwsEcs)
    }
}

/// Metrics collected over a time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Collect {
    /// Names or queries.
    pub metrics: Vec<String>,
    /// For how long.
    pub duration: Span,
    /// Name of the server, as the host knows it.
    #[serde(default = "default_source")]
    pub source: String,
}

/// The server that is asked where a step that collects names none.
pub const DEFAULT_SOURCE: &str = "datadog";

fn default_source() -> String {
    DEFAULT_SOURCE.into()
}
