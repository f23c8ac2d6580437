//! `weir audit verify FILE`

use std::path::Path;

use serde_json::Value;
use weir_domain::{audit, json};

use super::definition::read_text;
use super::output::{Exit, Failure, Output};

pub(super) fn verify(file: &Path, out: &mut Output) -> Result<Exit, Failure> {
    let lines = read_text(file)?;
    let verified = audit::verify(&lines).map_err(|(line, why)| malformed(&lines, line, &why))?;
    out.answer(&verified, || match verified.first_bad {
        None => format!(
            "valid: {} entries, each follows from the one before",
            verified.entries
        ),
        Some(line) => format!(
            "not valid: line {line} {} ({} entries)",
            why(&lines, line),
            verified.entries
        ),
    });
    Ok(if verified.valid {
        Exit::Answered
    } else {
        Exit::Negative
    })
}

/// Why an entry is the first bad one.
fn why(lines: &str, line: usize) -> String {
    let text = lines.lines().nth(line - 1).unwrap_or_default();
    match json::read::<Value>(text) {
        Err(fault) => format!("cannot be trusted: {fault}"),
        Ok(_) => "does not follow from the one before it in its run".to_owned(),
    }
}

fn malformed(lines: &str, line: usize, why: &str) -> Failure {
    let text = lines.lines().nth(line - 1).unwrap_or_default();
    match serde_json::from_str::<Value>(text) {
        Err(error) => Failure {
            line: Some(line),
            ..Failure::json("not an entry", &error)
        },
        Ok(_) => Failure {
            line: Some(line),
            ..Failure::new(format!("not an entry: {why}"))
        },
    }
}
