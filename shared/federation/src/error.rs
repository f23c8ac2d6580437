//! Why a call led to nothing, in words that hold no token.

use serde_json::Value;

/// As much of a refusal is shown.
const SAID_LIMIT: usize = 400;

/// A word of a refusal that is longer may be a token, and is not shown.
const WORD_LIMIT: usize = 120;

/// A cloud gave no token, or did not say where a cluster is.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The client could not be prepared.
    #[error("no client for {service}")]
    Client {
        /// Whom it should call.
        service: &'static str,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// A name makes no address under the service.
    #[error("a name makes no address at {service}")]
    Address {
        /// Whose.
        service: &'static str,
    },
    /// No answer: connection, TLS, time.
    #[error("{service} did not answer")]
    Away {
        /// Who.
        service: &'static str,
        /// Why, without the address.
        #[source]
        source: reqwest::Error,
    },
    /// It says no.
    #[error("{service} refused with status {status}: {said}")]
    Refused {
        /// Who.
        service: &'static str,
        /// The status.
        status: u16,
        /// In its words.
        said: String,
    },
    /// An answer without what was asked for.
    #[error("{service} answered without {missing}")]
    Unreadable {
        /// Who.
        service: &'static str,
        /// What should be there.
        missing: &'static str,
    },
}

/// What a refusal says: OAuth's `error` and `error_description`, or the message of Google's APIs.
pub(crate) fn said(bytes: &[u8]) -> String {
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let texts = [
        &body["error"],
        &body["error_description"],
        &body["error"]["message"],
    ];
    let texts: Vec<&str> = texts.iter().filter_map(|text| text.as_str()).collect();
    let words = texts.join(": ");
    let words = words.split(|c: char| c.is_whitespace() || c.is_control());
    let shown = words
        .filter(|word| !word.is_empty())
        .map(|word| match word.len() {
            0..=WORD_LIMIT => word,
            _ => "…",
        });
    let shown: String = shown
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(SAID_LIMIT)
        .collect();
    match shown.is_empty() {
        true => "no reason is given".to_owned(),
        false => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_its_own_words_without_a_token() {
        let token = format!("eyJ{}", "x".repeat(WORD_LIMIT));
        let table = [
            (
                r#"{"error":"invalid_grant","error_description":"The audience does not match."}"#.to_owned(),
                "invalid_grant: The audience does not match.".to_owned(),
            ),
            (
                r#"{"error":{"code":403,"message":"Permission denied","status":"PERMISSION_DENIED"}}"#
                    .to_owned(),
                "Permission denied".to_owned(),
            ),
            (
                format!(
                    r#"{{"error":"invalid_client","error_description":"bad {token} here\r\nTrace ID: 1"}}"#
                ),
                "invalid_client: bad … here Trace ID: 1".to_owned(),
            ),
            ("<html>".to_owned(), "no reason is given".to_owned()),
        ];
        for (body, expected) in table {
            assert_eq!(said(body.as_bytes()), expected);
        }
        let long = format!(r#"{{"error":"{}"}}"#, "a b ".repeat(1_000));
        assert_eq!(said(long.as_bytes()).chars().count(), SAID_LIMIT);
    }
}
