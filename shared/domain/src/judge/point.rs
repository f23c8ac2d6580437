//! `mode: point`, the plain rule: the measured number is over the line at every check for the whole time.
//!
//! It needs no statistics and knows none: [`by_chance`] says how often a healthy candidate is over the line at one
//! check, and that is printed beside every verdict of this mode.

use serde::{Deserialize, Serialize};

use super::Tally;
use crate::time::{Span, Timestamp};

/// State of the rule for one comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Point {
    since: Option<Timestamp>,
}

impl Point {
    /// A check at which the line was over (`true`), was not, or could not be measured. Says whether the rule holds
    /// now. What could not be measured neither begins nor ends it: data that is missing is not a pass.
    pub fn check(&mut self, over: Option<bool>, now: Timestamp, during: Span) -> bool {
        match over {
            Some(true) => now.since(*self.since.get_or_insert(now)) >= during,
            Some(false) => {
                self.since = None;
                false
            }
            None => false,
        }
    }
}

/// Whether the measured share is over the limit.
pub fn over(tally: Tally, limit: f64) -> Option<bool> {
    tally.share().map(|share| share > limit)
}

/// Chance that `requests` with this true share are over the limit at one check.
pub fn by_chance(requests: u64, share: f64, limit: f64) -> f64 {
    if share <= 0.0 || requests == 0 {
        return 0.0;
    }
    let n = requests as f64;
    let last = (limit * n).floor();
    // The lower tail, term by term in logarithms: few terms, because limits are small.
    let mut ln_term = n * (-share).ln_1p();
    let (mut below, mut k) = (ln_term.exp(), 0.0);
    while k < last {
        ln_term += ((n - k) / (k + 1.0) * share / (1.0 - share)).ln();
        k += 1.0;
        below += ln_term.exp();
    }
    (1.0 - below).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_must_be_over_at_every_check_for_the_whole_time() {
        let mut rule = Point::default();
        let at = |minute: i64| Timestamp(minute * 60_000);
        let during = Span::minutes(5);
        assert!(!rule.check(Some(true), at(0), during));
        assert!(!rule.check(None, at(3), during));
        assert!(rule.check(Some(true), at(5), during));
        assert!(!rule.check(Some(false), at(6), during));
        assert!(!rule.check(Some(true), at(7), during));
        assert!(Point::default().check(Some(true), at(0), Span::ZERO));
    }

    #[test]
    fn a_healthy_candidate_is_over_two_percent_in_one_check_of_fifteen() {
        let chance = by_chance(150, 0.01, 0.02);
        assert!((chance - 0.064_7).abs() < 2e-3, "{chance}");
        assert_eq!(over(Tally::new(4, 150), 0.02), Some(true));
        assert_eq!(over(Tally::default(), 0.02), None);
    }
}
