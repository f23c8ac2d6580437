//! A door: a request as a front end received it, and its answer. A function URL and the local host hand over the same.

use serde_json::Value;

/// A request. Nothing of it is trusted before its raw bytes were authenticated (invariant 11).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Name and value in any case and order; a name may occur several times.
    pub headers: Vec<(String, String)>,
    /// The bytes that the client sent; a front end that wraps them, for example in base64, has unwrapped them.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Response {
    /// An answer in JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            content_type: "application/json",
            body: body.to_string(),
        }
    }

    /// An answer in plain text; empty text is an empty body.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: body.into(),
        }
    }
}
