//! Is it the version, or one of its replicas? A slow GPU makes one replica bad, and every pair of replicas differs a
//! little for good.
//!
//! From three replicas on, two things keep a replica from being taken for the version: the evidence must hold with any one of
//! the candidate's replicas left out, and it is weighed against "greater by as much as replicas differ among
//! themselves" instead of "greater". With one or two the question has no answer: `not_separable`; the replica is
//! replaced once before the version is blamed.

use serde::{Deserialize, Serialize};

use super::metric::{Asked, Metric};
use super::special::{ln_mean, normal_quantile};
use super::{Arms, Tally};

/// Replicas of an arm that are told apart; more are taken together in so many groups.
pub const GROUPS: usize = 8;
/// Replicas of the candidate from which on version and replica can be told apart.
pub const SEPARABLE: usize = 3;
/// Chance that replicas differ by more than what is left for them.
const ROOM_ALPHA: f64 = 0.005;

/// Counts of a block, replica by replica, in an order that stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReplicaBlock {
    /// The stable revision's replicas.
    pub stable: Vec<Tally>,
    /// The candidate's replicas.
    pub candidate: Vec<Tally>,
}

/// State of one metric, replica by replica.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Replicas {
    asked: Asked,
    stable: Vec<Tally>,
    candidate: Vec<Tally>,
    /// The metric with one replica of the candidate left out.
    without: Vec<Metric>,
}

impl Replicas {
    /// Nothing known yet.
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            ..Self::default()
        }
    }

    /// Applies a block.
    pub fn add(&mut self, block: &ReplicaBlock) {
        let (stable, candidate) = (grouped(&block.stable), grouped(&block.candidate));
        let sum = |tallies: &[Tally]| tallies.iter().copied().fold(Tally::default(), Tally::and);
        let arms = Arms {
            stable: sum(&stable),
            candidate: sum(&candidate),
        };
        while self.without.len() < candidate.len() {
            self.without.push(Metric::new(self.asked));
        }
        for (i, metric) in self.without.iter_mut().enumerate() {
            let left_out = candidate.get(i).copied().unwrap_or_default();
            metric.add(Arms {
                candidate: arms.candidate.without(left_out),
                ..arms
            });
        }
        merge(&mut self.stable, &stable);
        merge(&mut self.candidate, &candidate);
    }

    /// Whether version and replica can be told apart.
    pub fn separable(&self) -> bool {
        self.candidate.len() >= SEPARABLE
    }

    /// ln of the evidence that the version is at fault; `None`: not separable.
    pub fn ln_e(&self) -> Option<f64> {
        if !self.separable() {
            return None;
        }
        let room = self.room();
        let one = |metric: &Metric| {
            let ratio = metric.ln_e_ratio_over(room);
            let limit = metric.shown().ln_e_limit;
            ln_mean([Some(ratio), limit].into_iter().flatten().map(|ln_e| (ln_e, 1.0)))
        };
        // The least of several e-values is one.
        self.without.iter().map(one).reduce(f64::min)
    }

    /// The candidate's replica with the greatest share, if it alone carries the evidence: it is replaced.
    pub fn suspect(&self) -> Option<usize> {
        let shares = self.candidate.iter().map(|tally| tally.share().unwrap_or(0.0));
        shares
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(i, _)| i)
    }

    /// How much greater, as a logarithm, the candidate may be only because replicas differ.
    fn room(&self) -> f64 {
        let (stable, candidate) = (squares(&self.stable), squares(&self.candidate));
        let free = stable.1 + candidate.1;
        if free < 1.0 {
            return 0.0;
        }
        let variance = ((stable.0 + candidate.0) / free).max(0.0);
        let (m_a, m_b) = (stable.1 + 1.0, candidate.1.max(1.0));
        student(ROOM_ALPHA, free) * (variance * (1.0 / m_a + 1.0 / m_b)).sqrt()
    }
}

/// Squared relative differences of an arm's replicas beyond chance, and how many of them are free.
fn squares(replicas: &[Tally]) -> (f64, f64) {
    let live: Vec<&Tally> = replicas.iter().filter(|tally| tally.total > 0).collect();
    let all = live.iter().fold(Tally::default(), |sum, tally| sum.and(**tally));
    let (Some(level), true) = (all.share().filter(|level| *level > 0.0), live.len() > 1) else {
        return (0.0, 0.0);
    };
    let one = |tally: &&Tally| {
        let off = tally.bad as f64 / tally.total as f64 - level;
        let part = 1.0 - tally.total as f64 / all.total as f64;
        (off * off - level * (1.0 - level) / tally.total as f64 * part) / (level * level)
    };
    (live.iter().map(one).sum(), live.len() as f64 - 1.0)
}

/// Upper quantile of Student's law (Fisher and Cornish 1960, three terms).
fn student(above: f64, free: f64) -> f64 {
    let z = normal_quantile(1.0 - above);
    let z2 = z * z;
    let one = z * (z2 + 1.0) / 4.0;
    let two = z * ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0;
    let three = z * (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0;
    z + (one + (two + three / free) / free) / free
}

fn grouped(replicas: &[Tally]) -> Vec<Tally> {
    let mut groups = vec![Tally::default(); replicas.len().min(GROUPS)];
    for (i, tally) in replicas.iter().enumerate() {
        groups[i % GROUPS] = groups[i % GROUPS].and(*tally);
    }
    groups
}

fn merge(sums: &mut Vec<Tally>, block: &[Tally]) {
    sums.resize(sums.len().max(block.len()), Tally::default());
    for (sum, tally) in sums.iter_mut().zip(block) {
        *sum = sum.and(*tally);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(candidate: &[u64], blocks: usize) -> Replicas {
        let mut replicas = Replicas::new(Asked::default());
        for block in 0..blocks {
            let jitter = block as u64 % 3;
            replicas.add(&ReplicaBlock {
                stable: vec![Tally::new(1 + jitter, 200); 6],
                candidate: candidate.iter().map(|bad| Tally::new(*bad, 200)).collect(),
            });
        }
        replicas
    }

    #[test]
    fn one_bad_replica_is_not_the_version_and_three_are() {
        let needed = 100_f64.ln();
        assert!(watch(&[60, 2, 2], 40).ln_e().unwrap() < needed);
        assert_eq!(watch(&[2, 60, 2], 40).suspect(), Some(1));
        assert!(watch(&[20, 21, 19], 40).ln_e().unwrap() >= needed);
        assert!(watch(&[2, 2, 2], 400).ln_e().unwrap() < needed);
    }

    #[test]
    fn one_or_two_replicas_are_not_separable() {
        assert_eq!(watch(&[60], 10).ln_e(), None);
        assert_eq!(watch(&[60, 60], 10).ln_e(), None);
    }

    #[test]
    fn students_law_is_near_its_published_quantiles() {
        for (free, expected) in [(5.0, 4.032), (10.0, 3.169), (30.0, 2.750)] {
            assert!(
                (student(0.005, free) - expected).abs() < 0.03,
                "{}",
                student(0.005, free)
            );
        }
    }
}
