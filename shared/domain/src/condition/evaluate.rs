//! What a condition says about measurements.
//!
//! Four answers, because *no data* and *the source failed* are neither yes nor no (invariant 5). Kleene's logic: what
//! is already decided stays decided, whatever the rest would say; of what is open, an error weighs more than no data.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::window::Over;
use super::{Comparison, Condition, Readings};
use crate::time::Timestamp;

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

    pub(super) fn from_bool(holds: bool) -> Self {
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
    /// Why a window says nothing, by metric that is missing: `readings reach back 2m of 5m`.
    #[serde(default)]
    pub reasons: BTreeMap<String, String>,
}

/// Evaluates a condition. Total: every input has an answer.
pub fn evaluate(condition: &Condition, readings: &BTreeMap<String, Reading>) -> Evaluation {
    let mut out = Evaluation {
        result: Truth::NoData,
        used: BTreeSet::new(),
        missing: BTreeSet::new(),
        errors: BTreeMap::new(),
        reasons: BTreeMap::new(),
    };
    out.result = walk(condition, readings, &mut out);
    // A metric that one comparison could use and another could not is counted where it is worse.
    out.missing.retain(|metric| !out.errors.contains_key(metric));
    out.used
        .retain(|metric| !out.missing.contains(metric) && !out.errors.contains_key(metric));
    out.reasons.retain(|metric, _| out.missing.contains(metric));
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
        Some(Reading::Number(number)) if comparison.window.is_some() => {
            Series::of(&[(0.0, Some(*number))]).answer(comparison, out)
        }
        Some(Reading::Number(number)) => match comparison.during {
            // One number shows that a condition does not hold throughout, never that it does.
            Some(_) if comparison.holds(*number) => Truth::NoData,
            _ => Truth::from_bool(comparison.holds(*number)),
        },
        Some(Reading::Series(points)) => Series::of(points).answer(comparison, out),
    };
    if answer == Truth::NoData {
        out.missing.insert(metric.clone());
    } else {
        out.used.insert(metric.clone());
    }
    answer
}

/// Points in the order of their times.
struct Series {
    points: Vec<(f64, Option<f64>)>,
    /// Those that have a number.
    readings: Vec<Readings>,
}

impl Series {
    fn of(points: &[(f64, Option<f64>)]) -> Self {
        let number = |value: Option<f64>| value.filter(|number| !number.is_nan());
        let points = points.iter().filter(|(at, _)| at.is_finite());
        let mut points: Vec<_> = points.map(|(at, value)| (*at, number(*value))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let one = |(at, value): &(f64, Option<f64>)| Some(Readings::one(moment(*at), (*value)?));
        Self {
            readings: points.iter().filter_map(one).collect(),
            points,
        }
    }

    fn answer(&self, comparison: &Comparison, out: &mut Evaluation) -> Truth {
        let Some((now, _)) = self.points.last() else {
            return Truth::NoData;
        };
        let answer = match comparison.during {
            None => self.answer_at(comparison, self.points.len() - 1),
            Some(span) => self.throughout(comparison, now - span.as_seconds()),
        };
        if let (Truth::NoData, Some(Over { lacks: Some(why), .. })) = (answer, self.over(comparison, *now)) {
            out.reasons.insert(comparison.metric.clone(), why);
        }
        answer
    }

    /// The answer at one point.
    fn answer_at(&self, comparison: &Comparison, point: usize) -> Truth {
        let (at, value) = self.points[point];
        match (comparison.window, self.over(comparison, at)) {
            (Some(window), Some(over)) => comparison.holds_over(window, &over),
            _ => value.map_or(Truth::NoData, |number| Truth::from_bool(comparison.holds(number))),
        }
    }

    /// What the window that ends at a time comes to, if one is asked for.
    fn over(&self, comparison: &Comparison, at: f64) -> Option<Over> {
        let window = comparison.window?;
        let upto = self
            .readings
            .partition_point(|reading| reading.from <= moment(at));
        Some(window.over(&self.readings[..upto], moment(at)))
    }

    /// Whether the comparison held from `opens` to the last point. A point counts until the next one; the one in force when
    /// the time opens counts too, and without it the time is not covered.
    fn throughout(&self, comparison: &Comparison, opens: f64) -> Truth {
        let before = self.points.iter().rposition(|(at, _)| *at <= opens);
        let points = before.unwrap_or(0)..self.points.len();
        let answers = points.map(|point| self.answer_at(comparison, point));
        let covered = match before {
            Some(_) => Truth::True,
            None => Truth::NoData,
        };
        let order = [Truth::False, Truth::Error, Truth::NoData, Truth::True];
        Truth::first_of(answers.chain([covered]), order)
    }
}

/// Seconds as a moment, to the millisecond; what no clock says is the first or the last.
fn moment(seconds: f64) -> Timestamp {
    Timestamp((seconds * 1_000.0).round() as i64)
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
