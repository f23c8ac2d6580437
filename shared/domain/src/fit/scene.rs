//! All nodes before anything is placed, and the rules by which one placement changes what the next may do.
//!
//! What a node offers by itself is computed once. What changes while replicas are placed lies in [`State`], which is
//! cheap to copy: counts by topology domain, and how many replicas went where.

use std::collections::{BTreeMap, HashMap};

use super::ask::Ask;
use super::node::{Used, Waived, capacity, wants};
use super::reason::Reason;
use super::snapshot::{Pod, Snapshot};

/// What is looked at otherwise than it is.
#[derive(Clone, Default)]
pub(crate) struct What {
    /// Pods, by their place in the snapshot, that are thought away.
    pub(crate) without: Vec<usize>,
    /// A node, by its place, that is thought away.
    pub(crate) closed: Option<usize>,
    /// What is looked away from.
    pub(crate) waived: Option<Waived>,
}

/// Nodes, and rules between pods.
pub(crate) struct Scene<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) ask: &'a Ask,
    /// Replicas that each node takes by itself.
    pub(crate) offers: Vec<Result<u32, Reason>>,
    pub(crate) start: State,
    topology: Topology<'a>,
    spreads: Vec<SpreadRule>,
    /// Topology keys of the pods that must be near, one a term.
    near: Vec<usize>,
    /// Whether a replica is a pod that must be near.
    near_itself: bool,
    /// Topology keys by which replicas keep apart from each other.
    apart: Vec<usize>,
}

/// What keeps a replica off a node now: the node by itself, or a rule by the topology key of this number.
enum Bar {
    Itself,
    Apart(usize),
    Near(usize),
    Even(usize),
}

/// Counts that change with each placement.
#[derive(Clone)]
pub(crate) struct State {
    /// Replicas on each node.
    pub(crate) placed: Vec<u32>,
    /// By key and domain: whether a replica may not go there.
    blocked: Vec<Vec<bool>>,
    /// By key and domain: pods that must be near.
    near: Vec<Vec<u32>>,
    near_any: bool,
    spreads: Vec<SpreadCount>,
}

/// Domains of each topology key that any rule names.
struct Topology<'a> {
    keys: Vec<&'a str>,
    /// By key and node.
    domains: Vec<Vec<Option<usize>>>,
    sizes: Vec<usize>,
}

struct SpreadRule {
    key: usize,
    max_skew: i64,
    min_domains: usize,
    counts_itself: bool,
    /// Nodes whose pods are counted.
    counted: Vec<bool>,
}

#[derive(Clone)]
struct SpreadCount {
    /// Pods by domain; nothing for a domain without a counted node.
    domains: Vec<Option<i64>>,
    /// How many domains have how many pods.
    levels: BTreeMap<i64, usize>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, ask: &'a Ask, what: &What) -> Self {
        let index: HashMap<&str, usize> = snapshot
            .nodes
            .iter()
            .enumerate()
            .map(|(i, node)| (node.name.as_str(), i))
            .collect();
        let mut held: Vec<(&Pod, usize)> = Vec::with_capacity(snapshot.pods.len());
        for (number, pod) in snapshot.pods.iter().enumerate() {
            // A promise to a pod of lower priority does not count.
            let counts = pod.is_bound() || pod.priority >= ask.priority;
            if counts
                && !what.without.contains(&number)
                && let Some(node) = index.get(pod.node.as_str())
            {
                held.push((pod, *node));
            }
        }
        let topology = Topology::new(snapshot, ask, &held);
        let mut scene = Self {
            snapshot,
            ask,
            offers: offers(snapshot, ask, &held, what),
            start: State {
                placed: vec![0; snapshot.nodes.len()],
                blocked: topology.table(false),
                near: topology.table(0),
                near_any: false,
                spreads: Vec::new(),
            },
            spreads: Vec::new(),
            near: ask.affinity.iter().map(|term| topology.key(&term.key)).collect(),
            near_itself: false,
            apart: Vec::new(),
            topology,
        };
        scene.keep_apart(&held);
        scene.keep_near(&held);
        scene.keep_even(&held);
        scene
    }

    fn names(&self, term: &super::selector::PodTerm) -> bool {
        term.matches(&self.ask.namespace, &self.ask.labels, &self.snapshot.namespaces)
    }

    fn keep_apart(&mut self, held: &[(&Pod, usize)]) {
        let ask = self.ask;
        for (pod, node) in held {
            let theirs = pod.anti_affinity.iter().filter(|term| self.names(term));
            let ours = ask
                .anti_affinity
                .iter()
                .filter(|term| term.matches(&pod.namespace, &pod.labels, &self.snapshot.namespaces));
            let keys: Vec<usize> = theirs
                .chain(ours)
                .map(|term| self.topology.key(&term.key))
                .collect();
            for key in keys {
                self.start.block(&self.topology, key, *node);
            }
        }
        let itself = ask.anti_affinity.iter().filter(|term| self.names(term));
        let mut apart: Vec<usize> = itself.map(|term| self.topology.key(&term.key)).collect();
        apart.sort_unstable();
        apart.dedup();
        for key in apart {
            if self.topology.is_single(key) {
                // Domains of one node: a limit of the node itself.
                for (offer, domain) in self.offers.iter_mut().zip(&self.topology.domains[key]) {
                    if let (Ok(room), Some(_)) = (offer, domain) {
                        *room = (*room).min(1);
                    }
                }
            } else {
                self.apart.push(key);
            }
        }
    }

    fn keep_near(&mut self, held: &[(&Pod, usize)]) {
        let ask = self.ask;
        if ask.affinity.is_empty() {
            return;
        }
        self.near_itself = ask.affinity.iter().all(|term| self.names(term));
        let namespaces = &self.snapshot.namespaces;
        for (pod, node) in held {
            let wanted =
                |term: &super::selector::PodTerm| term.matches(&pod.namespace, &pod.labels, namespaces);
            if pod.is_bound() && ask.affinity.iter().all(wanted) {
                self.start.come_near(&self.topology, &self.near, *node);
            }
        }
    }

    fn keep_even(&mut self, held: &[(&Pod, usize)]) {
        let ask = self.ask;
        let keys: Vec<usize> = ask
            .spread
            .iter()
            .map(|spread| self.topology.key(&spread.key))
            .collect();
        for (spread, key) in ask.spread.iter().zip(&keys) {
            let counted: Vec<bool> = (0..self.snapshot.nodes.len())
                .map(|number| {
                    let node = &self.snapshot.nodes[number];
                    keys.iter()
                        .all(|key| self.topology.domains[*key][number].is_some())
                        && (!spread.honor_affinity || ask.selects(&node.name, &node.labels))
                        && (!spread.honor_taints || ask.untolerated(&node.taints).is_none())
                })
                .collect();
            let mut domains = vec![None; self.topology.sizes[*key]];
            for (domain, counted) in self.topology.domains[*key].iter().zip(&counted) {
                if let (Some(domain), true) = (domain, counted) {
                    domains[*domain] = Some(0);
                }
            }
            for (pod, node) in held {
                let counts = counted[*node]
                    && pod.namespace == ask.namespace
                    && !pod.is_terminating()
                    && spread.counts(&pod.labels);
                if let (true, Some(domain)) = (counts, self.topology.domains[*key][*node]) {
                    *domains[domain].get_or_insert(0) += 1;
                }
            }
            let mut levels = BTreeMap::new();
            for count in domains.iter().flatten() {
                *levels.entry(*count).or_insert(0) += 1;
            }
            self.start.spreads.push(SpreadCount { domains, levels });
            self.spreads.push(SpreadRule {
                key: *key,
                max_skew: spread.max_skew,
                min_domains: spread.min_domains,
                counts_itself: spread.counts(&ask.labels),
                counted,
            });
        }
    }

    /// Whether one more replica may go to a node now; else why not.
    pub(crate) fn look(&self, state: &State, node: usize) -> Result<(), Reason> {
        let key = |key: usize| self.topology.keys[key].to_owned();
        self.check(state, node).map_err(|bar| match bar {
            Bar::Itself => match &self.offers[node] {
                Err(reason) => reason.clone(),
                Ok(_) => Reason::Room(state.placed[node]),
            },
            Bar::Apart(by) => Reason::AntiAffinity(key(by)),
            Bar::Near(by) => Reason::Affinity(key(by)),
            Bar::Even(by) => Reason::Spread(key(by)),
        })
    }

    /// The same without words: it is asked for every node in every round.
    pub(crate) fn may(&self, state: &State, node: usize) -> bool {
        self.check(state, node).is_ok()
    }

    fn check(&self, state: &State, node: usize) -> Result<(), Bar> {
        if self.offers[node]
            .as_ref()
            .map_or(true, |room| state.placed[node] >= *room)
        {
            return Err(Bar::Itself);
        }
        let domain = |key: usize| self.topology.domains[key][node];
        for (key, blocked) in state.blocked.iter().enumerate() {
            if domain(key).is_some_and(|domain| blocked[domain]) {
                return Err(Bar::Apart(key));
            }
        }
        // The first of a group that must be near itself may go anywhere that has the domains.
        let first = !state.near_any && self.near_itself;
        for key in &self.near {
            if !domain(*key).is_some_and(|domain| first || state.near[*key][domain] > 0) {
                return Err(Bar::Near(*key));
            }
        }
        for (rule, count) in self.spreads.iter().zip(&state.spreads) {
            if !rule.allows(count, domain(rule.key)) {
                return Err(Bar::Even(rule.key));
            }
        }
        Ok(())
    }

    /// Places one replica.
    pub(crate) fn place(&self, state: &mut State, node: usize) {
        state.placed[node] += 1;
        for key in &self.apart {
            state.block(&self.topology, *key, node);
        }
        if self.near_itself {
            state.come_near(&self.topology, &self.near, node);
        }
        for (rule, count) in self.spreads.iter().zip(&mut state.spreads) {
            if rule.counts_itself
                && rule.counted[node]
                && let Some(domain) = self.topology.domains[rule.key][node]
            {
                count.raise(domain);
            }
        }
    }

    /// How the order of placements can matter.
    pub(crate) fn order(&self) -> Order {
        let first_chooses = self.near_itself && !self.start.near_any;
        let spreads: Vec<usize> = self
            .spreads
            .iter()
            .filter(|rule| rule.counts_itself)
            .map(|rule| rule.key)
            .collect();
        match (first_chooses, self.apart.as_slice(), spreads.as_slice()) {
            (false, [], []) => Order::Free,
            // Domains fill up independently of each other: one key, one limit a domain.
            (false, [_], []) | (false, [], [_]) => Order::Same,
            (false, [apart], [spread]) if apart == spread => Order::Same,
            (true, [], []) => Order::First,
            _ => Order::Matters,
        }
    }

    /// The domains that a node's place among the pods that must be near consists of.
    pub(crate) fn neighbourhood(&self, node: usize) -> Vec<Option<usize>> {
        self.near
            .iter()
            .map(|key| self.topology.domains[*key][node])
            .collect()
    }
}

/// How much the order of placements decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// Not at all: every node for itself.
    Free,
    /// Not how many, only where.
    Same,
    /// The first replica decides where the others must go.
    First,
    /// Every choice may matter.
    Matters,
}

impl State {
    fn block(&mut self, topology: &Topology<'_>, key: usize, node: usize) {
        if let Some(domain) = topology.domains[key][node] {
            self.blocked[key][domain] = true;
        }
    }

    fn come_near(&mut self, topology: &Topology<'_>, keys: &[usize], node: usize) {
        for key in keys {
            if let Some(domain) = topology.domains[*key][node] {
                self.near[*key][domain] += 1;
                self.near_any = true;
            }
        }
    }
}

impl SpreadRule {
    fn allows(&self, count: &SpreadCount, domain: Option<usize>) -> bool {
        let Some(domain) = domain else {
            return false;
        };
        let domains: usize = count.levels.values().sum();
        let least = match count.levels.first_key_value() {
            Some((least, _)) if domains >= self.min_domains => *least,
            _ => 0,
        };
        count.domains[domain].unwrap_or(0) + i64::from(self.counts_itself) - least <= self.max_skew
    }
}

impl SpreadCount {
    fn raise(&mut self, domain: usize) {
        let Some(count) = &mut self.domains[domain] else {
            return;
        };
        if let Some(left) = self.levels.get_mut(count) {
            *left -= 1;
            if *left == 0 {
                self.levels.remove(count);
            }
        }
        *count += 1;
        *self.levels.entry(*count).or_insert(0) += 1;
    }
}

impl<'a> Topology<'a> {
    fn new(snapshot: &'a Snapshot, ask: &'a Ask, held: &[(&'a Pod, usize)]) -> Self {
        let ours = ask
            .affinity
            .iter()
            .chain(&ask.anti_affinity)
            .map(|term| term.key.as_str());
        let theirs = held
            .iter()
            .flat_map(|(pod, _)| &pod.anti_affinity)
            .map(|term| term.key.as_str());
        let mut keys: Vec<&str> = ours
            .chain(theirs)
            .chain(ask.spread.iter().map(|spread| spread.key.as_str()))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let (domains, sizes) = keys
            .iter()
            .map(|key| {
                let mut known: HashMap<&str, usize> = HashMap::new();
                let domains: Vec<Option<usize>> = snapshot
                    .nodes
                    .iter()
                    .map(|node| {
                        let value = node.labels.get(*key)?;
                        let next = known.len();
                        Some(*known.entry(value.as_str()).or_insert(next))
                    })
                    .collect();
                (domains, known.len())
            })
            .unzip();
        Self { keys, domains, sizes }
    }

    fn key(&self, name: &str) -> usize {
        self.keys
            .binary_search(&name)
            .expect("every key that a rule names was collected")
    }

    fn table<T: Clone>(&self, value: T) -> Vec<Vec<T>> {
        self.sizes.iter().map(|size| vec![value.clone(); *size]).collect()
    }

    /// Whether every domain of a key is one node.
    fn is_single(&self, key: usize) -> bool {
        self.domains[key].iter().flatten().count() == self.sizes[key]
    }
}

fn offers(snapshot: &Snapshot, ask: &Ask, held: &[(&Pod, usize)], what: &What) -> Vec<Result<u32, Reason>> {
    let wants = wants(ask);
    let empty = Used {
        amounts: vec![0; wants.len()],
        ..Used::default()
    };
    let mut used = vec![empty; snapshot.nodes.len()];
    for (pod, node) in held {
        let used = &mut used[*node];
        used.pods += 1;
        for (taken, (name, _)) in used.amounts.iter_mut().zip(&wants) {
            *taken = taken.saturating_add(pod.requests.get(name));
        }
        if used.port.is_none() {
            used.port = ask
                .ports
                .iter()
                .find(|port| pod.ports.iter().any(|other| other.collides(port)))
                .map(|port| port.port);
        }
    }
    let offer = |(number, (node, used))| match what.closed == Some(number) {
        true => Err(Reason::Cordoned),
        false => capacity(node, ask, &wants, used, what.waived.as_ref()),
    };
    snapshot.nodes.iter().zip(&used).enumerate().map(offer).collect()
}
