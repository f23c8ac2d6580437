//! Points and spans of time. The core never reads a clock: a `Timestamp` always arrives as an argument.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A length of time in milliseconds; never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of whole milliseconds.
    pub const fn millis(n: u64) -> Self {
        Self(n)
    }

    /// A span of whole seconds; one too long to count is the longest there is, here and below.
    pub const fn seconds(n: u64) -> Self {
        Self(n.saturating_mul(1_000))
    }

    /// A span of whole minutes.
    pub const fn minutes(n: u64) -> Self {
        Self(n.saturating_mul(60_000))
    }

    /// A span of whole hours.
    pub const fn hours(n: u64) -> Self {
        Self(n.saturating_mul(3_600_000))
    }

    /// The span in seconds, with its fraction.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1_000.0
    }
}

impl Timestamp {
    /// Time passed since `earlier`; zero if `earlier` lies ahead, because clocks of two machines may differ.
    pub fn since(self, earlier: Self) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add_unsigned(span.0))
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub_unsigned(span.0))
    }
}

impl fmt::Display for Span {
    /// Two units at most: `7d 3h`, `4m 10s`, `12.5s`, `340ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0;
        let (s, m, h, d) = (ms / 1_000, ms / 60_000, ms / 3_600_000, ms / 86_400_000);
        let two = |f: &mut fmt::Formatter<'_>, big: u64, unit: char, small: u64, sub: char| {
            if small == 0 {
                write!(f, "{big}{unit}")
            } else {
                write!(f, "{big}{unit} {small}{sub}")
            }
        };
        match ms {
            0..=999 => write!(f, "{ms}ms"),
            1_000..=59_999 if ms % 1_000 < 50 => write!(f, "{s}s"),
            1_000..=59_949 => write!(f, "{:.1}s", self.as_seconds()),
            59_950..=3_599_999 => two(f, m.max(1), 'm', if m == 0 { 0 } else { s % 60 }, 's'),
            3_600_000..=86_399_999 => two(f, h, 'h', m % 60, 'm'),
            _ => two(f, d, 'd', h % 24, 'h'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_in_two_units_at_most() {
        let table = [
            (340, "340ms"),
            (1_000, "1s"),
            (12_500, "12.5s"),
            (59_970, "1m"),
            (60_000, "1m"),
            (250_000, "4m 10s"),
            (3_600_000, "1h"),
            (5_430_000, "1h 30m"),
            (604_800_000, "7d"),
        ];
        for (ms, text) in table {
            assert_eq!(Span(ms).to_string(), text);
        }
    }

    #[test]
    fn what_is_too_long_to_count_is_the_longest_there_is() {
        let longest = Span(u64::MAX);
        assert_eq!(Span::seconds(u64::MAX), longest);
        assert_eq!(Span::minutes(u64::MAX), longest);
        assert_eq!(Span::hours(u64::MAX), longest);
        assert_eq!(longest + longest, longest);
        assert_eq!(Timestamp(1) + longest, Timestamp(i64::MAX));
    }

    #[test]
    fn a_clock_that_went_back_gives_no_time_passed() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Span::ZERO);
        assert_eq!(Timestamp(9).since(Timestamp(5)), Span(4));
    }
}
