//! Properties over random clusters: counts, and that short cuts say what a search of all orders says.

use proptest::prelude::*;

use super::super::orders::{reach, search};
use super::super::scene::{Order, Scene, What};
use super::*;

/// Nodes of 1 to 3 free GPUs in up to three zones.
fn clusters() -> impl Strategy<Value = Snapshot> {
    let shape = (0..3_usize, 0..=3_i64, any::<bool>());
    let pods = prop::collection::vec((0..5_usize, prop::sample::select(vec!["web", "cache"])), 0..3);
    (prop::collection::vec(shape, 1..5), pods).prop_map(|(nodes, pods)| {
        let nodes: Vec<Node> = nodes
            .into_iter()
            .enumerate()
            .map(|(number, (zone, gpus, zoned))| {
                let mut node = node(&format!("n{number}"), ["a", "b", "c"][zone]);
                node.allocatable.set("nvidia.com/gpu", gpus);
                if !zoned && number > 2 {
                    node.labels.remove("zone");
                }
                node
            })
            .collect();
        let pods = pods
            .into_iter()
            .map(|(number, app)| held(app, &nodes[number % nodes.len()].name, 0))
            .collect();
        cluster(nodes, pods)
    })
}

fn asks() -> impl Strategy<Value = Ask> {
    let key = || prop::sample::select(vec!["zone", "host"]);
    let some = |percent: u32| prop::bool::weighted(f64::from(percent) / 100.0);
    (
        key(),
        some(40),
        key(),
        some(40),
        key(),
        some(50),
        1..3_i64,
        key(),
        some(30),
    )
        .prop_map(
            |(affine, has_affinity, apart, has_apart, even, has_spread, skew, second, has_second)| {
                let mut ask = ask(1);
                if has_affinity {
                    ask.affinity.push(near(affine, web()));
                }
                if has_apart {
                    ask.anti_affinity.push(near(apart, web()));
                }
                if has_spread {
                    ask.spread.push(spread(even, skew));
                }
                if has_spread && has_second && second != even {
                    ask.spread.push(spread(second, 1));
                }
                ask
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn short_cuts_say_what_a_search_of_all_orders_says(there in clusters(), ask in asks()) {
        let scene = Scene::new(&there, &ask, &What::default());
        let short = reach(&scene);
        let all = search(&scene).expect("the cluster is small");
        prop_assert_eq!((short.least, short.most), (all.least, all.most), "{:?}", scene.order());
        if matches!(scene.order(), Order::Free | Order::Same) {
            prop_assert_eq!(short.least, short.most);
        }
    }

    #[test]
    fn counts_add_up(there in clusters(), ask in asks(), replicas in 0..9_u64) {
        let answer = fit(&there, &ask, replicas);
        prop_assert_eq!(answer.reasons.iter().map(|group| group.nodes).sum::<usize>(), there.nodes.len());
        prop_assert!(answer.sure_replicas <= answer.max_replicas);
        let placed: u64 = answer.placements.iter().map(|placed| placed.replicas).sum();
        prop_assert_eq!(placed, replicas.min(answer.max_replicas));
    }

    #[test]
    fn what_fits_still_fits_on_one_node_more_without_rules_between_pods(there in clusters(), replicas in 1..9_u64) {
        let before = fit(&there, &ask(1), replicas);
        let mut larger = there;
        larger.nodes.push(node("new", "a"));
        let after = fit(&larger, &ask(1), replicas);
        prop_assert_eq!(after.max_replicas, before.max_replicas + 8);
    }
}
