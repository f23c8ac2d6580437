//! After promotion: a watch without an end.
//!
//! A test that ran well for a week has lost so much that a fault would take days to show. A detector supposes instead
//! that the fault may begin with any block: it adds the evidence from every possible beginning (Shiryaev 1963;
//! e-detectors: Shin, Ramdas, Rinaldo 2023). Without a fault its mean grows by at most 1 a block, so the mean time to
//! a false alarm is at least its threshold in blocks, and a fault after a long healthy stretch is seen as fast as a
//! new one.

use serde::{Deserialize, Serialize};

use super::Tally;
use super::special::ln_mean;

/// Shares that a fault may have: the line times these.
const TIMES: [f64; 5] = [1.5, 2.0, 3.0, 6.0, 15.0];
/// Seconds in a week.
const WEEK: f64 = 604_800.0;

/// State of the watch over one metric.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Detector {
    line: f64,
    ln_needed: f64,
    ln_sums: [f64; TIMES.len()],
}

impl Detector {
    /// Watches that a share stays at or under the line, with blocks of `block_seconds` and at most so many false
    /// alarms a week on average.
    pub fn new(line: f64, block_seconds: f64, alarms_per_week: f64) -> Self {
        Self {
            line: line.clamp(1e-6, 0.999),
            ln_needed: (WEEK / block_seconds / alarms_per_week).ln(),
            ln_sums: [f64::NEG_INFINITY; TIMES.len()],
        }
    }

    /// Applies a block and says whether a fault is shown.
    pub fn add(&mut self, tally: Tally) -> bool {
        let (bad, good) = (tally.bad as f64, (tally.total - tally.bad) as f64);
        for (sum, times) in self.ln_sums.iter_mut().zip(TIMES) {
            let q = (self.line * times).min(f64::midpoint(1.0, self.line));
            let block = bad * (q / self.line).ln() + good * ((1.0 - q) / (1.0 - self.line)).ln();
            // ln(1 + sum): one more beginning.
            let begun = if *sum > 0.0 {
                *sum + (-*sum).exp().ln_1p()
            } else {
                sum.exp().ln_1p()
            };
            *sum = begun + block;
        }
        self.ln_value() >= self.ln_needed
    }

    /// ln of what has been gathered.
    pub fn ln_value(&self) -> f64 {
        ln_mean(self.ln_sums.into_iter().map(|sum| (sum.max(-700.0), 1.0)))
    }

    /// What must be gathered.
    pub fn ln_needed(&self) -> f64 {
        self.ln_needed
    }

    /// After an alarm that was looked into.
    pub fn restart(&mut self) {
        self.ln_sums = [f64::NEG_INFINITY; TIMES.len()];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The mean time to a false alarm rests on this: while the share is at or under the line, what is gathered grows by at
        /// most 1 a block on average, whatever came before. The mean is over every outcome of the next block.
        #[test]
        fn without_a_fault_it_gathers_at_most_one_a_block_on_average(
            past in prop::collection::vec((0_u64..4, 0_u64..60), 0..40), n in 1_u64..12, part in 0.0_f64..=1.0,
        ) {
            let mut detector = Detector::new(0.02, 15.0, 0.01);
            for (bad, good) in past {
                detector.add(Tally::new(bad, bad + good));
            }
            let share = 0.02 * part;
            let chance = |k: u64| {
                let ways: f64 = (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product();
                let power = |p: f64, n: u64| (0..n).map(|_| p).product::<f64>();
                ways * power(share, k) * power(1.0 - share, n - k)
            };
            let gathered = |k: u64| {
                let mut after = detector.clone();
                after.add(Tally::new(k, n));
                after.ln_value().exp()
            };
            let mean: f64 = (0..=n).map(|k| chance(k) * gathered(k)).sum();
            let before = detector.ln_value().exp();
            prop_assert!(mean <= (before + 1.0) * (1.0 + 1e-9), "{before} became {mean}");
        }
    }

    #[test]
    fn a_fault_after_a_week_is_seen_as_fast_as_a_new_one() {
        let blocks_to_alarm = |healthy: usize| {
            let mut detector = Detector::new(0.02, 15.0, 0.01);
            for block in 0..healthy {
                assert!(!detector.add(Tally::new(7 + block as u64 % 2, 750)));
            }
            (1..).find(|_| detector.add(Tally::new(60, 750))).unwrap()
        };
        assert_eq!(blocks_to_alarm(40_320), blocks_to_alarm(4));
        assert!(blocks_to_alarm(4) <= 2, "{}", blocks_to_alarm(4));
    }
}
