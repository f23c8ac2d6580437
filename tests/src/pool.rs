//! GPUs of the cluster in memory, and the pods that hold them: one GPU a node, as many nodes as the story says.

use weir_domain::fit::{Ask, Hold, Node, Pod as FitPod, Requirement, Resources, Selector, Snapshot, Test};
use weir_domain::ids::RevisionId;
use weir_domain::pipeline::RolloutRule;
use weir_domain::seen::Ground;
use weir_domain::time::{Span, Timestamp};

/// A pod that is told to leave holds its GPU for so long, where GPUs are counted.
const DRAIN: Span = Span::seconds(5);
/// Requests a second that a warm replica answers in a story that counts GPUs. Four of them carry the 60 of a story at 68 %.
pub(crate) const CAPACITY: u64 = 22;
/// Name of the label that tells a revision's pods.
const REVISION: &str = "revision";

/// A pod of a revision.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    /// The node, once it has one.
    pub(crate) node: Option<usize>,
    /// When it got its node.
    pub(crate) bound: Timestamp,
    /// When it will be gone, if it was told to leave.
    pub(crate) leaves: Option<Timestamp>,
}

impl Pod {
    pub(crate) fn stays(&self) -> bool {
        self.leaves.is_none()
    }
}

/// The nodes.
#[derive(Default, Debug)]
pub(crate) struct Pool {
    /// How many, each with one GPU; nothing: more than a story needs.
    pub(crate) nodes: Option<usize>,
    /// Nodes that somebody else's pods hold, until when if that is known.
    pub(crate) foreign: Vec<(usize, Option<Timestamp>)>,
    /// Pods of somebody else that each take the next place that comes free.
    pub(crate) thieves: u32,
}

impl Pool {
    /// Takes pods that have left away, and gives those that wait a node, in the order of the lists.
    pub(crate) fn settle<'a>(&mut self, lists: impl Iterator<Item = &'a mut Vec<Pod>>, now: Timestamp) {
        self.foreign
            .retain(|(_, until)| until.is_none_or(|until| now < until));
        let mut lists: Vec<&mut Vec<Pod>> = lists.collect();
        for pods in &mut lists {
            let left = pods
                .iter()
                .filter(|pod| pod.leaves.is_some_and(|gone| gone <= now));
            for node in left.filter_map(|pod| pod.node) {
                if self.thieves > 0 {
                    self.thieves -= 1;
                    self.foreign.push((node, None));
                }
            }
            pods.retain(|pod| pod.leaves.is_none_or(|gone| now < gone));
        }
        let mut taken: Vec<usize> = lists
            .iter()
            .flat_map(|pods| pods.iter().filter_map(|pod| pod.node))
            .collect();
        taken.extend(self.foreign.iter().map(|(node, _)| *node));
        for pod in lists.into_iter().flatten().filter(|pod| pod.node.is_none()) {
            let free = match self.nodes {
                None => Some(0),
                Some(nodes) => (0..nodes).find(|node| !taken.contains(node)),
            };
            if let Some(node) = free {
                taken.push(node);
                (pod.node, pod.bound) = (Some(node), now);
            }
        }
    }

    /// Sets how many pods stay. Those without a node leave first, then those last made; a leaving pod holds its GPU a while.
    pub(crate) fn scale(&self, pods: &mut Vec<Pod>, replicas: usize, now: Timestamp) {
        let fresh = Pod {
            node: None,
            bound: now,
            leaves: None,
        };
        while pods.iter().filter(|pod| pod.stays()).count() < replicas {
            pods.push(fresh.clone());
        }
        while pods.iter().filter(|pod| pod.stays()).count() > replicas {
            let staying = |pod: &&mut Pod| pod.stays();
            let mut without = pods.iter_mut().filter(|pod| pod.stays() && pod.node.is_none());
            match without.next() {
                Some(pod) => pod.leaves = Some(now),
                None => {
                    if let Some(pod) = pods.iter_mut().rev().find(staying) {
                        pod.leaves = Some(if self.nodes.is_some() { now + DRAIN } else { now });
                    }
                }
            }
        }
        pods.retain(|pod| pod.leaves.is_none_or(|gone| now < gone));
    }

    /// What the scheduler would know.
    pub(crate) fn ground<'a>(
        &self,
        pods: impl Iterator<Item = (&'a RevisionId, &'a [Pod])>,
        rule: &RolloutRule,
        stable: Option<&RevisionId>,
    ) -> Ground {
        let gpu =
            |count: i64| Resources::from_iter([("pods", 1), (rule.workload.gpu_resource.as_str(), count)]);
        let node = |number: usize, count: i64| Node {
            name: format!("gpu-{number}"),
            ready: true,
            allocatable: Resources::from_iter([
                ("pods", 10_000),
                (rule.workload.gpu_resource.as_str(), count),
            ]),
            ..Node::default()
        };
        let nodes = match self.nodes {
            None => vec![node(0, 10_000)],
            Some(nodes) => (0..nodes).map(|number| node(number, 1)).collect(),
        };
        let held = |name: String, at: usize, hold: Hold, labels: weir_domain::fit::Labels| FitPod {
            namespace: "production".into(),
            name,
            labels,
            node: format!("gpu-{at}"),
            hold,
            requests: gpu(i64::from(rule.workload.gpus)),
            priority: 0,
            ports: Vec::new(),
            anti_affinity: Vec::new(),
            owner: None,
            movable: None,
        };
        let own = pods.flat_map(|(revision, pods)| {
            let labels = weir_domain::fit::Labels::from([(REVISION.to_owned(), revision.to_string())]);
            pods.iter().enumerate().filter_map(move |(number, pod)| {
                let hold = match pod.leaves {
                    Some(by) => Hold::Terminating {
                        by: format!("{by:?}"),
                    },
                    None => Hold::Bound,
                };
                Some(held(
                    format!("{revision}-{number}"),
                    pod.node?,
                    hold,
                    labels.clone(),
                ))
            })
        });
        let foreign = self.foreign.iter().map(|(at, until)| {
            let hold = match until {
                Some(by) => Hold::Terminating {
                    by: format!("{by:?}"),
                },
                None => Hold::Bound,
            };
            held(format!("training-{at}"), *at, hold, Default::default())
        });
        let stable = stable.map(|stable| {
            Selector(vec![Requirement {
                key: REVISION.into(),
                test: Test::In(vec![stable.to_string()]),
            }])
        });
        Ground {
            snapshot: Snapshot {
                nodes,
                pods: own.chain(foreign).collect(),
                ..Snapshot::default()
            },
            ask: Ask {
                name: "llm".into(),
                namespace: "production".into(),
                requests: gpu(i64::from(rule.workload.gpus)),
                stable,
                ..Ask::default()
            },
        }
    }
}
