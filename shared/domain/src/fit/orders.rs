//! How many replicas find a node, whatever order the scheduler takes, and in the best order.
//!
//! Where placements do not influence each other, or only fill domains that are independent, one walk answers both. Where
//! the first replica decides, every start is tried. Else all orders are searched within a budget, and past it a set of
//! orders that lie far apart.

use std::collections::HashSet;

use super::scene::{Order, Scene, State};

/// States that a search of all orders may visit: some milliseconds.
const SEARCH_STATES: usize = 20_000;
/// Looks at a node that such a search may take: a state of a large cluster costs more than one of a small.
const SEARCH_LOOKS: usize = 400_000;
/// Replicas up to which all orders are searched; the search goes as deep as that.
const SEARCH_DEPTH: u64 = 400;
/// Orders that are walked where a search would take too long.
const WALKS: u64 = 24;
/// Looks at a node that all those walks together may take.
const WALK_LOOKS: usize = 4_000_000;

/// What the orders lead to.
pub(crate) struct Reach {
    /// Replicas that are placed in the worst order.
    pub(crate) least: u64,
    /// Replicas that are placed in the best order.
    pub(crate) most: u64,
    /// Nodes in the order of that best one.
    pub(crate) path: Vec<usize>,
    /// How that best one ends.
    pub(crate) end: State,
    /// Whether all orders were considered.
    pub(crate) exact: bool,
}

/// Finds out.
pub(crate) fn reach(scene: &Scene<'_>) -> Reach {
    match scene.order() {
        Order::Free | Order::Same => {
            let walked = walk(scene, scene.start.clone(), &Sweep::plain(scene));
            let most = walked.path.len() as u64;
            Reach {
                least: most,
                most,
                path: walked.path,
                end: walked.state,
                exact: true,
            }
        }
        Order::First => starts(scene),
        Order::Matters => search(scene).unwrap_or_else(|| many(scene)),
    }
}

/// One walk from each neighbourhood that the first replica may choose.
fn starts(scene: &Scene<'_>) -> Reach {
    let mut known = HashSet::new();
    let mut best: Option<Reach> = None;
    for node in 0..scene.offers.len() {
        if !scene.may(&scene.start, node) || !known.insert(scene.neighbourhood(node)) {
            continue;
        }
        let mut state = scene.start.clone();
        scene.place(&mut state, node);
        let mut walked = walk(scene, state, &Sweep::plain(scene));
        walked.path.insert(0, node);
        best = Some(better(best, walked, true));
    }
    best.unwrap_or_else(|| nothing(scene))
}

fn nothing(scene: &Scene<'_>) -> Reach {
    Reach {
        least: 0,
        most: 0,
        path: Vec::new(),
        end: scene.start.clone(),
        exact: true,
    }
}

fn better(best: Option<Reach>, walked: Walked, exact: bool) -> Reach {
    let count = walked.path.len() as u64;
    match best {
        Some(best) if best.most >= count => Reach {
            least: best.least.min(count),
            ..best
        },
        other => Reach {
            least: other.map_or(count, |best| best.least.min(count)),
            most: count,
            path: walked.path,
            end: walked.state,
            exact,
        },
    }
}

/// Every order, each state once. Nothing, if that is too many.
pub(super) fn search(scene: &Scene<'_>) -> Option<Reach> {
    let candidates: Vec<usize> = (0..scene.offers.len())
        .filter(|node| scene.offers[*node].is_ok())
        .collect();
    let rooms = candidates
        .iter()
        .filter_map(|node| scene.offers[*node].as_ref().ok());
    if rooms.map(|room| u64::from(*room)).sum::<u64>() > SEARCH_DEPTH {
        return None;
    }
    let mut search = Search {
        scene,
        candidates,
        seen: HashSet::new(),
        looks: 0,
        path: Vec::new(),
        best: None,
    };
    search
        .visit(&scene.start)
        .then(|| search.best.unwrap_or_else(|| nothing(scene)))
}

struct Search<'s, 'a> {
    scene: &'s Scene<'a>,
    candidates: Vec<usize>,
    seen: HashSet<Vec<u32>>,
    looks: usize,
    path: Vec<usize>,
    best: Option<Reach>,
}

impl Search<'_, '_> {
    /// Whether the budget was enough.
    fn visit(&mut self, state: &State) -> bool {
        self.looks += self.candidates.len();
        let placed: Vec<u32> = self.candidates.iter().map(|node| state.placed[*node]).collect();
        if !self.seen.insert(placed) {
            return true;
        }
        if self.seen.len() > SEARCH_STATES || self.looks > SEARCH_LOOKS {
            return false;
        }
        let mut stuck = true;
        for number in 0..self.candidates.len() {
            let node = self.candidates[number];
            if !self.scene.may(state, node) {
                continue;
            }
            stuck = false;
            let mut next = state.clone();
            self.scene.place(&mut next, node);
            self.path.push(node);
            let enough = self.visit(&next);
            self.path.pop();
            if !enough {
                return false;
            }
        }
        if stuck {
            let walked = Walked {
                path: self.path.clone(),
                state: state.clone(),
            };
            self.best = Some(better(self.best.take(), walked, true));
        }
        true
    }
}

/// Orders far apart: node by node and round by round, forwards, backwards, and shuffled.
fn many(scene: &Scene<'_>) -> Reach {
    let mut best: Option<Reach> = None;
    let mut looks = 0;
    for number in 0..WALKS {
        let walked = walk(scene, scene.start.clone(), &Sweep::numbered(scene, number));
        looks += scene.offers.len() * (1 + walked.path.len() / scene.offers.len().max(1));
        best = Some(better(best, walked, false));
        if looks > WALK_LOOKS {
            break;
        }
    }
    best.unwrap_or_else(|| nothing(scene))
}

struct Walked {
    path: Vec<usize>,
    state: State,
}

/// In which order nodes are visited, and whether one is filled before the next.
struct Sweep {
    nodes: Vec<usize>,
    fill: bool,
}

impl Sweep {
    fn plain(scene: &Scene<'_>) -> Self {
        Self {
            nodes: (0..scene.offers.len()).collect(),
            fill: false,
        }
    }

    fn numbered(scene: &Scene<'_>, number: u64) -> Self {
        let mut nodes: Vec<usize> = (0..scene.offers.len()).collect();
        match number / 2 {
            0 => {}
            1 => nodes.reverse(),
            seed => nodes.sort_by_key(|node| mix(seed << 32 | *node as u64)),
        }
        Self {
            nodes,
            fill: number % 2 == 1,
        }
    }
}

/// A number that looks like chance (splitmix64); the same input gives the same order every time.
fn mix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Places replicas until none can be placed. Nodes that cannot take one by themselves are left out of further rounds.
fn walk(scene: &Scene<'_>, mut state: State, sweep: &Sweep) -> Walked {
    let mut path = Vec::new();
    let mut nodes: Vec<usize> = sweep
        .nodes
        .iter()
        .copied()
        .filter(|node| scene.offers[*node].is_ok())
        .collect();
    loop {
        let before = path.len();
        for node in &nodes {
            while scene.may(&state, *node) {
                scene.place(&mut state, *node);
                path.push(*node);
                if !sweep.fill {
                    break;
                }
            }
        }
        if path.len() == before {
            return Walked { path, state };
        }
        nodes.retain(|node| {
            scene.offers[*node]
                .as_ref()
                .is_ok_and(|room| state.placed[*node] < *room)
        });
    }
}
