//! The calls that Weir makes to Slack.
//!
//! Slack answers most refusals with status 200 and `"ok": false`; those are errors here. The token goes to the
//! configured host alone, redirects are not followed, and neither token nor answer address shows in any error.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::interaction::ResponseUrl;
use crate::limits::{
    CALL_TIMEOUT, CONNECT_TIMEOUT, DEFAULT_PAUSE, MAX_ANSWER_BYTES, MAX_PAUSE, SERVER_FAILURE_PAUSE,
};
use crate::message::Message;
use weir_app::Secret;
use weir_outgoing::{Patience, Service};

/// Slack's own address.
pub const BASE_URL: &str = "https://slack.com/api";

const PATIENCE: Patience = Patience {
    connect: CONNECT_TIMEOUT,
    call: CALL_TIMEOUT,
};

/// A client for one workspace's bot.
#[derive(Debug, Clone)]
pub struct SlackClient {
    service: Service,
    token: Secret,
}

/// Where a message is, for its later updates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedMessage {
    /// The channel's id, also where it was posted under the channel's name.
    pub channel: String,
    /// The message's id in that channel.
    pub ts: String,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call may succeed after this time.
    After(Duration),
    /// The same call will fail again.
    Never,
}

/// Why Slack did not do what was asked.
#[derive(Debug, Error)]
pub enum SlackError {
    /// The configured base is no `https` address without extras.
    #[error("the base address is not a plain https address")]
    BaseUrl,
    /// The client could not be prepared.
    #[error("the client could not be prepared")]
    Client(#[source] reqwest::Error),
    /// No answer: connection, TLS, time. The call may have had its effect.
    #[error("slack did not answer {method}")]
    Transport {
        /// The call.
        method: &'static str,
        /// Why, without the address.
        #[source]
        source: reqwest::Error,
    },
    /// `"ok": false`.
    #[error("slack refused {method}: {code}")]
    Refused {
        /// The call.
        method: &'static str,
        /// Slack's word for it: small letters, digits and `_`.
        code: String,
    },
    /// Too many calls.
    #[error("slack limits {method} for {} s", after.as_secs())]
    RateLimited {
        /// The call.
        method: &'static str,
        /// How long to wait.
        after: Duration,
    },
    /// Any other status than success.
    #[error("slack answered {method} with status {status}")]
    Status {
        /// The call.
        method: &'static str,
        /// The status.
        status: u16,
    },
    /// More bytes than the answer can need.
    #[error("slack's answer to {method} is too large")]
    TooLarge {
        /// The call.
        method: &'static str,
    },
    /// Not the JSON that Slack sends.
    #[error("slack's answer to {method} cannot be read")]
    Unreadable {
        /// The call.
        method: &'static str,
    },
}

/// Refusals that pass by themselves.
const PASSING: [&str; 5] = [
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "team_added_to_org",
];

impl SlackError {
    /// Whether a second try can help, and when. After [`SlackError::Transport`] a message may be there already: a
    /// repeated post can show it twice, a repeated update cannot.
    pub fn retry(&self) -> Retry {
        match self {
            Self::RateLimited { after, .. } => Retry::After(*after),
            Self::Transport { .. } => Retry::After(SERVER_FAILURE_PAUSE),
            Self::Status { status, .. } if *status >= 500 => Retry::After(SERVER_FAILURE_PAUSE),
            Self::Refused { code, .. } if PASSING.contains(&code.as_str()) => {
                Retry::After(SERVER_FAILURE_PAUSE)
            }
            _ => Retry::Never,
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    error: Option<String>,
    channel: Option<String>,
    ts: Option<String>,
}

impl SlackClient {
    /// A client; connects to nothing. Plain `http` is accepted for this machine alone.
    pub fn new(base_url: &str, token: Secret) -> Result<Self, SlackError> {
        let service = Service::at(base_url, PATIENCE).ok_or(SlackError::BaseUrl)?;
        Ok(Self { service, token })
    }

    /// Posts a message to a channel, by id or name.
    pub async fn post_message(&self, channel: &str, message: &Message) -> Result<PostedMessage, SlackError> {
        const METHOD: &str = "chat.postMessage";
        let mut body = message.to_json();
        body["channel"] = channel.into();
        let answer = self.call(METHOD, &body).await?;
        match (answer.channel, answer.ts) {
            (Some(channel), Some(ts)) => Ok(PostedMessage { channel, ts }),
            _ => Err(SlackError::Unreadable { method: METHOD }),
        }
    }

    /// Replaces one of our messages whole. A repeat changes nothing.
    pub async fn update(&self, posted: &PostedMessage, message: &Message) -> Result<(), SlackError> {
        let mut body = message.to_json();
        body["channel"] = posted.channel.as_str().into();
        body["ts"] = posted.ts.as_str().into();
        self.call("chat.update", &body).await.map(|_| ())
    }

    /// Opens a dialog for the person whose press gave the trigger, within 3 s of it.
    pub async fn open_view(&self, trigger_id: &str, view: &Value) -> Result<(), SlackError> {
        self.call("views.open", &json!({"trigger_id": trigger_id, "view": view}))
            .await
            .map(|_| ())
    }

    /// Answers the one person who pressed, within 30 minutes of it. The message they pressed on stays as it is. Carries
    /// no token: the address is all it needs.
    pub async fn respond(&self, to: &ResponseUrl, message: &Message) -> Result<(), SlackError> {
        const METHOD: &str = "response_url";
        let mut body = message.to_json();
        body["response_type"] = "ephemeral".into();
        body["replace_original"] = false.into();
        let request = self.client()?.post(to.url().clone()).json(&body);
        let bytes = exchange(METHOD, request).await?;
        // The answer is the bare word `ok`, or JSON like that of a call.
        match serde_json::from_slice::<Answer>(&bytes) {
            Ok(answer) => accepted(METHOD, answer).map(|_| ()),
            Err(_) => Ok(()),
        }
    }

    async fn call(&self, method: &'static str, body: &Value) -> Result<Answer, SlackError> {
        let url = self.service.url(method).ok_or(SlackError::BaseUrl)?;
        let request = self
            .client()?
            .post(url)
            .bearer_auth(self.token.expose())
            .json(body);
        let bytes = exchange(method, request).await?;
        let answer = serde_json::from_slice(&bytes).map_err(|_| SlackError::Unreadable { method })?;
        accepted(method, answer)
    }

    /// Prepares for the first call, which then takes no longer than every other.
    ///
    /// # Errors
    /// The system's roots cannot be used.
    pub fn prepare(&self) -> Result<(), SlackError> {
        self.client().map(drop)
    }

    fn client(&self) -> Result<&Client, SlackError> {
        self.service.client().map_err(SlackError::Client)
    }
}

/// Sends a request and reads a successful answer within its bounds.
async fn exchange(method: &'static str, request: RequestBuilder) -> Result<Vec<u8>, SlackError> {
    let transport = |error: reqwest::Error| SlackError::Transport {
        method,
        source: error.without_url(),
    };
    let mut response = request.send().await.map_err(transport)?;
    match response.status().as_u16() {
        200..=299 => {}
        429 => {
            return Err(SlackError::RateLimited {
                method,
                after: pause(response.headers()),
            });
        }
        status => return Err(SlackError::Status { method, status }),
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(SlackError::TooLarge { method });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn accepted(method: &'static str, answer: Answer) -> Result<Answer, SlackError> {
    if answer.ok {
        return Ok(answer);
    }
    let word = |code: &String| {
        (1..=64).contains(&code.len())
            && code
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    match answer.error.filter(word) {
        Some(code) if matches!(code.as_str(), "ratelimited" | "rate_limited") => {
            Err(SlackError::RateLimited {
                method,
                after: DEFAULT_PAUSE,
            })
        }
        Some(code) => Err(SlackError::Refused { method, code }),
        None => Err(SlackError::Unreadable { method }),
    }
}

fn pause(headers: &HeaderMap) -> Duration {
    let seconds = headers
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.map_or(DEFAULT_PAUSE, Duration::from_secs).min(MAX_PAUSE)
}
