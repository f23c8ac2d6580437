//! What the schedule sends is the sample under `events/sweep`, and the schema knows it from anything else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../../events/schema_check.rs"]
mod schema_check;

use serde_json::Value;

#[test]
fn the_schedule_sends_what_the_sample_shows() {
    let read = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let schema = read(include_str!("../../../events/sweep/schema.json"));
    let violations = |value: &Value| {
        let mut found = Vec::new();
        schema_check::violations(&schema, value, "$", &mut found);
        found
    };
    let sent = read(weir_lambda::SWEEP_EVENT);
    assert_eq!(sent, read(include_str!("../../../events/sweep/valid/sweep.json")));
    assert_eq!(violations(&sent), Vec::<String>::new());
    let other = read(include_str!("../../../events/sweep/invalid/other-word.json"));
    assert!(!violations(&other).is_empty());
}
