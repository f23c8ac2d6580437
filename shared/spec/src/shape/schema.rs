//! The table of keys as a JSON Schema, for editors.

use serde_json::{Map, Value, json};

use super::{ISOLATION, Key, SECTIONS, Shape};

/// JSON Schema (2020-12) of a definition file.
pub fn schema() -> Value {
    let mut root = object(SECTIONS);
    let isolation = object(ISOLATION);
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("Weir definition");
    root["description"] = json!("One file of a .weir folder; files are merged by section.");
    root["additionalProperties"] = isolation;
    root
}

fn object(keys: &[Key]) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required: Vec<&str> = keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let mut out = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    out
}

fn property(key: &Key) -> Value {
    let mut out = value(key.shape);
    let inert = key
        .inert
        .map(|instead| format!(" No effect yet: {instead}."))
        .unwrap_or_default();
    out["description"] = json!(format!("{}{inert}", key.doc));
    out
}

fn value(shape: &Shape) -> Value {
    match shape {
        Shape::Text | Shape::Condition | Shape::Path => json!({"type": ["string", "number", "boolean"]}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Count(from, to) => json!({"type": "integer", "minimum": from, "maximum": to}),
        Shape::Percent(_) => json!({"anyOf": [
            {"type": "number", "minimum": 0, "maximum": 100},
            {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? *%$"}]}),
        Shape::Chance => json!({"anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? *%$"}]}),
        Shape::Number => json!({"type": "number", "minimum": 0}),
        Shape::Span(_) => json!({"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w) *)+$"}),
        Shape::Choice(words) => json!({"enum": words}),
        Shape::Quantity => json!({"type": ["string", "number"]}),
        Shape::DnsName => json!({"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}),
        Shape::Env => {
            let map = json!({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}});
            json!({"anyOf": [map, {"type": "array", "items": map}]})
        }
        Shape::Kubernetes => json!({"type": ["object", "array"]}),
        Shape::List(inner) => json!({"type": "array", "minItems": 1, "items": value(inner)}),
        Shape::OneOrMany(inner) => {
            let one = value(inner);
            json!({"anyOf": [one, {"type": "array", "minItems": 1, "items": one}]})
        }
        Shape::Object(keys) => object(keys),
        Shape::Named(inner) => json!({"type": "object", "additionalProperties": value(inner)}),
        Shape::ListOrMap(items, keyed) => json!({"anyOf": [value(items), value(keyed)]}),
        Shape::WordOr(words, inner) => json!({"anyOf": [{"enum": words}, value(inner)]}),
        Shape::TextOr(inner) => json!({"anyOf": [{"type": "string"}, value(inner)]}),
        Shape::ByType(keys, types) => by_type(keys, types),
    }
}

/// One alternative for each type, so that an editor offers the keys that fit.
fn by_type(keys: &[Key], types: &[(&str, &Shape)]) -> Value {
    let one = |(name, spec): &(&str, &Shape)| {
        let mut out = object(keys);
        out["properties"]["type"] = json!({"const": name});
        out["properties"]["spec"] = value(spec);
        if let Some(required) = out["required"].as_array_mut() {
            required.extend([json!("type"), json!("spec")]);
        }
        out
    };
    json!({"oneOf": types.iter().map(one).collect::<Vec<_>>()})
}
