//! The doors of a story: signed requests in, answers out, and what people are told beside them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::Value;
use weir_app::Ports;
use weir_app::door::{Request, Response};
use weir_approval_callback::{Callback, Replies};
use weir_domain::ids::RunId;
use weir_slack::{Addressee, ResponseUrl};
use weir_webhook_intake::{Alarms, Intake};

use crate::faults::Fault;
use crate::version::Owner;
use crate::world::World;

/// What GitHub signs with.
const GITHUB_SECRET: &str = "the webhook's secret";

/// What Slack signs with.
const SLACK_SECRET: &str = "the app's signing secret";

/// What monitoring systems prove themselves by.
const ALARM_SECRET: &str = "the alarms' secret";

/// Form, as Slack sends it.
const FORM: &str = "application/x-www-form-urlencoded";

/// Tries of a delivery or a press: a story crashes once.
const TRIES: usize = 3;

/// The doors with their secrets.
pub struct Doors {
    /// GitHub's.
    pub intake: Intake,
    /// Monitoring systems'.
    pub alarms: Alarms,
    /// Slack's.
    pub callback: Callback,
    /// What people were told.
    pub replies: Arc<FakeReplies>,
}

/// Remembers what was told.
#[derive(Default, Debug)]
pub struct FakeReplies {
    /// Words to the person who pressed.
    pub told: Mutex<Vec<String>>,
    /// Dialogs that were opened: token, pipeline, number.
    pub dialogs: Mutex<Vec<(String, String, u64)>>,
    /// Slack answers nothing any more.
    pub silent: Mutex<bool>,
}

impl FakeReplies {
    /// What was told since the last time this was asked.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().expect("no story panics while it holds this"))
    }

    async fn answer(&self) {
        if *self.silent.lock().expect("no story panics while it holds this") {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Replies for FakeReplies {
    async fn tell(&self, _: &ResponseUrl, text: &str) {
        self.answer().await;
        let mut told = self.told.lock().expect("no story panics while it holds this");
        told.push(text.to_owned());
    }

    async fn ask_reason(&self, _: &str, token: &str, pipeline: &str, number: u64) -> Result<(), String> {
        self.answer().await;
        let mut dialogs = self.dialogs.lock().expect("no story panics while it holds this");
        dialogs.push((token.to_owned(), pipeline.to_owned(), number));
        Ok(())
    }
}

impl Doors {
    pub(crate) fn new(ports: impl Fn(Owner) -> Ports) -> Self {
        let replies = Arc::new(FakeReplies::default());
        Self {
            intake: Intake {
                engine: weir_webhook_intake::engine(ports(Owner::Intake)),
                keys: vec![github_secret().into()],
                clone_urls: [].into(),
                registry: None,
            },
            alarms: Alarms {
                engine: weir_webhook_intake::engine(ports(Owner::Intake)),
                secrets: weir_app::Secret::new(ALARM_SECRET).into_iter().collect(),
            },
            callback: Callback {
                engine: weir_approval_callback::engine(ports(Owner::Callback)),
                secrets: vec![slack_secret()],
                addressee: Addressee {
                    api_app_id: Some("A0WEIR".into()),
                    team_id: Some("T0ACME".into()),
                    extra_response_hosts: Vec::new(),
                },
                replies: replies.clone(),
            },
            replies,
        }
    }
}

fn github_secret() -> weir_github::Secret {
    weir_github::Secret::new(GITHUB_SECRET).expect("the secret is not empty")
}

fn slack_secret() -> weir_slack::Secret {
    weir_slack::Secret::new(SLACK_SECRET).expect("the secret is not empty")
}

impl World {
    /// A delivery as GitHub signs it.
    pub fn from_github(&self, event: &str, content_type: &str, body: &[u8]) -> Request {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Request {
            headers: vec![
                header("X-GitHub-Event", event),
                header("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
                header("Content-Type", content_type),
                header(
                    "X-Hub-Signature-256",
                    &weir_github::signature::sign(body, &github_secret()),
                ),
            ],
            body: body.to_vec(),
        }
    }

    /// A request as Slack signs it, `late_s` seconds ago.
    pub fn from_slack(&self, content_type: &str, body: &[u8], late_s: i64) -> Request {
        let at = self.now().0 / 1_000 - late_s;
        let mut headers = vec![("content-type".to_owned(), content_type.to_owned())];
        let signed = weir_slack::signature::sign(body, &slack_secret(), at);
        headers.extend(signed.map(|(name, value)| (name.to_owned(), value)));
        Request {
            headers,
            body: body.to_vec(),
        }
    }

    /// GitHub delivers a push; somebody redelivers it if the process died before it answered. The answer, in JSON.
    pub async fn deliver_push(&self, body: &[u8]) -> (u16, Value) {
        let request = self.from_github("push", "application/json", body);
        let mut answer = self.doors.intake.handle(&request).await;
        for _ in 0..TRIES {
            if !self.survived((answer.status >= 500).then_some(weir_app::Retry::Now)) {
                break;
            }
            answer = self.doors.intake.handle(&request).await;
        }
        if self.faults.plan() == Fault::Duplicates {
            let again = json(&self.doors.intake.handle(&request).await);
            let runs = again["runs"].as_array().expect("a push is answered with runs");
            assert!(runs.iter().all(|run| run["new"] == false), "{again}");
        }
        (answer.status, json(&answer))
    }

    /// A request as a monitoring system sends it.
    pub fn from_monitoring(&self, body: &Value) -> Request {
        Request {
            headers: vec![("Authorization".to_owned(), format!("Bearer {ALARM_SECRET}"))],
            body: body.to_string().into_bytes(),
        }
    }

    /// A monitoring system raises an alarm, and again if the process died before it answered. The answer, in JSON.
    pub async fn alarm(&self, body: &Value) -> (u16, Value) {
        let request = self.from_monitoring(body);
        let mut answer = self.doors.alarms.handle(&request).await;
        for _ in 0..TRIES {
            if !self.survived((answer.status >= 500).then_some(weir_app::Retry::Now)) {
                break;
            }
            answer = self.doors.alarms.handle(&request).await;
        }
        if self.faults.plan() == Fault::Duplicates {
            self.doors.alarms.handle(&request).await;
        }
        (answer.status, json(&answer))
    }

    /// The same, for a push that starts one run.
    pub async fn deliver_push_that_runs(&self, body: &[u8]) -> RunId {
        let (status, answer) = self.deliver_push(body).await;
        assert_eq!(status, 202, "{answer}");
        let runs = answer["runs"].as_array().expect("a push is answered with runs");
        assert_eq!(runs.len(), 1, "{answer}");
        RunId::new(runs[0]["run"].as_str().expect("a run has an id"))
    }

    /// Somebody presses in Slack, and once more if the process died before it answered. The answer, and what that
    /// person was told since.
    pub async fn press(&self, body: &[u8]) -> (Response, Vec<String>) {
        let request = self.from_slack(FORM, body, 0);
        let mut answer = self.doors.callback.handle(&request).await;
        for _ in 0..TRIES {
            if !self.survived(Some(weir_app::Retry::Now)) {
                break;
            }
            self.doors.replies.take();
            answer = self.doors.callback.handle(&request).await;
        }
        let told = self.doors.replies.take();
        if self.faults.plan() == Fault::Duplicates {
            self.doors.callback.handle(&request).await;
            self.doors.replies.take();
        }
        (answer, told)
    }
}

/// The body of an answer.
fn json(answer: &Response) -> Value {
    serde_json::from_str(&answer.body).expect("this door answers in JSON")
}
