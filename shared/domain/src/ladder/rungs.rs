//! The rungs, each looked at by itself.

use super::{Action, Load, Rung};
use crate::budget::{Floor, floor};
use crate::fit::{Ask, Fit, Fits, Hold, Pod, Snapshot, What, empty_room, fit, fit_if, most_if, stable_pods};

/// Stable pods that are tried one after another for the best one to borrow.
const BORROW_TRIES: usize = 32;
/// Pods that are tried for a move, the smallest first.
const MOVE_TRIES: usize = 24;
/// Labels that say which group of nodes a node belongs to, and so that there may be more like it.
pub(super) const GROUPS: [&str; 4] = [
    "karpenter.sh/nodepool",
    "eks.amazonaws.com/nodegroup",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
];

/// A question, and what is known about it.
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) ask: &'a Ask,
    pub(super) fit: &'a Fit,
    load: Load,
    /// Pods of the stable revision, by their place in the snapshot.
    stable: Vec<usize>,
}

impl<'a> View<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, ask: &'a Ask, fit: &'a Fit, load: Load) -> Self {
        let stable = stable_pods(snapshot, ask);
        Self {
            snapshot,
            ask,
            fit,
            load,
            stable,
        }
    }

    pub(super) fn fits(&self) -> bool {
        self.fit.fits == Fits::Yes
    }

    /// Whether all replicas fit, in any order, if the cluster were otherwise.
    pub(super) fn fits_if(&self, what: &What) -> bool {
        fit_if(self.snapshot, self.ask, self.fit.replicas, what).fits == Fits::Yes
    }

    pub(super) fn surge(&self) -> Rung {
        let Fit {
            replicas,
            max_replicas,
            sure_replicas,
            ..
        } = self.fit;
        let why = match self.fit.fits {
            Fits::Yes => format!("{replicas} of {max_replicas} replicas that fit"),
            Fits::No => format!("{replicas} needed, {max_replicas} fit"),
            Fits::DependsOnOrder => {
                format!(
                    "{replicas} needed, {sure_replicas} to {max_replicas} fit, as the scheduler happens to choose"
                )
            }
        };
        Rung {
            action: Action::Surge,
            possible: self.fits(),
            why,
        }
    }

    pub(super) fn wait(&self) -> Rung {
        let rung = |possible, why: String| Rung {
            action: Action::Wait,
            possible,
            why,
        };
        if self.fits() {
            return rung(false, "nothing to wait for".into());
        }
        let leaving = self.numbers(Pod::is_terminating);
        if leaving.is_empty() {
            return match self.finishing() {
                Some(words) => rung(false, words),
                None => rung(false, "no pod is leaving".into()),
            };
        }
        let what = What {
            without: leaving.clone(),
            ..What::default()
        };
        let count = leaving.len();
        if !self.fits_if(&what) {
            return rung(false, format!("{count} pods are leaving and free too little"));
        }
        let latest = leaving
            .iter()
            .filter_map(|number| match &self.snapshot.pods[*number].hold {
                Hold::Terminating { by } => Some(by.as_str()),
                _ => None,
            });
        let by = latest.max().unwrap_or("a time that is not known");
        rung(
            true,
            format!("{count} pods are leaving, gone by {by} at the latest"),
        )
    }

    /// Pods of Kubernetes Jobs that would make room when they end; nobody says when that is.
    fn finishing(&self) -> Option<String> {
        let of_a_job = |pod: &Pod| pod.owner.as_ref().is_some_and(|owner| owner.starts_with("Job "));
        let jobs = self.numbers(of_a_job);
        let what = What {
            without: jobs.clone(),
            ..What::default()
        };
        (!jobs.is_empty() && self.fits_if(&what)).then(|| {
            format!(
                "{} pods of Kubernetes Jobs would free enough; when they end is not known",
                jobs.len()
            )
        })
    }

    fn numbers(&self, which: impl Fn(&Pod) -> bool) -> Vec<usize> {
        let pods = self.snapshot.pods.iter().enumerate();
        pods.filter(|(_, pod)| which(pod))
            .map(|(number, _)| number)
            .collect()
    }

    /// How many, and which, stable pods make enough room when they go.
    pub(super) fn borrowed(&self) -> Option<Vec<usize>> {
        let mut gone: Vec<usize> = Vec::new();
        while gone.len() < self.stable.len() {
            let left = self
                .stable
                .iter()
                .filter(|number| !gone.contains(number))
                .take(BORROW_TRIES);
            let best = left.max_by_key(|number| {
                let mut without = gone.clone();
                without.push(**number);
                let most = most_if(
                    self.snapshot,
                    self.ask,
                    &What {
                        without,
                        ..What::default()
                    },
                );
                // Of equal ones, the first.
                (most, std::cmp::Reverse(**number))
            })?;
            gone.push(*best);
            let what = What {
                without: gone.clone(),
                ..What::default()
            };
            if self.fits_if(&what) {
                return Some(gone);
            }
        }
        None
    }

    pub(super) fn borrow(&self) -> Rung {
        let rung = |possible, why: String| Rung {
            action: Action::Borrow,
            possible,
            why,
        };
        let stable = self.stable.len() as u64;
        if self.fits() {
            return rung(false, "nothing to borrow for".into());
        }
        if stable == 0 {
            return rung(false, "no stable replica is in this cluster".into());
        }
        let Some(gone) = self.borrowed() else {
            return rung(
                false,
                format!("the nodes of the {stable} stable replicas do not take the new ones"),
            );
        };
        let (count, reserve, floor) = (gone.len() as u64, self.load.reserve(stable), self.floor());
        let told = format!(
            "{count} of {stable} stable replicas, from {}",
            self.nodes_of(&gone)
        );
        let reserve_told = format!("a way back needs {reserve} at {}", self.load.words());
        match stable - count >= reserve {
            true if stable - count < u64::from(floor.replicas) => rung(
                false,
                format!(
                    "it would take {told}, but {} asks for {}",
                    floor.by, floor.replicas
                ),
            ),
            true => rung(true, format!("{told}; {reserve_told}")),
            false => rung(
                false,
                format!("it would take {told}, but {reserve_told}: going back would not be instant"),
            ),
        }
    }

    /// What budgets ask of the replicas that serve.
    fn floor(&self) -> Floor {
        let stable = u32::try_from(self.stable.len()).unwrap_or(u32::MAX);
        floor(self.snapshot, self.ask, stable)
    }

    fn nodes_of(&self, pods: &[usize]) -> String {
        let mut names: Vec<&str> = pods
            .iter()
            .map(|number| self.snapshot.pods[*number].node.as_str())
            .collect();
        names.dedup();
        names.join(", ")
    }

    pub(super) fn smaller(&self) -> Rung {
        let rung = |possible, why: String| Rung {
            action: Action::Smaller,
            possible,
            why,
        };
        let Fit {
            replicas,
            sure_replicas,
            ..
        } = self.fit;
        match (self.fits(), sure_replicas) {
            (true, _) => rung(false, "not needed".into()),
            (false, 0) => rung(false, "not even one replica fits".into()),
            (false, some) => rung(
                true,
                format!("{some} of {replicas} replicas; the share stays below theirs"),
            ),
        }
    }

    /// A pod whose move to another node that has room for it opens enough. Advice only: nothing is evicted.
    pub(super) fn repack(&self) -> Rung {
        let rung = |possible, why: String| Rung {
            action: Action::Repack,
            possible,
            why,
        };
        if self.fits() {
            return rung(false, "not needed".into());
        }
        let mut movable: Vec<(i64, usize)> = Vec::new();
        for (number, pod) in self.snapshot.pods.iter().enumerate() {
            if pod.movable.is_some() && !self.stable.contains(&number) {
                let size = self.ask.devices().map(|(name, _)| pod.requests.get(name)).sum();
                if size > 0 {
                    movable.push((size, number));
                }
            }
        }
        movable.sort_unstable();
        for (_, number) in movable.into_iter().take(MOVE_TRIES) {
            let pod = &self.snapshot.pods[number];
            let what = What {
                without: vec![number],
                ..What::default()
            };
            if self.fits_if(&what)
                && let Some(to) = self.elsewhere(number, pod)
            {
                let name = format!("{}/{}", pod.namespace, pod.name);
                return rung(true, format!("advice: move pod {name} from {} to {to}", pod.node));
            }
        }
        rung(false, "no single pod whose move opens enough".into())
    }

    /// A node that takes a pod which leaves its own, while the replicas take what it left.
    fn elsewhere(&self, number: usize, pod: &Pod) -> Option<String> {
        let own = self.snapshot.nodes.iter().position(|node| node.name == pod.node);
        let what = What {
            without: vec![number],
            closed: own,
            ..What::default()
        };
        let moved = fit_if(self.snapshot, pod.movable.as_deref()?, 1, &what);
        let to = moved.placements.first()?.node.clone();
        // The replicas must still fit with the pod where it went.
        let mut after = self.snapshot.clone();
        after.pods[number].node.clone_from(&to);
        (moved.fits == Fits::Yes && fit(&after, self.ask, self.fit.replicas).fits == Fits::Yes).then_some(to)
    }

    pub(super) fn scale_up(&self) -> Rung {
        let rung = |possible, why: String| Rung {
            action: Action::ScaleUp,
            possible,
            why,
        };
        if self.fits() {
            return rung(false, "not needed".into());
        }
        let Some((node, room)) = self.template() else {
            return rung(
                false,
                "no node here would take a replica even if it were empty".into(),
            );
        };
        let missing = self.fit.replicas.saturating_sub(self.fit.sure_replicas);
        let more = missing.div_ceil(room);
        let node = &self.snapshot.nodes[node];
        let told = format!("{more} more like {}", node.name);
        match GROUPS.iter().find_map(|key| Some((key, node.labels.get(*key)?))) {
            Some((key, value)) => rung(true, format!("{told} ({key}={value})")),
            None => rung(
                false,
                format!("{told} would do, but no group of nodes is known that grows"),
            ),
        }
    }

    /// The node that would take most replicas if it were new, and how many.
    pub(super) fn template(&self) -> Option<(usize, u64)> {
        let rooms = self.snapshot.nodes.iter().enumerate();
        let rooms = rooms.filter_map(|(number, node)| Some((number, empty_room(node, self.ask)?)));
        // One of a group that grows rather than another; of equal ones the first.
        rooms.max_by_key(|(number, room)| {
            let labels = &self.snapshot.nodes[*number].labels;
            let grows = GROUPS.iter().any(|key| labels.contains_key(*key));
            (grows, *room, std::cmp::Reverse(*number))
        })
    }

    pub(super) fn swap(&self) -> Rung {
        let rung = |possible, why: String| Rung {
            action: Action::Swap,
            possible,
            why,
        };
        if self.fits() {
            return rung(false, "not needed".into());
        }
        let (stable, floor) = (self.stable.len(), self.floor());
        let opens = |number: &&usize| {
            let what = What {
                without: vec![**number],
                ..What::default()
            };
            most_if(self.snapshot, self.ask, &what) > 0
        };
        match (stable, self.stable.iter().take(BORROW_TRIES).find(opens)) {
            (0, _) => rung(false, "no stable replica is in this cluster".into()),
            (_, None) => rung(
                false,
                "the place of a stable replica does not take a new one".into(),
            ),
            (count, Some(_)) if floor.replicas as usize >= count => rung(
                false,
                format!(
                    "one of {count} stable replicas would be missing, but {} asks for {}",
                    floor.by, floor.replicas
                ),
            ),
            (1, Some(_)) => rung(
                true,
                "the only stable replica is replaced: no stable is left, traffic stops meanwhile".into(),
            ),
            (_, Some(_)) => rung(
                true,
                format!(
                    "stable replicas are replaced one by one, in steps of 1 of {stable}; going back is not instant"
                ),
            ),
        }
    }

    pub(super) fn refuse(&self, other: bool) -> Rung {
        let why = if other {
            "not needed: another rung is possible"
        } else {
            "nothing that could be done was found"
        };
        Rung {
            action: Action::Refuse,
            possible: !other,
            why: why.into(),
        }
    }
}
