//! Metrics of a function: one line of its log each, which CloudWatch reads as metrics without being called.

use std::io::Write;

use serde_json::{Map, Value, json};
use weir_domain::time::Timestamp;

/// Where the metrics stand in CloudWatch.
const NAMESPACE: &str = "Weir";

/// Namespace and name of the metric that says how late the most overdue look was when the sweep found it,
/// milliseconds. Nothing is told if no sweep runs, which is an alarm too.
pub const SWEEP_LAG: (&str, &str) = (NAMESPACE, "SweepLag");

/// What a metric counts.
#[derive(Clone, Copy)]
enum Unit {
    Count,
    Milliseconds,
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

/// Tells a request that a door refused, or could not answer. Those that went well are Lambda's own `Invocations`, and a
/// metric that nothing tells costs nothing.
pub(crate) fn tell_door(function: &str, now: Timestamp, status: u16) {
    let name = match status {
        0..400 => return,
        400..500 => "RequestsRefused",
        _ => "RequestsFailed",
    };
    write(&embedded(function, now, &[(name, Unit::Count, json!(1))]));
}

/// Tells what a batch or a sweep came to, by the function's name.
pub(crate) fn tell(function: &str, now: Timestamp, records: usize, answer: &Value) {
    let metrics = match answer.get("swept") {
        Some(swept) => vec![
            (SWEEP_LAG.1, Unit::Milliseconds, answer["lag_ms"].clone()),
            ("Swept", Unit::Count, swept.clone()),
        ],
        None => {
            let failed = answer["batchItemFailures"].as_array().map_or(0, Vec::len);
            vec![
                ("Records", Unit::Count, json!(records)),
                ("RecordsFailed", Unit::Count, json!(failed)),
            ]
        }
    };
    write(&embedded(function, now, &metrics));
}

/// A log that takes nothing any more must not end the work that it is about.
fn write(metrics: &Value) {
    let _ = std::io::stdout()
        .lock()
        .write_all(format!("{metrics}\n").as_bytes());
}

/// CloudWatch's embedded metric format.
fn embedded(function: &str, now: Timestamp, metrics: &[(&str, Unit, Value)]) -> Value {
    let declared: Vec<Value> = metrics
        .iter()
        .map(|(name, unit, _)| json!({ "Name": name, "Unit": unit.as_str() }))
        .collect();
    let mut line: Map<String, Value> = metrics
        .iter()
        .map(|(name, _, value)| ((*name).to_owned(), value.clone()))
        .collect();
    line.insert("FunctionName".to_owned(), json!(function));
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.0,
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [["FunctionName"]], "Metrics": declared }],
        }),
    );
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_that_is_declared_has_a_value_and_a_dimension() {
        let metrics = [
            ("SweepLag", Unit::Milliseconds, json!(12)),
            ("Swept", Unit::Count, json!(3)),
        ];
        let line = embedded("weir-StageExecutor-1", Timestamp(1_795_000_000_000), &metrics);
        assert_eq!(
            line,
            json!({
                "_aws": {
                    "Timestamp": 1_795_000_000_000_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Weir",
                        "Dimensions": [["FunctionName"]],
                        "Metrics": [
                            {"Name": "SweepLag", "Unit": "Milliseconds"},
                            {"Name": "Swept", "Unit": "Count"},
                        ],
                    }],
                },
                "FunctionName": "weir-StageExecutor-1",
                "SweepLag": 12,
                "Swept": 3,
            })
        );
    }
}
