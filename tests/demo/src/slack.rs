//! Slack's part: takes messages, and presses their buttons as people would.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use weir_slack::{Secret, signature};

use crate::clock::now_ms;

/// The secret that the app signs with.
pub const SIGNING_SECRET: &str = "only for the demonstration: slack";
/// The token that the bot posts with.
pub const TOKEN: &str = "xoxb-only-for-the-demonstration";
/// The app, its workspace, and the channel of approvals.
pub const APP: &str = "A0WEIR";
/// See [`APP`].
pub const TEAM: &str = "T0ACME";
/// See [`APP`].
pub const CHANNEL: &str = "C0RELEASES";

/// Time until a message that must come has come.
const MESSAGE_LIMIT: Duration = Duration::from_secs(300);

/// Times that a person presses.
const TRIES: u32 = 10;

/// Time until they press again.
const BREATH: Duration = Duration::from_millis(500);

/// A Slack of this machine's own.
pub struct Slack {
    /// Where it answers; its API is under `/api`.
    pub address: String,
    inbox: Arc<Inbox>,
}

struct Inbox {
    /// Calls and answers in order of arrival.
    received: Mutex<Vec<Received>>,
    count: watch::Sender<usize>,
}

/// Something that Weir sent.
#[derive(Clone, Debug)]
pub struct Received {
    /// `chat.postMessage`, `chat.update`, or `answer` for what only one person sees.
    pub method: String,
    /// What was sent.
    pub body: Value,
}

impl Slack {
    /// Starts it.
    pub async fn start() -> Result<Self> {
        let inbox = Arc::new(Inbox {
            received: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let app = Router::new()
            .route("/api/{method}", post(take))
            .with_state(inbox.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address, inbox })
    }

    /// Waits for a message of which `wanted` makes something, from the `from`-th on.
    pub async fn wait<T>(
        &self,
        from: usize,
        what: &str,
        wanted: impl Fn(&Received) -> Option<T>,
    ) -> Result<T> {
        let mut count = self.inbox.count.subscribe();
        let found = async {
            loop {
                count.borrow_and_update();
                if let Some(found) = self.received().iter().skip(from).find_map(&wanted) {
                    return Ok(found);
                }
                count.changed().await?;
            }
        };
        match tokio::time::timeout(MESSAGE_LIMIT, found).await {
            Ok(found) => found,
            Err(_) => bail!("no message with {what} came within {MESSAGE_LIMIT:?}"),
        }
    }

    /// Everything that came.
    pub fn received(&self) -> Vec<Received> {
        self.inbox
            .received
            .lock()
            .expect("nobody panics while holding it")
            .clone()
    }

    /// Somebody approves. Whoever sees an error, or is asked to press again, does.
    ///
    /// # Errors
    /// It was not taken after [`TRIES`].
    pub async fn approve(&self, door: &str, user: &str, token: &str) -> Result<()> {
        let again = |received: &Received| {
            received.method == "answer" && received.body.to_string().contains("press again")
        };
        let mut status = 0;
        for _ in 0..TRIES {
            let told = self.received().len();
            status = self.press(door, user, "approve", token).await?;
            if status == 200 && !self.received()[told..].iter().any(again) {
                return Ok(());
            }
            tokio::time::sleep(BREATH).await;
        }
        bail!("the tap was answered with {status}, {TRIES} times")
    }

    /// Somebody presses a button of a message, and Slack tells the door; the status of the answer.
    pub async fn press(&self, door: &str, user: &str, action: &str, token: &str) -> Result<u16> {
        let payload = json!({
            "type": "block_actions",
            "user": {"id": user, "username": user.to_lowercase(), "name": user.to_lowercase(), "team_id": TEAM},
            "api_app_id": APP,
            "token": "deprecated",
            "container": {"type": "message", "message_ts": "1795485423.000100", "channel_id": CHANNEL, "is_ephemeral": false},
            "trigger_id": "12466734323.1395872398.1c9f2b",
            "team": {"id": TEAM, "domain": "acme"},
            "enterprise": null,
            "channel": {"id": CHANNEL, "name": "releases"},
            "message": {"type": "message", "ts": "1795485423.000100"},
            "state": {"values": {}},
            "response_url": format!("{}/api/answer", self.address),
            "actions": [{"action_id": action, "block_id": "weir:v1", "type": "button", "value": token,
                "text": {"type": "plain_text", "text": "Approve"}, "action_ts": "1795485501.374922"}],
        });
        let body = serde_urlencoded::to_string([("payload", payload.to_string())])?.into_bytes();
        let secret = Secret::new(SIGNING_SECRET).context("a secret")?;
        let mut request = reqwest::Client::new()
            .post(door)
            .header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in signature::sign(&body, &secret, now_ms() / 1_000) {
            request = request.header(name, value);
        }
        Ok(request.body(body).send().await?.status().as_u16())
    }
}

async fn take(
    State(inbox): State<Arc<Inbox>>,
    Path(method): Path<String>,
    Json(body): Json<Value>,
) -> Json<Value> {
    let mut received = inbox.received.lock().expect("nobody panics while holding it");
    received.push(Received { method, body });
    let count = received.len();
    drop(received);
    inbox.count.send_replace(count);
    Json(json!({"ok": true, "channel": CHANNEL, "ts": format!("1795485423.{count:06}")}))
}

/// The token behind the Approve button of a message that asks for an approval.
pub fn approve_token(received: &Received) -> Option<String> {
    let blocks = received.body["blocks"].as_array()?;
    let elements = blocks
        .iter()
        .filter_map(|block| block["elements"].as_array())
        .flatten();
    let approve = elements
        .into_iter()
        .find(|element| element["action_id"] == "approve")?;
    approve["value"].as_str().map(str::to_owned)
}
