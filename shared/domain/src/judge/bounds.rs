//! Where the ratio of the shares lies, at every look at once: a confidence sequence.
//!
//! A ratio is inside until evidence against it reaches 2/alpha. The evidence of [`ln_e_by_arm`](super::ln_e_by_arm)
//! over all blocks depends on the ratio only through one sum, which is kept at fixed ratios; between those the sum is
//! convex in the logarithm of the ratio, and the chords of its neighbours bound it from below, which is the safe side.

use std::ops::Range;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Arms;
use super::root::last_wrong;
use super::special::ln_mean;

/// Ratios on either side of 1 at which the sum is kept.
const SIDE: usize = 20;
/// All of them.
const POINTS: usize = 2 * SIDE + 1;
/// ln of the greatest ratio: 20 times.
const REACH: f64 = 3.0;
/// Halvings of the way between two places, which is 0.15 in ln: to 4 digits.
const HALVINGS: u32 = 12;
/// A sum is kept in whole multiples of this: it is stored at every look, and digits that say nothing cost. A block is off by
/// half of it at most, so 10,000 of them by 0.05, of the 5.3 that a bound needs at alpha 1 %.
const UNIT: f64 = 1e-5;

/// The sums of one metric.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RatioBounds {
    /// Bad requests of the candidate, bursts discounted.
    candidate: f64,
    /// The sum at each ratio, in units.
    #[serde(with = "super::curve")]
    sums: Vec<i64>,
}

impl Default for RatioBounds {
    fn default() -> Self {
        Self {
            candidate: 0.0,
            sums: vec![0; POINTS],
        }
    }
}

/// The ratios and their logarithms: dense near 1, where people look.
struct Places {
    ln: [f64; POINTS],
    ratio: [f64; POINTS],
    /// Weights of the alternatives above a ratio, and of those below it: alternatives near the ratio weigh most, as
    /// exp(-distance), in which the ratio itself cancels out.
    above: [f64; POINTS],
    below: [f64; POINTS],
}

static PLACES: LazyLock<Places> = LazyLock::new(|| {
    let ln = std::array::from_fn(|place| {
        let part = (place as f64 - SIDE as f64) / SIDE as f64;
        REACH * part.signum() * part.abs().powf(1.6)
    });
    let width = |place: usize| ln[(place + 1).min(POINTS - 1)] - ln[place.saturating_sub(1)];
    Places {
        ratio: ln.map(f64::exp),
        above: std::array::from_fn(|place| width(place) * (-ln[place]).exp()),
        below: std::array::from_fn(|place| width(place) * ln[place].exp()),
        ln,
    }
});

fn ln_ratio(place: usize) -> f64 {
    PLACES.ln[place]
}

impl RatioBounds {
    /// Adds a block; `factor` is how much wider than chance its counts spread.
    pub fn add(&mut self, arms: Arms, factor: f64) {
        let all = arms.candidate.total as f64 + arms.stable.total as f64;
        let bad = (arms.candidate.bad as f64 + arms.stable.bad as f64) / factor;
        // A block of one arm only says nothing on the ratio, and without a bad request the sum does not move.
        if arms.candidate.total == 0 || arms.stable.total == 0 || bad == 0.0 {
            return;
        }
        let candidate = arms.candidate.total as f64 / all;
        self.candidate += arms.candidate.bad as f64 / factor;
        for (sum, ratio) in self.sums.iter_mut().zip(PLACES.ratio) {
            let block = (bad * (1.0 + candidate * (ratio - 1.0)).ln() / UNIT).round() as i64;
            *sum = sum.saturating_add(block);
        }
    }

    /// ln of the evidence of "the ratio is greater than this one".
    pub fn ln_e_greater(&self, ln_ratio: f64) -> f64 {
        let first = PLACES.ln.partition_point(|place| *place <= ln_ratio);
        self.ln_e(ln_ratio, first..POINTS, &PLACES.above)
    }

    /// ln of the evidence of "the ratio is smaller than this one".
    pub fn ln_e_smaller(&self, ln_ratio: f64) -> f64 {
        let end = PLACES.ln.partition_point(|place| *place < ln_ratio);
        self.ln_e(ln_ratio, 0..end, &PLACES.below)
    }

    fn ln_e(&self, at: f64, alternatives: Range<usize>, weights: &[f64; POINTS]) -> f64 {
        let here = self.sum_at_least(at);
        let one = |place: usize| {
            let ln_e = self.candidate * (PLACES.ln[place] - at) + here - self.sum(place);
            (ln_e, weights[place])
        };
        ln_mean(alternatives.map(one))
    }

    fn sum(&self, place: usize) -> f64 {
        self.sums[place] as f64 * UNIT
    }

    /// A lower bound of the sum between its places: a convex curve lies above its neighbours' chords, carried on.
    fn sum_at_least(&self, at: f64) -> f64 {
        let after = PLACES.ln.partition_point(|place| *place < at).min(POINTS - 1);
        if after < 1 || ln_ratio(after) <= at {
            return self.sum(after);
        }
        let chord = |from: usize| {
            let (x, y) = (ln_ratio(from), ln_ratio(from + 1));
            let slope = (self.sum(from + 1) - self.sum(from)) / (y - x);
            self.sum(from) + slope * (at - x)
        };
        let left = if after >= 2 {
            chord(after - 2)
        } else {
            f64::NEG_INFINITY
        };
        let right = if after + 1 < POINTS {
            chord(after)
        } else {
            f64::NEG_INFINITY
        };
        left.max(right)
    }

    /// Lower and upper bound of the ratio, wrong with chance alpha; `None`: no upper bound yet.
    pub fn at(&self, alpha: f64) -> (f64, Option<f64>) {
        self.against((2.0 / alpha).ln())
    }

    /// The bounds outside which a ratio has so much evidence against it (ln).
    pub(super) fn against(&self, enough: f64) -> (f64, Option<f64>) {
        let low = |ln| self.ln_e_greater(ln) >= enough;
        let high = |ln| self.ln_e_smaller(ln) >= enough;
        let lows = prefix(|place| low(ln_ratio(place)));
        let highs = prefix(|place| high(ln_ratio(POINTS - 1 - place)));
        let lowest = lows.map_or(0.0, |place| edge(low, place, place + 1).exp());
        let highest = highs.map(|place| {
            let place = POINTS - 1 - place;
            edge(high, place, place - 1).exp()
        });
        (lowest, highest)
    }
}

/// The last of the places from 0 on that are wrong; the last place of all never counts.
fn prefix(wrong: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut known, mut open) = (0, POINTS - 1);
    if !wrong(0) {
        return None;
    }
    while open - known > 1 {
        let middle = usize::midpoint(known, open);
        if wrong(middle) {
            known = middle;
        } else {
            open = middle;
        }
    }
    Some(known)
}

/// The last ratio on the way from one place to the next that is still shown to be wrong.
fn edge(wrong: impl Fn(f64) -> bool, from: usize, to: usize) -> f64 {
    last_wrong(ln_ratio(from), ln_ratio(to), HALVINGS, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Tally, ln_e_by_arm};

    fn arms(k_a: u64, n_a: u64, k_b: u64, n_b: u64) -> Arms {
        Arms {
            candidate: Tally::new(k_a, n_a),
            stable: Tally::new(k_b, n_b),
        }
    }

    #[test]
    fn the_sums_are_the_evidence_by_arm() {
        let blocks = [arms(3, 150, 28, 2_850), arms(0, 100, 9, 900), arms(7, 40, 2, 300)];
        let mut bounds = RatioBounds::default();
        blocks.iter().for_each(|block| bounds.add(*block, 1.0));
        for (null, alternative) in [(SIDE, SIDE + 6), (SIDE + 3, SIDE - 4)] {
            let expected: f64 = blocks
                .iter()
                .map(|b| ln_e_by_arm(*b, ln_ratio(null).exp(), ln_ratio(alternative).exp()))
                .sum();
            let found = bounds.candidate * (ln_ratio(alternative) - ln_ratio(null)) + bounds.sum(null)
                - bounds.sum(alternative);
            // Both sums are off by half a unit a block at most.
            assert!((found - expected).abs() <= 3.0 * UNIT, "{found} {expected}");
        }
    }

    #[test]
    fn between_its_places_the_sum_is_never_overstated() {
        let mut bounds = RatioBounds::default();
        bounds.add(arms(30, 150, 280, 2_850), 1.0);
        for step in 3..54 {
            let at = -2.9 + 0.1 * f64::from(step);
            let exact = 310.0 * (1.0 + 0.05 * (at.exp() - 1.0)).ln();
            let least = bounds.sum_at_least(at);
            assert!(
                least <= exact + UNIT && exact - least < 1.5,
                "{at}: {least} {exact}"
            );
        }
    }

    #[test]
    fn bounds_hold_the_ratio_and_shrink() {
        let mut bounds = RatioBounds::default();
        assert_eq!(bounds.at(0.01), (0.0, None));
        bounds.add(arms(30, 1_000, 200, 20_000), 1.0);
        let (low, high) = bounds.at(0.01);
        assert!(
            low > 1.3 && low < 3.0 && high.unwrap() > 3.0 && high.unwrap() < 7.0,
            "{low} {high:?}"
        );
        (0..99).for_each(|_| bounds.add(arms(30, 1_000, 200, 20_000), 1.0));
        let (low, high) = bounds.at(0.01);
        assert!(low > 2.6 && high.unwrap() < 3.6, "{low} {high:?}");
    }
}
