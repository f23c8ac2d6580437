//! An account's endpoint: every service that functions call, behind one address that lets each function do what its
//! role grants and nothing else.
//!
//! ```text
//!   program ─▶ who signed it? ─▶ what does it ask for? ─▶ does the role grant that? ─▶ the emulator, or a stand-in
//!                                                                     trouble, rarely ─┘
//! ```
//! Signatures are not verified here: a program says who it is by its access key.

mod asked;
mod rights;
mod served;
mod troubled;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::trouble::Trouble;
use asked::Call;
pub(crate) use rights::Rights;

/// The account that everything is in: the one that ElasticMQ says its queues are in.
pub const ACCOUNT: &str = "000000000000";
/// The region that everything is in.
pub const REGION: &str = "eu-central-1";

/// What the endpoint answers from.
pub(crate) struct Behind {
    /// By access key, a function's name and rights.
    pub(crate) roles: BTreeMap<String, (String, Rights)>,
    /// DynamoDB.
    pub(crate) dynamodb: String,
    /// SQS, and its client for what schedules send.
    pub(crate) sqs: String,
    /// For what schedules send.
    pub(crate) sender: aws_sdk_sqs::Client,
    /// By URL, the ARNs of queues.
    pub(crate) queues: BTreeMap<String, String>,
    /// The text of the secret.
    pub(crate) secret: String,
    /// By name, clusters as EKS describes them: address, and authority in base64.
    pub(crate) clusters: BTreeMap<String, (String, String)>,
    /// What says to others who a function is.
    pub(crate) web_token: String,
}

/// What an account would be paid for.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Bill {
    /// By function, how often an action was granted. A transaction counts by what it is made of.
    pub actions: BTreeMap<(String, String), u64>,
    /// By operation of DynamoDB, how often it was answered and the capacity that it took, as DynamoDB Local counts it.
    pub units: BTreeMap<String, (u64, f64)>,
}

/// A write whose answer a function does not live to hear.
pub(crate) struct Trap {
    /// Whose.
    pub(crate) function: String,
    /// Which, by the body of the call.
    pub(crate) is_it: Box<dyn Fn(&serde_json::Value) -> bool + Send>,
    /// Rung once it is done.
    pub(crate) caught: oneshot::Sender<()>,
}

struct Shared {
    behind: Behind,
    trap: Mutex<Option<Trap>>,
    trouble: Arc<Trouble>,
    /// Calls of which each try is throttled.
    given_up: Mutex<BTreeSet<String>>,
    turns: AtomicU64,
    http: reqwest::Client,
    bill: Mutex<Bill>,
    denied: Mutex<Vec<String>>,
    schedules: Mutex<BTreeSet<String>>,
}

impl Shared {
    /// Another number each time.
    fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }
}

/// A served account.
pub(crate) struct Account {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Account {
    pub(crate) async fn serve(behind: Behind, trouble: Arc<Trouble>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            behind,
            trap: Mutex::default(),
            trouble,
            given_up: Mutex::default(),
            turns: AtomicU64::default(),
            http: reqwest::Client::new(),
            bill: Mutex::default(),
            denied: Mutex::default(),
            schedules: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let routes = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was refused, in words.
    pub(crate) fn denied(&self) -> Vec<String> {
        locked(&self.shared.denied).clone()
    }

    /// Keeps the answer to the next such write from whoever makes it.
    pub(crate) fn set(&self, trap: Trap) {
        *locked(&self.shared.trap) = Some(trap);
    }

    /// What was granted so far.
    pub(crate) fn bill(&self) -> Bill {
        locked(&self.shared.bill).clone()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing in here panics half-way.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(call) = Call::read(&method, &uri, &headers, body) else {
        return failed(
            "UnknownOperationException",
            "this account knows no such operation",
        );
    };
    let Some((function, rights)) = shared.behind.roles.get(&call.access_key) else {
        return failed("UnrecognizedClientException", "nobody has this access key");
    };
    for asked in asked::by(&call, &shared.behind.queues) {
        if !rights.grant(&asked) {
            let words = format!("{function} may not {asked}");
            locked(&shared.denied).push(words.clone());
            return failed("AccessDeniedException", &words);
        }
        let action = (function.clone(), asked.action);
        *locked(&shared.bill).actions.entry(action).or_default() += 1;
    }
    let trap = locked(&shared.trap).take_if(|trap| trap.function == *function && (trap.is_it)(&call.parsed));
    let response = match trap {
        // What is to be caught meets no other trouble.
        Some(_) => served::answer(&shared, call).await,
        None => troubled::answer(&shared, call).await,
    };
    match trap {
        Some(trap) if response.status().is_success() => {
            // If nobody waits for it any more, nobody is killed either, and the answer must not get lost.
            match trap.caught.send(()) {
                Ok(()) => std::future::pending().await,
                Err(()) => response,
            }
        }
        // It was not done: the next one may be.
        Some(trap) => {
            locked(&shared.trap).get_or_insert(trap);
            response
        }
        None => response,
    }
}

/// An error as all services of JSON have it.
fn failed(kind: &'static str, words: &str) -> Response {
    let body = json!({ "__type": kind, "message": words }).to_string();
    let headers = [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amzn-errortype", kind),
    ];
    (StatusCode::BAD_REQUEST, headers, body).into_response()
}
