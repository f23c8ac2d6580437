//! How long a verdict takes, and a rollout's plan: `cargo bench -p weir-domain --bench fit`. Goal: 10 ms at 1,000 nodes and
//! 10,000 pods.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints what the clock says"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use weir_domain::fit::{
    Ask, Hold, Labels, Node, Pod, PodTerm, Requirement, Resources, Selector, Snapshot, Spread, Test, fit,
};
use weir_domain::ladder::{Load, ladder};
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::{Ahead, Question, choose};
use weir_domain::seen::Ground;
use weir_domain::time::Span;

const PODS_OF_A_NODE: usize = 10;
const ROUNDS: usize = 30;

fn labels(pairs: &[(&str, String)]) -> Labels {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect()
}

fn cluster(nodes: usize) -> Snapshot {
    let mut there = Snapshot::default();
    for number in 0..nodes {
        let name = format!("node-{number}");
        there.nodes.push(Node {
            labels: labels(&[("zone", format!("z{}", number % 3)), ("host", name.clone())]),
            ready: number % 50 != 0,
            allocatable: Resources::from_iter([
                ("cpu", 96_000),
                ("memory", 1 << 40),
                ("ephemeral-storage", 1 << 40),
                ("pods", 110),
                ("nvidia.com/gpu", 8),
            ]),
            name: name.clone(),
            ..Node::default()
        });
        for held in 0..PODS_OF_A_NODE {
            let gpus = i64::from(held < 5) + i64::from(held < number % 4);
            there.pods.push(Pod {
                namespace: "team".into(),
                name: format!("pod-{number}-{held}"),
                labels: labels(&[("app", format!("app-{}", (number + held) % 40))]),
                node: name.clone(),
                hold: Hold::Bound,
                requests: Resources::from_iter([
                    ("cpu", 4_000),
                    ("memory", 8 << 30),
                    ("nvidia.com/gpu", gpus),
                ]),
                priority: 0,
                ports: Vec::new(),
                anti_affinity: Vec::new(),
                owner: Some("ReplicaSet app".into()),
                movable: None,
            });
        }
    }
    there
}

fn asks() -> Vec<(&'static str, Ask)> {
    let own = Selector(vec![Requirement {
        key: "app".into(),
        test: Test::In(vec!["app-1".into()]),
    }]);
    let plain = Ask {
        namespace: "team".into(),
        labels: labels(&[("app", "app-1".into())]),
        requests: Resources::from_iter([("cpu", 8_000), ("memory", 32 << 30), ("nvidia.com/gpu", 2)]),
        ..Ask::default()
    };
    let spread = Spread {
        key: "zone".into(),
        max_skew: 1,
        selector: Some(own.clone()),
        min_domains: 1,
        honor_affinity: true,
        honor_taints: false,
    };
    let term = PodTerm {
        key: "host".into(),
        selector: Some(own),
        namespaces: vec!["team".into()],
        namespace_selector: None,
    };
    let even = Ask {
        spread: vec![spread.clone()],
        ..plain.clone()
    };
    let apart = Ask {
        spread: vec![spread],
        anti_affinity: vec![term],
        ..plain.clone()
    };
    vec![("plain", plain), ("spread", even), ("spread, one a node", apart)]
}

/// A canary of a service with so many replicas of two GPUs.
fn canary(replicas: u32) -> RolloutRule {
    let rule = serde_json::json!({
        "lane": {"service": "llm", "environment": "Production"},
        "target": {
            "cluster": "main", "provider": "kubernetes", "namespace": "team", "route": "llm", "service": "llm",
        },
        "workload": {
            "template": {}, "replicas": replicas, "gpus": 2, "gpu_resource": "nvidia.com/gpu", "port": 8000,
            "metrics": {"port": 8000, "path": "/metrics"},
        },
        "strategy": {"canary": {"steps": [{"weight": 5, "interval": 600_000}], "threshold": 0.98, "min_samples": 50}},
        "bake": 600_000, "keep": 600_000, "hold_exposure": 600_000, "warm_within": 1_800_000,
    });
    serde_json::from_value(rule).expect("it is a rule")
}

/// The best, the median and the worst of some rounds. On a busy machine the best is what the work itself takes.
fn timed(mut work: impl FnMut()) -> [Duration; 3] {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    [times[0], times[ROUNDS / 2], times[ROUNDS - 1]]
}

fn main() {
    println!(
        "nodes   pods    workload               fit best    median     worst   no room, with ladder  plan median     worst"
    );
    let rule = canary(4);
    for nodes in [100, 1_000, 5_000] {
        let there = cluster(nodes);
        for (name, ask) in asks() {
            let [best, median, worst] = timed(|| {
                black_box(fit(&there, &ask, 4));
            });
            let start = Instant::now();
            let unfit = fit(&there, &ask, 1_000_000);
            black_box(ladder(&there, &ask, &unfit, Load::default()));
            let whole = start.elapsed();
            let ground = Ground {
                snapshot: there.clone(),
                ask: ask.clone(),
                bounds: None,
            };
            let [_, planned, slowest] = timed(|| {
                black_box(choose(&Question {
                    rule: &rule,
                    stable: Some(4),
                    ground: &ground,
                    ahead: Ahead::default(),
                    load: Load::default(),
                    waited: Span::ZERO,
                }));
            });
            println!(
                "{nodes:<7} {:<7} {name:<20} {best:>10.2?} {median:>9.2?} {worst:>9.2?}  {whole:>9.2?}             {planned:>9.2?} {slowest:>9.2?}",
                there.pods.len()
            );
        }
    }
}
