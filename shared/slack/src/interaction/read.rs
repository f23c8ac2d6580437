//! The payload as Slack sends it; everything that may be missing is optional, and what counts is checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{
    Action, Addressee, BlockActions, Interaction, InteractionError, Person, ResponseUrl, ViewSubmission,
};
use crate::limits::{MAX_TOKEN_CHARS, REASON_CHARS};

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "type")]
    kind: String,
    api_app_id: Option<String>,
    team: Option<Team>,
    user: Option<User>,
    channel: Option<Channel>,
    message: Option<PostedMessage>,
    container: Option<Container>,
    response_url: Option<String>,
    trigger_id: Option<String>,
    #[serde(default)]
    actions: Vec<Pressed>,
    view: Option<View>,
}

#[derive(Deserialize)]
struct Team {
    id: String,
}

#[derive(Deserialize)]
struct User {
    id: String,
    username: Option<String>,
    name: Option<String>,
    team_id: Option<String>,
}

#[derive(Deserialize)]
struct Channel {
    id: String,
}

#[derive(Deserialize)]
struct PostedMessage {
    ts: String,
}

#[derive(Deserialize)]
struct Container {
    message_ts: Option<String>,
    channel_id: Option<String>,
}

#[derive(Deserialize)]
struct Pressed {
    action_id: String,
    value: Option<String>,
    action_ts: Option<String>,
}

#[derive(Deserialize)]
struct View {
    callback_id: String,
    private_metadata: Option<String>,
    state: Option<ViewState>,
}

#[derive(Deserialize)]
struct ViewState {
    values: BTreeMap<String, BTreeMap<String, Value>>,
}

/// What arrives as JSON: the trial of the address, and events that Weir does not act on.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    challenge: Option<String>,
    api_app_id: Option<String>,
    team_id: Option<String>,
}

/// Characters of an id, a name, a kind, a challenge.
const MAX_ID_CHARS: usize = 64;
const MAX_NAME_CHARS: usize = 100;
const MAX_CHALLENGE_CHARS: usize = 512;

pub(super) fn event(body: &[u8], addressee: &Addressee) -> Result<Interaction, InteractionError> {
    let event: Event = serde_json::from_slice(body).map_err(InteractionError::Json)?;
    if event.kind == "url_verification" {
        // Carries neither app nor team: the signature is all there is, and sending a text back harms nobody.
        let usable = |c: &String| {
            (1..=MAX_CHALLENGE_CHARS).contains(&c.len()) && c.bytes().all(|b| b.is_ascii_graphic())
        };
        let challenge = event
            .challenge
            .filter(usable)
            .ok_or(InteractionError::Field { field: "challenge" })?;
        return Ok(Interaction::UrlVerification { challenge });
    }
    check_addressee(event.api_app_id.as_deref(), event.team_id.as_deref(), addressee)?;
    Ok(Interaction::Ignored {
        kind: kind(&event.kind)?,
    })
}

pub(super) fn form(body: &[u8], addressee: &Addressee) -> Result<Interaction, InteractionError> {
    let fields: Vec<(String, String)> =
        serde_urlencoded::from_bytes(body).map_err(|_| InteractionError::Form)?;
    let mut payloads = fields.into_iter().filter(|(name, _)| name == "payload");
    let (Some((_, json)), None) = (payloads.next(), payloads.next()) else {
        return Err(InteractionError::Form);
    };
    let payload: Payload = serde_json::from_str(&json).map_err(InteractionError::Json)?;
    let team = payload.team.as_ref().map(|team| team.id.as_str());
    check_addressee(payload.api_app_id.as_deref(), team, addressee)?;
    match payload.kind.as_str() {
        "block_actions" => block_actions(payload, addressee),
        "view_submission" => view_submission(payload),
        other => Ok(Interaction::Ignored { kind: kind(other)? }),
    }
}

fn check_addressee(
    app: Option<&str>,
    team: Option<&str>,
    addressee: &Addressee,
) -> Result<(), InteractionError> {
    if addressee.api_app_id.is_some() && app != addressee.api_app_id.as_deref() {
        return Err(InteractionError::OtherApp);
    }
    if addressee.team_id.is_some() && team != addressee.team_id.as_deref() {
        return Err(InteractionError::OtherTeam);
    }
    Ok(())
}

fn block_actions(payload: Payload, addressee: &Addressee) -> Result<Interaction, InteractionError> {
    let person = person(&payload)?;
    let [pressed] = &payload.actions[..] else {
        return Err(InteractionError::Field { field: "actions" });
    };
    let Some(action) = Action::parse(&pressed.action_id) else {
        return Ok(Interaction::Ignored {
            kind: "block_actions".to_owned(),
        });
    };
    let token = token(pressed.value.as_deref(), "actions[0].value")?;
    let response_url = match payload.response_url.as_deref() {
        None | Some("") => None,
        Some(text) => Some(ResponseUrl::parse(text, &addressee.extra_response_hosts).ok_or(
            InteractionError::Field {
                field: "response_url",
            },
        )?),
    };
    let container = payload.container.as_ref();
    let channel = payload
        .channel
        .map(|c| c.id)
        .or_else(|| container.and_then(|c| c.channel_id.clone()));
    let message_ts = payload
        .message
        .map(|m| m.ts)
        .or_else(|| container.and_then(|c| c.message_ts.clone()));
    Ok(Interaction::BlockActions(Box::new(BlockActions {
        person,
        action,
        token,
        action_ts: pressed.action_ts.clone().filter(|ts| is_timestamp(ts)),
        channel: channel.filter(|id| is_id(id)),
        message_ts: message_ts.filter(|ts| is_timestamp(ts)),
        response_url,
        trigger_id: payload.trigger_id.filter(|id| id.len() <= MAX_TOKEN_CHARS),
    })))
}

fn view_submission(payload: Payload) -> Result<Interaction, InteractionError> {
    let person = person(&payload)?;
    let view = payload.view.ok_or(InteractionError::Field { field: "view" })?;
    let token = token(view.private_metadata.as_deref(), "view.private_metadata")?;
    let mut values = BTreeMap::new();
    for (block, actions) in view.state.map(|state| state.values).unwrap_or_default() {
        for (action, value) in actions {
            if let Some(text) = value.get("value").and_then(Value::as_str) {
                values.insert((block.clone(), action), text.chars().take(REASON_CHARS).collect());
            }
        }
    }
    Ok(Interaction::ViewSubmission(Box::new(ViewSubmission {
        person,
        callback_id: view.callback_id,
        token,
        values,
    })))
}

/// The person, if they belong to the workspace that the request comes from. People of other organisations who share a
/// channel are told apart by their team, and refused, as is a person of whom no team is told.
fn person(payload: &Payload) -> Result<Person, InteractionError> {
    let user = payload
        .user
        .as_ref()
        .ok_or(InteractionError::Field { field: "user" })?;
    let team = payload
        .team
        .as_ref()
        .ok_or(InteractionError::Field { field: "team" })?;
    if !is_id(&user.id) {
        return Err(InteractionError::Field { field: "user.id" });
    }
    if user.team_id.as_deref() != Some(&team.id) {
        return Err(InteractionError::External);
    }
    let name = user.name.as_ref().or(user.username.as_ref()).unwrap_or(&user.id);
    Ok(Person {
        id: user.id.clone(),
        name: name.chars().take(MAX_NAME_CHARS).collect(),
        team_id: team.id.clone(),
    })
}

fn token(value: Option<&str>, field: &'static str) -> Result<String, InteractionError> {
    let usable =
        |t: &&str| (1..=MAX_TOKEN_CHARS).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_graphic());
    value
        .filter(usable)
        .map(str::to_owned)
        .ok_or(InteractionError::Field { field })
}

fn kind(text: &str) -> Result<String, InteractionError> {
    let usable = (1..=MAX_ID_CHARS).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
    if usable {
        Ok(text.to_owned())
    } else {
        Err(InteractionError::Field { field: "type" })
    }
}

/// `U0AB…`, `C0AB…`: capital letters and digits.
fn is_id(text: &str) -> bool {
    (1..=MAX_ID_CHARS).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// `1700000000.000100`
fn is_timestamp(text: &str) -> bool {
    (1..=MAX_ID_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}
