//! What a condition says about measurements.
//!
//! Four answers, because *no data* and *the source failed* are neither yes nor no (invariant 5). Kleene's logic: what
//! is already decided stays decided, whatever the rest would say; of what is open, an error weighs more than no data.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Comparison, Condition, Op};
use crate::time::Span;

/// An answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nothing was measured that could tell.
    NoData,
    /// A source failed.
    Error,
}

impl Truth {
    /// `true`, `false`, `"no_data"` or `"error"`.
    pub fn to_json(self) -> Value {
        match self {
            Self::True => Value::Bool(true),
            Self::False => Value::Bool(false),
            Self::NoData => Value::from("no_data"),
            Self::Error => Value::from("error"),
        }
    }

    fn from_bool(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }

    fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            open => open,
        }
    }

    /// Of several answers the first of `order` that is among them.
    fn first_of(answers: impl Iterator<Item = Self>, order: [Self; 4]) -> Self {
        let rank = |answer: &Self| order.iter().position(|o| o == answer).unwrap_or(order.len());
        answers.min_by_key(rank).unwrap_or(order[3])
    }
}

/// What a source said about one metric, in its base unit.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// One number, now.
    Number(f64),
    /// Unix seconds and the number then; nothing where there was no data. The latest point is now.
    Series(Vec<(f64, Option<f64>)>),
    /// The source answered and had nothing.
    NoData,
    /// The source failed.
    Error(String),
}

/// The answer, and what it rests on. Every metric of the condition is in exactly one of the lists.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evaluation {
    /// The answer.
    pub result: Truth,
    /// Metrics that were measured.
    pub used: BTreeSet<String>,
    /// Metrics without data, or without enough of it.
    pub missing: BTreeSet<String>,
    /// Metrics whose source failed, and what it said.
    pub errors: BTreeMap<String, String>,
}

/// Evaluates a condition. Total: every input has an answer.
pub fn evaluate(condition: &Condition, readings: &BTreeMap<String, Reading>) -> Evaluation {
    let mut out = Evaluation {
        result: Truth::NoData,
        used: BTreeSet::new(),
        missing: BTreeSet::new(),
        errors: BTreeMap::new(),
    };
    out.result = walk(condition, readings, &mut out);
    // A metric that one comparison could use and another could not is counted where it is worse.
    out.missing.retain(|metric| !out.errors.contains_key(metric));
    out.used
        .retain(|metric| !out.missing.contains(metric) && !out.errors.contains_key(metric));
    out
}

fn walk(condition: &Condition, readings: &BTreeMap<String, Reading>, out: &mut Evaluation) -> Truth {
    use Truth::{Error, False, NoData, True};
    // Every part is walked, so that the lists are complete.
    let each = |parts: &[Condition], out: &mut Evaluation| -> Vec<Truth> {
        parts.iter().map(|part| walk(part, readings, out)).collect()
    };
    match condition {
        Condition::Compare(comparison) => compare(comparison, readings, out),
        Condition::And(parts) => Truth::first_of(each(parts, out).into_iter(), [False, Error, NoData, True]),
        Condition::Or(parts) => Truth::first_of(each(parts, out).into_iter(), [True, Error, NoData, False]),
        Condition::Not(inner) => walk(inner, readings, out).negated(),
    }
}

fn compare(comparison: &Comparison, readings: &BTreeMap<String, Reading>, out: &mut Evaluation) -> Truth {
    let metric = &comparison.metric;
    let answer = match readings.get(metric) {
        None | Some(Reading::NoData) => Truth::NoData,
        // Zero errors of zero requests: sources write that as no number.
        Some(Reading::Number(number)) if number.is_nan() => Truth::NoData,
        Some(Reading::Error(message)) => {
            out.errors.insert(metric.clone(), message.clone());
            return Truth::Error;
        }
        Some(Reading::Number(number)) => match comparison.during {
            // One number shows that a condition does not hold throughout, never that it does.
            Some(_) if holds(comparison, *number) => Truth::NoData,
            _ => Truth::from_bool(holds(comparison, *number)),
        },
        Some(Reading::Series(points)) => series(comparison, points),
    };
    if answer == Truth::NoData {
        out.missing.insert(metric.clone());
    } else {
        out.used.insert(metric.clone());
    }
    answer
}

fn series(comparison: &Comparison, points: &[(f64, Option<f64>)]) -> Truth {
    let number = |value: Option<f64>| value.filter(|number| !number.is_nan());
    let points = points.iter().filter(|(at, _)| at.is_finite());
    let mut points: Vec<_> = points.map(|(at, value)| (*at, number(*value))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let Some((now, latest)) = points.last().copied() else {
        return Truth::NoData;
    };
    match comparison.during {
        None => latest.map_or(Truth::NoData, |number| {
            Truth::from_bool(holds(comparison, number))
        }),
        Some(span) => throughout(comparison, &points, now, span),
    }
}

/// Whether the comparison held from `now - span` to `now`. A point counts until the next one; the one in force when
/// the window opens counts too, and without it the window is not covered.
fn throughout(comparison: &Comparison, points: &[(f64, Option<f64>)], now: f64, span: Span) -> Truth {
    let opens = now - span.as_seconds();
    let before = points.iter().rposition(|(at, _)| *at <= opens);
    let window = &points[before.unwrap_or(0)..];
    let answers = window.iter().map(|(_, value)| {
        value.map_or(Truth::NoData, |number| {
            Truth::from_bool(holds(comparison, number))
        })
    });
    let covered = if before.is_some() {
        Truth::True
    } else {
        Truth::NoData
    };
    let order = [Truth::False, Truth::Error, Truth::NoData, Truth::True];
    Truth::first_of(answers.chain([covered]), order)
}

fn holds(comparison: &Comparison, number: f64) -> bool {
    let line = comparison.line.value;
    match comparison.op {
        Op::Above => number > line,
        Op::AtLeast => number >= line,
        Op::Below => number < line,
        Op::AtMost => number <= line,
        Op::Equal => number == line,
        Op::NotEqual => number != line,
    }
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
