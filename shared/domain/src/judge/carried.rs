//! Is a breach carried by one replica? Asked once a breach is shown, of what each replica has answered in the step.
//!
//! It is, if what all have answered is far likelier where one of them is bad and the others are as stable is, than where all are alike,
//! and the others are within every line and as good as stable. Failures are one question; latencies are one too, at the lines of the
//! condition and at stable's quantiles together. A version that is bad everywhere has replicas that are alike, so it is hardly ever taken
//! for one of them. Whoever is not sure blames the version: traffic stays away then.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bounds::RatioBounds;
use super::condition::{Weighing, leaves};
use super::proportion::{Proportion, slow};
use super::rows::Rows;
use super::share::ln_likelier;
use super::words::percent;
use super::{ALPHA, Arms, Side, Tally, ln_e_over};
use crate::condition::Condition;
use crate::seen::{Counts, Replica, Scene};

/// How many times likelier it must be, after so many requests, that one replica is bad alone than that all are alike. Whoever takes
/// a bad version for a bad replica tries the step once more; whoever takes a bad replica for a bad version sends a good one back.
const LIKELIER: f64 = 3.0;
/// One more try costs users as many requests as the breach took, and a great harm is known after a few, in which replicas can hardly be
/// told apart. So the odds grow with their cube, an exponent chosen by what `make bench-judge` prints of either mistake.
const AFTER: f64 = 200.0;
/// Chance at which the others are shown to be bad too, so that the one is not what the breach hangs on.
const OTHERS_ALPHA: f64 = 0.05;

/// What each replica of both revisions answered, where they are told apart.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Carried {
    #[serde(flatten)]
    candidate: Rows,
    #[serde(default, skip_serializing_if = "Rows::is_empty")]
    stable: Rows,
}

/// The replicas of both revisions that are told apart.
#[derive(Clone, Copy, Debug)]
pub struct Apart<'a> {
    /// The candidate's.
    pub candidate: &'a [Replica],
    /// What those of the stable revision answered since each was first seen, by pod.
    pub stable: &'a BTreeMap<String, Counts>,
}

impl<'a> Apart<'a> {
    /// Those of a rollout's scene.
    pub fn of(scene: &'a Scene) -> Self {
        Self {
            candidate: &scene.replicas,
            stable: &scene.serving,
        }
    }
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
    /// Takes what the replicas that are there have answered so far, and tells the metrics how much stable's differ. While the
    /// candidate is `cold`, latencies that were answered before do not count.
    pub fn see(&mut self, condition: &Condition, weighing: &mut Weighing, replicas: &Apart<'_>, cold: bool) {
        let condition = condition.plain();
        let questions = questions(&condition, weighing);
        let candidate = replicas.candidate.iter();
        self.candidate.see(
            &questions,
            candidate.map(|replica| (&replica.pod, &replica.counts)),
        );
        self.stable.see(&questions, replicas.stable.iter());
        if cold {
            self.candidate.leave_out_latencies(&questions);
            self.stable.leave_out_latencies(&questions);
        }
        let of = |rows: &Rows, at: usize| -> Vec<Tally> { rows.row(at).into_values().collect() };
        let names: Vec<String> = questions.into_iter().map(|question| question.name).collect();
        for (at, name) in names.iter().enumerate() {
            weighing.tell_apart(name, &of(&self.candidate, at), &of(&self.stable, at));
        }
    }

    /// Whether a replica of the candidate was there when the present weights were set.
    pub fn was_there(&self, pod: &str) -> bool {
        self.candidate.from.contains_key(pod)
    }

    /// New weights: what was answered before does not count.
    pub fn restart(&mut self) {
        self.candidate.restart();
        self.stable.restart();
    }

    /// The replica that carries the breach of a condition, if one does. With a single replica nobody can tell.
    pub fn by(&self, condition: &Condition, weighing: &Weighing) -> Option<Suspect> {
        let condition = condition.plain();
        let questions = questions(&condition, weighing);
        let rows: Vec<BTreeMap<&str, Tally>> =
            (0..questions.len()).map(|at| self.candidate.row(at)).collect();
        let groups = groups(&questions);
        let (at, pod) = groups.iter().find_map(|group| {
            let (at, pod, ln_better) = apart(&questions, &rows, group)?;
            // The worst of several is picked, in several groups: each may be it.
            let picked = (rows[at].len() * groups.len()) as f64;
            let answered = total(&rows[at]).total;
            (ln_better >= (picked * questions[at].likelier(answered)).ln()).then_some((at, pod))
        })?;
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
}

/// Questions that are answered together: each share of its own alone, and slower than one edge after the other.
fn groups(questions: &[Compared<'_>]) -> Vec<Vec<usize>> {
    let (mut timed, shares): (Vec<usize>, Vec<usize>) =
        (0..questions.len()).partition(|at| questions[*at].edge().is_some());
    timed.sort_by_key(|at| questions[*at].edge());
    let timed = Some(timed).filter(|timed| !timed.is_empty());
    timed
        .into_iter()
        .chain(shares.into_iter().map(|at| vec![at]))
        .collect()
}

/// The replica of which it is likeliest that it is bad alone, the question that says it best, and ln of how much likelier
/// "it is bad and the others are as stable is" makes what all answered than "all are alike".
fn apart<'a>(
    questions: &[Compared<'_>],
    rows: &[BTreeMap<&'a str, Tally>],
    group: &[usize],
) -> Option<(usize, &'a str, f64)> {
    let pods = rows[*group.first()?].keys();
    pods.filter_map(|pod| {
        let of = |at: usize| (rows[at][pod], others(&rows[at], pod));
        let alone = |at: usize| {
            let (own, rest) = of(at);
            ln_apart(own, rest, questions[at].stable)
        };
        let telling = *group.iter().max_by(|a, b| alone(**a).total_cmp(&alone(**b)))?;
        let (own, rest) = of(telling);
        if own.share()? <= expected(rest, questions[telling].stable) {
            return None;
        }
        // Of the requests that are slower than an edge, those that are slower than the next: chances multiply.
        let mut before: Option<usize> = None;
        let mut ln_better = 0.0;
        for at in group {
            let within = |tally: Tally, all: Option<Tally>| match all {
                Some(all) => Tally::new(tally.bad, all.bad),
                None => tally,
            };
            let (own, rest) = of(*at);
            let all = before.map(of);
            ln_better += ln_apart(
                within(own, all.map(|all| all.0)),
                within(rest, all.map(|all| all.1)),
                within(
                    questions[*at].stable,
                    before.map(|before| questions[before].stable),
                ),
            );
            before = Some(*at);
        }
        Some((telling, *pod, ln_better))
    })
    .max_by(|a, b| a.2.total_cmp(&b.2))
}

/// ln of how much likelier "one has a share of its own, the rest stable's" makes both tallies than "they have the same".
fn ln_apart(own: Tally, rest: Tally, stable: Tally) -> f64 {
    let Some(alike) = own.and(rest).share() else {
        return 0.0;
    };
    ln_likelier(own, own.share().unwrap_or(alike), alike) + ln_likelier(rest, expected(rest, stable), alike)
}

/// The share of replicas that are as good as stable is; where nothing is known of stable, their own.
fn expected(others: Tally, stable: Tally) -> f64 {
    let of = if stable.total == 0 { others } else { stable };
    (of.bad as f64 + 0.5) / (of.total as f64 + 1.0)
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

fn total(row: &BTreeMap<&str, Tally>) -> Tally {
    row.values().fold(Tally::default(), |sum, tally| sum.and(*tally))
}

fn others(row: &BTreeMap<&str, Tally>, pod: &str) -> Tally {
    row.iter()
        .filter(|(other, _)| **other != pod)
        .fold(Tally::default(), |sum, (_, tally)| sum.and(*tally))
}

/// A question that is put to each replica.
pub(super) struct Compared<'a> {
    /// Of its metric.
    name: String,
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
    pub(super) fn is_of_latencies(&self) -> bool {
        self.edge().is_some()
    }

    /// Milliseconds over which a request is a slow one; `None`: it is not about latencies.
    fn edge(&self) -> Option<u64> {
        match &self.what {
            What::Line(question) => question.limit_ms(),
            What::Edge(edge) => Some(*edge),
        }
    }

    pub(super) fn tally(&self, counts: &Counts) -> Tally {
        match &self.what {
            What::Line(question) => question.tally(counts),
            What::Edge(edge) => slow(counts, *edge),
        }
        .unwrap_or_default()
    }

    /// How many times likelier it must be after so many requests. Without stable the others' own share is fitted too, so chance alone
    /// explains more.
    fn likelier(&self, answered: u64) -> f64 {
        match self.stable.total {
            0 => 1.0 / ALPHA,
            _ => LIKELIER * (answered as f64 / AFTER).powi(3),
        }
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
        let name = leaf.to_string();
        Some(Compared {
            what: What::Line(question),
            stable: weighing.stable_of(&name),
            name,
        })
    });
    let edges = weighing.edges().map(|(edge, name)| Compared {
        what: What::Edge(edge),
        stable: weighing.stable_of(&name),
        name,
    });
    lines.chain(edges).collect()
}

#[cfg(test)]
mod tests {
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
}
