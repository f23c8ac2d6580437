//! Is a breach carried by one replica? Asked once a breach is shown, of what each replica has answered in the step.
//!
//! It is, if one replica is over a line of the condition by its own requests, and all others together are within every line
//! although they had enough requests to be caught at it. Whoever is not sure blames the version: traffic stays away then.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::condition::leaves;
use super::proportion::Proportion;
use super::words::percent;
use super::{ALPHA, Side, Tally, ln_e_over};
use crate::condition::Condition;
use crate::seen::{Counts, Replica};

/// What each replica of the candidate answered: for each comparison of the condition, in its order, the bad ones of all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Carried {
    /// When the present weights were set.
    from: BTreeMap<String, Vec<Tally>>,
    /// At the last look, since each was first seen.
    now: BTreeMap<String, Vec<Tally>>,
}

/// The replica that carries a breach.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Suspect {
    /// Name of its pod.
    pub pod: String,
    /// What it did and the others did not: `30.0 % of 120 requests; the 2 others 0.40 % of 250`.
    pub words: String,
}

impl Carried {
    /// Takes what the replicas that are there have answered so far.
    pub fn see(&mut self, condition: &Condition, replicas: &[Replica]) {
        let condition = condition.plain();
        let questions = questions(&condition);
        let tallies = |counts: &Counts| -> Vec<Tally> {
            let tally = |question: &Proportion<'_>| question.tally(counts).unwrap_or_default();
            questions.iter().map(tally).collect()
        };
        self.now = replicas
            .iter()
            .map(|replica| (replica.pod.clone(), tallies(&replica.counts)))
            .collect();
        self.from.retain(|pod, _| self.now.contains_key(pod));
    }

    /// Whether a replica was there when the present weights were set.
    pub fn was_there(&self, pod: &str) -> bool {
        self.from.contains_key(pod)
    }

    /// New weights: what was answered before does not count.
    pub fn restart(&mut self) {
        self.from.clone_from(&self.now);
    }

    /// Latencies that were answered before do not count: a replica has just begun to answer.
    pub fn leave_out_latencies(&mut self, condition: &Condition) {
        let condition = condition.plain();
        let questions = questions(&condition);
        let timed = questions.iter().map(Proportion::is_of_latencies);
        for (at, _) in timed.enumerate().filter(|(_, timed)| *timed) {
            for (pod, now) in &self.now {
                let none = vec![Tally::default(); now.len()];
                let from = self.from.entry(pod.clone()).or_insert(none);
                if let (Some(from), Some(now)) = (from.get_mut(at), now.get(at)) {
                    *from = *now;
                }
            }
        }
    }

    /// The replica that carries the breach of a condition, if one does. With a single replica nobody can tell.
    pub fn by(&self, condition: &Condition) -> Option<Suspect> {
        let condition = condition.plain();
        let questions = questions(&condition);
        let rows: Vec<BTreeMap<&str, Tally>> = (0..questions.len()).map(|at| self.row(at)).collect();
        let (at, pod) = questions
            .iter()
            .zip(&rows)
            .enumerate()
            .find_map(|(at, (question, row))| Some((at, carrier(row, question.line)?)))?;
        let within = |(question, row): (&Proportion<'_>, &BTreeMap<&str, Tally>)| {
            others(row, pod)
                .share()
                .is_none_or(|share| share <= question.line)
        };
        if !questions.iter().zip(&rows).all(within) {
            return None;
        }
        let (own, rest) = (rows[at][pod], others(&rows[at], pod));
        let told = |tally: Tally| format!("{} of {}", percent(tally.share().unwrap_or(0.0)), tally.total);
        let count = match rows[at].len() - 1 {
            1 => "other".to_owned(),
            more => format!("{more} others"),
        };
        Some(Suspect {
            pod: pod.to_owned(),
            words: format!("{} requests; the {count} {}", told(own), told(rest)),
        })
    }

    /// What each replica has answered of one question since the weights were set.
    fn row(&self, at: usize) -> BTreeMap<&str, Tally> {
        let tally =
            |list: Option<&Vec<Tally>>| list.and_then(|list| list.get(at)).copied().unwrap_or_default();
        self.now
            .iter()
            .map(|(pod, now)| (pod.as_str(), tally(Some(now)).without(tally(self.from.get(pod)))))
            .collect()
    }
}

/// The replica that is over the line by itself, where all others together would have been seen to be as bad.
fn carrier<'a>(row: &BTreeMap<&'a str, Tally>, line: f64) -> Option<&'a str> {
    let share = |tally: &Tally| tally.share().unwrap_or(0.0);
    let (pod, own) = row.iter().max_by(|a, b| share(a.1).total_cmp(&share(b.1)))?;
    let rest = others(row, pod);
    // The worst of several is picked: each may be it.
    let needed = (row.len() as f64 / ALPHA).ln();
    let as_bad = Tally::new((share(own) * rest.total as f64) as u64, rest.total);
    let caught = ln_e_over(*own, line) >= needed && ln_e_over(as_bad, line) >= (1.0 / ALPHA).ln();
    (caught && share(&rest) <= line).then_some(*pod)
}

fn others(row: &BTreeMap<&str, Tally>, pod: &str) -> Tally {
    row.iter()
        .filter(|(other, _)| **other != pod)
        .fold(Tally::default(), |sum, (_, tally)| sum.and(*tally))
}

/// Comparisons with a line that the candidate must not be over.
fn questions(condition: &Condition) -> Vec<Proportion<'_>> {
    let all = leaves(condition).into_iter().filter_map(Proportion::of);
    all.filter(|question| question.side == Side::Over).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::{Comparison, Dimension, Mode, Op, Quantity};

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

    /// The suspect of replicas that answered `(failed, slow)` of 200 requests each.
    fn suspect(answered: &[(u64, u64)]) -> Option<String> {
        let condition = Condition::Or(vec![over("error_rate", 0.02), over("latency_p99", 1.0)]);
        let mut carried = Carried::default();
        let replicas: Vec<Replica> = answered
            .iter()
            .enumerate()
            .map(|(n, (bad, slow))| replica(n, *bad, *slow, 200))
            .collect();
        carried.see(&condition, &replicas);
        carried.by(&condition).map(|suspect| suspect.pod)
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
        carried.see(&condition, &[replica(0, 60, 0, 200), replica(1, 0, 0, 3)]);
        assert_eq!(carried.by(&condition), None);
    }

    #[test]
    fn what_was_answered_under_other_weights_does_not_count() {
        let condition = over("error_rate", 0.02);
        let mut carried = Carried::default();
        carried.see(&condition, &[replica(0, 60, 0, 200), replica(1, 0, 0, 200)]);
        carried.restart();
        carried.see(&condition, &[replica(0, 60, 0, 400), replica(1, 0, 0, 400)]);
        assert_eq!(carried.by(&condition), None);
        // A replica that came since has counted nothing before.
        carried.see(&condition, &[replica(2, 60, 0, 200), replica(1, 0, 0, 400)]);
        let suspect = carried.by(&condition).unwrap();
        assert_eq!(suspect.pod, "pod-2");
        assert_eq!(suspect.words, "30.0 % of 200 requests; the other 0 % of 200");
    }
}
