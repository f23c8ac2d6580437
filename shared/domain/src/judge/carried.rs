//! Is a breach carried by one replica? Asked once a breach is shown, of what each replica has answered in the step.
//!
//! It is, if one replica is shown to be worse than all others together, at a line of the condition or at an edge of stable's
//! latencies, and the others are within every line and as good as stable. A version that is bad everywhere has replicas
//! that are alike, so it is hardly ever taken for one of them. Whoever is not sure blames the version: traffic stays away then.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bounds::RatioBounds;
use super::condition::{Weighing, leaves};
use super::proportion::{Proportion, slow};
use super::share::ln_likelier;
use super::words::percent;
use super::{ALPHA, Arms, Side, Tally, ln_e_over};
use crate::condition::Condition;
use crate::seen::{Counts, Replica};

/// How many times likelier it must be that one replica is bad alone than that all are alike. Whoever takes a bad version
/// for a bad replica tries the step once more; whoever takes a bad replica for a bad version sends a good one back.
const LIKELIER: f64 = 3.0;
/// Chance at which the others are shown to be bad too, so that the one is not what the breach hangs on.
const OTHERS_ALPHA: f64 = 0.05;

/// What each replica of the candidate answered: for each comparison of the condition, in its order, and each edge of stable's
/// latencies, the bad ones of all.
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
    pub fn see(&mut self, condition: &Condition, weighing: &Weighing, replicas: &[Replica]) {
        let condition = condition.plain();
        let questions = questions(&condition, weighing);
        let tallies = |counts: &Counts| -> Vec<Tally> {
            questions.iter().map(|question| question.tally(counts)).collect()
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
    pub fn leave_out_latencies(&mut self, condition: &Condition, weighing: &Weighing) {
        let condition = condition.plain();
        let questions = questions(&condition, weighing);
        let timed = questions.iter().map(Compared::is_of_latencies);
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
    pub fn by(&self, condition: &Condition, weighing: &Weighing) -> Option<Suspect> {
        let condition = condition.plain();
        let questions = questions(&condition, weighing);
        let rows: Vec<BTreeMap<&str, Tally>> = (0..questions.len()).map(|at| self.row(at)).collect();
        let (at, pod) = rows
            .iter()
            .enumerate()
            .find_map(|(at, row)| Some((at, apart(&questions[at], row, questions.len())?)))?;
        let clean =
            |(question, row): (&Compared<'_>, &BTreeMap<&str, Tally>)| question.clears(others(row, pod));
        if !questions.iter().zip(&rows).all(clean) {
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

/// The replica that is bad alone: the worst of a row, if "it is bad and the others are as stable is" explains what all answered
/// so much better than "all are alike" does.
fn apart<'a>(question: &Compared<'_>, row: &BTreeMap<&'a str, Tally>, questions: usize) -> Option<&'a str> {
    let share = |tally: &Tally| tally.share().unwrap_or(0.0);
    let (pod, own) = row.iter().max_by(|a, b| share(a.1).total_cmp(&share(b.1)))?;
    let rest = others(row, pod);
    let (alike, others) = (own.and(rest).share()?, question.expected(rest));
    if share(own) <= others {
        return None;
    }
    // The worst of several is picked, in several questions: each may be it.
    let needed = ((row.len() * questions) as f64 * question.likelier()).ln();
    let ln_better = ln_likelier(*own, share(own), alike) + ln_likelier(rest, others, alike);
    (ln_better >= needed).then_some(*pod)
}

/// ln of the evidence that one share is greater than another, at one look.
fn ln_e_worse(one: Tally, than: Tally) -> f64 {
    let mut ratio = RatioBounds::default();
    ratio.add(
        Arms {
            candidate: one,
            stable: than,
        },
        1.0,
    );
    ratio.ln_e_greater(0.0)
}

fn others(row: &BTreeMap<&str, Tally>, pod: &str) -> Tally {
    row.iter()
        .filter(|(other, _)| **other != pod)
        .fold(Tally::default(), |sum, (_, tally)| sum.and(*tally))
}

/// A question that is put to each replica.
struct Compared<'a> {
    what: What<'a>,
    /// What stable answered meanwhile.
    stable: Tally,
}

enum What<'a> {
    /// A comparison with a line that the candidate must not be over.
    Line(Proportion<'a>),
    /// Slower than an edge of stable's latencies.
    Edge(u64),
}

impl Compared<'_> {
    fn is_of_latencies(&self) -> bool {
        match &self.what {
            What::Line(question) => question.is_of_latencies(),
            What::Edge(_) => true,
        }
    }

    fn tally(&self, counts: &Counts) -> Tally {
        match &self.what {
            What::Line(question) => question.tally(counts),
            What::Edge(edge) => slow(counts, *edge),
        }
        .unwrap_or_default()
    }

    /// How many times likelier it must be. Without stable the others' own share is fitted too, so chance alone explains more.
    fn likelier(&self) -> f64 {
        match self.stable.total {
            0 => 1.0 / ALPHA,
            _ => LIKELIER,
        }
    }

    /// The share of replicas that are as good as stable is; where nothing is known of stable, their own.
    fn expected(&self, others: Tally) -> f64 {
        let of = match self.stable.total {
            0 => others,
            _ => self.stable,
        };
        (of.bad as f64 + 0.5) / (of.total as f64 + 1.0)
    }

    /// Whether a part of the candidate is as good as stable, and not over the line. Where nothing is known of stable, it
    /// must be within the line.
    fn clears(&self, part: Tally) -> bool {
        let shown = -OTHERS_ALPHA.ln();
        let line = match &self.what {
            What::Line(question) => Some(question.line),
            What::Edge(_) => None,
        };
        let within = line.is_none_or(|line| part.share().is_none_or(|share| share <= line));
        let over = line.is_some_and(|line| ln_e_over(part, line) >= shown);
        match self.stable.total {
            0 => within,
            _ => !over && ln_e_worse(part, self.stable) < shown,
        }
    }
}

fn questions<'a>(condition: &'a Condition, weighing: &Weighing) -> Vec<Compared<'a>> {
    let leaves = leaves(condition).into_iter();
    let lines = leaves.filter_map(|leaf| {
        let question = Proportion::of(leaf).filter(|question| question.side == Side::Over)?;
        Some(Compared {
            what: What::Line(question),
            stable: weighing.stable_of(&leaf.to_string()),
        })
    });
    let edges = weighing.edges().map(|(edge, name)| Compared {
        what: What::Edge(edge),
        stable: weighing.stable_of(&name),
    });
    lines.chain(edges).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::{Comparison, Dimension, Mode, Op, Quantity};
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

    /// The suspect of replicas that answered `(failed, slow)` of 200 requests each.
    fn suspect(answered: &[(u64, u64)]) -> Option<String> {
        let condition = Condition::Or(vec![over("error_rate", 0.02), over("latency_p99", 1.0)]);
        let mut carried = Carried::default();
        let replicas: Vec<Replica> = answered
            .iter()
            .enumerate()
            .map(|(n, (bad, slow))| replica(n, *bad, *slow, 200))
            .collect();
        carried.see(&condition, &Weighing::default(), &replicas);
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
        carried.see(
            &condition,
            &Weighing::default(),
            &[replica(0, 60, 0, 200), replica(1, 0, 0, 3)],
        );
        assert_eq!(carried.by(&condition, &Weighing::default()), None);
    }

    #[test]
    fn what_was_answered_under_other_weights_does_not_count() {
        let condition = over("error_rate", 0.02);
        let mut carried = Carried::default();
        carried.see(
            &condition,
            &Weighing::default(),
            &[replica(0, 60, 0, 200), replica(1, 0, 0, 200)],
        );
        carried.restart();
        carried.see(
            &condition,
            &Weighing::default(),
            &[replica(0, 60, 0, 400), replica(1, 0, 0, 400)],
        );
        assert_eq!(carried.by(&condition, &Weighing::default()), None);
        // A replica that came since has counted nothing before.
        carried.see(
            &condition,
            &Weighing::default(),
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
        carried.see(&condition, &weighing, &replicas.collect::<Vec<_>>());
        carried.by(&condition, &weighing).map(|suspect| suspect.pod)
    }

    #[test]
    fn a_slow_replica_is_found_where_it_is_over_no_line_yet() {
        assert_eq!(suspect_beside_stable(&[2, 24, 3]).as_deref(), Some("pod-1"));
        assert_eq!(suspect_beside_stable(&[12, 14, 12]), None, "all are as slow");
        assert_eq!(suspect_beside_stable(&[2, 4, 3]), None, "bad luck");
    }
}
