//! What an unquoted scalar means by the core schema of YAML 1.2, where `yes`, `on` and `010` are text, text and ten.

use serde_json::{Map, Number, Value};

use super::{Kind, Node};

pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

pub(super) fn bool(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

pub(super) fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(octal) = text.strip_prefix("0o") {
        return i64::from_str_radix(octal, 8).ok();
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok();
    }
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

pub(super) fn float(text: &str) -> Option<f64> {
    if let Some(integer) = integer(text) {
        return Some(integer as f64);
    }
    let shaped = text.bytes().any(|b| b.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    shaped
        .then(|| text.parse().ok())
        .flatten()
        .filter(|number: &f64| number.is_finite())
}

/// The node as JSON, for parts that are Kubernetes' own words.
pub(crate) fn to_json(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar { text, plain: false } => Value::String(text.clone()),
        Kind::Scalar { text, plain: true } => plain(text),
        Kind::List(items) => items.iter().map(|item| to_json(item)).collect(),
        Kind::Map(entries) => {
            let pairs = entries.iter().map(|e| (e.key.clone(), to_json(&e.value)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
    }
}

fn plain(text: &str) -> Value {
    if is_null(text) {
        return Value::Null;
    }
    if let Some(truth) = bool(text) {
        return Value::Bool(truth);
    }
    if let Some(integer) = integer(text) {
        return Value::from(integer);
    }
    float(text)
        .and_then(Number::from_f64)
        .map_or_else(|| Value::String(text.into()), Value::Number)
}
