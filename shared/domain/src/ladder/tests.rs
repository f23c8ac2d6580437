//! The ladder on pools with no room to spare.

use crate::fit::{
    Ask, Effect, Hold, Labels, Node, Pod, Requirement, Resources, Selector, Snapshot, Taint, Test, fit,
};

use super::{Action, Ladder, Load, ladder};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn node(name: &str, gpus: i64) -> Node {
    Node {
        name: name.into(),
        ready: true,
        allocatable: Resources::from_iter([("pods", 20), ("nvidia.com/gpu", gpus)]),
        ..Node::default()
    }
}

fn ask(gpus: i64) -> Ask {
    let web = Requirement {
        key: "app".into(),
        test: Test::In(vec!["web".into()]),
    };
    Ask {
        namespace: "prod".into(),
        labels: labels(&[("app", "web")]),
        requests: Resources::from_iter([("nvidia.com/gpu", gpus)]),
        stable: Some(Selector(vec![web])),
        ..Ask::default()
    }
}

fn pod(app: &str, name: &str, node: &str, gpus: i64) -> Pod {
    Pod {
        namespace: "prod".into(),
        name: name.into(),
        labels: labels(&[("app", app)]),
        node: node.into(),
        hold: Hold::Bound,
        requests: Resources::from_iter([("nvidia.com/gpu", gpus)]),
        priority: 0,
        ports: Vec::new(),
        anti_affinity: Vec::new(),
        owner: None,
        movable: Some(Box::new(Ask {
            labels: labels(&[("app", app)]),
            ..ask(gpus)
        })),
    }
}

/// Four GPUs, four stable replicas: nothing is free.
fn full() -> Snapshot {
    Snapshot {
        nodes: vec![node("gpu-1", 4)],
        pods: (1..=4)
            .map(|n| pod("web", &format!("web-{n}"), "gpu-1", 1))
            .collect(),
        ..Snapshot::default()
    }
}

fn of(there: &Snapshot, ask: &Ask, replicas: u64) -> Ladder {
    ladder(there, ask, &fit(there, ask, replicas), Load::default())
}

fn why(ladder: &Ladder, action: Action) -> (bool, &str) {
    let rung = ladder.rungs.iter().find(|rung| rung.action == action).unwrap();
    (rung.possible, &rung.why)
}

#[test]
fn all_rungs_are_told_in_order_and_one_is_always_possible() {
    let words: Vec<&str> = of(&full(), &ask(1), 1)
        .rungs
        .iter()
        .map(|rung| rung.action.as_str())
        .collect();
    assert_eq!(
        words,
        [
            "surge", "wait", "borrow", "smaller", "repack", "scale_up", "swap", "refuse"
        ]
    );
    let nowhere = Snapshot {
        nodes: vec![node("cpu-1", 0)],
        ..Snapshot::default()
    };
    assert_eq!(of(&nowhere, &ask(1), 1).chosen().action, Action::Refuse);
}

#[test]
fn a_pool_without_a_free_gpu_borrows_one_of_four() {
    let ladder = of(&full(), &ask(1), 1);
    assert_eq!(ladder.chosen().action, Action::Borrow);
    let told = "1 of 4 stable replicas, from gpu-1; a way back needs 3 at 70 % load (assumed)";
    assert_eq!(why(&ladder, Action::Borrow), (true, told));
    assert_eq!(ladder.changes[0], "1 replica borrowed from stable");
}

#[test]
fn what_a_way_back_needs_is_not_borrowed() {
    let ladder = of(&full(), &ask(1), 2);
    let (possible, told) = why(&ladder, Action::Borrow);
    assert!(!possible && told.contains("would not be instant"), "{told}");
    assert_eq!(ladder.chosen().action, Action::Swap);
}

#[test]
fn leaving_pods_are_waited_for_with_a_time() {
    let mut there = full();
    there.pods[0].hold = Hold::Terminating {
        by: "2026-11-24T10:00:00Z".into(),
    };
    let ladder = of(&there, &ask(1), 1);
    assert_eq!(ladder.chosen().action, Action::Wait);
    assert!(why(&ladder, Action::Wait).1.contains("2026-11-24T10:00:00Z"));
}

#[test]
fn a_hole_is_opened_by_moving_one_pod_and_only_as_advice() {
    let there = Snapshot {
        nodes: vec![node("gpu-1", 4), node("gpu-2", 4)],
        pods: vec![
            pod("train", "train-1", "gpu-1", 1),
            pod("train", "train-2", "gpu-2", 3),
        ],
        ..Snapshot::default()
    };
    let ladder = of(&there, &ask(4), 1);
    assert_eq!(
        why(&ladder, Action::Repack),
        (true, "advice: move pod prod/train-1 from gpu-1 to gpu-2")
    );
    assert_eq!(ladder.changes[0], "move pod prod/train-1 from gpu-1 to gpu-2");
}

#[test]
fn what_is_only_advised_is_told_however_many_other_changes_there_are() {
    let tainted = |n: usize| Node {
        taints: vec![Taint {
            key: format!("team-{n}"),
            value: String::new(),
            effect: Effect::NoSchedule,
        }],
        ..node(&format!("closed-{n}"), 4)
    };
    let mut nodes = vec![node("gpu-1", 4), node("gpu-2", 4), node("gpu-3", 4)];
    nodes.extend((1..=6).map(tainted));
    let there = Snapshot {
        nodes,
        pods: vec![
            pod("train", "train-1", "gpu-1", 1),
            pod("train", "train-2", "gpu-2", 3),
        ],
        ..Snapshot::default()
    };
    let ladder = of(&there, &ask(4), 2);
    assert_eq!(
        ladder.changes,
        [
            "tolerate team-1",
            "tolerate team-2",
            "tolerate team-3",
            "tolerate team-4",
            "move pod prod/train-2 from gpu-2 to gpu-1",
            "ask for 1 replica"
        ]
    );
}

#[test]
fn a_toleration_that_is_missing_is_the_smallest_change() {
    let mut there = full();
    let team = Taint {
        key: "team".into(),
        value: "x".into(),
        effect: Effect::NoSchedule,
    };
    there.nodes.push(Node {
        taints: vec![team],
        ..node("gpu-2", 4)
    });
    let ladder = of(&there, &ask(1), 1);
    assert_eq!(ladder.changes[0], "tolerate team=x");
}

#[test]
fn a_group_that_grows_is_named() {
    let mut there = full();
    there.nodes[0].labels = labels(&[("karpenter.sh/nodepool", "gpu")]);
    let ladder = of(&there, &ask(1), 9);
    assert_eq!(
        why(&ladder, Action::ScaleUp),
        (true, "3 more like gpu-1 (karpenter.sh/nodepool=gpu)")
    );
}

#[test]
fn the_reserve_is_rounded_up_and_never_nothing() {
    let table = [
        (4, 0.7, 3),
        (4, 0.5, 2),
        (1, 0.1, 1),
        (0, 0.7, 0),
        (3, 1.0, 3),
        (10, 0.0, 1),
    ];
    for (stable, used, reserve) in table {
        let load = Load { used, measured: true };
        assert_eq!(load.reserve(stable), reserve, "{stable} at {used}");
    }
}

#[test]
fn more_than_any_node_has_is_told_with_what_one_has() {
    let snapshot = Snapshot {
        nodes: vec![node("a", 4), node("b", 4)],
        ..Snapshot::default()
    };
    let asked = ask(8);
    let answer = fit(&snapshot, &asked, 1);
    let Ladder { changes, .. } = ladder(&snapshot, &asked, &answer, Load::default());
    assert_eq!(
        changes,
        ["ask for at most 4 nvidia.com/gpu a replica, no node has more"]
    );
}
