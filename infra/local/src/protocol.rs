//! What goes over the socket of a host: one line of JSON asks, one or more lines answer.
//!
//! The host and the command are the same binary of the same version, as a rule; a line that the other side cannot read
//! is an error that says so, never a guess.

use serde::{Deserialize, Serialize};
use weir_domain::audit::Entry;
use weir_domain::run::Run;

/// Bytes of one request: names, and a reason that a person typed.
pub(crate) const REQUEST_LIMIT: usize = 64 << 10;

/// Name of the socket in the state folder.
pub(crate) const SOCKET: &str = "weir.sock";

/// What a command asks. A run is named by its number, `PIPELINE#NUMBER` or its id.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Runs, newest first.
    Runs {
        /// How many at most.
        limit: u16,
    },
    /// A run and its whole log.
    Show {
        /// Which.
        run: String,
    },
    /// The log of a step's commands.
    Logs {
        /// Which run.
        run: String,
        /// Which step; may be left out if only one has a log.
        step: Option<String>,
        /// Lines from the end.
        lines: u32,
    },
    /// The run and the entries of its log after the `after`th, again at every change, until it is over.
    Events {
        /// Which.
        run: String,
        /// Entries that are known already.
        after: u64,
    },
    /// Something that the person behind the socket's peer wants.
    Act {
        /// Of which run.
        run: String,
        /// What.
        act: Act,
    },
    /// Starts a pipeline at the head of a branch.
    Run {
        /// `owner/name`; may be left out if the host has one local repository.
        repository: Option<String>,
        /// Its name; may be left out if there is one.
        pipeline: Option<String>,
        /// Without `refs/heads/`.
        branch: String,
    },
}

/// What a person does to a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Act {
    /// Approves what it waits for.
    Approve,
    /// Rejects what it waits for.
    Reject {
        /// Why.
        reason: String,
    },
    /// Ends it.
    Cancel {
        /// Why.
        reason: String,
    },
    /// Holds its rollouts where they are.
    Hold {
        /// Why.
        reason: String,
    },
    /// Takes its rollouts to their end without waiting for the steps that are left.
    Skip {
        /// Why.
        reason: String,
    },
    /// Sends its traffic back.
    Rollback {
        /// Why.
        reason: String,
        /// Also if what served before is not well.
        #[serde(default)]
        force: bool,
    },
}

/// What the host answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Runs.
    Runs(Vec<Run>),
    /// A run, and entries of its log.
    Run {
        /// The run.
        run: Box<Run>,
        /// All entries, or those that are new.
        entries: Vec<Entry>,
    },
    /// The log of a step's commands.
    Log {
        /// The step.
        step: String,
        /// Its lines.
        text: String,
    },
    /// It was done.
    Done {
        /// How things stand now, for the person.
        message: String,
        /// The runs it is about.
        runs: Vec<Run>,
    },
    /// It may not be done, or cannot be done as things stand.
    Refused(String),
    /// The request could not be answered: it names nothing that is there, or a part of the host failed.
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_are_lines_that_a_person_can_read() {
        let request = Request::Act {
            run: "42".into(),
            act: Act::Reject {
                reason: "too late\nin the day".into(),
            },
        };
        let line = serde_json::to_string(&request).unwrap();
        assert!(!line.contains('\n'));
        let expected = json!({"act": {"run": "42", "act": {"reject": {"reason": "too late\nin the day"}}}});
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&line).unwrap(),
            expected
        );
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
    }
}
