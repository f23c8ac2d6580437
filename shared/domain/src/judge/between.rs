//! Replicas of one version differ: a slower GPU, a hotter slot, a cache that others filled. A candidate of a few replicas
//! that happen to be the slower ones is no worse version.
//!
//! How much stable's replicas differ in a step, beyond chance, says how far the means of two sets of them lie apart by luck. Evidence
//! that the candidate is worse is taken to the power 1/F, where F is how much wider than chance of requests alone the difference
//! spreads then (a variance component by the method of moments; DerSimonian and Laird 1986). What F rests on is
//! itself an estimate from a few replicas, which Satterthwaite's degrees of freedom say (1946): the fewer there are, the less
//! a large difference says, as with Student's t. Both take away only: replicas that are alike lose next to nothing, nobody gains.

use serde::{Deserialize, Serialize};

use super::{Arms, Tally};

/// What stable's replicas showed of one metric. Without two of them that are told apart nothing is known, and nothing is taken
/// away.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Between {
    /// Variance of a replica's share between replicas, in parts of the variance of a single request.
    variance: f32,
    /// One less than stable's replicas that it was estimated from.
    freedom: f32,
    /// Replicas of each arm; those that answer little count as part of one.
    candidates: f32,
    stables: f32,
}

impl Between {
    /// From what each replica of an arm answered in the same time.
    pub(super) fn of(candidate: &[Tally], stable: &[Tally]) -> Self {
        let sum = |replicas: &[Tally]| replicas.iter().fold(Tally::default(), |sum, one| sum.and(*one));
        let all = sum(stable);
        let alone = Self::default();
        let Some(share) = all.share().filter(|share| *share > 0.0 && *share < 1.0) else {
            return alone;
        };
        let (Some(candidates), Some(stables)) = (effective(candidate), effective(stable)) else {
            return alone;
        };
        let answering = stable.iter().filter(|replica| replica.total > 0);
        let freedom = answering.clone().count() as f64 - 1.0;
        let squared = |replica: &Tally| replica.share().unwrap_or(share) - share;
        let apart: f64 = answering
            .map(|replica| replica.total as f64 * squared(replica).powi(2))
            .sum();
        let chance = freedom * share * (1.0 - share);
        let reach = all.total as f64 * (1.0 - 1.0 / stables);
        if freedom < 1.0 || reach <= 0.0 {
            return alone;
        }
        let found = ((apart - chance) / (reach * share * (1.0 - share))).max(0.0);
        // One standard error more: from a few replicas it is as often too small.
        let variance = found * (1.0 + (2.0 / freedom).sqrt());
        Self {
            variance: variance as f32,
            freedom: freedom as f32,
            candidates: candidates as f32,
            stables: stables as f32,
        }
    }

    /// How much more the mean of the candidate's replicas jumps than that of stable's, if each jumps for itself; 1 where nobody
    /// tells them apart.
    pub(super) fn jumps(&self) -> f64 {
        match self.candidates > 0.0 {
            true => f64::from(self.stables / self.candidates).max(1.0),
            false => 1.0,
        }
    }

    /// A new step: what was answered before does not count.
    pub(super) fn restart(&mut self) {
        self.variance = 0.0;
    }

    fn inverse(&self) -> f64 {
        f64::from(1.0 / self.candidates + 1.0 / self.stables)
    }

    /// What plain evidence of a difference is worth.
    pub(super) fn worth(&self, ln_e: f64, arms: Arms) -> f64 {
        let Some((factor, freedom)) = self.spread(arms) else {
            return ln_e;
        };
        let scaled = ln_e / factor;
        if scaled <= 0.0 {
            return scaled;
        }
        freedom / 2.0 * (2.0 * scaled / freedom).ln_1p()
    }

    /// The plain evidence that is worth this much: the inverse of [`worth`](Self::worth).
    pub(super) fn needed(&self, worth: f64, arms: Arms) -> f64 {
        let Some((factor, freedom)) = self.spread(arms) else {
            return worth;
        };
        factor * freedom / 2.0 * (2.0 * worth / freedom).exp_m1()
    }

    /// How much wider than chance the difference of both shares spreads, and its degrees of freedom. `None`: no wider.
    fn spread(&self, arms: Arms) -> Option<(f64, f64)> {
        let (candidate, stable) = (arms.candidate.total as f64, arms.stable.total as f64);
        let beyond = f64::from(self.variance) * self.inverse() / (1.0 / candidate + 1.0 / stable);
        let factor = 1.0 + beyond;
        (beyond > 0.0).then(|| (factor, f64::from(self.freedom) * (factor / beyond).powi(2)))
    }
}

/// Replicas of equal size that would differ as much from one another in the mean (Kish 1965); `None`: none answered.
fn effective(replicas: &[Tally]) -> Option<f64> {
    let sizes = replicas.iter().map(|replica| replica.total as f64);
    let sum: f64 = sizes.clone().sum();
    let squares: f64 = sizes.map(|size| size * size).sum();
    (sum > 0.0).then(|| sum * sum / squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replicas with so many bad of 1,000 each.
    fn replicas(bad: &[u64]) -> Vec<Tally> {
        bad.iter().map(|bad| Tally::new(*bad, 1_000)).collect()
    }

    fn arms() -> Arms {
        Arms {
            candidate: Tally::new(150, 1_000),
            stable: Tally::new(400, 4_000),
        }
    }

    #[test]
    fn replicas_that_differ_by_chance_take_nothing_away() {
        let alike = Between::of(&replicas(&[150]), &replicas(&[95, 103, 110, 92]));
        assert_eq!(alike.worth(7.0, arms()), 7.0);
        assert_eq!(alike.needed(7.0, arms()), 7.0);
    }

    #[test]
    fn the_more_stable_differs_the_less_a_difference_is_worth() {
        let worth = |stable: &[u64]| Between::of(&replicas(&[150]), &replicas(stable)).worth(7.0, arms());
        let (some, much) = (worth(&[80, 90, 110, 120]), worth(&[50, 70, 130, 150]));
        assert!(some > 1.5 * much && some < 5.0, "{some} {much}");
        assert!(much > 0.0 && much < 1.5, "{much}");
    }

    #[test]
    fn more_replicas_even_out() {
        let stable = replicas(&[80, 90, 110, 120]);
        let one = Between::of(&replicas(&[150]), &stable).worth(7.0, arms());
        let five = Between::of(&replicas(&[150; 5]), &stable).worth(7.0, arms());
        assert!(five > one + 0.5, "{one} {five}");
    }

    #[test]
    fn the_same_variance_from_fewer_replicas_says_less() {
        let worth = |stable: &[u64]| Between::of(&replicas(&[150]), &replicas(stable)).worth(60.0, arms());
        let (few, many) = (worth(&[70, 130]), worth(&[70, 130, 75, 127, 72, 128, 76, 122]));
        assert!(few < many / 2.0, "{few} {many}");
    }

    #[test]
    fn needed_is_the_inverse_of_worth() {
        let between = Between::of(&replicas(&[150]), &replicas(&[50, 70, 130, 150]));
        for worth in [0.5, 2.0, 5.3, 9.0] {
            let back = between.worth(between.needed(worth, arms()), arms());
            assert!((back - worth).abs() < 1e-9, "{worth} {back}");
        }
    }

    #[test]
    fn it_takes_away_only_and_nothing_where_replicas_are_not_told_apart() {
        let none: [Tally; 0] = [];
        let table: [(&[Tally], &[Tally]); 4] = [
            (&none, &none),
            (&none, &replicas(&[10, 300])),
            (&replicas(&[10]), &replicas(&[300])),
            (&replicas(&[10]), &replicas(&[0, 0, 0])),
        ];
        for (candidate, stable) in table {
            assert_eq!(Between::of(candidate, stable).worth(4.0, arms()), 4.0);
        }
        let between = Between::of(&replicas(&[150]), &replicas(&[50, 150]));
        for ln_e in [-3.0, 0.0, 1.0, 20.0, 600.0] {
            assert!(between.worth(ln_e, arms()).abs() <= f64::abs(ln_e));
        }
        assert!(between.needed(800.0, arms()) >= 800.0);
    }
}
