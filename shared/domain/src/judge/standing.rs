//! Where a comparison stands while its step goes on, for whoever watches.

use super::budget::Alpha;
use super::metric::Metric;
use super::power::smallest_ratio;
use super::proportion::Proportion;
use super::recent::Recent;
use super::{Arms, Side};

/// Where one comparison of a condition stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Standing {
    /// As it is written: `error_rate > 2%`.
    pub comparison: String,
    /// What is known of it.
    pub stands: Stands,
}

/// What is known of a comparison.
#[derive(Clone, PartialEq, Debug)]
pub enum Stands {
    /// A share of requests that failed, or took too long, against its line.
    Share {
        /// Requests of both revisions, and the bad ones among them, in this step.
        counted: Arms,
        /// Where the candidate's share lies, at every look at once: at least, at most.
        bounds: (f64, f64),
        /// The share that must not be passed.
        line: f64,
        /// On which side of it harm is.
        side: Side,
        /// Smallest multiple of stable's share that these requests would have shown; `None`: none at all yet.
        shows: Option<f64>,
    },
    /// It is decided by what was measured last.
    Point {
        /// In words; empty: nothing was measured yet.
        words: String,
        /// Whether it holds.
        holds: bool,
    },
}

impl Standing {
    pub(super) fn of_share(
        question: &Proportion<'_>,
        metric: Option<&Metric>,
        (whole, step): (Alpha, Alpha),
        comparison: String,
    ) -> Self {
        let counted = metric.map(|metric| metric.shown().counted).unwrap_or_default();
        let stands = Stands::Share {
            bounds: metric.map_or((0.0, 1.0), |metric| metric.share_bounds(whole.value())),
            line: question.line,
            side: question.side,
            shows: smallest_ratio(counted, step),
            counted,
        };
        Self { comparison, stands }
    }

    pub(super) fn of_point(rule: &Recent, comparison: String) -> Self {
        let stands = Stands::Point {
            words: rule.words().to_owned(),
            holds: rule.holds(),
        };
        Self { comparison, stands }
    }
}
