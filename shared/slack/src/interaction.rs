//! From an authenticated request to who pressed what.

mod read;
mod url;

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use thiserror::Error;

pub use url::ResponseUrl;

use crate::signature::Verified;
use weir_app::Headers;

/// Whom requests must be meant for. What is set must be in the request and equal; a request that lacks it is refused.
#[derive(Debug, Clone, Default)]
pub struct Addressee {
    /// Our app, `A…`.
    pub api_app_id: Option<String>,
    /// Our workspace, `T…`.
    pub team_id: Option<String>,
    /// Hosts, with port where it is not the usual one, that answers may go to besides `hooks.slack.com`, plain `http`
    /// included. For tests against a server on this machine.
    pub extra_response_hosts: Vec<String>,
}

/// What a request tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interaction {
    /// A button was pressed.
    BlockActions(Box<BlockActions>),
    /// A dialog was sent.
    ViewSubmission(Box<ViewSubmission>),
    /// Slack tries the address out and wants this text back.
    UrlVerification {
        /// To be sent back as it is.
        challenge: String,
    },
    /// Something that Weir does not act on: answered with success.
    Ignored {
        /// Slack's name for it: letters, digits, `_` and `.`.
        kind: String,
    },
}

/// Who did something, as Slack vouches for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Slack's id of the account, `U…` or `W…`: the identity.
    pub id: String,
    /// The name shown, chosen by that person: for messages and logs alone.
    pub name: String,
    /// Their workspace.
    pub team_id: String,
}

/// A button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// "approve"
    Approve,
    /// "reject"
    Reject,
    /// "details"
    Details,
    /// "resume"
    Resume,
    /// "`roll_back`"
    RollBack,
}

impl Action {
    /// The `action_id` of the button.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Details => "details",
            Self::Resume => "resume",
            Self::RollBack => "roll_back",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [
            Self::Approve,
            Self::Reject,
            Self::Details,
            Self::Resume,
            Self::RollBack,
        ]
        .into_iter()
        .find(|action| action.as_str() == text)
    }
}

/// A button press.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockActions {
    /// Who.
    pub person: Person,
    /// Which button.
    pub action: Action,
    /// The opaque token that the button carries. Unproven: whether it stands for anything is looked up.
    pub token: String,
    /// Slack's time of the press, which tells two presses apart; a repeat of one request has the same.
    pub action_ts: Option<String>,
    /// The channel, where the message is in one.
    pub channel: Option<String>,
    /// The message's id, with the channel the address of a later update.
    pub message_ts: Option<String>,
    /// Where an answer to this person alone may go: 5 times within 30 minutes.
    pub response_url: Option<ResponseUrl>,
    /// Opens a dialog, once, within 3 s.
    pub trigger_id: Option<String>,
}

/// A dialog sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewSubmission {
    /// Who.
    pub person: Person,
    /// Which dialog.
    pub callback_id: String,
    /// What we gave it along; for our dialogs the opaque token.
    pub token: String,
    /// What was typed or chosen, by block and action.
    pub values: BTreeMap<(String, String), String>,
}

/// Why an authenticated request could not be acted on. None is worth a second try with the same bytes.
#[derive(Debug, Error)]
pub enum InteractionError {
    /// Neither JSON nor a form.
    #[error("the content type is neither application/json nor application/x-www-form-urlencoded")]
    ContentType,
    /// The form has no single `payload` field.
    #[error("the form has no single payload field")]
    Form,
    /// Not the JSON that Slack sends.
    #[error("the payload cannot be read")]
    Json(#[source] serde_json::Error),
    /// Another app's request under our secret.
    #[error("the request is meant for another app")]
    OtherApp,
    /// Another workspace's request.
    #[error("the request comes from another workspace")]
    OtherTeam,
    /// A person of another organisation in a shared channel, or one whose workspace is not told.
    #[error("the person belongs to another organisation")]
    External,
    /// A field lacks or cannot be what it claims.
    #[error("the payload holds no usable {field}")]
    Field {
        /// Where in the payload.
        field: &'static str,
    },
}

/// Why a body could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the body is not the base64 that it claims to be")]
pub struct NotBase64;

/// The bytes that the client sent, out of a front end that hands bodies over as text: function URLs send forms in
/// base64 and say so with a flag. Decoded only when flagged.
pub fn decode_body(body: &str, is_base64: bool) -> Result<Cow<'_, [u8]>, NotBase64> {
    if is_base64 {
        STANDARD
            .decode(body.trim_ascii())
            .map(Cow::Owned)
            .map_err(|_| NotBase64)
    } else {
        Ok(Cow::Borrowed(body.as_bytes()))
    }
}

/// Reads an authenticated request that is meant for us.
pub fn read(
    headers: &Headers,
    request: &Verified<'_>,
    addressee: &Addressee,
) -> Result<Interaction, InteractionError> {
    match headers.media_type().as_str() {
        "application/json" => read::event(request.body(), addressee),
        "application/x-www-form-urlencoded" => read::form(request.body(), addressee),
        _ => Err(InteractionError::ContentType),
    }
}

#[cfg(test)]
mod tests;
