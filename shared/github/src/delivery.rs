//! From an authenticated request to an event.

use serde::Deserialize;
use thiserror::Error;

use crate::json::depth_is_bounded;
use crate::names::{InvalidName, RepositoryName};
use crate::push::{Push, PushError};
use crate::signature::Verified;
use weir_app::Headers;

/// One webhook request, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// GitHub's name for the delivery; a redelivery has the same. It is not signed: good for a log, no key for
    /// deduplication (that is [`Push::dedup_key`]). Absent where it is missing or does not look like one.
    pub guid: Option<String>,
    /// What happened.
    pub event: Event,
}

/// What a delivery tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A ref moved.
    Push(Box<Push>),
    /// The webhook was created or is being tried out. Answered with success; starts nothing.
    Ping(Ping),
    /// An event that Weir does not act on. Answered with success; starts nothing; its body was not read.
    Ignored {
        /// Its name: letters, digits and `_`.
        kind: String,
    },
}

/// GitHub's greeting to a new webhook.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ping {
    /// The webhook's number.
    pub hook_id: u64,
}

/// Why an authenticated request could not be read. None of them is worth a second try with the same bytes.
#[derive(Debug, Error)]
pub enum DeliveryError {
    /// No `X-GitHub-Event`, or one that is not an event's name.
    #[error("the request names no event")]
    NoEvent,
    /// Neither JSON nor a form.
    #[error("the content type is neither application/json nor application/x-www-form-urlencoded")]
    ContentType,
    /// The form has no single `payload` field.
    #[error("the form has no single payload field")]
    Form,
    /// Objects or arrays nest too deep.
    #[error("the payload nests too deep")]
    TooDeep,
    /// The payload is no JSON, or not of the event's shape.
    #[error("the payload of the {event} event cannot be read")]
    Payload {
        /// The event's name.
        event: &'static str,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Signed with a secret that does not count for the repository in the payload.
    #[error("the delivery of {0} is signed with a secret that is not that repository's")]
    Foreign(RepositoryName),
    /// A name in the payload is none.
    #[error("the payload of the push event holds an impossible {field}")]
    Name {
        /// Where in the payload.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: InvalidName,
    },
}

impl From<PushError> for DeliveryError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::TooDeep => Self::TooDeep,
            PushError::Json(source) => Self::Payload {
                event: "push",
                source,
            },
            PushError::Name { field, source } => Self::Name { field, source },
        }
    }
}

/// Characters of an event's or a delivery's name.
const MAX_NAME_CHARS: usize = 100;

/// Reads an authenticated request. Bodies of events that Weir does not know are not looked at.
pub fn read(headers: &Headers, request: &Verified<'_>) -> Result<Delivery, DeliveryError> {
    let kind = headers
        .first("x-github-event")
        .filter(|name| is_name(name))
        .ok_or(DeliveryError::NoEvent)?;
    let guid = headers
        .first("x-github-delivery")
        .filter(|guid| is_name(guid))
        .map(str::to_owned);
    let event = match kind {
        "push" => {
            let push = Push::parse(&payload(headers, request.body())?)?;
            if !request.is_of(&push.repository) {
                return Err(DeliveryError::Foreign(push.repository));
            }
            Event::Push(Box::new(push))
        }
        "ping" => Event::Ping(ping(&payload(headers, request.body())?)?),
        _ => Event::Ignored {
            kind: kind.to_owned(),
        },
    };
    Ok(Delivery { guid, event })
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// The JSON inside the body. In the form variant the signature covers the form, not the JSON.
fn payload<'a>(headers: &Headers, body: &'a [u8]) -> Result<std::borrow::Cow<'a, [u8]>, DeliveryError> {
    match headers.media_type().as_str() {
        "application/json" => Ok(body.into()),
        "application/x-www-form-urlencoded" => {
            let fields: Vec<(String, String)> =
                serde_urlencoded::from_bytes(body).map_err(|_| DeliveryError::Form)?;
            let mut payloads = fields.into_iter().filter(|(name, _)| name == "payload");
            match (payloads.next(), payloads.next()) {
                (Some((_, json)), None) => Ok(json.into_bytes().into()),
                _ => Err(DeliveryError::Form),
            }
        }
        _ => Err(DeliveryError::ContentType),
    }
}

fn ping(json: &[u8]) -> Result<Ping, DeliveryError> {
    if !depth_is_bounded(json) {
        return Err(DeliveryError::TooDeep);
    }
    serde_json::from_slice(json).map_err(|source| DeliveryError::Payload {
        event: "ping",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::{sign, verify};
    use weir_app::Secret;

    fn deliver(event: &str, content_type: &str, body: &[u8]) -> Result<Delivery, DeliveryError> {
        let secret = Secret::new("s").unwrap();
        let signature = sign(body, &secret);
        let headers = Headers::from_pairs([
            ("X-GitHub-Event", event),
            ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
            ("Content-Type", content_type),
            ("X-Hub-Signature-256", signature.as_str()),
        ]);
        let keys = [secret.into()];
        let verified = verify(&headers, body, &keys).unwrap();
        read(&headers, &verified)
    }

    const PING: &[u8] = br#"{"zen":"Keep it logically awesome.","hook_id":7,"hook":{}}"#;

    #[test]
    fn a_ping_starts_nothing() {
        let delivery = deliver("ping", "application/json; charset=utf-8", PING).unwrap();
        assert_eq!(delivery.event, Event::Ping(Ping { hook_id: 7 }));
        assert_eq!(
            delivery.guid.as_deref(),
            Some("72d3162e-cc78-11e3-81ab-4c9367dc0958")
        );
    }

    #[test]
    fn a_form_is_unwrapped_after_its_raw_bytes_were_verified() {
        let json = std::str::from_utf8(PING).unwrap();
        let form = serde_urlencoded::to_string([("payload", json)]).unwrap();
        let delivery = deliver("ping", "application/x-www-form-urlencoded", form.as_bytes()).unwrap();
        assert_eq!(delivery.event, Event::Ping(Ping { hook_id: 7 }));
    }

    #[test]
    fn a_form_without_a_single_payload_is_refused() {
        for form in ["", "other=1", "payload=%7B%7D&payload=%7B%7D"] {
            let answer = deliver("push", "application/x-www-form-urlencoded", form.as_bytes());
            assert!(matches!(answer, Err(DeliveryError::Form)), "{form}");
        }
    }

    #[test]
    fn an_unknown_event_is_ignored_unread() {
        let delivery = deliver("workflow_run", "application/json", b"\xff not json").unwrap();
        assert_eq!(
            delivery.event,
            Event::Ignored {
                kind: "workflow_run".into()
            }
        );
    }

    #[test]
    fn an_event_without_a_name_is_refused() {
        for name in ["", "a b", "a\u{1b}[0m"] {
            assert!(
                matches!(
                    deliver(name, "application/json", b"{}"),
                    Err(DeliveryError::NoEvent)
                ),
                "{name:?}"
            );
        }
    }

    #[test]
    fn other_content_types_and_non_json_are_refused() {
        assert!(matches!(
            deliver("push", "text/plain", b"{}"),
            Err(DeliveryError::ContentType)
        ));
        for body in [&b""[..], b"not json", b"{\"ref\":", b"[]", b"null", b"\xff\xfe"] {
            let answer = deliver("push", "application/json", body);
            assert!(
                matches!(answer, Err(DeliveryError::Payload { event: "push", .. })),
                "{body:?}"
            );
        }
    }

    #[test]
    fn deep_nesting_is_refused_before_it_is_parsed() {
        let body = format!("{{\"hook_id\":1,\"x\":{}}}", "[".repeat(100_000));
        assert!(matches!(
            deliver("ping", "application/json", body.as_bytes()),
            Err(DeliveryError::TooDeep)
        ));
    }
}
