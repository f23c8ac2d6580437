//! A function URL's request and answer, payload format 2.0.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use weir_app::door::{Request, Response};

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default, rename = "isBase64Encoded")]
    is_base64: bool,
    #[serde(rename = "requestContext")]
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    http: Http,
}

#[derive(Deserialize)]
struct Http {
    method: String,
}

/// What a client sent. What cannot be taken is answered at once.
///
/// # Errors
/// The answer.
pub(crate) fn request(event: &Value) -> Result<Request, Response> {
    let payload = Payload::deserialize(event)
        .map_err(|_| Response::text(400, "this is no request of a function URL"))?;
    if payload.context.http.method != "POST" {
        return Err(Response::text(405, "only POST is answered here"));
    }
    // A signature is over the bytes as they were sent: whatever Lambda wrapped is unwrapped first.
    let body = match payload.is_base64 {
        true => STANDARD
            .decode(payload.body)
            .map_err(|_| Response::text(400, "the body is not the base64 that it is said to be"))?,
        false => payload.body.into_bytes(),
    };
    Ok(Request {
        headers: payload.headers.into_iter().collect(),
        body,
    })
}

/// The answer as a function URL takes it.
pub(crate) fn response(response: &Response) -> Value {
    json!({
        "statusCode": response.status,
        // Lambda can do without; `cargo lambda watch` cannot.
        "cookies": [],
        "headers": { "content-type": response.content_type },
        "body": response.body,
        "isBase64Encoded": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(method: &str, body: &str, is_base64: bool) -> Value {
        json!({
            "version": "2.0",
            "rawPath": "/",
            "headers": { "x-hub-signature-256": "sha256=00", "content-type": "application/json" },
            "requestContext": { "http": { "method": method, "path": "/" }, "timeEpoch": 1 },
            "body": body,
            "isBase64Encoded": is_base64,
        })
    }

    #[test]
    fn the_bytes_are_those_that_were_sent() {
        let plain = request(&event("POST", "{\"a\": \"ü\"}", false)).unwrap();
        assert_eq!(plain.body, "{\"a\": \"ü\"}".as_bytes());
        let wrapped = request(&event("POST", &STANDARD.encode([0, 255, b'\n']), true)).unwrap();
        assert_eq!(wrapped.body, [0, 255, b'\n']);
        assert!(
            wrapped
                .headers
                .contains(&("x-hub-signature-256".into(), "sha256=00".into()))
        );
    }

    #[test]
    fn what_cannot_be_taken_is_answered() {
        let cases = [
            (event("GET", "", false), 405),
            (event("POST", "?", true), 400),
            (json!(null), 400),
            (json!({ "Records": [] }), 400),
        ];
        for (event, status) in cases {
            assert_eq!(request(&event).unwrap_err().status, status, "{event}");
        }
    }

    #[test]
    fn an_answer_is_spelled_as_lambda_reads_it() {
        let answer = response(&Response::text(202, "ok"));
        assert_eq!(answer["statusCode"], 202);
        assert_eq!(answer["headers"]["content-type"], "text/plain; charset=utf-8");
    }
}
