//! Quantiles of latencies in bounded memory.

use std::collections::BTreeMap;
use std::time::Duration;

/// Ratio of two neighbouring buckets: no quantile is more than 2 % too high, and none is too low.
const GROWTH: f64 = 1.02;
/// Upper edge of the lowest bucket in milliseconds.
const LOWEST_MS: f64 = 0.1;
/// Buckets above the lowest; the highest one begins beyond ten minutes.
const BUCKETS: u16 = 800;

/// Counts of latencies in logarithmic buckets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quantiles {
    counts: BTreeMap<u16, u64>,
    total: u64,
}

impl Quantiles {
    pub(crate) fn observe(&mut self, latency: Duration) {
        *self.counts.entry(bucket(latency)).or_default() += 1;
        self.total += 1;
    }

    /// The latency in milliseconds that this share of the observations did not exceed; none without any.
    pub(crate) fn at(&self, share: f64) -> Option<f64> {
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        self.counts.iter().find_map(|(bucket, count)| {
            below += count;
            (below >= rank).then(|| round(LOWEST_MS * GROWTH.powi(i32::from(*bucket))))
        })
    }
}

fn bucket(latency: Duration) -> u16 {
    let ms = latency.as_secs_f64() * 1000.0;
    ((ms / LOWEST_MS).ln() / GROWTH.ln())
        .ceil()
        .clamp(0.0, f64::from(BUCKETS)) as u16
}

/// To a tenth of a millisecond, which is finer than the buckets.
fn round(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_at_most_two_percent_high() {
        let mut quantiles = Quantiles::default();
        (1..=1000).for_each(|ms| quantiles.observe(Duration::from_millis(ms)));
        let (p50, p99) = (quantiles.at(0.5).unwrap(), quantiles.at(0.99).unwrap());
        assert!((500.0..=510.1).contains(&p50), "{p50}");
        assert!((990.0..=1010.0).contains(&p99), "{p99}");
    }

    #[test]
    fn nothing_seen_has_no_quantile_and_extremes_stay_in_range() {
        assert_eq!(Quantiles::default().at(0.5), None);
        let mut quantiles = Quantiles::default();
        quantiles.observe(Duration::ZERO);
        assert_eq!(quantiles.at(0.99), Some(0.1));
        quantiles.observe(Duration::from_secs(1_000_000));
        assert!(quantiles.at(0.99).unwrap() > 600_000.0);
    }
}
