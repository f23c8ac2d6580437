//! A server that answers as it was told, for tests of what is sent and of what is read.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use weir_app::Clock;
use weir_domain::time::Timestamp;

use super::Identity;

/// A clock that stands.
#[derive(Clone, Copy)]
pub(crate) struct Stopped(pub(crate) Timestamp);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Somebody who signs, at a time.
pub(crate) fn signs(credentials: Credentials, now: Timestamp) -> Identity {
    Identity {
        credentials: SharedCredentialsProvider::new(credentials),
        clock: Arc::new(Stopped(now)),
    }
}

/// One answer: status, headers, body.
#[derive(Clone, Default)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    /// Waits this long before it answers.
    pub(crate) after: Duration,
    /// Sends the body byte by byte, and waits this long before each.
    pub(crate) dribbles: Option<Duration>,
    /// Breaks off within the body.
    pub(crate) breaks_off: bool,
}

impl Said {
    pub(crate) fn json(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "application/json".into())],
            body: body.into(),
            ..Self::default()
        }
    }

    pub(crate) fn status(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            ..Self::json(body)
        }
    }
}

/// What was asked: path with query, headers, body.
pub(crate) type Heard = (String, HeaderMap, String);

#[derive(Clone, Default)]
pub(crate) struct StandIn {
    answers: Arc<Mutex<Vec<Said>>>,
    heard: Arc<Mutex<Vec<Heard>>>,
    pub(crate) address: String,
}

impl StandIn {
    /// Answers these in order, then the last one for ever.
    pub(crate) async fn saying(answers: Vec<Said>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stand_in = Self {
            answers: Arc::new(Mutex::new(answers)),
            heard: Arc::default(),
            address: format!("http://{}", listener.local_addr().unwrap()),
        };
        let app = Router::new().fallback(answer).with_state(stand_in.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        stand_in
    }

    /// Answers this from now on.
    pub(crate) fn say(&self, said: Said) {
        *self.answers.lock().unwrap() = vec![said];
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

async fn answer(State(stand_in): State<StandIn>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let text = String::from_utf8(body.into()).unwrap();
    stand_in.heard.lock().unwrap().push((path, parts.headers, text));
    let said = {
        let mut answers = stand_in.answers.lock().unwrap();
        match answers.len() {
            1 => answers[0].clone(),
            _ => answers.remove(0),
        }
    };
    tokio::time::sleep(said.after).await;
    let mut headers = HeaderMap::new();
    for (name, value) in said.headers {
        headers.insert(name, value.parse().unwrap());
    }
    let status = StatusCode::from_u16(said.status).unwrap();
    let pause = said.dribbles.unwrap_or_default();
    if said.dribbles.is_none() && !said.breaks_off {
        return (status, headers, said.body).into_response();
    }
    let half = said.body.len() / 2;
    let bytes = said.body.into_bytes().into_iter().enumerate();
    let dribble = futures::stream::unfold(bytes, move |mut bytes| async move {
        tokio::time::sleep(pause).await;
        let (n, byte) = bytes.next()?;
        let broken = said.breaks_off && n >= half;
        let part = if broken {
            Err(std::io::Error::other("gone"))
        } else {
            Ok(vec![byte])
        };
        Some((part, bytes))
    });
    (status, headers, Body::from_stream(dribble)).into_response()
}
