use super::*;
use crate::fit::{Hold, Labels, Requirement, Resources, Test};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect()
}

fn selector(pairs: &[(&str, &str)]) -> Selector {
    let one = |(key, value): &(&str, &str)| Requirement {
        key: (*key).into(),
        test: Test::In(vec![(*value).into()]),
    };
    Selector(pairs.iter().map(one).collect())
}

fn budget(name: &str, asks: Asks, selects: &[(&str, &str)]) -> Budget {
    Budget {
        namespace: "prod".into(),
        name: name.into(),
        selector: Some(selector(selects)),
        asks,
        allowed: None,
    }
}

fn pod(number: u32, own: &[(&str, &str)]) -> Pod {
    Pod {
        namespace: "prod".into(),
        name: format!("p{number}"),
        labels: labels(own),
        node: "n1".into(),
        hold: Hold::Bound,
        requests: Resources::default(),
        priority: 0,
        ports: Vec::new(),
        anti_affinity: Vec::new(),
        owner: None,
        movable: None,
    }
}

const OLD: [(&str, &str); 2] = [("app", "llm"), ("version", "v1")];
const NEW: [(&str, &str); 2] = [("app", "llm"), ("version", "v2")];

/// So many stable replicas, so many pods of others with the label `app=llm`, and these budgets.
fn scene(stable: u32, others: u32, budgets: Vec<Budget>) -> (Snapshot, Ask) {
    let pods = (0..stable).map(|number| pod(number, &OLD));
    let others = (stable..stable + others).map(|number| pod(number, &[("app", "llm")]));
    let snapshot = Snapshot {
        pods: pods.chain(others).collect(),
        budgets,
        ..Snapshot::default()
    };
    let ask = Ask {
        namespace: "prod".into(),
        labels: labels(&NEW),
        stable: Some(selector(&OLD)),
        ..Ask::default()
    };
    (snapshot, ask)
}

#[test]
fn what_is_wanted_is_rounded_as_kubernetes_rounds_it() {
    use Asks::{Available, Nothing, Unavailable};
    use Part::{Count, Percent};
    let table = [
        (Available(Count(3)), 4, 3),
        (Available(Count(5)), 4, 5),
        (Available(Percent(50)), 7, 4),
        (Available(Percent(75)), 4, 3),
        (Available(Percent(100)), 4, 4),
        (Available(Percent(1)), 4, 1),
        (Available(Percent(0)), 4, 0),
        (Unavailable(Count(1)), 4, 3),
        (Unavailable(Count(0)), 4, 4),
        (Unavailable(Count(9)), 4, 0),
        (Unavailable(Percent(30)), 7, 4),
        (Unavailable(Percent(1)), 4, 3),
        (Unavailable(Percent(0)), 4, 4),
        (Nothing, 4, 0),
    ];
    for (asks, all, wanted) in table {
        assert_eq!(asks.wanted(all), wanted, "{asks:?} of {all}");
    }
}

#[test]
fn a_floor_is_the_most_that_one_budget_asks_of_the_pods_that_serve() {
    let of_all = |asks| budget("llm", asks, &[("app", "llm")]);
    let three = || of_all(Asks::Available(Part::Count(3)));
    // Budgets, stable, others under the same budgets, floor.
    let table = [
        (vec![], 4, 0, 0),
        (vec![three()], 4, 0, 3),
        // More than there is: all that serve.
        (vec![of_all(Asks::Available(Part::Count(9)))], 4, 0, 4),
        // Others make up for two of it.
        (vec![three()], 4, 2, 1),
        (vec![of_all(Asks::Unavailable(Part::Count(1)))], 4, 2, 3),
        (
            vec![three(), of_all(Asks::Available(Part::Percent(100)))],
            4,
            0,
            4,
        ),
        // Pods of somebody else.
        (
            vec![budget("x", Asks::Available(Part::Count(3)), &[("app", "web")])],
            4,
            0,
            0,
        ),
    ];
    for (budgets, stable, others, expected) in table {
        let (snapshot, ask) = scene(stable, others, budgets);
        assert_eq!(
            floor(&snapshot, &ask, stable).replicas,
            expected,
            "{:?}",
            snapshot.budgets
        );
    }
    let (snapshot, ask) = scene(4, 0, vec![three()]);
    assert_eq!(
        floor(&snapshot, &ask, 4).by,
        "PodDisruptionBudget prod/llm (minAvailable 3)"
    );
    let elsewhere = Budget {
        namespace: "dev".into(),
        ..three()
    };
    let nothing = Budget {
        selector: None,
        ..three()
    };
    let (snapshot, ask) = scene(4, 0, vec![elsewhere, nothing]);
    assert_eq!(floor(&snapshot, &ask, 4), Floor::default());
}

/// What is said of budgets beside three stable replicas and so many of the candidate.
fn told(replicas: u32, budgets: Vec<Budget>) -> Vec<String> {
    let (snapshot, ask) = scene(3, 0, budgets);
    problems(&snapshot, &ask, "llm", 3, replicas)
}

#[test]
fn a_budget_that_leaves_room_for_a_drain_is_not_told() {
    for asks in [
        Asks::Available(Part::Count(2)),
        Asks::Available(Part::Percent(50)),
        Asks::Unavailable(Part::Count(1)),
        Asks::Unavailable(Part::Percent(1)),
    ] {
        assert_eq!(
            told(3, vec![budget("llm", asks, &[("app", "llm")])]),
            Vec::<String>::new()
        );
    }
    assert_eq!(
        told(
            3,
            vec![budget(
                "web",
                Asks::Unavailable(Part::Count(0)),
                &[("app", "web")]
            )]
        ),
        Vec::<String>::new()
    );
}

#[test]
fn a_budget_that_lets_no_pod_go_is_told_with_the_fix() {
    let told_of = |replicas, asks| told(replicas, vec![budget("llm", asks, &[("app", "llm")])]);
    assert_eq!(
        told_of(3, Asks::Available(Part::Count(3))),
        [
            "PodDisruptionBudget prod/llm (minAvailable 3) lets none of 3 pods go: draining a node that holds one of them never ends; ask \
          for less than all of them, for example `maxUnavailable: 1`"
        ]
    );
    for asks in [
        Asks::Available(Part::Count(7)),
        Asks::Available(Part::Percent(100)),
        Asks::Available(Part::Percent(67)),
        Asks::Unavailable(Part::Count(0)),
        Asks::Unavailable(Part::Percent(0)),
    ] {
        assert!(
            told_of(3, asks)[0].contains("lets none of 3 pods go: "),
            "{asks:?}"
        );
    }
    let fewer = told_of(2, Asks::Available(Part::Count(2)));
    assert!(
        fewer[0].contains("lets none of 2 pods go once the candidate serves"),
        "{fewer:?}"
    );
}

#[test]
fn a_budget_that_has_nothing_left_to_give_is_told_as_that() {
    let spent = Budget {
        allowed: Some(0),
        ..budget("llm", Asks::Available(Part::Count(2)), &[("app", "llm")])
    };
    let said = told(3, vec![spent]);
    assert_eq!(
        said,
        [
            "PodDisruptionBudget prod/llm (minAvailable 2) lets no pod go at present, because no more of them are ready than it asks for: a \
          drain waits until more are; look at the pods that are not ready"
        ]
    );
}

#[test]
fn a_budget_over_one_side_only_is_told_with_the_label() {
    let one = Asks::Unavailable(Part::Count(1));
    assert_eq!(
        told(3, vec![budget("llm", one, &OLD)]),
        [
            "PodDisruptionBudget prod/llm (maxUnavailable 1) selects pods that serve now and none of the candidate's, which lack version=v1: \
          once the candidate serves it protects nothing; select by labels that all revisions carry"
        ]
    );
    let new = told(3, vec![budget("llm", one, &NEW)]);
    assert!(
        new[0].contains("selects the candidate's pods and none that serve now"),
        "{new:?}"
    );
    assert_eq!(
        told(3, vec![budget("llm", one, &[("app", "lm")])]),
        [
            "PodDisruptionBudget prod/llm (maxUnavailable 1) selects no pod of its namespace, and none of the candidate's, which lack app=lm: \
          it protects nothing; select by labels of the pod template"
        ]
    );
    // With another name it may be meant for others.
    assert_eq!(
        told(3, vec![budget("other", one, &[("app", "lm")])]),
        Vec::<String>::new()
    );
    let (snapshot, ask) = scene(0, 0, vec![budget("llm", one, &NEW)]);
    assert_eq!(problems(&snapshot, &ask, "llm", 0, 3), Vec::<String>::new());
}

#[test]
fn two_budgets_over_the_same_pods_are_told_because_no_eviction_passes_them() {
    let one = Asks::Unavailable(Part::Count(1));
    let said = told(
        3,
        vec![budget("a", one, &[("app", "llm")]), budget("b", one, &[])],
    );
    assert_eq!(
        said,
        [
            "PodDisruptionBudgets prod/a and prod/b select the same pods: the API server evicts no pod that two of them select, so that \
          draining a node fails; keep one of them"
        ]
    );
}

#[test]
fn budgets_that_may_not_be_seen_are_told_as_that() {
    let (mut snapshot, ask) = scene(3, 0, Vec::new());
    snapshot.budgets_hidden = Some("forbidden; bind ground.yaml".into());
    assert_eq!(
        problems(&snapshot, &ask, "llm", 3, 3),
        ["PodDisruptionBudgets are not seen: forbidden; bind ground.yaml"]
    );
}
