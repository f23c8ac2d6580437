//! Randomness that repeats: every request draws from its own sequence, fixed by the seed and its number.

use std::f64::consts::TAU;

/// Step of the SplitMix64 generator: 2^64 divided by the golden ratio, odd.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
/// Standard normal deviation below which 99 % of the draws lie.
const NORMAL_P99: f64 = 2.326_347_874;
/// A draw never exceeds the 99th percentile by more than this factor, so that no request hangs for minutes.
const TAIL_MAX: f64 = 4.0;

/// One sequence of a SplitMix64 generator.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence of one request. It depends on nothing that happened before, so that concurrent requests get
    /// the same draws in whatever order they run.
    pub(crate) fn for_request(seed: u64, number: u64) -> Self {
        Self(mix(mix(seed.wrapping_add(STEP)) ^ number))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Uniform in `0.0..1.0`.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True for this share of the draws.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.share() < share
    }

    /// Uniform in `min..=max`.
    pub(crate) fn between(&mut self, min: u32, max: u32) -> u32 {
        let width = u64::from(max.saturating_sub(min)) + 1;
        min + u32::try_from(self.next() % width).expect("the width of a range of u32 fits")
    }

    /// Uniform in `min..max`.
    pub(crate) fn within(&mut self, min: f64, max: f64) -> f64 {
        min + self.share() * (max - min)
    }

    /// Log-normal: half of the draws lie below `p50` and 99 % below `p99`, as latencies do.
    pub(crate) fn skewed(&mut self, p50: f64, p99: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        let normal = radius * (TAU * self.share()).cos();
        let sigma = (p99 / p50).ln() / NORMAL_P99;
        (p50 * (sigma * normal).exp()).min(p99 * TAIL_MAX)
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(seed: u64, number: u64) -> Vec<u64> {
        let mut random = Random::for_request(seed, number);
        (0..8).map(|_| random.next()).collect()
    }

    #[test]
    fn same_seed_and_number_give_the_same_draws() {
        assert_eq!(draws(7, 3), draws(7, 3));
    }

    #[test]
    fn neighbouring_requests_and_seeds_share_no_draw() {
        let mut all = [draws(7, 3), draws(7, 4), draws(8, 3), draws(0, 0)].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 32);
    }

    #[test]
    fn chances_come_out_as_often_as_asked() {
        let hits = (0..10_000)
            .filter(|n| Random::for_request(1, *n).chance(0.3))
            .count();
        assert!((2_850..3_150).contains(&hits), "{hits} of 10000");
    }

    #[test]
    fn latencies_have_the_median_and_the_tail_that_were_asked_for() {
        let mut all: Vec<f64> = (0..20_000)
            .map(|n| Random::for_request(5, n).skewed(120.0, 600.0))
            .collect();
        all.sort_by(f64::total_cmp);
        assert!((114.0..126.0).contains(&all[10_000]), "p50 {}", all[10_000]);
        assert!((540.0..660.0).contains(&all[19_800]), "p99 {}", all[19_800]);
        assert!(all[19_999] <= 2_400.0);
    }

    #[test]
    fn ranges_include_both_ends_and_nothing_else() {
        let all: std::collections::BTreeSet<u32> = (0..200)
            .map(|n| Random::for_request(2, n).between(4, 7))
            .collect();
        assert_eq!(all.into_iter().collect::<Vec<_>>(), [4, 5, 6, 7]);
    }
}
