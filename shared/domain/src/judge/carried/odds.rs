//! How much likelier it is that one replica is bad alone than that all are alike.

use std::collections::BTreeMap;

use super::question::Compared;
use crate::judge::Tally;
use crate::judge::share::ln_likelier;

/// Questions that are answered together: each share of its own alone, and slower than one edge after the other.
pub(super) fn groups(questions: &[Compared<'_>]) -> Vec<Vec<usize>> {
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
pub(super) fn apart<'a>(
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

pub(super) fn total(row: &BTreeMap<&str, Tally>) -> Tally {
    row.values().fold(Tally::default(), |sum, tally| sum.and(*tally))
}

pub(super) fn others(row: &BTreeMap<&str, Tally>, pod: &str) -> Tally {
    row.iter()
        .filter(|(other, _)| **other != pod)
        .fold(Tally::default(), |sum, (_, tally)| sum.and(*tally))
}
