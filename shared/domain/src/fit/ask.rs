//! What is to be placed: one replica, as often as wanted.

use std::collections::BTreeMap;

use super::resources::{Resources, is_device};
use super::selector::{Labels, NodeTerm, PodTerm, Selector};
use super::snapshot::{Effect, HostPort, Taint, VolumeReach};

/// One replica of a workload, as the scheduler sees it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ask {
    /// Name of the workload, for people.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Labels of its pods.
    pub labels: Labels,
    /// What a pod asks for.
    pub requests: Resources,
    /// What a pod may use at most, for quotas.
    pub limits: Resources,
    /// Taints it can live with.
    pub tolerations: Vec<Toleration>,
    /// Labels that its node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Alternatives, one of which its node must pass; absent: any node.
    pub node_affinity: Option<Vec<NodeTerm>>,
    /// Pods that must be near.
    pub affinity: Vec<PodTerm>,
    /// Pods that must not be near.
    pub anti_affinity: Vec<PodTerm>,
    /// How it must be spread.
    pub spread: Vec<Spread>,
    /// Ports of the node that it takes.
    pub ports: Vec<HostPort>,
    /// Its priority.
    pub priority: i32,
    /// Name of its priority class.
    pub priority_class: String,
    /// Whether it has a deadline of its own.
    pub deadline: bool,
    /// Volumes that can be reached from some nodes only.
    pub volumes: Vec<VolumeReach>,
    /// Memory that each GPU must have, in MiB, where that is known.
    pub gpu_memory_mib: Option<u64>,
    /// Why no node at all will do, in words.
    pub blocked: Vec<String>,
    /// Which pods are replicas that serve now.
    pub stable: Option<Selector>,
}

impl Ask {
    /// The GPUs, or other devices, of one replica: name and count.
    pub fn devices(&self) -> impl Iterator<Item = (&str, i64)> {
        self.requests
            .iter()
            .filter(|(name, amount)| is_device(name) && *amount > 0)
    }

    /// The first taint that keeps it off a node.
    pub(crate) fn untolerated<'t>(&self, taints: &'t [Taint]) -> Option<&'t Taint> {
        taints
            .iter()
            .filter(|taint| taint.effect != Effect::PreferNoSchedule)
            .find(|taint| !self.tolerates(taint))
    }

    pub(crate) fn tolerates(&self, taint: &Taint) -> bool {
        self.tolerations.iter().any(|toleration| toleration.covers(taint))
    }

    /// Whether a node has the labels that are asked for. Volumes and taints are another question.
    pub(crate) fn selects(&self, name: &str, labels: &Labels) -> bool {
        self.node_selector
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self
                .node_affinity
                .as_ref()
                .is_none_or(|terms| terms.iter().any(|term| term.matches(name, labels)))
    }
}

/// A taint, or a family of taints, that a pod can live with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Toleration {
    /// The key; absent: every key.
    pub key: Option<String>,
    /// The value; absent: every value.
    pub value: Option<String>,
    /// The effect; absent: every effect.
    pub effect: Option<Effect>,
}

impl Toleration {
    fn covers(&self, taint: &Taint) -> bool {
        self.key.as_ref().is_none_or(|key| *key == taint.key)
            && self.value.as_ref().is_none_or(|value| *value == taint.value)
            && self.effect.is_none_or(|effect| effect == taint.effect)
    }
}

/// A topology spread constraint that forbids (`DoNotSchedule`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spread {
    /// Node label whose values are the domains.
    pub key: String,
    /// How many more than the least-filled domain any may have.
    pub max_skew: i64,
    /// Which pods are counted; nothing counts none.
    pub selector: Option<Selector>,
    /// With fewer domains than this, the least-filled one counts as empty.
    pub min_domains: usize,
    /// Whether nodes that the pod does not select are left out.
    pub honor_affinity: bool,
    /// Whether nodes with taints it does not tolerate are left out.
    pub honor_taints: bool,
}

impl Spread {
    /// Whether a pod with these labels is counted.
    pub(crate) fn counts(&self, labels: &Labels) -> bool {
        self.selector
            .as_ref()
            .is_some_and(|selector| selector.matches(labels))
    }
}
