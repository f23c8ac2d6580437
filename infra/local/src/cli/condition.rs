//! `weir condition 'EXPR' --values FILE`

use serde_json::Value;

use super::args::Condition;
use super::definition::read_text;
use super::output::{Exit, Failure, Output};

pub(super) fn condition(args: &Condition, out: &mut Output) -> Result<Exit, Failure> {
    let values = read_text(&args.values)?;
    match weir_spec::condition_json(&args.expression, &values) {
        Ok(answer) => {
            out.answer(&answer, || text(&answer));
            Ok(Exit::Answered)
        }
        Err(error) => {
            let told = error.to_json();
            let place = |name: &str| told["error"][name].as_u64().and_then(|n| usize::try_from(n).ok());
            Err(Failure {
                message: told["error"]["message"].as_str().unwrap_or_default().to_owned(),
                line: place("line"),
                column: place("column"),
            })
        }
    }
}

fn text(answer: &Value) -> String {
    let result = match &answer["result"] {
        Value::String(word) => word.replace('_', " "),
        other => other.to_string(),
    };
    let mut lines = vec![result];
    for name in ["missing", "errors", "reasons", "notes"] {
        let list: Vec<String> = answer[name].as_array().into_iter().flatten().map(told).collect();
        if !list.is_empty() {
            lines.push(format!("  {name}: {}", list.join(", ")));
        }
    }
    lines.join("\n")
}

/// A word, or what is said of a metric.
fn told(value: &Value) -> String {
    let of = |name: &str| value[name].as_str();
    match (of("metric"), of("message")) {
        (Some(metric), Some(message)) => format!("{metric}: {message}"),
        _ => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::text;

    #[test]
    fn what_is_said_of_a_metric_is_a_sentence() {
        let answer = json!({
            "result": "no_data", "missing": ["a", "b"], "errors": [{"metric": "c", "message": "the source is away"}],
            "reasons": [{"metric": "a", "message": "5m are not covered"}], "used": {},
        });
        let expected =
            "no data\n  missing: a, b\n  errors: c: the source is away\n  reasons: a: 5m are not covered";
        assert_eq!(text(&answer), expected);
    }
}
