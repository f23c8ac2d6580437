//! Tables: what a node or a neighbour does to a workload. Properties: what holds for every cluster.

mod order;
mod rules;

use super::*;

/// A ready node with 8 GPUs, in a zone and with a name of its own.
pub(super) fn node(name: &str, zone: &str) -> Node {
    Node {
        name: name.into(),
        labels: labels(&[("zone", zone), ("host", name)]),
        ready: true,
        allocatable: Resources::from_iter([
            ("cpu", 32_000),
            ("memory", 128 << 30),
            ("pods", 30),
            ("nvidia.com/gpu", 8),
        ]),
        ..Node::default()
    }
}

pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// A replica of `web` with some GPUs.
pub(super) fn ask(gpus: i64) -> Ask {
    Ask {
        name: "web".into(),
        namespace: "prod".into(),
        labels: labels(&[("app", "web")]),
        requests: Resources::from_iter([("cpu", 1_000), ("nvidia.com/gpu", gpus)]),
        stable: Some(web()),
        ..Ask::default()
    }
}

/// A pod that holds GPUs of a node.
pub(super) fn held(name: &str, node: &str, gpus: i64) -> Pod {
    Pod {
        namespace: "prod".into(),
        name: name.into(),
        labels: labels(&[("app", name)]),
        node: node.into(),
        hold: Hold::Bound,
        requests: Resources::from_iter([("nvidia.com/gpu", gpus)]),
        priority: 0,
        ports: Vec::new(),
        anti_affinity: Vec::new(),
        owner: None,
        movable: None,
    }
}

/// Pods of `web`.
pub(super) fn web() -> Selector {
    Selector(vec![Requirement {
        key: "app".into(),
        test: Test::In(vec!["web".into()]),
    }])
}

pub(super) fn near(key: &str, selector: Selector) -> PodTerm {
    PodTerm {
        key: key.into(),
        selector: Some(selector),
        namespaces: vec!["prod".into()],
        namespace_selector: None,
    }
}

pub(super) fn spread(key: &str, max_skew: i64) -> Spread {
    Spread {
        key: key.into(),
        max_skew,
        selector: Some(web()),
        min_domains: 1,
        honor_affinity: true,
        honor_taints: false,
    }
}

pub(super) fn cluster(nodes: Vec<Node>, pods: Vec<Pod>) -> Snapshot {
    Snapshot {
        nodes,
        pods,
        ..Snapshot::default()
    }
}
