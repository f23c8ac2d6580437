//! Holds a sample against its schema. Knows the keywords that the schemas here use and fails on any other, so that no
//! rule goes unchecked; of `pattern` only that it is anchored, because the readers themselves are held to the samples.

use serde_json::Value;

/// Everything about the value that the schema does not allow.
pub(crate) fn violations(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        let fits = match keyword.as_str() {
            "$schema" | "$id" | "title" | "description" | "default" => true,
            "type" => is_of_type(rule, value),
            "const" => rule == value,
            "enum" => rule.as_array().expect("enum is a list").contains(value),
            "minLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() as u64 >= number(rule)),
            "maxLength" => value
                .as_str()
                .is_none_or(|text| text.chars().count() as u64 <= number(rule)),
            "minItems" => value
                .as_array()
                .is_none_or(|items| items.len() as u64 >= number(rule)),
            "maxItems" => value
                .as_array()
                .is_none_or(|items| items.len() as u64 <= number(rule)),
            "minimum" => value.as_u64().is_none_or(|n| n >= number(rule)),
            "maximum" => value.as_u64().is_none_or(|n| n <= number(rule)),
            "pattern" => rule.as_str().is_some_and(|pattern| pattern.starts_with('^')),
            "required" => {
                let names = rule
                    .as_array()
                    .expect("required is a list")
                    .iter()
                    .filter_map(Value::as_str);
                value
                    .as_object()
                    .is_none_or(|fields| names.into_iter().all(|name| fields.contains_key(name)))
            }
            "properties" => {
                for (name, inner) in rule.as_object().expect("properties is an object") {
                    if let Some(field) = value.get(name) {
                        violations(inner, field, &format!("{at}.{name}"), found);
                    }
                }
                true
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    violations(rule, item, &format!("{at}[{index}]"), found);
                }
                true
            }
            other => panic!("{at}: the schema uses {other}, which nothing checks"),
        };
        if !fits {
            found.push(format!("{at}: {keyword} {rule}"));
        }
    }
}

fn number(rule: &Value) -> u64 {
    rule.as_u64().expect("a bound is a whole number")
}

fn is_of_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the schema names the type {other}, which nothing checks"),
    };
    match rule {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => false,
    }
}
