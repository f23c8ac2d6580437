//! What a message says: look at this run. It carries no state, so it cannot carry old state.

use serde::{Deserialize, Serialize};
use weir_domain::Duty;
use weir_domain::ids::RunId;
use weir_domain::time::Timestamp;

/// Form of the message. Readers accept this one and the next (invariant 13).
const SCHEMA: u32 = 1;

/// A hint on its way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    schema: u32,
    /// The run.
    pub run: RunId,
    /// What to look after.
    pub duty: Duty,
    /// When to look.
    pub due: Timestamp,
    /// The trace that it belongs to, where the transport carries none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// Why a message cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no message of Weir's.
    #[error("the message is not a hint: {0}")]
    Form(String),
    /// It was written by a newer Weir.
    #[error("the message has schema {0}; this weir reads 1 to {newest}: update it, then redrive", newest = SCHEMA + 1)]
    Schema(u32),
}

impl Message {
    /// A hint to look at a run.
    pub fn new(run: RunId, duty: Duty, due: Timestamp, trace: Option<String>) -> Self {
        Self {
            schema: SCHEMA,
            run,
            duty,
            due,
            trace,
        }
    }

    /// The body of an SQS message.
    pub fn to_body(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can be written")
    }

    /// Reads a body.
    ///
    /// # Errors
    /// It is no hint, or a newer Weir's.
    pub fn parse(body: &str) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Form {
            schema: u32,
        }
        let form = |error: serde_json::Error| Unreadable::Form(error.to_string());
        let Form { schema } = serde_json::from_str(body).map_err(form)?;
        match (1..=SCHEMA + 1).contains(&schema) {
            true => serde_json::from_str(body).map_err(form),
            false => Err(Unreadable::Schema(schema)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let message = Message::new(RunId::new("run-1"), Duty::Traffic, Timestamp(5), None);
        let body = message.to_body();
        assert_eq!(body, r#"{"schema":1,"run":"run-1","duty":"traffic","due":5}"#);
        assert_eq!(Message::parse(&body), Ok(message));
    }

    #[test]
    fn the_next_schema_is_read_and_a_later_one_is_refused_with_what_to_do() {
        let body = |schema| format!(r#"{{"schema":{schema},"run":"r","duty":"steps","due":5,"more":1}}"#);
        assert!(Message::parse(&body(2)).is_ok());
        assert_eq!(
            Message::parse(&body(3)).unwrap_err().to_string(),
            "the message has schema 3; this weir reads 1 to 2: update it, then redrive"
        );
    }

    #[test]
    fn what_is_no_hint_is_said_to_be_none() {
        for body in ["", "{}", "null", "{\"schema\":1}", "[1]", "{\"schema\":-1}"] {
            assert!(matches!(Message::parse(body), Err(Unreadable::Form(_))), "{body}");
        }
    }
}
