//! The plain rule on what was measured last: for `mode: point`, and for metrics that are neither shares nor quantiles.

use serde::{Deserialize, Serialize};

use super::point::{Point, by_chance};
use super::words::percent;
use super::{Side, Tally};
use crate::condition::{Comparison, Readings, Truth, Window};
use crate::time::{Span, Timestamp};

/// A share without a window is that of the last minute, as the rules of others take it.
const OVER: Span = Span::seconds(60);
/// Blocks and readings are kept in so many pieces of the time over which they are taken.
const PIECES: u64 = 12;

/// State of the rule for one comparison.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Recent {
    rule: Point,
    holds: bool,
    /// What was measured last, in words.
    #[serde(default)]
    words: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pieces: Vec<(Timestamp, Tally)>,
    /// Readings of a plain number in its window, and the last before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    readings: Vec<Readings>,
    /// Why the window says nothing yet, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lacks: Option<String>,
}

impl Recent {
    /// A check of a share. `level` is stable's, for how often the rule is wrong.
    pub(super) fn share(
        &mut self,
        comparison: &Comparison,
        (side, line): (Side, f64),
        block: Tally,
        level: Option<f64>,
        now: Timestamp,
    ) {
        let over = comparison.window.map_or(OVER, |window| window.span);
        self.pieces.retain(|(at, _)| now.since(*at) < over);
        match self.pieces.last_mut() {
            Some((at, tally)) if now.since(*at) < Span(over.0 / PIECES) => *tally = tally.and(block),
            _ => self.pieces.push((now, block)),
        }
        let sum = self
            .pieces
            .iter()
            .fold(Tally::default(), |sum, (_, tally)| sum.and(*tally));
        let beyond = sum.share().map(|share| match side {
            Side::Over => share > line,
            Side::Under => share < line,
        });
        self.check(comparison, beyond, now);
        let share = percent(sum.share().unwrap_or(0.0));
        self.words = format!("{share} of the last {} requests", sum.total);
        if let Some(level) = level.filter(|_| side == Side::Over) {
            let chance = percent(by_chance(sum.total, level, line));
            self.words.push_str(&format!(
                "; one as good as stable is over the line at {chance} of checks"
            ));
        }
    }

    /// A check of a plain number.
    pub(super) fn number(
        &mut self,
        comparison: &Comparison,
        truth: Truth,
        number: Option<f64>,
        now: Timestamp,
    ) {
        let beyond = match truth {
            Truth::True => Some(true),
            Truth::False => Some(false),
            Truth::NoData | Truth::Error => None,
        };
        self.check(comparison, beyond, now);
        if let Some(number) = number {
            self.words = format!("measured {number:.4}");
        }
    }

    /// A check of a plain number over its window. What is not a number is no reading.
    pub(super) fn window(
        &mut self,
        comparison: &Comparison,
        window: Window,
        number: Option<f64>,
        now: Timestamp,
    ) {
        let opens = now - window.span;
        let before = self.readings.partition_point(|reading| reading.from <= opens);
        self.readings.drain(..before.saturating_sub(1));
        let one = number.map(|number| Readings::one(now, number));
        match (self.readings.last_mut(), one) {
            (Some(last), Some(one)) if now.since(last.from) < Span(window.span.0 / PIECES) => {
                *last = window.joined(*last, one);
            }
            (_, Some(one)) => self.readings.push(one),
            (_, None) => {}
        }
        let over = window.over(&self.readings, now);
        let truth = comparison.holds_over(window, &over);
        self.number(comparison, truth, None, now);
        self.lacks = over.lacks.filter(|_| truth == Truth::NoData);
        self.words = match (&self.lacks, over.number) {
            (Some(lacks), _) => lacks.clone(),
            (None, Some(number)) => format!("measured {number:.4} over {}", window.span),
            (None, None) => String::new(),
        };
    }

    fn check(&mut self, comparison: &Comparison, beyond: Option<bool>, now: Timestamp) {
        let during = comparison.during.unwrap_or(Span::ZERO);
        self.holds = self.rule.check(beyond, now, during);
    }

    /// What was measured last, in words; empty: nothing yet.
    pub(super) fn words(&self) -> &str {
        &self.words
    }

    /// Readings that are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.readings.len()
    }

    /// Why its window says nothing yet, in words.
    pub(super) fn lacks(&self) -> Option<&str> {
        self.lacks.as_deref()
    }

    /// Whether the rule holds now.
    pub(super) fn holds(&self) -> bool {
        self.holds
    }

    /// What it shows, in words, if the rule holds now.
    pub(super) fn shown(&self, comparison: &Comparison) -> Option<String> {
        self.holds
            .then(|| format!("{comparison}, by its point: {}", self.words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::{Dimension, Mode, Op, Quantity};

    fn comparison(during: Option<Span>) -> Comparison {
        Comparison {
            metric: "error_rate".into(),
            window: None,
            op: Op::Above,
            line: Quantity {
                value: 0.02,
                dimension: Dimension::Ratio,
                written: "2%".into(),
            },
            during,
            mode: Mode::Point,
        }
    }

    #[test]
    fn the_share_of_the_last_minute_must_be_over_at_every_check() {
        let lasting = comparison(Some(Span::minutes(2)));
        let mut recent = Recent::default();
        let mut check = |seconds: i64, bad: u64| {
            let now = Timestamp(seconds * 1_000);
            recent.share(&lasting, (Side::Over, 0.02), Tally::new(bad, 50), Some(0.01), now);
            recent.shown(&lasting)
        };
        assert!((0..8).all(|i| check(i * 15, 3).is_none()));
        let words = check(120, 3).expect("two minutes are over");
        assert!(words.contains("6.0 % of the last 200 requests"), "{words}");
        assert!(words.contains("of checks"), "{words}");
        // A minute of none bad, and it begins again.
        assert!((9..13).all(|i| check(i * 15, 0).is_none() || i < 12));
        assert!(check(195, 3).is_none());
    }

    #[test]
    fn a_number_that_is_missing_shows_nothing() {
        let now = Timestamp(0);
        let at_once = comparison(None);
        let mut recent = Recent::default();
        recent.number(&at_once, Truth::NoData, None, now);
        assert_eq!(recent.shown(&at_once), None);
        recent.number(&at_once, Truth::Error, None, now);
        assert_eq!(recent.shown(&at_once), None);
        recent.number(&at_once, Truth::True, Some(0.5), now);
        assert!(recent.shown(&at_once).unwrap().contains("0.5"));
    }
}
