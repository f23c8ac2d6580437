use super::*;
use crate::condition::{Comparison, Dimension, Mode, Op, Quantity};
use crate::judge::Alpha;
use crate::judge::condition::Block;
use crate::time::Timestamp;

fn over(metric: &str, value: f64) -> Condition {
    Condition::Compare(Comparison {
        metric: metric.into(),
        window: None,
        op: Op::Above,
        line: Quantity {
            value,
            dimension: Dimension::Ratio,
            written: String::new(),
        },
        during: None,
        mode: Mode::Evidence,
    })
}

fn replica(n: usize, bad: u64, slow: u64, requests: u64) -> Replica {
    let counts = Counts {
        requests,
        bad,
        timed: requests,
        within_ms: [(1_000, requests - slow), (10_000, requests)].into(),
        ..Counts::default()
    };
    Replica {
        pod: format!("pod-{n}"),
        node: format!("node-{n}"),
        counts,
        gpus: None,
    }
}

#[test]
fn a_difference_as_great_as_between_replicas_of_stable_is_no_breach() {
    let condition = over("error_rate", 0.5);
    let failing = |bad: &[u64]| -> Vec<Counts> {
        let counts = |bad: &u64| replica(0, *bad, 0, 1_000).counts;
        bad.iter().map(counts).collect()
    };
    let sum = |all: &[Counts]| {
        let bad: u64 = all.iter().map(|counts| counts.bad).sum();
        replica(0, bad, 0, 1_000 * all.len() as u64).counts
    };
    let breaches = |stable: &[u64]| {
        let (candidate, stable) = (failing(&[24]), failing(stable));
        let block = Block {
            candidate: &sum(&candidate),
            stable: &sum(&stable),
            values: &BTreeMap::new(),
            at: Timestamp(0),
            cold: false,
        };
        let mut weighing = Weighing::default();
        weighing.add(&condition, &block);
        let named = (0..).map(|n| format!("stable-{n}"));
        let apart = Apart {
            candidate: &[replica(0, 24, 0, 1_000)],
            stable: &named.zip(stable).collect(),
        };
        Carried::default().see(&condition, &mut weighing, &apart, false);
        weighing.weigh(&condition).unwrap().shows_breach(Alpha::default())
    };
    assert!(breaches(&[7, 8, 6, 7]), "stable's are alike");
    assert!(!breaches(&[2, 16, 1, 9]), "one of stable's fails nearly as much");
}

fn see(carried: &mut Carried, condition: &Condition, weighing: &mut Weighing, replicas: &[Replica]) {
    let apart = Apart {
        candidate: replicas,
        stable: &BTreeMap::new(),
    };
    carried.see(condition, weighing, &apart, false);
}

/// The suspect of replicas that answered `(failed, slow)` of 200 requests each.
fn suspect(answered: &[(u64, u64)]) -> Option<String> {
    let condition = Condition::Or(vec![over("error_rate", 0.02), over("latency_p99", 1.0)]);
    let mut carried = Carried::default();
    let replicas: Vec<Replica> = answered
        .iter()
        .enumerate()
        .map(|(n, (bad, slow))| replica(n, *bad, *slow, 200))
        .collect();
    see(&mut carried, &condition, &mut Weighing::default(), &replicas);
    carried
        .by(&condition, &Weighing::default())
        .map(|suspect| suspect.pod)
}

#[test]
fn one_replica_carries_a_breach_if_all_others_are_within_every_line() {
    type Case<'a> = (&'a [(u64, u64)], Option<usize>);
    let table: [Case<'_>; 9] = [
        (&[(60, 0), (1, 0), (2, 1)], Some(0)),
        (&[(1, 0), (60, 0)], Some(1)),
        (&[(0, 0), (1, 90), (1, 1)], Some(1)),
        // Two are bad, or all.
        (&[(60, 0), (60, 0), (1, 0)], None),
        (&[(20, 0), (21, 0), (19, 0)], None),
        // The others fail less and still too much, or are slow.
        (&[(60, 0), (5, 0), (6, 0)], None),
        (&[(60, 0), (1, 30), (2, 30)], None),
        // Nothing to compare with.
        (&[(60, 0)], None),
        // Bad luck is no suspect.
        (&[(5, 0), (1, 0), (0, 0)], None),
    ];
    for (answered, expected) in table {
        let expected = expected.map(|n| format!("pod-{n}"));
        assert_eq!(suspect(answered), expected, "{answered:?}");
    }
}

#[test]
fn others_without_enough_requests_to_be_caught_clear_nobody() {
    let condition = over("error_rate", 0.02);
    let mut carried = Carried::default();
    see(
        &mut carried,
        &condition,
        &mut Weighing::default(),
        &[replica(0, 60, 0, 200), replica(1, 0, 0, 3)],
    );
    assert_eq!(carried.by(&condition, &Weighing::default()), None);
}

#[test]
fn what_was_answered_under_other_weights_does_not_count() {
    let condition = over("error_rate", 0.02);
    let mut carried = Carried::default();
    see(
        &mut carried,
        &condition,
        &mut Weighing::default(),
        &[replica(0, 60, 0, 200), replica(1, 0, 0, 200)],
    );
    carried.restart();
    see(
        &mut carried,
        &condition,
        &mut Weighing::default(),
        &[replica(0, 60, 0, 400), replica(1, 0, 0, 400)],
    );
    assert_eq!(carried.by(&condition, &Weighing::default()), None);
    // A replica that came since has counted nothing before.
    see(
        &mut carried,
        &condition,
        &mut Weighing::default(),
        &[replica(2, 60, 0, 200), replica(1, 0, 0, 400)],
    );
    let suspect = carried.by(&condition, &Weighing::default()).unwrap();
    assert_eq!(suspect.pod, "pod-2");
    assert_eq!(suspect.words, "30.0 % of 200 requests; the other 0 % of 200");
}

/// The suspect where stable takes over 500 ms for 4 %, of replicas with so many slow ones of 60.
fn suspect_beside_stable(slow: &[u64]) -> Option<String> {
    let condition = over("latency_p99", 1.0);
    let timed = |slow: u64, requests: u64| Counts {
        requests,
        timed: requests,
        within_ms: [(250, requests / 2), (500, requests - slow), (1_000, requests)].into(),
        ..Counts::default()
    };
    let mut weighing = Weighing::default();
    for _ in 0..2 {
        let block = Block {
            candidate: &Counts::default(),
            stable: &timed(40, 1_000),
            values: &BTreeMap::new(),
            at: Timestamp(0),
            cold: false,
        };
        weighing.add(&condition, &block);
    }
    let replicas = slow.iter().enumerate().map(|(n, slow)| Replica {
        counts: timed(*slow, 60),
        ..replica(n, 0, 0, 60)
    });
    let mut carried = Carried::default();
    see(
        &mut carried,
        &condition,
        &mut weighing,
        &replicas.collect::<Vec<_>>(),
    );
    carried.by(&condition, &weighing).map(|suspect| suspect.pod)
}

#[test]
fn a_slow_replica_is_found_where_it_is_over_no_line_yet() {
    assert_eq!(suspect_beside_stable(&[2, 24, 3]).as_deref(), Some("pod-1"));
    assert_eq!(suspect_beside_stable(&[12, 14, 12]), None, "all are as slow");
    assert_eq!(suspect_beside_stable(&[2, 4, 3]), None, "bad luck");
}
