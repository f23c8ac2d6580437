//! Evidence inside a sliding time, at any look, with the error rate of one test.
//!
//! A test of the last five minutes that begins anew at every look is many tests. Here one begins every half of the time
//! and lives for the whole of it, so that two overlap and every stretch of half the time is whole in one. The k-th bets
//! 1/(k·(k+1)) of one stake; the parts of all that will ever begin add up to the whole. What a test that is over has won
//! is thrown away, which is what "inside the time" means, and throwing away never makes a false alarm likelier.

use serde::{Deserialize, Serialize};

use super::Tally;
use super::share::{ln_e_over_parts, ln_e_under_parts};
use super::special::ln_mean;
use crate::time::{Span, Timestamp};

/// On which side of the line harm is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The share is over the line.
    #[default]
    Over,
    /// The share is under it, as `!(error_rate > 2%)` asks.
    Under,
}

/// State of one comparison.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Windowed {
    side: Side,
    line: f64,
    /// `None`: one test without an end.
    during: Option<Span>,
    begun: u32,
    live: Vec<Live>,
}

/// One test.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Live {
    since: Timestamp,
    part: f64,
    bad: f64,
    total: f64,
    /// Counts as they are.
    #[serde(default)]
    counted: Tally,
}

impl Windowed {
    /// Asks whether the share is on this side of the line.
    pub fn new(side: Side, line: f64, during: Option<Span>) -> Self {
        Self {
            side,
            line,
            during,
            begun: 0,
            live: Vec::new(),
        }
    }

    /// Applies a block that ended at `now`; `factor`: how much wider than chance its counts spread.
    pub fn add(&mut self, tally: Tally, factor: f64, now: Timestamp) {
        self.begin(now);
        for test in &mut self.live {
            test.bad += tally.bad as f64 / factor;
            test.total += tally.total as f64 / factor;
            test.counted = test.counted.and(tally);
        }
    }

    fn begin(&mut self, now: Timestamp) {
        let Some(during) = self.during else {
            if self.live.is_empty() {
                self.push(now, 1.0);
            }
            return;
        };
        // Before the block is added: what a test is given never depends on the block itself.
        self.live.retain(|test| now.since(test.since) <= during);
        let half = Span(during.0 / 2);
        if self.live.last().is_none_or(|test| now.since(test.since) >= half) {
            let k = f64::from(self.begun + 1);
            self.push(now, 1.0 / (k * (k + 1.0)));
        }
    }

    fn push(&mut self, since: Timestamp, part: f64) {
        self.begun = self.begun.saturating_add(1);
        self.live.push(Live {
            since,
            part,
            bad: 0.0,
            total: 0.0,
            counted: Tally::default(),
        });
    }

    /// ln of the evidence.
    pub fn ln_e(&self) -> f64 {
        let rest = match self.during {
            Some(_) => 1.0 / (f64::from(self.begun) + 1.0),
            None if self.live.is_empty() => 1.0,
            None => 0.0,
        };
        let parts: Vec<(f64, f64)> = self
            .live
            .iter()
            .map(|test| (self.ln_e_of(test), test.part))
            .chain([(0.0, rest)])
            .filter(|(_, part)| *part > 0.0)
            .collect();
        let stake: f64 = parts.iter().map(|(_, part)| part).sum();
        ln_mean(parts.into_iter()) + stake.ln()
    }

    /// What the test has counted that shows most.
    pub fn counted(&self) -> Tally {
        let most = |a: &&Live, b: &&Live| self.ln_e_of(a).total_cmp(&self.ln_e_of(b));
        let strongest = self.live.iter().max_by(most);
        strongest.map(|test| test.counted).unwrap_or_default()
    }

    /// The time inside which it is asked, if there is one.
    pub fn during(&self) -> Option<Span> {
        self.during
    }

    fn ln_e_of(&self, test: &Live) -> f64 {
        match self.side {
            Side::Over => ln_e_over_parts(test.bad, test.total, self.line),
            Side::Under => ln_e_under_parts(test.bad, test.total, self.line),
        }
    }

    /// A new step: evidence starts again.
    pub fn restart(&mut self) {
        self.live.clear();
        self.begun = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTES: Option<Span> = Some(Span::minutes(5));

    fn at(block: u64) -> Timestamp {
        Timestamp(1_000_000) + Span::seconds(15 * block)
    }

    #[test]
    fn a_breach_inside_the_time_is_shown_and_an_old_one_is_forgotten() {
        let mut test = Windowed::new(Side::Over, 0.05, MINUTES);
        (0..8).for_each(|block| test.add(Tally::new(3, 38), 1.0, at(block)));
        let soon = test.ln_e();
        assert!(soon > 0.3, "8 % of 304 is some evidence against 5 %: {soon}");
        (8..60).for_each(|block| test.add(Tally::new(0, 38), 1.0, at(block)));
        assert!(test.ln_e() < 0.0, "{}", test.ln_e());
        (60..72).for_each(|block| test.add(Tally::new(12, 38), 1.0, at(block)));
        assert!(
            test.ln_e() > 100_f64.ln(),
            "a fault after a healthy time: {}",
            test.ln_e()
        );
    }

    #[test]
    fn under_the_line_is_shown_too() {
        let mut test = Windowed::new(Side::Under, 0.9, None);
        assert_eq!(test.ln_e(), 0.0);
        (0..10).for_each(|block| test.add(Tally::new(20, 40), 1.0, at(block)));
        assert!(test.ln_e() > 100_f64.ln());
    }

    /// Exact mean of the evidence after `blocks` blocks of one request each, while the share is the line.
    fn mean(blocks: u32, line: f64, during: Option<Span>) -> f64 {
        (0..1_u32 << blocks)
            .map(|bads| {
                let mut test = Windowed::new(Side::Over, line, during);
                for block in 0..blocks {
                    let bad = u64::from(bads >> block & 1);
                    test.add(Tally::new(bad, 1), 1.0, at(u64::from(block) * 5));
                }
                let bad = bads.count_ones() as i32;
                line.powi(bad) * (1.0 - line).powi(blocks as i32 - bad) * test.ln_e().exp()
            })
            .sum()
    }

    #[test]
    fn its_mean_is_at_most_one_however_long_it_runs() {
        for blocks in [1, 2, 3, 6, 12] {
            assert!(mean(blocks, 0.2, MINUTES) <= 1.0 + 1e-9, "{blocks}");
            assert!((mean(blocks, 0.2, None) - 1.0).abs() < 1e-9, "{blocks}");
        }
    }

    proptest! {
        #[test]
        fn at_most_three_tests_are_alive(gaps in prop::collection::vec(1_u64..400, 1..60)) {
            let mut test = Windowed::new(Side::Over, 0.02, MINUTES);
            let mut now = Timestamp(0);
            for gap in gaps {
                now = now + Span::seconds(gap);
                test.add(Tally::new(1, 100), 1.0, now);
                prop_assert!((1..=3).contains(&test.live.len()));
                prop_assert!(test.ln_e().is_finite());
            }
        }
    }
}
