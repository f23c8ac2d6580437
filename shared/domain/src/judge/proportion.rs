//! A comparison of a condition as a question about a proportion: how many of how many, and the line.

use super::{Arms, Side, Tally};
use crate::condition::{Comparison, Op};
use crate::seen::Counts;

/// A comparison as a question about a proportion.
pub(super) struct Proportion<'a> {
    comparison: &'a Comparison,
    what: What,
    /// The share that must not be passed.
    pub(super) line: f64,
    /// On which side of it harm is.
    pub(super) side: Side,
}

/// What is counted.
#[derive(Clone, Copy)]
enum What {
    Failed,
    Succeeded,
    /// Answers that differ from stable's.
    Differing,
    SlowerThan {
        limit_ms: u64,
        quantile: f64,
    },
}

impl<'a> Proportion<'a> {
    pub(super) fn of(comparison: &'a Comparison) -> Option<Self> {
        let above = match comparison.op {
            Op::Above | Op::AtLeast => true,
            Op::Below | Op::AtMost => false,
            Op::Equal | Op::NotEqual => return None,
        };
        let value = comparison.line.value;
        let side = |over| if over { Side::Over } else { Side::Under };
        let (what, line, side) = match comparison.metric.as_str() {
            "error_rate" => (What::Failed, value, side(above)),
            // A share of successes under a line is a share of failures over another.
            "success_rate" => (What::Succeeded, 1.0 - value, side(!above)),
            "answers_differ" => (What::Differing, value, side(above)),
            metric => {
                let quantile = quantile_of(metric)?;
                let limit_ms = (value * 1_000.0).round() as u64;
                let what = What::SlowerThan { limit_ms, quantile };
                (what, 1.0 - quantile, side(above))
            }
        };
        Some(Self {
            comparison,
            what,
            line,
            side,
        })
    }

    /// Milliseconds of its line; `None`: it is not about latencies.
    pub(super) fn limit_ms(&self) -> Option<u64> {
        match self.what {
            What::SlowerThan { limit_ms, .. } => Some(limit_ms),
            What::Failed | What::Succeeded | What::Differing => None,
        }
    }

    /// Whether it is about answers that are compared: another version may give other ones, and how many is what the line says. So
    /// "worse than stable" alone is no harm, and neither is what stable does itself.
    pub(super) fn is_of_answers(&self) -> bool {
        matches!(self.what, What::Differing)
    }

    pub(super) fn tally(&self, counts: &Counts) -> Option<Tally> {
        match self.what {
            What::Failed | What::Succeeded => Some(Tally::new(counts.bad, counts.requests)),
            What::Differing => Some(Tally::new(counts.differing, counts.compared)),
            // An edge that is not the limit itself is taken where it says less: above it for "slower", below it for
            // "fast enough".
            What::SlowerThan { limit_ms, .. } if self.side == Side::Under => {
                let edge = counts.within_ms.range(..=limit_ms).next_back();
                let within = edge.map(|(_, within)| *within);
                let slow = within.map(|within| counts.timed.saturating_sub(within));
                slow.map(|slow| Tally::new(slow, counts.timed))
            }
            What::SlowerThan { limit_ms, .. } => slow(counts, limit_ms),
        }
    }

    pub(super) fn arms(&self, candidate: &Counts, stable: &Counts) -> Option<Arms> {
        let stable = self.tally(stable).unwrap_or_default();
        self.tally(candidate).map(|candidate| Arms { candidate, stable })
    }

    pub(super) fn words(&self, tally: Tally) -> String {
        let share = 100.0 * tally.share().unwrap_or(0.0);
        let (all, metric, limit) = (
            tally.total,
            &self.comparison.metric,
            &self.comparison.line.written,
        );
        match self.what {
            What::Failed => format!("{metric} {share:.1} % of {all} requests; limit {limit}"),
            What::Differing => format!("{metric} {share:.1} % of {all} answers; limit {limit}"),
            What::Succeeded => format!("{metric} {:.1} % of {all} requests; limit {limit}", 100.0 - share),
            What::SlowerThan { quantile, .. } => format!(
                "{metric}: {share:.1} % of {all} requests took over {limit}; at most {:.0} % may",
                100.0 * (1.0 - quantile)
            ),
        }
    }
}

/// `latency_p99` → 0.99.
pub(super) fn quantile_of(metric: &str) -> Option<f64> {
    let digits = metric.strip_prefix("latency_p")?;
    let number: f64 = digits.parse().ok()?;
    let quantile = number / 10f64.powi(i32::try_from(digits.len()).ok()?);
    (digits.len() >= 2 && quantile > 0.0 && quantile < 1.0).then_some(quantile)
}

/// Requests slower than an edge; `None`: no edge reaches that far.
pub(super) fn slow(counts: &Counts, edge: u64) -> Option<Tally> {
    if counts.timed == 0 {
        return Some(Tally::default());
    }
    counts
        .slower_than(edge)
        .map(|slow| Tally::new(slow, counts.timed))
}
