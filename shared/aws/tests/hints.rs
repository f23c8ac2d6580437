//! Every sample under `events/hint`: valid ones are understood, invalid ones refused, and the schema tells the same.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "../../../events/samples.rs"]
mod samples;

use samples::{samples, violations};
use weir_aws::queue::Message;

/// The folder under `events`.
const KIND: &str = "hint";

#[test]
fn valid_samples_are_understood_and_invalid_ones_refused_by_reader_and_schema_alike() {
    for (which, valid) in [("valid", true), ("invalid", false)] {
        let samples = samples(KIND, which);
        assert!(samples.len() >= 3, "{which} has samples");
        for (path, body) in samples {
            let read = Message::parse(std::str::from_utf8(&body).unwrap());
            assert_eq!(read.is_ok(), valid, "{}", path.display());
            let found = violations(KIND, &serde_json::from_slice(&body).unwrap());
            assert_eq!(found.is_empty(), valid, "{}: {found:?}", path.display());
        }
    }
}
