use serde_json::{Value, json};

use super::*;
use crate::signature::{sign, verify};
use weir_app::Secret;

const NOW: i64 = 1_700_000_000;

fn payload() -> Value {
    json!({
        "type": "block_actions",
        "api_app_id": "A1",
        "team": {"id": "T1", "domain": "acme"},
        "user": {"id": "U1", "username": "ada", "name": "ada", "team_id": "T1"},
        "container": {"type": "message", "message_ts": "1700000000.000100", "channel_id": "C1"},
        "channel": {"id": "C1", "name": "releases"},
        "message": {"ts": "1700000000.000100"},
        "trigger_id": "1.2.3",
        "response_url": "https://hooks.slack.com/actions/T1/1/x",
        "actions": [{"action_id": "approve", "block_id": "apr:v1", "type": "button", "value": "apr_1", "action_ts": "1700000001.5"}],
    })
}

fn ours() -> Addressee {
    Addressee {
        api_app_id: Some("A1".into()),
        team_id: Some("T1".into()),
        extra_response_hosts: Vec::new(),
    }
}

fn read_body(
    content_type: &str,
    body: &[u8],
    addressee: &Addressee,
) -> Result<Interaction, InteractionError> {
    let secrets = [Secret::new("s").unwrap()];
    let [signature, timestamp] = sign(body, &secrets[0], NOW);
    let headers = Headers::from_pairs([signature, timestamp, ("content-type", content_type.to_owned())]);
    let verified = verify(&headers, body, &secrets, NOW).unwrap();
    read(&headers, &verified, addressee)
}

fn read_payload(payload: &Value) -> Result<Interaction, InteractionError> {
    let form = serde_urlencoded::to_string([("payload", payload.to_string())]).unwrap();
    read_body("application/x-www-form-urlencoded", form.as_bytes(), &ours())
}

fn with(change: impl FnOnce(&mut Value)) -> Result<Interaction, InteractionError> {
    let mut value = payload();
    change(&mut value);
    read_payload(&value)
}

#[test]
fn a_button_press_tells_who_what_and_where_to_answer() {
    let Interaction::BlockActions(press) = with(|_| {}).unwrap() else {
        panic!("no button press")
    };
    assert_eq!(
        press.person,
        Person {
            id: "U1".into(),
            name: "ada".into(),
            team_id: "T1".into()
        }
    );
    assert_eq!((press.action, press.token.as_str()), (Action::Approve, "apr_1"));
    assert_eq!(press.channel.as_deref(), Some("C1"));
    assert_eq!(press.message_ts.as_deref(), Some("1700000000.000100"));
    assert_eq!(press.trigger_id.as_deref(), Some("1.2.3"));
    assert_eq!(press.action_ts.as_deref(), Some("1700000001.5"));
    assert_eq!(
        press.response_url.unwrap().expose(),
        "https://hooks.slack.com/actions/T1/1/x"
    );
}

#[test]
fn what_is_meant_for_another_app_or_workspace_is_refused() {
    assert!(matches!(
        with(|p| p["api_app_id"] = "A2".into()),
        Err(InteractionError::OtherApp)
    ));
    assert!(matches!(
        with(|p| p["api_app_id"] = Value::Null),
        Err(InteractionError::OtherApp)
    ));
    assert!(matches!(
        with(|p| p["team"]["id"] = "T2".into()),
        Err(InteractionError::OtherTeam)
    ));
    assert!(matches!(
        with(|p| p["team"] = Value::Null),
        Err(InteractionError::OtherTeam)
    ));
}

#[test]
fn people_of_other_organisations_are_refused() {
    assert!(matches!(
        with(|p| p["user"]["team_id"] = "T9".into()),
        Err(InteractionError::External)
    ));
    assert!(matches!(
        with(|p| p["user"]["team_id"] = Value::Null),
        Err(InteractionError::External)
    ));
}

#[test]
fn unusable_fields_are_refused_by_name() {
    let field = |result: Result<Interaction, InteractionError>| match result {
        Err(InteractionError::Field { field }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(with(|p| p["user"] = Value::Null)), "user");
    assert_eq!(field(with(|p| p["user"]["id"] = "<!channel>".into())), "user.id");
    assert_eq!(field(with(|p| p["actions"] = json!([]))), "actions");
    assert_eq!(
        field(with(|p| p["actions"][0]["value"] = Value::Null)),
        "actions[0].value"
    );
    assert_eq!(
        field(with(|p| p["actions"][0]["value"] = "a b".into())),
        "actions[0].value"
    );
    assert_eq!(
        field(with(|p| p["actions"][0]["value"] = "x".repeat(256).into())),
        "actions[0].value"
    );
    assert_eq!(
        field(with(|p| p["response_url"] = "https://evil.example/".into())),
        "response_url"
    );
    assert_eq!(field(with(|p| p["type"] = "a\u{1b}".into())), "type");
}

#[test]
fn unknown_buttons_and_kinds_start_nothing() {
    let ignored = |kind: &str| Interaction::Ignored { kind: kind.into() };
    assert_eq!(
        with(|p| p["actions"][0]["action_id"] = "launch".into()).unwrap(),
        ignored("block_actions")
    );
    assert_eq!(
        with(|p| p["type"] = "view_closed".into()).unwrap(),
        ignored("view_closed")
    );
    let event = br#"{"type":"event_callback","api_app_id":"A1","team_id":"T1","event":{}}"#;
    assert_eq!(
        read_body("application/json", event, &ours()).unwrap(),
        ignored("event_callback")
    );
}

#[test]
fn a_dialog_tells_what_was_typed() {
    let answer = with(|p| {
        p["type"] = "view_submission".into();
        p["view"] = json!({"callback_id": "reject", "private_metadata": "apr_1",
            "state": {"values": {"why": {"reason": {"type": "plain_text_input", "value": "p99 looks odd"}}}}});
    });
    let Interaction::ViewSubmission(sent) = answer.unwrap() else {
        panic!("no dialog")
    };
    assert_eq!(
        (sent.callback_id.as_str(), sent.token.as_str()),
        ("reject", "apr_1")
    );
    assert_eq!(
        sent.values[&("why".to_owned(), "reason".to_owned())],
        "p99 looks odd"
    );
}

#[test]
fn the_trial_of_the_address_gets_its_challenge_back() {
    let body = br#"{"token":"t","challenge":"3eZbrw1aB","type":"url_verification"}"#;
    let answer = read_body("application/json; charset=utf-8", body, &ours()).unwrap();
    assert_eq!(
        answer,
        Interaction::UrlVerification {
            challenge: "3eZbrw1aB".into()
        }
    );
    let hostile = br#"{"challenge":"<script> x","type":"url_verification"}"#;
    assert!(read_body("application/json", hostile, &ours()).is_err());
}

#[test]
fn bodies_in_base64_are_decoded_only_when_flagged() {
    assert_eq!(decode_body("cGF5bG9hZD0l", true).unwrap().as_ref(), b"payload=%");
    assert_eq!(
        decode_body("cGF5bG9hZD0l", false).unwrap().as_ref(),
        b"cGF5bG9hZD0l"
    );
    assert_eq!(decode_body("payload=%", true), Err(NotBase64));
    assert_eq!(decode_body("", true).unwrap().as_ref(), b"");
}

#[test]
fn what_is_no_payload_is_refused() {
    let form = |body: &str| read_body("application/x-www-form-urlencoded", body.as_bytes(), &ours());
    assert!(matches!(form(""), Err(InteractionError::Form)));
    assert!(matches!(
        form("payload=%7B%7D&payload=%7B%7D"),
        Err(InteractionError::Form)
    ));
    assert!(matches!(form("payload=nonsense"), Err(InteractionError::Json(_))));
    assert!(matches!(
        form(&format!("payload={}", "[".repeat(10_000))),
        Err(InteractionError::Json(_))
    ));
    assert!(matches!(
        read_body("text/plain", b"", &ours()),
        Err(InteractionError::ContentType)
    ));
    assert!(matches!(
        read_body("application/json", b"\xff", &ours()),
        Err(InteractionError::Json(_))
    ));
}
