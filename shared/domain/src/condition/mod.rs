//! The language of rollback conditions, as a typed tree: `error_rate > 2% || latency_p99 > 1000ms`.
//!
//! The text form is read by `weir-spec`, which also checks names and units. A condition is total: whatever the
//! measurements are, evaluating it gives one of four answers and never fails.

mod evaluate;
mod window;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use evaluate::{Evaluation, Reading, Truth, evaluate};
pub(crate) use window::Readings;
pub use window::{Aggregate, Window};

use crate::time::Span;

/// A condition over metrics.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// One metric against one line.
    Compare(Comparison),
    /// All must hold.
    And(Vec<Condition>),
    /// One must hold.
    Or(Vec<Condition>),
    /// Must not hold.
    Not(Box<Condition>),
}

impl Condition {
    /// The condition with all its comparisons shown in this way.
    #[must_use]
    pub fn in_mode(self, mode: Mode) -> Self {
        let all = |parts: Vec<Self>| parts.into_iter().map(|part| part.in_mode(mode)).collect();
        match self {
            Self::Compare(comparison) => Self::Compare(Comparison { mode, ..comparison }),
            Self::And(parts) => Self::And(all(parts)),
            Self::Or(parts) => Self::Or(all(parts)),
            Self::Not(inner) => Self::Not(Box::new(inner.in_mode(mode))),
        }
    }

    /// The same condition without `!`, which is carried to the comparisons: `!(a > 1 || b > 2)` is `a <= 1 && b <= 2`.
    #[must_use]
    pub fn plain(&self) -> Self {
        self.pushed(false)
    }

    fn pushed(&self, negate: bool) -> Self {
        let all = |parts: &[Self]| parts.iter().map(|part| part.pushed(negate)).collect();
        match self {
            Self::Compare(comparison) if negate => Self::Compare(Comparison {
                op: comparison.op.negated(),
                ..comparison.clone()
            }),
            Self::Compare(comparison) => Self::Compare(comparison.clone()),
            Self::And(parts) if negate => Self::Or(all(parts)),
            Self::Or(parts) if negate => Self::And(all(parts)),
            Self::And(parts) => Self::And(all(parts)),
            Self::Or(parts) => Self::Or(all(parts)),
            Self::Not(inner) => inner.pushed(!negate),
        }
    }

    /// Its comparisons, in the order in which they are written.
    pub fn comparisons(&self) -> Vec<&Comparison> {
        match self {
            Self::Compare(comparison) => vec![comparison],
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::comparisons).collect(),
            Self::Not(inner) => inner.comparisons(),
        }
    }

    /// The names of its metrics.
    pub fn metrics(&self) -> Vec<&str> {
        let comparisons = self.comparisons().into_iter();
        comparisons.map(|comparison| comparison.metric.as_str()).collect()
    }
}

/// One metric against one line.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// Name as written, for example `latency_p99`.
    pub metric: String,
    /// The time over which it is taken; `None`: what is measured now, or was counted in the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// How it is compared.
    pub op: Op,
    /// The line.
    pub line: Quantity,
    /// Must hold for this long; `None`: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<Span>,
    /// What shows that it holds.
    #[serde(default, skip_serializing_if = "Mode::is_evidence")]
    pub mode: Mode,
}

/// What shows that a comparison holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Evidence with a stated error rate; with a time, the evidence inside it.
    #[default]
    Evidence,
    /// The measured number is over the line, at every check for the whole time. Noise is taken for harm.
    Point,
}

impl Mode {
    fn is_evidence(&self) -> bool {
        *self == Self::Evidence
    }
}

/// A comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Op {
    /// Greater.
    #[serde(rename = ">")]
    Above,
    /// Greater or equal.
    #[serde(rename = ">=")]
    AtLeast,
    /// Less.
    #[serde(rename = "<")]
    Below,
    /// Less or equal.
    #[serde(rename = "<=")]
    AtMost,
    /// Equal.
    #[serde(rename = "==")]
    Equal,
    /// Not equal.
    #[serde(rename = "!=")]
    NotEqual,
}

impl Comparison {
    /// Whether it holds for a number.
    fn holds(&self, number: f64) -> bool {
        let line = self.line.value;
        match self.op {
            Op::Above => number > line,
            Op::AtLeast => number >= line,
            Op::Below => number < line,
            Op::AtMost => number <= line,
            Op::Equal => number == line,
            Op::NotEqual => number != line,
        }
    }
}

impl Op {
    /// What holds where this does not.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::Above => Self::AtMost,
            Self::AtLeast => Self::Below,
            Self::Below => Self::AtLeast,
            Self::AtMost => Self::Above,
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
        }
    }

    /// The operator as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }
}

/// A number in the base unit of its dimension, and the text it was written as.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Quantity {
    /// Value in the base unit: ratio 0..1, seconds, bytes, tokens per second, or a plain number.
    pub value: f64,
    /// What it counts.
    pub dimension: Dimension,
    /// As written, for messages: `2%`, `1000ms`.
    pub written: String,
}

/// What a quantity counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// A proportion; `%`.
    Ratio,
    /// A time in seconds; `ms`, `s`, `m`.
    Seconds,
    /// A size in bytes; `B`, `KiB`, `MiB`, `GiB`.
    Bytes,
    /// A rate; `tokens/s`.
    TokensPerSecond,
    /// A plain number.
    Number,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.measured(),
            self.op.as_str(),
            self.line.written
        )?;
        match self.during {
            Some(span) => write!(f, " for {}", Exact(span)),
            None => Ok(()),
        }
    }
}

/// A span in the largest unit that leaves nothing over, so that the text form loses nothing.
struct Exact(Span);

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        let ms = self.0.0;
        let whole = units.iter().find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit));
        match whole {
            Some((unit, name)) => write!(f, "{}{name}", ms / unit),
            None => write!(f, "{ms}ms"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Condition], sep: &str| {
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    f.write_str(sep)?;
                }
                match part {
                    Self::Compare(_) | Self::Not(_) => write!(f, "{part}")?,
                    _ => write!(f, "({part})")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Compare(comparison) => write!(f, "{comparison}"),
            Self::And(parts) => list(f, parts, " && "),
            Self::Or(parts) => list(f, parts, " || "),
            Self::Not(inner) => write!(f, "!({inner})"),
        }
    }
}
