//! YAML that is no definition, for example a manifest, as plain values.

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Sink};
use crate::source::SourceFile;
use crate::yaml::{self, to_json};

/// The documents of a file.
///
/// # Errors
/// It is no YAML, or larger than what is read.
pub fn values(file: &SourceFile) -> Result<Vec<Value>, Vec<Diagnostic>> {
    let mut sink = Sink::default();
    match yaml::documents(file, &mut sink) {
        Some(documents) => Ok(documents.iter().map(|document| to_json(document)).collect()),
        None => Err(sink.sorted()),
    }
}
