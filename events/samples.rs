//! The samples in this folder, as the tests of those who read such messages find them.

mod schema_check;

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folder of a kind of message, seen from a crate in `shared`.
pub(crate) fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../events")
        .join(kind)
}

/// Path and bytes of each sample of a kind under `valid` or `invalid`, by name.
pub(crate) fn samples(kind: &str, which: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries =
        std::fs::read_dir(folder(kind).join(which)).expect("the samples are part of the repository");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder can be listed").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{kind}/{which} has samples");
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

/// What a message's schema does not allow of it.
pub(crate) fn violations(kind: &str, value: &Value) -> Vec<String> {
    let schema = std::fs::read(folder(kind).join("schema.json")).expect("every kind has a schema");
    let schema = serde_json::from_slice(&schema).expect("a schema is JSON");
    let mut found = Vec::new();
    schema_check::violations(&schema, value, "$", &mut found);
    found
}
