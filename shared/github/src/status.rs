//! What a commit shows about its run.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::limits::{MAX_STATUS_CONTEXT_CHARS, MAX_STATUS_DESCRIPTION_CHARS};
use crate::names::{CommitSha, RepositoryName};

/// The colour of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitState {
    /// Under way or waiting.
    Pending,
    /// All is well.
    Success,
    /// The change did not make it.
    Failure,
    /// It could not be found out.
    Error,
}

impl CommitState {
    /// As GitHub writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

/// A commit status, within GitHub's limits by construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    state: CommitState,
    context: String,
    description: String,
    target_url: Option<String>,
}

impl CommitStatus {
    /// Makes a status. `context` names the pipeline; a later status with the same context takes the place of an earlier
    /// one. Texts lose control and direction marks and are cut, the description to 140 characters.
    pub fn new(state: CommitState, context: &str, description: &str) -> Self {
        Self {
            state,
            context: one_line(context, MAX_STATUS_CONTEXT_CHARS),
            description: one_line(description, MAX_STATUS_DESCRIPTION_CHARS),
            target_url: None,
        }
    }

    /// Adds where to read more. GitHub takes `http` and `https`; anything else is left out.
    pub fn with_target_url(mut self, url: &str) -> Self {
        let fine = url.starts_with("https://") || url.starts_with("http://");
        self.target_url = fine.then(|| url.to_owned());
        self
    }

    /// Its colour.
    pub fn state(&self) -> CommitState {
        self.state
    }

    /// The description as it will be shown.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The body of the request.
    pub(crate) fn to_json(&self) -> Value {
        let mut body = json!({
            "state": self.state.as_str(),
            "context": self.context,
            "description": self.description,
        });
        if let Some(url) = &self.target_url {
            body["target_url"] = url.as_str().into();
        }
        body
    }
}

/// Adds a status to `<folder>/<commit>.jsonl`, for repositories that no server shows: one JSON object a line, with the
/// fields of the API plus `repository` and `at_unix_s`. Creates the folder. The last line of a context is what counts.
///
/// # Errors
/// Those of the file system.
pub fn append(
    folder: &Path,
    repository: &RepositoryName,
    commit: &CommitSha,
    status: &CommitStatus,
    at_unix_s: i64,
) -> std::io::Result<()> {
    let mut line = status.to_json();
    line["repository"] = repository.as_str().into();
    line["at_unix_s"] = at_unix_s.into();
    std::fs::create_dir_all(folder)?;
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(format!("{commit}.jsonl")))?;
    // One write, so that two writers cannot mix their lines.
    file.write_all(format!("{line}\n").as_bytes())
}

/// One line without control characters and marks that turn the reading direction, cut to `limit` characters.
fn one_line(text: &str, limit: usize) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let cleaned = text
        .chars()
        .filter(|c| !turns(*c))
        .map(|c| if c.is_control() { ' ' } else { c });
    let cleaned: String = cleaned.collect();
    let cleaned = cleaned.trim();
    if cleaned.chars().count() <= limit {
        return cleaned.to_owned();
    }
    let mut cut: String = cleaned.chars().take(limit - 1).collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_cut_at_140_characters_on_a_boundary() {
        let status = CommitStatus::new(CommitState::Failure, "weir/x", &"é".repeat(141));
        assert_eq!(status.description().chars().count(), 140);
        assert!(status.description().ends_with("é…"));
        let exact = "x".repeat(140);
        assert_eq!(
            CommitStatus::new(CommitState::Pending, "c", &exact).description(),
            exact
        );
    }

    #[test]
    fn control_and_direction_marks_do_not_get_through() {
        let status = CommitStatus::new(CommitState::Pending, "a\nb", "x\u{1b}[31m\u{202e}y\r\n");
        assert_eq!(
            status.to_json(),
            json!({"state": "pending", "context": "a b", "description": "x [31my"})
        );
    }

    #[test]
    fn only_web_addresses_are_linked() {
        let status = CommitStatus::new(CommitState::Success, "c", "d");
        assert!(
            status
                .clone()
                .with_target_url("javascript:alert(1)")
                .to_json()
                .get("target_url")
                .is_none()
        );
        assert_eq!(
            status.with_target_url("https://weir.example/42").to_json()["target_url"],
            "https://weir.example/42"
        );
    }

    #[test]
    fn statuses_of_a_local_repository_are_lines_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("statuses");
        let repository = RepositoryName::parse("acme/llm-service").unwrap();
        let commit = CommitSha::parse(&"a".repeat(40)).unwrap();
        for (at, state) in [(1, CommitState::Pending), (2, CommitState::Success)] {
            append(
                &folder,
                &repository,
                &commit,
                &CommitStatus::new(state, "weir/x", "d"),
                at,
            )
            .unwrap();
        }
        let text = std::fs::read_to_string(folder.join(format!("{commit}.jsonl"))).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            (&lines[1]["state"], &lines[1]["at_unix_s"]),
            (&json!("success"), &json!(2))
        );
        assert_eq!(lines[0]["repository"], "acme/llm-service");
    }
}
