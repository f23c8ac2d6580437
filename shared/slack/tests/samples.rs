//! Every sample under `events/slack-*`: valid ones are understood, invalid ones refused, and the schemas tell the same.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "../../../events/samples.rs"]
mod samples;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use samples::{folder, samples, violations};
use serde_json::Value;
use weir_slack::{
    Action, Addressee, BlockActions, Headers, Interaction, InteractionError, Secret, decode_body,
    interaction, signature,
};

const NOW: i64 = 1_795_485_501;

const KINDS: [&str; 3] = [
    "slack-block-actions",
    "slack-view-submission",
    "slack-url-verification",
];

/// Sends a sample through the door, as Slack would.
fn deliver(path: &Path, body: &[u8]) -> Result<Interaction, InteractionError> {
    let secrets = [Secret::new("s3cret").unwrap()];
    let content_type = match path.extension().and_then(|e| e.to_str()) {
        Some("json") => "application/json",
        Some("form") => "application/x-www-form-urlencoded",
        other => panic!("{}: unknown kind of sample {other:?}", path.display()),
    };
    let [signed, at] = signature::sign(body, &secrets[0], NOW);
    let headers = Headers::from_pairs([signed, at, ("Content-Type", content_type.to_owned())]);
    let verified = signature::verify(&headers, body, &secrets, NOW).unwrap();
    let ours = Addressee {
        api_app_id: Some("A0WEIR".into()),
        team_id: Some("T0ACME".into()),
        extra_response_hosts: Vec::new(),
    };
    interaction::read(&headers, &verified, &ours)
}

fn json_of(path: &Path, body: &[u8]) -> Value {
    if path.extension().is_some_and(|extension| extension == "form") {
        let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(body).unwrap();
        return serde_json::from_str(&fields[0].1).unwrap();
    }
    serde_json::from_slice(body).unwrap()
}

fn press(name: &str) -> BlockActions {
    let path = folder("slack-block-actions").join("valid").join(name);
    let body = std::fs::read(&path).unwrap();
    match deliver(&path, &body).unwrap() {
        Interaction::BlockActions(press) => *press,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn every_valid_sample_is_understood_and_fits_its_schema() {
    for kind in KINDS {
        for (path, body) in samples(kind, "valid") {
            let read = deliver(&path, &body).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(
                !matches!(read, Interaction::Ignored { .. }),
                "{} was ignored",
                path.display()
            );
            let found = violations(kind, &json_of(&path, &body));
            assert!(found.is_empty(), "{}: {found:?}", path.display());
        }
    }
}

#[test]
fn every_invalid_sample_is_refused() {
    for kind in KINDS {
        for (path, body) in samples(kind, "invalid") {
            assert!(
                deliver(&path, &body).is_err(),
                "{} was understood",
                path.display()
            );
        }
    }
}

#[test]
fn presses_tell_person_button_and_token() {
    let approve = press("approve.form");
    assert_eq!(
        (approve.person.id.as_str(), approve.action, approve.token.as_str()),
        ("U0BEN", Action::Approve, "apr-1")
    );
    assert_eq!(press("reject.form").action, Action::Reject);
    assert_eq!(press("details.form").action, Action::Details);
    assert_eq!(press("approve-by-outsider.form").person.id, "U0MALLORY");
    let bare = press("approve-without-channel.form");
    assert_eq!(bare.channel.as_deref(), Some("C0RELEASES"));
    assert_eq!(bare.message_ts.as_deref(), Some("1795485423.000100"));
}

#[test]
fn a_form_that_came_in_base64_is_the_same_request() {
    let (path, body) = samples("slack-block-actions", "valid").remove(0);
    let text = STANDARD.encode(&body);
    let decoded = decode_body(&text, true).unwrap();
    assert_eq!(deliver(&path, &decoded).unwrap(), deliver(&path, &body).unwrap());
}

#[test]
fn no_cut_of_any_sample_makes_the_reader_panic() {
    for (path, body) in samples("slack-block-actions", "valid") {
        for end in (0..body.len()).step_by(11) {
            assert!(
                deliver(&path, &body[..end]).is_err(),
                "{} cut at {end}",
                path.display()
            );
        }
    }
}
