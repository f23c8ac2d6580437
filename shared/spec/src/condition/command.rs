//! What `weir condition` answers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use weir_domain::condition::{Condition, Dimension, Reading, evaluate};

use super::metrics::{Metrics, range};
use super::parser::{ParseError, parse};
use super::possible::senseless;
use super::quantity::{as_dimension, parse_quantity};

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommandError {
    /// The text is no condition.
    Condition(ParseError),
    /// The values are no JSON object of readings.
    Values {
        /// What is wrong.
        message: String,
        /// Line in the file, when it is no JSON.
        line: Option<usize>,
        /// Column in the file, when it is no JSON.
        column: Option<usize>,
    },
}

impl CommandError {
    /// `{error: {message, line?, column?}}`, columns from 1.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Condition(error) => json!({"error":
                {"message": error.to_string(), "line": 1, "column": error.at + 1}}),
            Self::Values {
                message,
                line: Some(line),
                column,
            } => json!({"error":
                {"message": message, "line": line, "column": column}}),
            Self::Values { message, .. } => json!({"error": {"message": message}}),
        }
    }
}

/// Evaluates a condition on recorded values: `{result, used, missing, errors}`, `reasons` where a window says nothing, and
/// `notes` where nothing that is measured could change the result.
///
/// A value is a number in the base unit, text with a unit, null for no data, `[[unix_s, value], …]`, or
/// `{"error": "…"}` for a source that failed. A name that the values hold is a known metric. Recorded values have no counts:
/// over a window, shares and quantiles are the mean of their readings, as plain numbers are.
///
/// # Errors
/// The condition or the values cannot be read.
pub fn condition_json(text: &str, values: &str) -> Result<Value, CommandError> {
    let values: Value = weir_domain::json::read(values).map_err(|fault| CommandError::Values {
        message: format!("the values cannot be read: {fault}"),
        line: Some(fault.line),
        column: Some(fault.column),
    })?;
    let Value::Object(values) = values else {
        return Err(values_error("the values are not an object of metric names"));
    };
    let mut metrics = Metrics::default();
    for name in values.keys() {
        metrics.declare(name, None);
    }
    let condition = parse(text, &metrics).map_err(CommandError::Condition)?;
    let dimensions = dimensions(&condition);
    let mut readings = BTreeMap::new();
    for (name, value) in &values {
        let dimension = metrics
            .dimension(name)
            .flatten()
            .or_else(|| dimensions.get(name).copied());
        readings.insert(name.clone(), possible(reading(value, dimension), name));
    }
    let answer = evaluate(&condition, &readings);
    let mut told = json!({
        "result": answer.result.to_json(),
        "used": answer.used,
        "missing": answer.missing,
        "errors": messages(&answer.errors),
    });
    if !answer.reasons.is_empty() {
        told["reasons"] = messages(&answer.reasons);
    }
    // What is settled whatever is measured: a definition with it is refused.
    if let Some(wrong) = senseless(&condition) {
        told["notes"] = json!([format!("{}: expected {}", wrong.found, wrong.expected)]);
    }
    Ok(told)
}

fn messages(by_metric: &BTreeMap<String, String>) -> Value {
    let one = |(metric, message)| json!({"metric": metric, "message": message});
    by_metric.iter().map(one).collect()
}

fn values_error(message: &str) -> CommandError {
    CommandError::Values {
        message: message.into(),
        line: None,
        column: None,
    }
}

/// What each name is compared with.
fn dimensions(condition: &Condition) -> BTreeMap<String, Dimension> {
    let comparisons = condition.comparisons().into_iter();
    comparisons
        .map(|comparison| (comparison.metric.clone(), comparison.line.dimension))
        .collect()
}

fn reading(value: &Value, dimension: Option<Dimension>) -> Reading {
    match value {
        Value::Array(points) => series(points, dimension),
        Value::Object(map) => match map.get("error").and_then(Value::as_str) {
            Some(message) => Reading::Error(message.into()),
            None => Reading::Error("an object that is no {\"error\": \"…\"}".into()),
        },
        single => match number(single, dimension) {
            Ok(Some(number)) => Reading::Number(number),
            Ok(None) => Reading::NoData,
            Err(message) => Reading::Error(message),
        },
    }
}

/// A reading whose numbers are all some that the metric can have.
fn possible(reading: Reading, name: &str) -> Reading {
    let Some((least, most)) = range(name) else {
        return reading;
    };
    let wrong = |number: f64| !(least..=most).contains(&number);
    let found = match &reading {
        Reading::Number(number) => Some(*number).filter(|number| wrong(*number)),
        Reading::Series(points) => points
            .iter()
            .filter_map(|(_, number)| *number)
            .find(|number| wrong(*number)),
        _ => None,
    };
    match found {
        Some(number) if most.is_finite() => {
            Reading::Error(format!("{number}: expected a share, {least} to {most}"))
        }
        Some(number) => Reading::Error(format!("{number}: expected {least} or more")),
        None => reading,
    }
}

fn series(points: &[Value], dimension: Option<Dimension>) -> Reading {
    let mut out = Vec::with_capacity(points.len());
    let mut times = BTreeSet::new();
    for point in points {
        let Some([at, value]) = point
            .as_array()
            .and_then(|pair| <&[Value; 2]>::try_from(pair.as_slice()).ok())
        else {
            return Reading::Error("a point that is no [unix_s, value]".into());
        };
        let Some(at) = at.as_f64() else {
            return Reading::Error("a point whose time is no number".into());
        };
        if !times.insert(at.to_bits()) {
            return Reading::Error(format!("two points at {at}"));
        }
        match number(value, dimension) {
            Ok(value) => out.push((at, value)),
            Err(message) => return Reading::Error(message),
        }
    }
    Reading::Series(out)
}

/// A number in the base unit; nothing for null.
fn number(value: &Value, dimension: Option<Dimension>) -> Result<Option<f64>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => number
            .as_f64()
            .map(Some)
            .ok_or_else(|| format!("{number} is out of range")),
        Value::String(text) => {
            let quantity =
                parse_quantity(text).map_err(|expected| format!("`{text}`: expected {expected}"))?;
            match dimension {
                None => Ok(Some(quantity.value)),
                Some(wanted) => as_dimension(quantity, wanted)
                    .map(|quantity| Some(quantity.value))
                    .ok_or_else(|| format!("`{text}` is not what the metric counts")),
            }
        }
        other => Err(format!("{other} is no number")),
    }
}
