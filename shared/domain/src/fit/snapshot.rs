//! A cluster at one moment, in the words that decide where a pod goes.

use std::collections::BTreeMap;

use super::ask::Ask;
use super::resources::Resources;
use super::selector::{Labels, NodeTerm, PodTerm};
use crate::budget::Budget;

/// Nodes, and what holds their resources.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Snapshot {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Pods that hold resources: bound ones that have not ended, and those that a node is promised to.
    pub pods: Vec<Pod>,
    /// Pods that wait for a node nobody has promised them.
    pub waiting: Vec<Waiting>,
    /// Labels of the namespaces that are known.
    pub namespaces: BTreeMap<String, Labels>,
    /// Quotas of all namespaces.
    pub quotas: Vec<Quota>,
    /// PodDisruptionBudgets that are known.
    pub budgets: Vec<Budget>,
    /// Why budgets cannot be seen, with the right that is missing.
    pub budgets_hidden: Option<String>,
    /// What the snapshot holds and nobody here understands, in words.
    pub unknown: Vec<String>,
}

/// A node.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Whether its kubelet says it is ready.
    pub ready: bool,
    /// Whether a person or a drain closed it.
    pub cordoned: bool,
    /// What it offers to pods.
    pub allocatable: Resources,
}

/// What keeps pods off a node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value, often empty.
    pub value: String,
    /// Effect.
    pub effect: Effect,
}

/// What a taint does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Effect {
    /// New pods stay away.
    NoSchedule,
    /// New pods stay away and running ones leave.
    NoExecute,
    /// A wish only.
    PreferNoSchedule,
}

/// A pod that holds resources.
#[derive(Clone, PartialEq, Debug)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// The node it is on, or is promised.
    pub node: String,
    /// How it holds it.
    pub hold: Hold,
    /// What it asked for.
    pub requests: Resources,
    /// Its priority.
    pub priority: i32,
    /// Ports of the node that it took.
    pub ports: Vec<HostPort>,
    /// Pods that it does not want near.
    pub anti_affinity: Vec<PodTerm>,
    /// Kind and name of what made it, for example `Job train`.
    pub owner: Option<String>,
    /// What it would ask for again if it were moved; absent where it cannot be moved.
    pub movable: Option<Box<Ask>>,
}

/// How a pod holds its node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hold {
    /// It is bound.
    Bound,
    /// It is bound and told to leave; it holds its GPUs until it is gone.
    Terminating {
        /// When it will be gone at the latest, as the cluster says it.
        by: String,
    },
    /// Others are leaving the node for it.
    Nominated,
}

impl Pod {
    /// Whether it is on its node, not only promised it.
    pub fn is_bound(&self) -> bool {
        self.hold != Hold::Nominated
    }

    /// Whether it is told to leave.
    pub fn is_terminating(&self) -> bool {
        matches!(self.hold, Hold::Terminating { .. })
    }
}

/// A pod that waits for a node.
#[derive(Clone, PartialEq, Debug)]
pub struct Waiting {
    /// Its namespace and name.
    pub name: String,
    /// What it asks for.
    pub requests: Resources,
}

/// A port of the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostPort {
    /// Address of the node; `0.0.0.0` is all of them.
    pub ip: String,
    /// TCP, UDP or SCTP.
    pub protocol: String,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// Whether two pods with these ports cannot share a node.
    pub fn collides(&self, other: &Self) -> bool {
        const ALL: &str = "0.0.0.0";
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || self.ip == ALL || other.ip == ALL)
    }
}

/// What a namespace may still ask for.
#[derive(Clone, PartialEq, Debug)]
pub struct Quota {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Limit and use by the quota's own names, for example `requests.nvidia.com/gpu`.
    pub limits: BTreeMap<String, (i64, i64)>,
    /// Which pods it counts.
    pub scope: QuotaScope,
}

/// Which pods a quota counts: those for which all of these hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QuotaScope {
    /// Only pods with, or only pods without, a deadline.
    pub deadline: Option<bool>,
    /// Only pods with, or only pods without, any request.
    pub best_effort: Option<bool>,
    /// Only pods that refer to pods of other namespaces.
    pub cross_namespace: bool,
    /// Only pods whose priority class passes.
    pub priority_class: Vec<super::selector::Test>,
}

/// Nodes that a bound volume can be reached from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VolumeReach {
    /// The claim.
    pub claim: String,
    /// Any of these; none at all: from nowhere.
    pub nodes: Vec<NodeTerm>,
}

/// Replicas of a workload that serve now, by their place in the snapshot.
pub fn stable_pods(snapshot: &Snapshot, ask: &Ask) -> Vec<usize> {
    let own = |pod: &Pod| {
        pod.hold == Hold::Bound
            && pod.namespace == ask.namespace
            && ask
                .stable
                .as_ref()
                .is_some_and(|selector| selector.matches(&pod.labels))
    };
    let pods = snapshot.pods.iter().enumerate();
    pods.filter(|(_, pod)| own(pod))
        .map(|(number, _)| number)
        .collect()
}
