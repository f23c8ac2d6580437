//! What a shadow is asked beside its copies: a gateway throws the answers to copies away, so Weir asks both versions itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::{canonical_json, sha256_hex};

/// Most questions of a shadow.
pub const QUESTIONS_MAX: usize = 16;
/// Longest body of a question, in bytes of JSON.
pub const BODY_MAX: usize = 16 * 1024;
/// Longest path, in bytes.
pub const PATH_MAX: usize = 1024;

/// A question that both versions are asked, and what of their answers must be equal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Question {
    /// Path and query on the port that serves requests, from the first `/` on.
    pub path: String,
    /// What is sent by POST; nothing: it is a GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// JSON Pointer (RFC 6901) to the part that must be equal; empty: all of the answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub compare: String,
}

impl Question {
    /// A digest of what must be equal. Of JSON neither white space nor the order of keys counts. The answer itself is kept nowhere.
    ///
    /// # Errors
    /// The answer has no such part; in words that tell nothing of it.
    pub fn digest(&self, answer: &str) -> Result<String, String> {
        let json: Option<Value> = serde_json::from_str(answer).ok();
        let text = match (json, self.compare.as_str()) {
            (None, "") => return Ok(sha256_hex(answer.as_bytes())),
            (None, part) => return Err(format!("its answer is no JSON, and `{part}` of it is compared")),
            (Some(json), part) => {
                let found = json.pointer(part);
                canonical_json(found.ok_or_else(|| format!("its answer has no `{part}`"))?)
            }
        };
        Ok(sha256_hex(text.as_bytes()))
    }
}

/// Whether a text is a JSON Pointer: empty, or parts that each begin with `/`, in which `~` stands before 0 or 1.
pub fn is_pointer(text: &str) -> bool {
    let mut after_tilde = text.split('~').skip(1);
    (text.is_empty() || text.starts_with('/')) && after_tilde.all(|part| part.starts_with(['0', '1']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(compare: &str) -> Question {
        Question {
            path: "/v1/completions".into(),
            body: None,
            compare: compare.into(),
        }
    }

    #[test]
    fn equal_parts_have_equal_digests_whatever_else_differs() {
        let (one, other) = (
            r#"{"id": "a", "choices": [{"text": "yes", "n": 1}]}"#,
            r#"{"choices":[{"n":1,"text":"yes"}],"id":"b"}"#,
        );
        let digest = |compare: &str, answer: &str| question(compare).digest(answer).unwrap();
        assert_eq!(digest("/choices/0", one), digest("/choices/0", other));
        assert_ne!(digest("", one), digest("", other));
        assert_ne!(digest("/choices/0/text", one), digest("/choices/0/n", one));
        assert_eq!(digest("", "plain"), digest("", "plain"));
        assert_ne!(digest("", "plain"), digest("", "other"));
    }

    #[test]
    fn an_answer_without_the_part_is_none_and_its_words_tell_nothing_of_it() {
        let of = |compare: &str, answer: &str| question(compare).digest(answer).unwrap_err();
        assert_eq!(of("/text", r#"{"secret": 1}"#), "its answer has no `/text`");
        assert_eq!(
            of("/text", "secret"),
            "its answer is no JSON, and `/text` of it is compared"
        );
    }

    #[test]
    fn a_pointer_is_told_from_other_text() {
        for (text, is) in [
            ("", true),
            ("/", true),
            ("/choices/0/text", true),
            ("/a~1b/~0", true),
            ("choices", false),
            ("/a~b", false),
            ("/a~", false),
        ] {
            assert_eq!(is_pointer(text), is, "{text}");
        }
    }
}
