//! The interface that a program gets its events from, over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

/// What came of an event: what the program answered, or its error.
pub(crate) type Outcome = Result<Value, String>;

/// An event on its way to the program.
pub(crate) struct Event {
    pub(crate) payload: Value,
    pub(crate) limit: Duration,
    pub(crate) answer: oneshot::Sender<Outcome>,
}

/// The one event that the program holds.
struct Held {
    id: String,
    answer: oneshot::Sender<Outcome>,
}

struct Shared {
    events: Mutex<mpsc::Receiver<Event>>,
    held: Mutex<Option<Held>>,
    given: Mutex<u64>,
    /// Rung when the program has ended: a request of its that still waits must take no event of its successor's.
    ended: Notify,
}

/// A served interface.
pub(crate) struct Runtime {
    pub(crate) address: SocketAddr,
    pub(crate) events: mpsc::Sender<Event>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Runtime {
    pub(crate) async fn serve() -> std::io::Result<Self> {
        let (events, waiting) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            events: Mutex::new(waiting),
            held: Mutex::default(),
            given: Mutex::default(),
            ended: Notify::new(),
        });
        let api = "/2018-06-01/runtime";
        let routes = Router::new()
            .route(&format!("{api}/invocation/next"), get(next))
            .route(&format!("{api}/invocation/{{id}}/response"), post(answered))
            .route(&format!("{api}/invocation/{{id}}/error"), post(failed))
            .route(&format!("{api}/init/error"), post(init_failed))
            .with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            address,
            events,
            shared,
            task,
        })
    }

    /// The program has ended: what it held has failed.
    pub(crate) async fn ended(&self, why: &str) {
        self.shared.ended.notify_waiters();
        if let Some(held) = self.shared.held.lock().await.take() {
            let _ = held.answer.send(Err(why.to_owned()));
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    let waiting = async { shared.events.lock().await.recv().await };
    let event = tokio::select! {
        event = waiting => match event {
            Some(event) => event,
            // Nothing comes any more; a program that waits is ended, it is not answered.
            None => std::future::pending().await,
        },
        () = shared.ended.notified() => return StatusCode::GONE.into_response(),
    };
    let id = {
        let mut given = shared.given.lock().await;
        *given += 1;
        format!("request-{given}")
    };
    *shared.held.lock().await = Some(Held {
        id: id.clone(),
        answer: event.answer,
    });
    let header = |name| HeaderName::from_static(name);
    let headers = [
        (header("lambda-runtime-aws-request-id"), id),
        (header("lambda-runtime-deadline-ms"), deadline(event.limit)),
        (
            header("lambda-runtime-invoked-function-arn"),
            "arn:aws:lambda:eu-central-1:000000000000:function:local".to_owned(),
        ),
        (header("lambda-runtime-trace-id"), "Root=1-0-0".to_owned()),
    ];
    (headers, event.payload.to_string()).into_response()
}

#[allow(
    clippy::disallowed_methods,
    reason = "the program compares it with the machine's clock"
)]
fn deadline(limit: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now + limit).as_millis().to_string()
}

async fn answered(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    let parsed = serde_json::from_slice(&body).map_err(|error| format!("no JSON was answered: {error}"));
    settle(&shared, &id, parsed).await
}

async fn failed(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: String) -> StatusCode {
    settle(&shared, &id, Err(body)).await
}

async fn init_failed() -> StatusCode {
    StatusCode::ACCEPTED
}

async fn settle(shared: &Shared, id: &str, outcome: Outcome) -> StatusCode {
    let mut held = shared.held.lock().await;
    match held.take_if(|held| held.id == id) {
        Some(held) => {
            let _ = held.answer.send(outcome);
            StatusCode::ACCEPTED
        }
        // Late: its time was over.
        None => StatusCode::BAD_REQUEST,
    }
}
