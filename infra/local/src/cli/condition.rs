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
    for name in ["missing", "errors", "notes"] {
        let words = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let list: Vec<String> = match &answer[name] {
            Value::Array(items) => items.iter().map(words).collect(),
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| format!("{key}: {}", words(value)))
                .collect(),
            _ => Vec::new(),
        };
        if !list.is_empty() {
            lines.push(format!("  {name}: {}", list.join(", ")));
        }
    }
    lines.join("\n")
}
