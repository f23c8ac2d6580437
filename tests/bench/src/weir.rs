//! Weir's judge on the same traffic, with its boundary as it is: 1/alpha, alpha 1 %.

use std::collections::BTreeMap;

use weir_domain::condition::{Comparison, Condition, Dimension, Mode, Op, Quantity};
use weir_domain::judge::condition::Weighing;
use weir_domain::judge::replicas::{ReplicaBlock, Replicas};
use weir_domain::judge::{ALPHA, Arms, Asked, Judge, Ordered, Question, Tally, Verdict};
use weir_domain::seen::Counts;

use crate::traffic::{Block, EDGES, Scenario, Seen};

/// Edges that replicas are compared at: near stable's median, ninth decile and the line.
const REPLICA_EDGES: [usize; 3] = [3, 4, 6];

/// `error_rate > 2% || latency_p99 > 1000ms`, the article's condition.
pub(crate) fn article() -> Condition {
    let compare = |metric: &str, value: f64, written: &str, dimension| {
        let line = Quantity {
            value,
            dimension,
            written: written.into(),
        };
        Condition::Compare(Comparison {
            metric: metric.into(),
            window: None,
            op: Op::Above,
            line,
            during: None,
            mode: Mode::Evidence,
        })
    };
    let errors = compare("error_rate", 0.02, "2%", Dimension::Ratio);
    Condition::Or(vec![
        errors,
        compare("latency_p99", 1.0, "1000ms", Dimension::Seconds),
    ])
}

fn counts(seen: &Seen) -> Counts {
    let within = EDGES
        .iter()
        .zip(seen.slower)
        .map(|(edge, slower)| (*edge, seen.total - slower));
    Counts {
        started: seen.total,
        requests: seen.total,
        bad: seen.bad,
        within_ms: within.collect(),
        timed: seen.total,
        ..Counts::default()
    }
}

/// Times of blocks matter to conditions with a time alone, which the article's has none of.
fn add(weighing: &mut Weighing, condition: &Condition, candidate: &Counts, stable: &Counts) {
    let block = weir_domain::judge::condition::Block {
        candidate,
        stable,
        values: &std::collections::BTreeMap::new(),
        at: weir_domain::time::Timestamp(0),
        cold: false,
    };
    weighing.add(condition, &block);
}

/// Block at whose end the engine's evidence on the article's condition sends traffic back.
pub(crate) fn condition(before: &[Seen], blocks: &[Block], scenario: Scenario) -> Option<usize> {
    if scenario.by_replica() {
        return replicas(blocks, 1 + REPLICA_EDGES.len());
    }
    let article = article();
    let mut weighing = Weighing::default();
    for seen in before {
        add(&mut weighing, &article, &Counts::default(), &counts(seen));
    }
    arrivals(blocks, scenario).into_iter().find(|id| {
        let block = &blocks[*id];
        add(
            &mut weighing,
            &article,
            &counts(&block.candidate),
            &counts(&block.stable),
        );
        weighing
            .weigh(&article)
            .is_some_and(|evidence| evidence.shows_breach(1))
    })
}

/// The same on errors alone, against stable alone.
pub(crate) fn errors(before: &[Seen], blocks: &[Block], scenario: Scenario) -> Option<usize> {
    if scenario.by_replica() {
        return replicas(blocks, 1);
    }
    let metrics = BTreeMap::from([("errors".to_owned(), Asked::default())]);
    let mut judge = Judge::new(Question {
        metrics,
        steps: Some(1),
        ..Question::default()
    });
    for seen in before {
        let arms = Arms {
            stable: Tally::new(seen.bad, seen.total),
            candidate: Tally::default(),
        };
        judge.add(&BTreeMap::from([("errors".to_owned(), arms)]));
    }
    arrivals(blocks, scenario).into_iter().find(|id| {
        let (candidate, stable) = (&blocks[*id].candidate, &blocks[*id].stable);
        let arms = Arms {
            candidate: Tally::new(candidate.bad, candidate.total),
            stable: Tally::new(stable.bad, stable.total),
        };
        judge.add(&BTreeMap::from([("errors".to_owned(), arms)]));
        judge.look().0 == Verdict::Rollback
    })
}

/// Replica by replica: errors, and three edges after them, averaged.
fn replicas(blocks: &[Block], metrics: usize) -> Option<usize> {
    let mut metrics = vec![Replicas::new(Asked::default()); metrics];
    blocks.iter().position(|block| {
        let tallies = |replicas: &[Seen], of: &dyn Fn(&Seen) -> u64| -> Vec<Tally> {
            replicas
                .iter()
                .map(|seen| Tally::new(of(seen), seen.total))
                .collect()
        };
        for (i, metric) in metrics.iter_mut().enumerate() {
            let of = |seen: &Seen| match i {
                0 => seen.bad,
                _ => seen.slower[REPLICA_EDGES[i - 1]],
            };
            metric.add(&ReplicaBlock {
                stable: tallies(&block.stable_replicas, &of),
                candidate: tallies(&block.candidate_replicas, &of),
            });
        }
        let mean: f64 = metrics
            .iter()
            .map(|metric| metric.ln_e().unwrap_or(0.0).exp())
            .sum::<f64>()
            / metrics.len() as f64;
        mean >= 1.0 / ALPHA
    })
}

/// Blocks in the order in which they are applied, after the reorder window.
fn arrivals(blocks: &[Block], scenario: Scenario) -> Vec<usize> {
    let mut order = Ordered::starting_at(0);
    let mut out = Vec::new();
    let measured = (0..blocks.len()).filter(|id| blocks[*id].measured);
    let mut sent: Vec<usize> = measured.collect();
    if scenario == Scenario::Duplicates {
        sent.chunks_mut(3).for_each(<[usize]>::reverse);
        sent = sent.iter().flat_map(|id| [*id, *id]).collect();
    }
    for id in sent {
        out.extend(order.take(id as u64, ()).into_iter().map(|(id, ())| id as usize));
    }
    out.extend(order.finish().into_iter().map(|(id, ())| id as usize));
    out
}
