//! Points and spans of time. The core never reads a clock: a `Timestamp` always arrives as an argument.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

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

/// What keeps a text from being a span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotASpan {
    /// It is not numbers that each have a unit.
    Shape,
    /// A unit is none of ms, s, m, h, d and w.
    Unit,
    /// It is longer than can be counted.
    TooLong,
}

impl FromStr for Span {
    type Err = NotASpan;

    /// Whole numbers with a unit each: `10m`, `1h30m`, `1h 30m`, `500ms`.
    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let mut rest = text.trim();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(NotASpan::Shape);
        }
        while !rest.is_empty() {
            let (number, after) = split_where(rest, |c| !c.is_ascii_digit());
            let (unit, after) = split_where(after, |c| !c.is_ascii_lowercase());
            if number.is_empty() {
                return Err(NotASpan::Shape);
            }
            let unit = unit_ms(unit).ok_or(NotASpan::Unit)?;
            let part = number.parse().ok().and_then(|n: u64| n.checked_mul(unit));
            total = part
                .and_then(|part| total.checked_add(part))
                .ok_or(NotASpan::TooLong)?;
            rest = after.trim_start();
        }
        Ok(Self(total))
    }
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// Milliseconds of a unit of time: ms, s, m, h, d or w.
pub fn unit_ms(unit: &str) -> Option<u64> {
    Some(match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_are_a_span() {
        let table = [
            ("10s", Ok(10_000)),
            ("500ms", Ok(500)),
            ("1h2m3s4ms", Ok(3_723_004)),
            (" 1h 30m ", Ok(5_400_000)),
            ("1w", Ok(604_800_000)),
            ("0s", Ok(0)),
            ("", Err(NotASpan::Shape)),
            ("s", Err(NotASpan::Shape)),
            ("-1s", Err(NotASpan::Shape)),
            ("1.5h", Err(NotASpan::Unit)),
            ("10", Err(NotASpan::Unit)),
            ("10y", Err(NotASpan::Unit)),
            ("99999999999999999999s", Err(NotASpan::TooLong)),
            ("18446744073709551615w", Err(NotASpan::TooLong)),
        ];
        for (text, span) in table {
            assert_eq!(text.parse(), span.map(Span), "{text}");
        }
    }

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
