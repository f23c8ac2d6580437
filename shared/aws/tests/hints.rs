//! Every sample under `events/hint`: valid ones are understood, invalid ones refused, and the schema tells the same.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "../../../events/schema_check.rs"]
mod schema_check;

use std::path::{Path, PathBuf};

use serde_json::Value;
use weir_aws::queue::Message;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/hint")
}

fn samples(which: &str) -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(folder().join(which)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn valid_samples_are_understood_and_invalid_ones_refused_by_reader_and_schema_alike() {
    let schema = std::fs::read(folder().join("schema.json")).unwrap();
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    for (which, valid) in [("valid", true), ("invalid", false)] {
        let samples = samples(which);
        assert!(samples.len() >= 3, "{which} has samples");
        for (path, body) in samples {
            let mut found = Vec::new();
            let value = serde_json::from_str(&body).unwrap();
            schema_check::violations(&schema, &value, "$", &mut found);
            assert_eq!(Message::parse(&body).is_ok(), valid, "{}", path.display());
            assert_eq!(found.is_empty(), valid, "{}: {found:?}", path.display());
        }
    }
}
