//! Random clusters, small and near the edge, so that a wrong rule shows.

mod nodes;
mod pods;
mod terms;
mod workload;

use serde_json::{Value, json};
use weir_cluster::snapshot::read_cluster;
use weir_domain::fit::fit;

use crate::random::Random;

/// Most replicas that a case asks for.
const MAX_REPLICAS: u64 = 12;

/// One cluster, one workload, one question.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it was made from.
    pub seed: u64,
    /// Label, name of its nodes and prefix of its topology keys; no other case ever has it.
    pub name: String,
    /// Its namespace, which later cases use again; a second one is called the same with `-b`.
    pub space: String,
    /// Nodes.
    pub nodes: Vec<Value>,
    /// Pods that are there before.
    pub pods: Vec<Setup>,
    /// Quotas of its namespace.
    pub quotas: Vec<Value>,
    /// A pod that makes others leave, and is promised their node.
    pub nominee: Option<Value>,
    /// The workload's pod.
    pub workload: Value,
    /// Replicas that are asked for.
    pub replicas: u64,
}

/// A pod and what becomes of it.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The pod.
    pub pod: Value,
    /// What is done to it after it is made.
    pub then: Then,
}

/// What is done to a pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// Nothing.
    Stays,
    /// It is deleted and cannot leave.
    Leaves,
    /// It has ended well.
    Ends,
}

/// Classes that all cases share: they are objects of the cluster.
pub fn shared() -> Vec<(&'static str, Value)> {
    let class = |name: &str, value: i64, policy: &str| {
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
            "value": value, "preemptionPolicy": policy})
    };
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    vec![
        (classes, class("low", -10, "PreemptLowerPriority")),
        (classes, class("above", 500, "Never")),
        (classes, class("pushes", 1000, "PreemptLowerPriority")),
        (classes, class("top", 2000, "Never")),
        (
            "/apis/node.k8s.io/v1/runtimeclasses",
            json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "boxed"},
                "handler": "boxed", "overhead": {"podFixed": {"cpu": "250m", "memory": "512Mi"}}}),
        ),
    ]
}

/// Makes a case. `slot` names the place on the control plane that it is played in.
pub fn case(seed: u64, slot: usize) -> Case {
    let mut random = Random::new(seed);
    let (name, space) = (format!("case-{seed}"), format!("oracle-{slot}"));
    let mut maker = Maker {
        random: &mut random,
        name: &name,
        space: &space,
    };
    let nodes = maker.nodes();
    let mut pods = maker.pods(&nodes);
    let nominee = maker.nominee(&nodes, &mut pods);
    let workload = maker.workload(nominee.is_some());
    let mut case = Case {
        seed,
        name: name.clone(),
        space: space.clone(),
        nodes,
        pods,
        quotas: Vec::new(),
        nominee,
        workload,
        replicas: 1,
    };
    let room = room(&case);
    case.replicas = replicas(&mut random, room);
    if random.percent(16) {
        case.quotas.push(quota(&mut random, &case));
    }
    case
}

/// What is asked for lies at the edge in most cases.
fn replicas(random: &mut Random, room: u64) -> u64 {
    let room = i64::try_from(room.min(MAX_REPLICAS)).expect("it is small");
    let wanted = match random.within(0, 9) {
        0..=2 => room,
        3..=5 => room + 1,
        _ => random.within(1, room + 3),
    };
    u64::try_from(wanted.max(1))
        .expect("it is positive")
        .min(MAX_REPLICAS)
}

/// How many replicas there is room for by our own reckoning: it only decides how many are asked for.
fn room(case: &Case) -> u64 {
    let mut all: Vec<Value> = case.nodes.clone();
    all.extend(
        case.pods
            .iter()
            .filter(|setup| setup.then != Then::Ends)
            .map(|setup| setup.pod.clone()),
    );
    all.extend(shared().into_iter().map(|(_, object)| object));
    let list = json!({"kind": "List", "items": all});
    let Ok(cluster) = read_cluster(&list) else {
        return 1;
    };
    match cluster.workload(&case.workload, Some(&case.space)) {
        Ok(workload) => fit(&cluster.snapshot, &workload.ask, 1).max_replicas,
        Err(_) => 1,
    }
}

fn quota(random: &mut Random, case: &Case) -> Value {
    let there = case
        .pods
        .iter()
        .filter(|setup| setup.pod["metadata"]["namespace"] == case.space);
    let there = i64::try_from(there.count()).expect("it is small");
    let replicas = i64::try_from(case.replicas).expect("it is small");
    let left = (replicas + random.within(-2, 0)).max(0);
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "all", "namespace": case.space},
        "spec": {"hard": {"pods": (there + left).to_string()}}})
}

/// What the parts of a case are made with.
struct Maker<'a> {
    random: &'a mut Random,
    name: &'a str,
    space: &'a str,
}

impl Maker<'_> {
    /// A topology key of this case only, so that no other case has a domain of it.
    fn key(&self, name: &str) -> String {
        format!("{}.test/{name}", self.name)
    }
}
