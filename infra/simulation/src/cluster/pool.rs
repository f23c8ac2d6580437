//! GPUs of the cluster in memory, and the pods that hold them.

use std::collections::BTreeMap;

use weir_domain::budget::{Asks, Budget};
use weir_domain::fit::{
    Ask, Hardware, Hold, Labels, Node, Pod as FitPod, Requirement, Resources, Selector, Snapshot, Test,
};
use weir_domain::ids::RevisionId;
use weir_domain::pipeline::RolloutRule;
use weir_domain::seen::Ground;
use weir_domain::time::{Span, Timestamp};

/// A pod that is told to leave holds its GPUs for so long, where GPUs are counted.
const DRAIN: Span = Span::seconds(5);
/// GPUs of a node whose number nobody counts.
const PLENTY: usize = 10_000;
/// Name of the label that tells a revision's pods.
const REVISION: &str = "revision";

/// The name of a node.
pub(super) fn node_name(node: usize) -> String {
    format!("gpu-{node}")
}

/// A pod of a revision.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    /// GPUs that it needs.
    pub(super) gpus: usize,
    /// The node, once it has one.
    pub(super) node: Option<usize>,
    /// When it got its node.
    pub(super) bound: Timestamp,
    /// When it will be gone, if it was told to leave.
    pub(super) leaves: Option<Timestamp>,
    /// Its place in the order in which the revision's pods were made, from 1 on; 0: it has none yet.
    pub(super) number: u64,
    /// Requests that it got, in thousandths, and the bad and the slow ones among them.
    pub(super) answered: [u64; 3],
}

impl Pod {
    /// Its name: no two pods of a revision ever have the same.
    pub(super) fn name(&self) -> String {
        format!("pod-{}", self.number)
    }

    pub(super) fn stays(&self) -> bool {
        self.leaves.is_none()
    }

    /// GPUs that it holds.
    pub(super) fn held(&self) -> usize {
        if self.node.is_some() { self.gpus } else { 0 }
    }
}

/// The nodes.
#[derive(Default, Debug)]
pub(super) struct Pool {
    /// GPUs of each node; nothing: more than anybody needs.
    pub(super) nodes: Option<Vec<usize>>,
    /// Whether pods that are told to leave stay for good.
    pub(super) held: bool,
    /// Labels of nodes that have any.
    pub(super) labels: BTreeMap<usize, Labels>,
    /// GPUs that somebody else's pods hold, one each: the node, and until when if that is known.
    foreign: Vec<(usize, Option<Timestamp>)>,
    /// Pods of somebody else that each take the next place that comes free.
    pub(super) thieves: usize,
    /// What a budget asks of the pods of all revisions of a service, if there is one.
    pub(super) asks: Option<Asks>,
}

impl Pool {
    /// Whether GPUs are counted.
    pub(super) fn counted(&self) -> bool {
        self.nodes.is_some()
    }

    /// What a node is.
    pub(super) fn hardware(&self, node: usize) -> Hardware {
        let labels = self.labels.get(&node).cloned().unwrap_or_default();
        Hardware::of(&labels, true)
    }

    /// Nodes that are gone.
    pub(super) fn gone(&self) -> impl Iterator<Item = usize> {
        let nodes = self.nodes.iter().flatten().enumerate();
        nodes.filter(|(_, gpus)| **gpus == 0).map(|(node, _)| node)
    }

    /// A node is gone: its pods are made again, and wait for another.
    pub(super) fn lose<'a>(&mut self, node: usize, lists: impl Iterator<Item = &'a mut Vec<Pod>>) {
        if let Some(gpus) = self.nodes.as_mut().and_then(|nodes| nodes.get_mut(node)) {
            *gpus = 0;
        }
        self.foreign.retain(|(at, _)| *at != node);
        for pod in lists.flatten().filter(|pod| pod.node == Some(node)) {
            (pod.node, pod.number) = (None, 0);
        }
    }

    /// Takes pods that have left away, and gives those that wait a node, in the order of the lists.
    pub(super) fn settle<'a>(&mut self, lists: impl Iterator<Item = &'a mut Vec<Pod>>, now: Timestamp) {
        self.foreign
            .retain(|(_, until)| until.is_none_or(|until| now < until));
        let mut lists: Vec<&mut Vec<Pod>> = lists.collect();
        for pods in &mut lists {
            let left = pods
                .iter()
                .filter(|pod| pod.leaves.is_some_and(|gone| gone <= now));
            for (node, gpus) in left.filter_map(|pod| Some((pod.node?, pod.gpus))) {
                let stolen = self.thieves.min(gpus);
                self.thieves -= stolen;
                self.foreign.extend(vec![(node, None); stolen]);
            }
            pods.retain(|pod| pod.leaves.is_none_or(|gone| now < gone));
        }
        let mut free = self.free(lists.iter().flat_map(|pods| pods.iter()));
        for pod in lists.into_iter().flatten().filter(|pod| pod.node.is_none()) {
            if let Some(node) = free.iter().position(|free| *free >= pod.gpus) {
                free[node] -= pod.gpus;
                (pod.node, pod.bound) = (Some(node), now);
            }
        }
    }

    /// Free GPUs of each node.
    fn free<'a>(&self, pods: impl Iterator<Item = &'a Pod>) -> Vec<usize> {
        let Some(nodes) = &self.nodes else {
            return vec![usize::MAX];
        };
        let mut free = nodes.clone();
        for (node, gpus) in pods.filter_map(|pod| Some((pod.node?, pod.gpus))) {
            free[node] = free[node].saturating_sub(gpus);
        }
        for (node, _) in &self.foreign {
            free[*node] = free[*node].saturating_sub(1);
        }
        free
    }

    /// Somebody else's pods take what is free, at most `gpus`.
    pub(super) fn occupy<'a>(
        &mut self,
        pods: impl Iterator<Item = &'a Pod>,
        gpus: usize,
        until: Option<Timestamp>,
    ) {
        let free = self.free(pods);
        let places = free
            .iter()
            .enumerate()
            .flat_map(|(node, free)| vec![(node, until); *free]);
        self.foreign.extend(places.take(gpus));
    }

    /// Sets how many pods stay. Those without a node leave first, then those that are named, then those last made; a
    /// leaving pod holds its GPUs a while.
    pub(super) fn scale(
        &self,
        pods: &mut Vec<Pod>,
        replicas: usize,
        gpus: usize,
        leaving: &[String],
        now: Timestamp,
    ) {
        let fresh = Pod {
            gpus,
            node: None,
            bound: now,
            leaves: None,
            number: 0,
            answered: [0; 3],
        };
        let staying = pods.iter().filter(|pod| pod.stays()).count();
        pods.extend(vec![fresh; replicas.saturating_sub(staying)]);
        for _ in replicas..staying {
            let mut without = pods.iter_mut().filter(|pod| pod.stays() && pod.node.is_none());
            if let Some(pod) = without.next() {
                pod.leaves = Some(now);
                continue;
            }
            let named = |pod: &Pod| pod.stays() && leaving.contains(&pod.name());
            let at = pods.iter().position(named);
            if let Some(at) = at.or_else(|| pods.iter().rposition(Pod::stays)) {
                pods[at].leaves = Some(match (self.held, self.counted()) {
                    (true, _) => Timestamp(i64::MAX),
                    (false, true) => now + DRAIN,
                    (false, false) => now,
                });
            }
        }
        pods.retain(|pod| pod.leaves.is_none_or(|gone| now < gone));
    }

    /// What the scheduler would know.
    pub(super) fn ground<'a>(
        &self,
        pods: impl Iterator<Item = (&'a RevisionId, &'a [Pod])>,
        rule: &RolloutRule,
        stable: Option<&RevisionId>,
    ) -> Ground {
        let scene = Scene(rule);
        let sizes = self.nodes.clone().unwrap_or_else(|| vec![PLENTY]);
        let own = pods.flat_map(|(revision, pods)| {
            let labels = Labels::from([(REVISION.to_owned(), revision.to_string())]);
            pods.iter().enumerate().filter_map(move |(number, pod)| {
                let name = format!("{revision}-{number}");
                Some(scene.pod(name, pod.node?, pod.gpus, pod.leaves, labels.clone()))
            })
        });
        let foreign = self.foreign.iter().enumerate().map(|(number, (at, until))| {
            scene.pod(format!("training-{number}"), *at, 1, *until, Labels::default())
        });
        let stable = stable.map(|stable| {
            Selector(vec![Requirement {
                key: REVISION.into(),
                test: Test::In(vec![stable.to_string()]),
            }])
        });
        Ground {
            bounds: None,
            snapshot: Snapshot {
                nodes: sizes
                    .into_iter()
                    .enumerate()
                    .map(|(n, gpus)| Node {
                        labels: self.labels.get(&n).cloned().unwrap_or_default(),
                        ..scene.node(n, gpus)
                    })
                    .collect(),
                pods: own.chain(foreign).collect(),
                budgets: self.asks.map(|asks| scene.budget(asks)).into_iter().collect(),
                ..Snapshot::default()
            },
            ask: Ask {
                name: rule.lane.service.to_string(),
                namespace: rule.lane.environment.to_string(),
                labels: Labels::from([(REVISION.to_owned(), rule.workload.revision().to_string())]),
                requests: scene.holds(1, rule.workload.gpus as usize),
                stable,
                ..Ask::default()
            },
        }
    }
}

/// Makes nodes and pods in the words of fit, for a rule's kind of GPU.
#[derive(Clone, Copy)]
struct Scene<'a>(&'a RolloutRule);

impl Scene<'_> {
    fn holds(self, pods: i64, gpus: usize) -> Resources {
        let gpus = i64::try_from(gpus).unwrap_or(i64::MAX);
        Resources::from_iter([("pods", pods), (self.0.workload.gpu_resource.as_str(), gpus)])
    }

    fn node(self, number: usize, gpus: usize) -> Node {
        Node {
            name: node_name(number),
            ready: true,
            allocatable: self.holds(10_000, gpus),
            ..Node::default()
        }
    }

    /// A budget over the pods of all revisions.
    fn budget(self, asks: Asks) -> Budget {
        let ours = Requirement {
            key: REVISION.into(),
            test: Test::Exists,
        };
        Budget {
            namespace: self.0.lane.environment.to_string(),
            name: self.0.target.service.clone(),
            selector: Some(Selector(vec![ours])),
            asks,
            allowed: None,
        }
    }

    fn pod(self, name: String, at: usize, gpus: usize, leaves: Option<Timestamp>, labels: Labels) -> FitPod {
        FitPod {
            namespace: self.0.lane.environment.to_string(),
            name,
            labels,
            node: node_name(at),
            hold: leaves.map_or(Hold::Bound, |by| Hold::Terminating {
                by: format!("{by:?}"),
            }),
            requests: self.holds(1, gpus),
            priority: 0,
            ports: Vec::new(),
            anti_affinity: Vec::new(),
            owner: None,
            movable: None,
        }
    }
}
