//! A world with a known truth, scraped at any moment.

use super::*;
use proptest::prelude::*;
use serde_json::Value;
use weir_app::{Placed, PodRef};
use weir_domain::ids::Namespace;
use weir_domain::seen::Routed;

use crate::page::Answers;

/// Longest story of a world.
const MOVES_MAX: usize = 60;

#[derive(Clone)]
struct Server {
    arm: usize,
    name: String,
    ip: String,
    answered: Answers,
    fast: u64,
    timed: u64,
}

/// Two revisions behind some gateways, which know the pods' addresses only.
struct World {
    servers: Vec<Server>,
    gateways: Vec<(String, BTreeMap<String, Endpoint>)>,
    free: Vec<String>,
    made: usize,
    truth: [Counts; 2],
    stored: Option<Value>,
    last: BTreeMap<RevisionId, Counts>,
}

fn revision(arm: usize) -> RevisionId {
    RevisionId::new(["r1", "r2"][arm])
}

fn pod(name: &str, ip: &str) -> PodRef {
    PodRef {
        namespace: Namespace::new("shop"),
        name: name.into(),
        ip: Some(ip.into()),
    }
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            servers: Vec::new(),
            gateways: Vec::new(),
            free: (0..4).map(|n| format!("10.0.0.{n}")).collect(),
            made: 0,
            truth: Default::default(),
            stored: None,
            last: BTreeMap::new(),
        };
        world.add_gateway();
        world.add_server(0);
        world.add_server(1);
        world
    }

    fn add_gateway(&mut self) {
        self.made += 1;
        let endpoints = self
            .servers
            .iter()
            .map(|server| (server.ip.clone(), Endpoint::default()));
        self.gateways
            .push((format!("gw-{}", self.made), endpoints.collect()));
    }

    fn add_server(&mut self, arm: usize) {
        let Some(ip) = self.free.pop() else { return };
        self.made += 1;
        for (_, endpoints) in &mut self.gateways {
            endpoints.insert(ip.clone(), Endpoint::default());
        }
        let name = format!("pod-{}", self.made);
        let answered = Answers::default();
        self.servers.push(Server {
            arm,
            name,
            ip,
            answered,
            fast: 0,
            timed: 0,
        });
    }

    fn remove_server(&mut self, which: usize) {
        if self.servers.len() < 2 {
            return;
        }
        let server = self.servers.remove(which % self.servers.len());
        for (_, endpoints) in &mut self.gateways {
            endpoints.remove(&server.ip);
        }
        self.free.push(server.ip);
    }

    /// A pod's container begins anew; the gateways do not notice.
    fn restart_server(&mut self, which: usize) {
        let count = self.servers.len();
        let server = &mut self.servers[which % count];
        (server.answered, server.fast, server.timed) = (Answers::default(), 0, 0);
    }

    fn restart_gateway(&mut self, which: usize) {
        let count = self.gateways.len();
        let endpoints = &mut self.gateways[which % count].1;
        endpoints
            .values_mut()
            .for_each(|endpoint| *endpoint = Endpoint::default());
    }

    fn replace_gateway(&mut self, which: usize) {
        self.add_gateway();
        let count = self.gateways.len();
        self.gateways.remove(which % (count - 1));
    }

    /// The endpoint is removed and comes back, as when its pod was not ready for a moment.
    fn blink(&mut self, which: usize) -> String {
        let ip = self.servers[which % self.servers.len()].ip.clone();
        for (_, endpoints) in &mut self.gateways {
            endpoints.remove(&ip);
        }
        ip
    }

    fn unblink(&mut self, ip: &str) {
        for (_, endpoints) in &mut self.gateways {
            endpoints.insert(ip.to_owned(), Endpoint::default());
        }
    }

    fn serve(&mut self, server: usize, gateway: usize, good: u64, bad: u64) {
        let (servers, gateways) = (self.servers.len(), self.gateways.len());
        let server = &mut self.servers[server % servers];
        let endpoint = self.gateways[gateway % gateways].1.get_mut(&server.ip).unwrap();
        endpoint.total += good + bad;
        endpoint.success += good;
        endpoint.error += bad;
        server.answered.requests += good + bad;
        server.answered.bad += bad;
        server.timed += good;
        server.fast += good / 2;
        let truth = Counts {
            started: good + bad,
            requests: good + bad,
            bad,
            within_ms: BTreeMap::from([(500, good / 2)]),
            timed: good,
            ..Counts::default()
        };
        add(&mut self.truth[server.arm], truth);
    }

    /// One count. A bit of `silent` that is set is a source that does not answer; a bit of `unseen` a kind of source
    /// that is not there.
    fn scrape(&mut self, silent: u8, unseen: u8) {
        let mut placed = Placed::default();
        for server in &self.servers {
            placed
                .pods
                .entry(revision(server.arm))
                .or_default()
                .push(pod(&server.name, &server.ip));
        }
        placed.gateway = self
            .gateways
            .iter()
            .map(|(name, _)| pod(name, "10.1.0.1"))
            .collect();
        let mut tally = Tally::resume(self.stored.as_ref(), &placed);
        let answers = |n: usize| silent & (1 << (n % 8)) == 0;
        let shown = self
            .gateways
            .iter()
            .enumerate()
            .filter(|(n, _)| answers(*n) && unseen & 1 == 0);
        let shown = shown.map(|(_, (name, endpoints))| {
            let read = endpoints
                .iter()
                .map(|(ip, endpoint)| (("0".into(), ip.clone()), *endpoint));
            (format!("shop/{name}"), read.collect())
        });
        tally.absorb_gateways(&shown.collect());
        for (n, server) in self.servers.iter().enumerate() {
            if answers(n + 3) && unseen & 2 == 0 {
                tally.absorb_page(&revision(server.arm), &server.name, &server.page());
            }
        }
        tally.tidy();
        if self.stored.is_none() {
            self.truth = Default::default();
        }
        self.stored = Some(tally.stored());
        let counts = tally.counts();
        for (revision, last) in &self.last {
            assert!(
                not_less(&counts[revision], last),
                "{last:?} became {:?}",
                counts[revision]
            );
        }
        self.last = counts;
    }

    fn counted(&self, arm: usize) -> Counts {
        let seen = self.last.get(&revision(arm)).cloned().unwrap_or_default();
        assert!(seen.routed.by <= seen.routed.of, "{seen:?}");
        let routed = Routed::default();
        Counts { routed, ..seen }
    }
}

impl Server {
    fn page(&self) -> Page {
        let latency = Latency {
            family: "vllm:time_to_first_token_seconds",
            within_ms: BTreeMap::from([(500, self.fast)]),
            timed: self.timed,
        };
        Page {
            answers: Some(self.answered),
            cut: None,
            latency: Some(latency),
        }
    }
}

fn not_less(now: &Counts, last: &Counts) -> bool {
    let edges = last
        .within_ms
        .iter()
        .all(|(edge, n)| now.within_ms.get(edge).is_some_and(|now| now >= n));
    edges
        && now.started >= last.started
        && now.requests >= last.requests
        && now.bad >= last.bad
        && now.timed >= last.timed
}

/// A histogram that nobody entered has no edges yet.
fn plain(mut counts: Counts) -> Counts {
    counts.within_ms.retain(|_, within| *within > 0);
    counts
}

type Move = (u8, usize, usize, u8);

fn moves() -> impl Strategy<Value = Vec<Move>> {
    prop::collection::vec((0..10u8, 0..8usize, 0..8usize, any::<u8>()), 1..MOVES_MAX)
}

impl World {
    /// What no scraper could have seen is kept from happening: a look before and after whatever loses counters.
    fn careful(&mut self, (kind, a, b, n): Move, unseen: u8) {
        if kind < 5 {
            self.serve(a, b, u64::from(n), u64::from(n % 7));
            if kind == 0 {
                self.scrape(0, unseen);
            }
            return;
        }
        self.scrape(0, unseen);
        match kind {
            5 => self.restart_server(a),
            6 => self.restart_gateway(a),
            7 => self.replace_gateway(a),
            8 if n % 2 == 0 => self.remove_server(a),
            8 => self.add_server(b % 2),
            _ => {
                let ip = self.blink(a);
                self.scrape(0, unseen);
                self.unblink(&ip);
            }
        }
        self.scrape(0, unseen);
    }

    /// Anything at any time, with sources that do not answer.
    fn careless(&mut self, (kind, a, b, n): Move) {
        match kind {
            0 | 1 => self.scrape(n, if a == 0 { n } else { 0 }),
            2..5 => self.serve(a, b, u64::from(n), u64::from(n % 7)),
            5 => self.restart_server(a),
            6 => self.restart_gateway(a),
            7 => self.replace_gateway(a),
            8 if n % 2 == 0 => self.remove_server(a),
            8 => self.add_server(b % 2),
            _ => {
                let ip = self.blink(a);
                self.unblink(&ip);
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_restarts_comes_and_goes_the_counts_are_the_truth(
        history in 0..500u64, moves in moves(), source in 0..2u8,
    ) {
        let mut world = World::new();
        world.serve(0, 0, history, history / 3);
        world.serve(1, 0, history / 2, 0);
        world.scrape(0, source);
        for one in moves {
            world.careful(one, source);
        }
        world.scrape(0, source);
        for arm in 0..2 {
            prop_assert_eq!(plain(world.counted(arm)), plain(world.truth[arm].clone()));
        }
    }

    #[test]
    fn whatever_is_lost_the_counts_never_decrease_and_never_exceed_the_truth(
        history in 0..500u64, moves in moves(), silent in any::<u8>(),
    ) {
        let mut world = World::new();
        world.serve(0, 0, history, history / 3);
        world.scrape(silent, 0);
        for one in moves {
            world.careless(one);
        }
        world.scrape(0, 0);
        for arm in 0..2 {
            let (counted, truth) = (world.counted(arm), &world.truth[arm]);
            prop_assert!(
                counted.requests <= truth.requests && counted.bad <= truth.bad && counted.timed <= truth.timed,
                "{:?} is more than {:?}", counted, truth
            );
        }
    }

    #[test]
    fn hostile_numbers_never_make_it_panic(pages in prop::collection::vec(prop::collection::vec(any::<u64>(), 8), 1..6)) {
        let mut world = World::new();
        for page in pages {
            let [total, success, error, ref rest @ ..] = page[..] else { unreachable!() };
            world.gateways[0].1.values_mut().for_each(|endpoint| *endpoint = Endpoint { total, success, error });
            let server = &mut world.servers[0];
            server.answered = Answers { requests: rest[0], bad: rest[1] };
            (server.fast, server.timed) = (rest[2], rest[3]);
            world.scrape(0, (rest[4] % 4) as u8);
        }
    }
}

#[test]
fn histograms_with_different_edges_meet_on_the_common_ones() {
    let mut counts = Counts::default();
    let grown = |edges: &[(u64, u64)], timed| Counts {
        within_ms: edges.iter().copied().collect(),
        timed,
        ..Counts::default()
    };
    add(&mut counts, grown(&[(500, 1), (1000, 2), (2000, 3)], 3));
    add(&mut counts, grown(&[], 0));
    add(&mut counts, grown(&[(250, 1), (500, 2), (2000, 4)], 5));
    assert_eq!(counts, grown(&[(500, 3), (2000, 7)], 8));
}

#[test]
fn a_dead_pods_requests_are_started_although_none_was_sent() {
    let last = Some([90, 90, 0]);
    let grown = endpoint_growth(
        last,
        Endpoint {
            total: 90,
            success: 90,
            error: 12,
        },
    );
    assert_eq!((grown.started, grown.requests, grown.bad), (12, 12, 12));
}

#[test]
fn a_counter_that_fell_counts_from_zero_again() {
    let now = Endpoint {
        total: 4,
        success: 3,
        error: 1,
    };
    for last in [[5, 3, 1], [4, 4, 0], [0, 0, 2]] {
        let grown = endpoint_growth(Some(last), now);
        assert_eq!((grown.started, grown.requests, grown.bad), (4, 4, 1), "{last:?}");
    }
    assert_eq!(growth(Some(7), 9), 2);
    assert_eq!(growth(Some(7), 6), 6);

    let mut world = World::new();
    world.scrape(0, 1);
    world.serve(0, 0, 40, 2);
    world.scrape(0, 1);
    world.restart_server(0);
    world.serve(0, 0, 10, 1);
    world.scrape(0, 1);
    assert_eq!(world.counted(0), world.truth[0]);
}

#[test]
fn failures_that_come_after_a_pod_is_gone_are_still_its_own() {
    let mut world = World::new();
    world.scrape(0, 0);
    let gone = world.servers.remove(0);
    let endpoint = world.gateways[0].1.get_mut(&gone.ip).unwrap();
    endpoint.error += 4;
    world.scrape(0, 0);
    assert_eq!(world.counted(0).bad, 4);
}

#[test]
fn where_the_pods_counted_first_the_gateway_begins_with_a_zero_line() {
    let mut world = World::new();
    world.scrape(0, 1);
    world.serve(0, 0, 10, 1);
    world.scrape(0, 1);
    assert_eq!(world.counted(0).requests, 11);
    world.scrape(0, 0);
    world.serve(0, 0, 5, 2);
    world.scrape(0, 0);
    assert_eq!((world.counted(0).requests, world.counted(0).bad), (18, 3));
}

#[test]
fn what_is_stored_of_sixteen_pods_that_served_for_weeks_is_small() {
    let mut placed = Placed::default();
    let name = |n: usize| format!("w-3f2a9c4b7e-6d8f7c9b5d-x{n:04}");
    for n in 0..16 {
        let pods = placed
            .pods
            .entry(RevisionId::new(format!("r3f2a9c4b7{}", n / 8)))
            .or_default();
        pods.push(pod(&name(n), &format!("10.244.117.{}", 100 + n)));
    }
    let gateway = |n: usize| format!("envoy-gateway-public-1f2e3d4c-7b9f8d6c5-k{n:04}");
    placed.gateway = (0..2).map(|n| pod(&gateway(n), "10.244.3.9")).collect();
    let mut tally = Tally::resume(None, &placed);
    let endpoint = Endpoint {
        total: 10_483_221,
        success: 10_470_001,
        error: 13_220,
    };
    let endpoints: Endpoints = (0..16)
        .map(|n| (("0".into(), format!("10.244.117.{}", 100 + n)), endpoint))
        .collect();
    let readings = (0..2)
        .map(|n| (format!("shop/{}", gateway(n)), endpoints.clone()))
        .collect();
    tally.absorb_gateways(&readings);
    let latency = Latency {
        family: "vllm:time_to_first_token_seconds",
        within_ms: (1..=22).map(|edge| (edge * edge * 7, edge * 450_000)).collect(),
        timed: 10_000_000,
    };
    let page = Page {
        answers: None,
        cut: Some(7),
        latency: Some(latency),
    };
    for (revision, pods) in &placed.pods {
        pods.iter()
            .for_each(|pod| tally.absorb_page(revision, &pod.name, &page));
    }
    tally.tidy();
    let size = tally.stored().to_string().len();
    assert!(size <= 6 * 1024, "{size} bytes");
}
