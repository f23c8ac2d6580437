//! The JSON Schema and the reference page are made from the table of keys, and fit what is really accepted.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod kit;

use serde_json::Value;

fn document(path: &str) -> String {
    std::fs::read_to_string(kit::root().join(path)).unwrap()
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let generated = format!("{:#}\n", weir_spec::schema());
    assert!(
        document("docs/weir.schema.json") == generated,
        "run: cargo run -p weir-spec --example schema > docs/weir.schema.json"
    );
}

#[test]
fn the_reference_page_holds_the_generated_table() {
    assert!(
        document("docs/definition.md").ends_with(&weir_spec::reference()),
        "replace what follows `# All keys` in docs/definition.md by: cargo run -p weir-spec --example schema reference"
    );
}

#[test]
fn the_schema_accepts_what_weir_accepts() {
    let schema = weir_spec::schema();
    let mut files = kit::examples();
    files.extend(kit::article().unwrap_or_default());
    for (file, document) in files
        .iter()
        .flat_map(|file| kit::documents(file).into_iter().map(move |d| (file, d)))
    {
        if document.get("apiVersion").is_none() {
            assert_eq!(faults(&schema, &document, &file.path), Vec::<String>::new());
        }
    }
}

#[test]
fn the_schema_refuses_what_weir_refuses() {
    let schema = weir_spec::schema();
    let table = [
        r#"{"pipelin": {"name": "P"}}"#,
        r#"{"pipeline": {"name": "P"}}"#,
        r#"{"pipeline": {"name": "P", "stages": [{"stage": "S", "steps": [{"step": {"name": "N", "type": "Plugin", "spec": {"image": "i", "commands": "ls"}}}]}]}}"#,
        r#"{"pipeline": {"name": "P", "stages": [{"stage": "S", "steps": [{"step": {"name": "N", "type": "Kubernetes", "spec": {"strategy": "canery"}}}]}]}}"#,
        r#"{"pipeline": {"name": "P", "stages": [{"stage": "S", "steps": [{"step": {"name": "N", "type": "Kubernetes", "spec": {"canary": {"weight": 150}}}}]}]}}"#,
        r#"{"dev": {"replicas": 0}}"#,
        r#"{"dev": {"debug": "yes"}}"#,
        r#"{"environments": [{"name": "A", "provider": "AWS-EC2", "spec": {"cluster": "c"}}]}"#,
    ];
    for text in table {
        let document: Value = serde_json::from_str(text).unwrap();
        assert!(!faults(&schema, &document, "").is_empty(), "{text}");
    }
}

/// What a document breaks of the part of JSON Schema that Weir's own uses; patterns are left to editors.
fn faults(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut out = Vec::new();
    let any = |name: &str| {
        schema[name]
            .as_array()
            .map(|all| all.iter().filter(|s| faults(s, value, at).is_empty()).count())
    };
    if any("anyOf") == Some(0) || any("oneOf").is_some_and(|n| n != 1) {
        out.push(format!("{at}: fits none of the alternatives"));
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value))
        || schema.get("const").is_some_and(|c| c != value)
    {
        out.push(format!("{at}: {value} is not one of the words"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|name| is(value, name)) {
        out.push(format!("{at}: {value} is no {types:?}"));
    }
    let number = value.as_f64();
    let over = |name: &str| Some((schema[name].as_f64()?, number?));
    if over("minimum").is_some_and(|(least, n)| n < least)
        || over("maximum").is_some_and(|(most, n)| n > most)
    {
        out.push(format!("{at}: {value} is out of range"));
    }
    if let Some(items) = value.as_array() {
        if schema["minItems"]
            .as_u64()
            .is_some_and(|n| (items.len() as u64) < n)
        {
            out.push(format!("{at}: too few items"));
        }
        out.extend(items.iter().flat_map(|item| faults(&schema["items"], item, at)));
    }
    if let Some(entries) = value.as_object() {
        let required = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        out.extend(
            required
                .filter(|key| !entries.contains_key(*key))
                .map(|key| format!("{at}: no {key}")),
        );
        for (key, value) in entries {
            match (schema["properties"].get(key), &schema["additionalProperties"]) {
                (Some(own), _) => out.extend(faults(own, value, &format!("{at}.{key}"))),
                (None, Value::Bool(false)) => out.push(format!("{at}: unknown key {key}")),
                (None, other) => out.extend(faults(other, value, &format!("{at}.{key}"))),
            }
        }
    }
    out
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    }
}
