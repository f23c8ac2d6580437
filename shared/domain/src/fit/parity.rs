//! Whether a replica could go to other hardware than that which serves: then what is measured of the two says as much about
//! their GPUs as about their versions.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ask::Ask;
use super::selector::Labels;
use super::snapshot::{Node, Snapshot, stable_pods};
use super::verdict::fit;

/// Labels that say which GPU a node has, the most exact first.
const PRODUCTS: [&str; 3] = [
    "nvidia.com/gpu.product",
    "karpenter.k8s.aws/instance-gpu-name",
    "cloud.google.com/gke-accelerator",
];
/// Labels that say how its GPUs are shared.
const SHARING: [&str; 2] = [
    "nvidia.com/gpu.sharing-strategy",
    "cloud.google.com/gke-gpu-sharing-strategy",
];
/// Labels that say how it is paid for, and so whether it may be taken away.
const CAPACITY: [&str; 5] = [
    "karpenter.sh/capacity-type",
    "eks.amazonaws.com/capacityType",
    "cloud.google.com/gke-provisioning",
    "cloud.google.com/gke-spot",
    "kubernetes.azure.com/scalesetpriority",
];
/// What a node is that no provider takes away. Some say so, others have no label then.
const ORDINARY: [&str; 5] = ["on-demand", "standard", "regular", "false", "none"];

/// What a node is to a comparison. What no label says is not known.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Hardware {
    /// The label that says which GPU it has, and what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    product: Option<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sharing: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capacity: Option<String>,
}

impl Hardware {
    /// Reads the labels of a node. `gpus`: the workload uses GPUs; else which there are says nothing.
    pub fn of(labels: &Labels, gpus: bool) -> Self {
        let first = |keys: &[&'static str]| {
            keys.iter()
                .find_map(|key| Some((*key, labels.get(*key)?.clone())))
        };
        let normal = |(key, value): (&str, String)| {
            let value = value.to_lowercase().replace('_', "-");
            let value = if key.ends_with("gke-spot") && value == "true" {
                "spot".to_owned()
            } else {
                value
            };
            (!ORDINARY.contains(&value.as_str())).then_some(value)
        };
        Self {
            product: first(&PRODUCTS)
                .filter(|_| gpus)
                .map(|(key, value)| (key.to_owned(), value)),
            sharing: first(&SHARING).filter(|_| gpus).and_then(normal),
            capacity: first(&CAPACITY).and_then(normal),
        }
    }

    /// Whether what is measured on the two may be compared.
    pub fn is_like(&self, other: &Self) -> bool {
        let product = match (&self.product, &other.product) {
            (Some((key, own)), Some((other_key, other))) => key != other_key || own == other,
            _ => true,
        };
        product && self.sharing == other.sharing && self.capacity == other.capacity
    }

    /// `NVIDIA-L4, time-slicing, spot`, or `spot capacity` where no label names a GPU.
    pub fn words(&self) -> String {
        let capacity = self.capacity.as_deref().unwrap_or("on-demand");
        let product = self.product.as_ref().map(|(_, value)| value.as_str());
        let mut parts: Vec<&str> = product.into_iter().chain(self.sharing.as_deref()).collect();
        match parts.is_empty() {
            true => format!("{capacity} capacity"),
            false => {
                parts.push(capacity);
                parts.join(", ")
            }
        }
    }
}

/// Where a replica could go that is not like the nodes of stable, in words; nothing: wherever there is room, it is.
pub fn other_hardware(snapshot: &Snapshot, ask: &Ask) -> Option<String> {
    let gpus = ask.devices().next().is_some();
    let serving = stable_pods(snapshot, ask);
    let nodes = serving.iter().map(|pod| snapshot.pods[*pod].node.as_str());
    let nodes: BTreeSet<&str> = nodes.collect();
    let hardware = |node: &Node| Hardware::of(&node.labels, gpus);
    let kinds = snapshot
        .nodes
        .iter()
        .filter(|node| nodes.contains(node.name.as_str()));
    let kinds: Vec<Hardware> = kinds.map(hardware).collect();
    let known = kinds.first()?;
    let is_other = |node: &Node| !kinds.iter().any(|kind| kind.is_like(&hardware(node)));
    if !snapshot.nodes.iter().any(is_other) {
        return None;
    }
    let mut others = snapshot.clone();
    for node in &mut others.nodes {
        node.cordoned |= !is_other(node);
    }
    let place = fit(&others, ask, 1).placements.into_iter().next()?.node;
    let node = snapshot.nodes.iter().find(|node| node.name == place)?;
    let there = hardware(node);
    Some(format!(
        "stable runs on {}, and {place}, which has room for the candidate, is {}{}",
        known.words(),
        there.words(),
        kept_to(known, &there)
    ))
}

/// What keeps a candidate to the hardware of stable, where one label does.
fn kept_to(known: &Hardware, there: &Hardware) -> String {
    match (&known.product, &there.product) {
        (Some((key, own)), Some((_, other))) if own != other => {
            format!("; `node_selector: {{{key}: {own}}}` of the service keeps it away")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::{Hold, Pod, Requirement, Resources, Selector, Test};

    const L4: [(&str, &str); 1] = [("nvidia.com/gpu.product", "NVIDIA-L4")];
    const A10: [(&str, &str); 1] = [("nvidia.com/gpu.product", "NVIDIA-A10G")];
    const SPOT: [(&str, &str); 1] = [("karpenter.sh/capacity-type", "spot")];
    const ON_DEMAND: [(&str, &str); 1] = [("eks.amazonaws.com/capacityType", "ON_DEMAND")];

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// Labels of a node, and its GPUs.
    type Given<'a> = (&'a [(&'a str, &'a str)], i64);

    /// Stable serves on the first node; the others have this many GPUs free.
    fn told(nodes: &[Given<'_>], gpus: i64) -> Option<String> {
        let holds = |gpus: i64| Resources::from_iter([("pods", 10), ("nvidia.com/gpu", gpus)]);
        let node = |(n, (pairs, free)): (usize, &Given<'_>)| Node {
            name: format!("gpu-{n}"),
            ready: true,
            labels: labels(pairs),
            allocatable: holds(*free),
            ..Node::default()
        };
        let pod = Pod {
            namespace: "prod".into(),
            name: "old".into(),
            labels: labels(&[("r", "1")]),
            node: "gpu-0".into(),
            hold: Hold::Bound,
            requests: holds(gpus),
            priority: 0,
            ports: Vec::new(),
            anti_affinity: Vec::new(),
            owner: None,
            movable: None,
        };
        let snapshot = Snapshot {
            nodes: nodes.iter().enumerate().map(node).collect(),
            pods: vec![pod],
            ..Snapshot::default()
        };
        let selector = Selector(vec![Requirement {
            key: "r".into(),
            test: Test::In(vec!["1".into()]),
        }]);
        let ask = Ask {
            namespace: "prod".into(),
            requests: Resources::from_iter([("pods", 1), ("nvidia.com/gpu", gpus)]),
            stable: Some(selector),
            ..Ask::default()
        };
        other_hardware(&snapshot, &ask)
    }

    #[test]
    fn only_other_hardware_with_room_is_told() {
        let none: [(&str, &str); 0] = [];
        assert_eq!(told(&[(&L4, 1), (&L4, 1)], 1), None);
        assert_eq!(told(&[(&L4, 1), (&A10, 0)], 1), None, "it has no room");
        assert_eq!(
            told(&[(&none, 1), (&A10, 1)], 1),
            None,
            "what stable has is not known"
        );
        let words = told(&[(&L4, 1), (&A10, 1)], 1).unwrap();
        assert_eq!(
            words,
            "stable runs on NVIDIA-L4, on-demand, and gpu-1, which has room for the candidate, is NVIDIA-A10G, on-demand; \
             `node_selector: {nvidia.com/gpu.product: NVIDIA-L4}` of the service keeps it away"
        );
        assert_eq!(told(&[(&none, 1), (&none, 1)], 1), None);
    }

    #[test]
    fn capacity_that_may_be_taken_away_is_other_hardware_whatever_the_provider_calls_it() {
        let none: [(&str, &str); 0] = [];
        let words = told(&[(&ON_DEMAND, 1), (&SPOT, 1)], 1).unwrap();
        assert!(
            words.starts_with("stable runs on on-demand capacity, "),
            "{words}"
        );
        assert!(words.ends_with("is spot capacity"), "{words}");
        assert_eq!(told(&[(&ON_DEMAND, 1), (&none, 1)], 1), None);
        assert!(told(&[(&SPOT, 1), (&none, 1)], 1).is_some());
        let azure = [("kubernetes.azure.com/scalesetpriority", "spot")];
        let google = [("cloud.google.com/gke-spot", "true")];
        assert_eq!(told(&[(&azure, 1), (&google, 1)], 1), None);
    }

    #[test]
    fn without_gpus_the_kind_of_gpu_says_nothing() {
        assert_eq!(told(&[(&L4, 1), (&A10, 1)], 0), None);
    }
}
