//! What a look at the world showed: the only way in which clusters and metrics reach a decision.

mod within_ms;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::condition::Reading;
use crate::fit::{Ask, Hardware, Snapshot};
use crate::ids::{Fence, RevisionId};
use crate::rollout::Autoscaler;
use crate::time::{Span, Timestamp};
use crate::units::Weight;
use crate::workload::Workload;

/// A look at the Kubernetes Job of a Plugin step.
#[derive(Clone, PartialEq, Debug)]
pub enum ExecutionSeen {
    /// There is none, although it was started.
    Missing,
    /// Its pod does not run yet; why, in words.
    Pending(String),
    /// Its commands run.
    Running,
    /// Its commands ended.
    Finished {
        /// Exit code of the first command that failed, or 0.
        exit_code: i32,
        /// What the commands wrote as outputs.
        outputs: BTreeMap<String, String>,
        /// Last lines of the log, already masked.
        log_tail: String,
    },
    /// It cannot end any more: deadline, evicted pod, image that cannot be pulled.
    Failed(String),
    /// The cluster did not answer.
    Unreachable(String),
}

/// A look at a rollout.
#[derive(Clone, PartialEq, Debug)]
pub enum RolloutSeen {
    /// The cluster did not answer; why.
    Unreachable(String),
    /// What there is.
    Scene(Box<Scene>),
}

/// A look at an experiment.
#[derive(Clone, PartialEq, Debug)]
pub enum ExperimentSeen {
    /// The cluster did not answer; why.
    Unreachable(String),
    /// What there is.
    Scene(Box<ExperimentScene>),
}

/// Everything that a decision about an experiment may rest on.
#[derive(Clone, PartialEq, Debug)]
pub struct ExperimentScene {
    /// The pods of each variant.
    pub variants: BTreeMap<RevisionId, RevisionSeen>,
    /// The route.
    pub route: RouteSeen,
    /// Counts since the experiment began.
    pub traffic: TrafficSeen,
}

/// Numbers that were collected so far, one a metric for each interval.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Series {
    /// Intervals that were asked for.
    pub taken: u32,
    /// By metric as the definition names it; an interval without a value has none.
    pub values: BTreeMap<String, Vec<Option<f64>>>,
    /// Why the next interval could not be asked for; empty if it could.
    #[serde(default)]
    pub trouble: String,
    /// What the source said the last time that it had no value.
    #[serde(default)]
    pub silence: String,
}

impl Series {
    /// Whether a metric ever had a value.
    pub fn has_value(&self, metric: &str) -> bool {
        let values = self.values.get(metric);
        values.is_some_and(|values| values.iter().any(Option::is_some))
    }
}

/// A look at the ground of a rollout that has not begun.
#[derive(Clone, PartialEq, Debug)]
pub enum GroundSeen {
    /// The cluster did not answer; why.
    Unreachable(String),
    /// The cluster does not show its nodes; why, with the right that is missing.
    Hidden(String),
    /// What there is.
    Known(Box<Ground>),
}

/// A look at what a rollout needs beside its own objects, before anything moves: the route, the plain Service, rights.
#[derive(Clone, PartialEq, Debug)]
pub enum SiteSeen {
    /// The cluster did not answer; why.
    Unreachable(String),
    /// It answered.
    Seen {
        /// What is in the way, each with the object's name and the fix; nothing: the rollout may begin.
        problems: Vec<String>,
        /// What is not in the way and may cost requests, each with the fix.
        advice: Vec<String>,
        /// The Deployment that serves and that the rollout is to adopt, as it is.
        adopts: Option<Box<Workload>>,
        /// What scales the Deployment that serves, if that is not Weir.
        scaled: Option<Autoscaler>,
    },
}

/// Where the candidate would go.
#[derive(Clone, PartialEq, Debug)]
pub struct Ground {
    /// Nodes, and what holds them.
    pub snapshot: Snapshot,
    /// One replica of the candidate; it knows the stable pods.
    pub ask: Ask,
    /// What was measured of the cluster beforehand, if it was.
    pub bounds: Option<Bounds>,
}

/// What a cluster took at most, each time that it was tried beforehand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bounds {
    /// From accepted weights until the gateway's controller has taken them up.
    pub observed: Span,
    /// Until a Kubernetes Job that does nothing has ended.
    pub job: Span,
    /// Until a pod is ready.
    pub pod: Span,
    /// Until the API server answers a read.
    pub answer: Span,
    /// Until a pod that leaves is no ready endpoint of its Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Span>,
    /// Until a pod that leaves as soon as it is told to is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Span>,
}

impl Bounds {
    /// `measured: weights are taken up within 56ms, a pod is ready within …`
    pub fn words(&self) -> String {
        let Self {
            observed,
            job,
            pod,
            answer,
            endpoint,
            drain,
        } = self;
        let mut words = format!(
            "measured: weights are taken up within {observed}, a pod is ready within {pod}, a Kubernetes Job ends within {job}, \
             the API server answers within {answer}"
        );
        if let Some(endpoint) = endpoint {
            words.push_str(&format!(", an endpoint leaves within {endpoint}"));
        }
        if let Some(drain) = drain {
            words.push_str(&format!(", a pod is gone within {drain}"));
        }
        words
    }
}

/// Everything that a decision about a rollout may rest on.
#[derive(Clone, PartialEq, Debug)]
pub struct Scene {
    /// The candidate's pods.
    pub candidate: RevisionSeen,
    /// The stable revision's pods, if there is one.
    pub stable: Option<RevisionSeen>,
    /// The route.
    pub route: RouteSeen,
    /// Counts since the rollout began.
    pub traffic: TrafficSeen,
    /// Metrics of the candidate that are plain numbers, by name.
    pub values: BTreeMap<String, Reading>,
    /// The candidate's replicas that stay, where they can be told apart.
    pub replicas: Vec<Replica>,
    /// What each of stable's replicas answered since it was first seen, by its pod, where they can be told apart.
    pub serving: BTreeMap<String, Counts>,
    /// What a rollout that prepares still waits for before it asks for a candidate; nothing: it stands.
    pub unprepared: Option<String>,
    /// On what the pods of both run, where they are compared.
    pub landing: Landing,
}

/// On what the pods of a rollout run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Landing {
    /// Nodes of the stable revision's pods that stay.
    pub stable: BTreeSet<String>,
    /// What nodes are on which pods of either revision run and which nobody had looked at, by name.
    pub nodes: BTreeMap<String, Hardware>,
    /// Nodes that are lost, of those on which candidate's pods ran, in words: `is gone`. One that is drained is lost, too. Asked where fewer of them are warm than at the
    /// last look.
    pub lost: BTreeMap<String, String>,
    /// Why nodes cannot be seen, with the right that is missing.
    pub hidden: Option<String>,
}

/// One replica of the candidate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replica {
    /// Name of its pod, which no other pod ever has.
    pub pod: String,
    /// Where it runs; empty while it has no node.
    pub node: String,
    /// What it answered since it was first seen.
    pub counts: Counts,
    /// What its GPUs say of themselves; nothing where nobody could be asked.
    pub gpus: Option<Gpus>,
}

/// GPUs of a replica by their own names, which no two have. One that has nothing to say may be absent.
pub type Gpus = BTreeMap<String, GpuSigns>;

/// Signs of a fault, as the driver counts them since it was loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct GpuSigns {
    /// Number of the last error that the driver reported (XID); 0: none.
    pub xid: u64,
    /// Memory errors that could not be corrected, and rows of memory that could not be replaced.
    pub memory: u64,
    /// Time for which it was slowed down because it was too hot, in the unit of whoever tells it.
    pub heat: u64,
}

/// The pods of one revision.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RevisionSeen {
    /// Replicas asked for.
    pub desired: u32,
    /// Pods that exist and are not terminating.
    pub pods: u32,
    /// Pods that are Ready, which by construction means warm.
    pub warm: u32,
    /// Pods that are terminating; they still hold their GPUs.
    pub terminating: u32,
    /// GPUs held by all of them.
    pub gpus: u32,
    /// Where the slowest pod stands.
    pub phase: PodPhase,
    /// The phase in words: `0/3 nodes: 2 have 0 of 4 GPUs free, 1 not ready`.
    pub words: String,
    /// How many pods stand where; those that leave are not among them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<PodPhase, u32>,
    /// Containers that ended badly, as far as the pods tell.
    pub crashes: u32,
    /// The last of them: `pod w-3f2a-x exited with code 139 (Error)`.
    pub last_crash: Option<String>,
}

impl RevisionSeen {
    /// The phase, the pods of each counted, and the slowest in words: `pulling: 1 serving, 2 pulling of 4; pod … cannot pull …`.
    pub fn told(&self) -> String {
        if self.phases.is_empty() {
            return self.words.clone();
        }
        let counted: Vec<String> = self
            .phases
            .iter()
            .rev()
            .map(|(phase, pods)| format!("{pods} {}", phase.as_str()))
            .collect();
        let (phase, counted) = (self.phase.as_str(), counted.join(", "));
        format!("{phase}: {counted} of {}; {}", self.desired, self.words)
    }
}

/// Where a pod stands on its way (design §5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PodPhase {
    /// No pod exists.
    #[default]
    Absent,
    /// No node yet.
    Scheduling,
    /// A node, and its volumes or sandbox are made.
    Provisioning,
    /// The image comes.
    Pulling,
    /// The container runs and the model loads.
    Loading,
    /// The model is loaded and generates its first answers.
    Warming,
    /// Ready.
    Serving,
    /// Leaves.
    Draining,
}

impl PodPhase {
    /// The word people see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Scheduling => "scheduling",
            Self::Provisioning => "provisioning",
            Self::Pulling => "pulling",
            Self::Loading => "loading",
            Self::Warming => "warming",
            Self::Serving => "serving",
            Self::Draining => "draining",
        }
    }
}

/// The `HTTPRoute` of the service.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RouteSeen {
    /// Shares by revision; a revision that the route does not name is absent.
    pub weights: BTreeMap<RevisionId, Weight>,
    /// Of a hundred requests, how many are copied to a revision.
    pub mirrors: BTreeMap<RevisionId, Weight>,
    /// Of a hundred requests of the callers who stay with a variant, how many it gets; a variant without such callers is absent.
    pub kept: BTreeMap<RevisionId, Weight>,
    /// Fence of the last write.
    pub fence: Fence,
    /// Whether the gateway's controller has taken up the route as it stands; without a gateway, the Service's endpoints the pods.
    pub observed: bool,
    /// What is wrong with it: missing, not accepted, references not resolved.
    pub problem: Option<String>,
}

/// What could be measured.
#[derive(Clone, PartialEq, Debug)]
pub enum TrafficSeen {
    /// Counts since the rollout began, by revision; counter resets and pod churn are already accounted for.
    Counts(BTreeMap<RevisionId, Counts>),
    /// Everything answered and there is nothing to count.
    NoData(String),
    /// The source did not answer.
    SourceError(String),
}

/// Requests that one revision answered.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Sent to the revision, answered or not: the counter that stands still once traffic has left.
    #[serde(default)]
    pub started: u64,
    /// Answered, well or badly.
    pub requests: u64,
    /// Failed ones, as the gateway saw them.
    pub bad: u64,
    /// Latencies: per upper edge in milliseconds, how many took at most that long (cumulative).
    #[serde(default, with = "within_ms")]
    pub within_ms: BTreeMap<u64, u64>,
    /// How many latencies were counted.
    #[serde(default)]
    pub timed: u64,
    /// Whether the gateway's data plane sends it anything.
    #[serde(default, skip_serializing_if = "Routed::is_unknown")]
    pub routed: Routed,
    /// Answers that were compared with stable's to the same question.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub compared: u64,
    /// Those of them that differ.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub differing: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// How far a gateway's data plane has followed its controller: of the gateway's pods that were asked, those that hold
/// an endpoint of the revision. A revision with weight 0 has none. Zero of zero where this cannot be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Routed {
    /// Pods of the gateway that hold it.
    pub by: u32,
    /// Pods of the gateway that were asked.
    pub of: u32,
}

impl Routed {
    /// Nothing can be said.
    pub fn is_unknown(&self) -> bool {
        self.of == 0
    }

    /// Every pod of the gateway holds it.
    pub fn everywhere(self) -> bool {
        self.of > 0 && self.by == self.of
    }

    /// No pod of the gateway holds it.
    pub fn nowhere(self) -> bool {
        self.of > 0 && self.by == 0
    }
}

impl Counts {
    /// What was added since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let within_ms = self
            .within_ms
            .iter()
            .map(|(edge, n)| {
                (
                    *edge,
                    n.saturating_sub(earlier.within_ms.get(edge).copied().unwrap_or(0)),
                )
            })
            .collect();
        Self {
            started: self.started.saturating_sub(earlier.started),
            requests: self.requests.saturating_sub(earlier.requests),
            bad: self.bad.saturating_sub(earlier.bad),
            within_ms,
            timed: self.timed.saturating_sub(earlier.timed),
            routed: self.routed,
            compared: self.compared.saturating_sub(earlier.compared),
            differing: self.differing.saturating_sub(earlier.differing),
        }
    }

    /// Adds latencies of a later time, at the edges that both have: others would be wrong for one of them.
    pub fn add_latencies(&mut self, later: &Self) {
        if later.has_no_latencies() {
            return;
        }
        if self.has_no_latencies() {
            self.within_ms.clone_from(&later.within_ms);
        } else {
            self.within_ms.retain(|edge, within| {
                let more = later.within_ms.get(edge);
                *within = within.saturating_add(more.copied().unwrap_or(0));
                more.is_some()
            });
        }
        self.timed = self.timed.saturating_add(later.timed);
    }

    /// Whether no latency was counted.
    pub fn has_no_latencies(&self) -> bool {
        self.timed == 0
    }

    /// How many took longer than `limit_ms`, counted at the first edge at or above it, so never too many; `None` if
    /// no edge reaches that far.
    pub fn slower_than(&self, limit_ms: u64) -> Option<u64> {
        self.within_ms
            .range(limit_ms..)
            .next()
            .map(|(_, within)| self.timed.saturating_sub(*within))
    }

    /// The edge below which a share of the latencies lies that is nearest to `share`, in milliseconds.
    pub fn edge_nearest(&self, share: f64) -> Option<u64> {
        let wanted = share * self.timed as f64;
        let off = |within: &u64| (*within as f64 - wanted).abs();
        let edges = self.within_ms.iter().filter(|_| self.timed > 0);
        edges
            .min_by(|a, b| off(a.1).total_cmp(&off(b.1)))
            .map(|(edge, _)| *edge)
    }

    /// Smallest edge below which at least `share` of the latencies lie, in milliseconds.
    pub fn quantile_edge(&self, share: f64) -> Option<u64> {
        let needed = (share * self.timed as f64).ceil() as u64;
        self.within_ms
            .iter()
            .find(|(_, within)| self.timed > 0 && **within >= needed)
            .map(|(edge, _)| *edge)
    }
}

/// When a traffic change was decided, and the three times it is reported by (design §5).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TrafficChange {
    /// The candidate's share, or the part of the requests that is copied to it.
    pub weight: Weight,
    /// Fence of the write.
    pub fence: Fence,
    /// Decided.
    pub decided: Timestamp,
    /// Accepted by the API server.
    pub accepted: Option<Timestamp>,
    /// Observed by the gateway's controller; without a gateway, in the Service's endpoints.
    pub observed: Option<Timestamp>,
    /// Seen in the revisions' own request counters.
    pub effective: Option<Timestamp>,
}
