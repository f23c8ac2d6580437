//! The verdict: does it fit, where would it go, and why does it go nowhere else.

use std::fmt;

use super::ask::Ask;
use super::orders::{Reach, reach};
use super::quota::{self, Allowed};
use super::reason::Reason;
use super::scene::{Scene, State, What};
use super::snapshot::Snapshot;

/// Whether replicas fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fits {
    /// In whatever order the scheduler takes.
    Yes,
    /// In none.
    No,
    /// In some orders and not in others.
    DependsOnOrder,
}

impl fmt::Display for Fits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "fits",
            Self::No => "does not fit",
            Self::DependsOnOrder => "depends on the scheduler's order",
        })
    }
}

/// An answer about one workload on one cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fit {
    /// The verdict for the replicas that were asked for.
    pub fits: Fits,
    /// Replicas asked for.
    pub replicas: u64,
    /// Extra replicas that can be placed in the best order.
    pub max_replicas: u64,
    /// Extra replicas that are placed in any order.
    pub sure_replicas: u64,
    /// Where they would go, as far as there is room; by node name.
    pub placements: Vec<Placement>,
    /// How many nodes for each reason, the most first; the counts sum to the number of nodes.
    pub reasons: Vec<Counted>,
    /// Whether every order was considered, not only some that lie far apart.
    pub exact: bool,
}

/// Replicas on a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placement {
    /// The node.
    pub node: String,
    /// How many.
    pub replicas: u64,
}

/// Nodes with one reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counted {
    /// The reason.
    pub reason: Reason,
    /// How many nodes have it.
    pub nodes: usize,
}

impl fmt::Display for Counted {
    /// `3 have 2 of 8 nvidia.com/gpu free, 4 needed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.reason {
            Reason::Short { .. } | Reason::Room(_) if self.nodes == 1 => "has ",
            Reason::Short { .. } | Reason::Room(_) => "have ",
            _ => "",
        };
        write!(f, "{} {verb}{}", self.nodes, self.reason)
    }
}

/// Says whether replicas of a workload fit into a cluster beside what is there, without evicting anything.
pub fn fit(snapshot: &Snapshot, ask: &Ask, replicas: u64) -> Fit {
    fit_if(snapshot, ask, replicas, &What::default())
}

/// The same for a cluster that is looked at otherwise than it is.
pub(crate) fn fit_if(snapshot: &Snapshot, ask: &Ask, replicas: u64, what: &What) -> Fit {
    let scene = Scene::new(snapshot, ask, what);
    let reach = reach(&scene);
    let allowed = quota::allowed(snapshot, ask, &what.without);
    let (most, least) = (allowed.cap(reach.most), allowed.cap(reach.least));
    let fits = match replicas {
        n if n <= least => Fits::Yes,
        n if n > most => Fits::No,
        _ => Fits::DependsOnOrder,
    };
    Fit {
        fits,
        replicas,
        max_replicas: most,
        sure_replicas: least,
        placements: placements(&scene, &reach, replicas.min(most)),
        reasons: reasons(&scene, &reach.end, &allowed, reach.most),
        exact: reach.exact,
    }
}

/// Most replicas in the best order, and nothing else.
pub(crate) fn most_if(snapshot: &Snapshot, ask: &Ask, what: &What) -> u64 {
    quota::allowed(snapshot, ask, &what.without).cap(reach(&Scene::new(snapshot, ask, what)).most)
}

/// Places as the scheduler would by its default scores, roughly: away from replicas of its own, then to the node with
/// the most room. Where that leads nowhere, the best order is told instead.
fn placements(scene: &Scene<'_>, reach: &Reach, replicas: u64) -> Vec<Placement> {
    let mut state = scene.start.clone();
    let mut open: Vec<usize> = (0..scene.offers.len())
        .filter(|node| scene.offers[*node].is_ok())
        .collect();
    let mut count = 0;
    // Ordered once by room: rounds over it put the next replica on the emptiest node that has the fewest.
    open.sort_by_key(|node| std::cmp::Reverse(scene.offers[*node].as_ref().map_or(0, |room| *room)));
    'rounds: while count < replicas {
        let before = count;
        for node in &open {
            if scene.may(&state, *node) {
                scene.place(&mut state, *node);
                count += 1;
                if count == replicas {
                    break 'rounds;
                }
            }
        }
        if count == before {
            state = scene.start.clone();
            for node in reach
                .path
                .iter()
                .take(usize::try_from(replicas).unwrap_or(usize::MAX))
            {
                scene.place(&mut state, *node);
            }
            break;
        }
    }
    let placed = scene
        .snapshot
        .nodes
        .iter()
        .zip(&state.placed)
        .filter(|(_, count)| **count > 0);
    let mut placements: Vec<Placement> = placed
        .map(|(node, count)| Placement {
            node: node.name.clone(),
            replicas: u64::from(*count),
        })
        .collect();
    placements.sort_by(|a, b| a.node.cmp(&b.node));
    placements
}

/// One reason a node, told together where they are alike.
fn reasons(scene: &Scene<'_>, end: &State, allowed: &Allowed, room: u64) -> Vec<Counted> {
    let overruled = allowed.reason.as_ref().filter(|_| allowed.replicas < room);
    let mut counted: Vec<Counted> = Vec::new();
    let mut add = |reason: Reason| match counted.iter_mut().find(|group| group.reason.told_with(&reason)) {
        Some(group) => {
            group.nodes += 1;
            group.reason.merge(&reason);
        }
        None => counted.push(Counted { reason, nodes: 1 }),
    };
    for node in 0..scene.offers.len() {
        match (end.placed[node], overruled) {
            (0, _) => add(scene.look(end, node).err().unwrap_or(Reason::Room(0))),
            (_, Some(reason)) => add(reason.clone()),
            (count, None) => add(Reason::Room(count)),
        }
    }
    counted.sort_by(|a, b| b.nodes.cmp(&a.nodes).then_with(|| a.reason.cmp(&b.reason)));
    counted
}
