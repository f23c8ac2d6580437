//! A way to the API server on which an answer can be held, and on which requests go wrong.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::api::Api;

/// Passes requests on, keeps a list of them, and holds one answer if it is asked to.
pub struct Gate {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    api: Api,
    passed: Mutex<Vec<String>>,
    trap: Mutex<Option<Trap>>,
    weather: Mutex<Weather>,
}

/// How requests fare.
#[derive(Default)]
struct Weather {
    away: bool,
    seen: u64,
    every: u64,
    met: Vec<Fault>,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// 429: the server has too much to do.
    Busy,
    /// 500: etcd's leader changed, say.
    Failing,
    /// 503: nobody is behind the load balancer.
    Nobody,
    /// The connection breaks before the request arrives.
    Unheard,
    /// The request is done, and the connection breaks before the answer arrives.
    Unanswered,
}

impl Fault {
    /// All of them, as they come in turn.
    pub const ALL: [Self; 5] = [
        Self::Busy,
        Self::Unanswered,
        Self::Failing,
        Self::Unheard,
        Self::Nobody,
    ];
}

impl Weather {
    /// What befalls the next request.
    fn next(&mut self) -> Option<Fault> {
        if self.away {
            return Some(Fault::Unheard);
        }
        self.seen += 1;
        // Spread, and the same each time: exactly every ninth would be the same request of each look that makes nine.
        let mut spread = DefaultHasher::new();
        self.seen.hash(&mut spread);
        let hit = self.every > 0 && spread.finish().is_multiple_of(self.every);
        let fault = hit.then(|| Fault::ALL[self.met.len() % Fault::ALL.len()]);
        self.met.extend(fault);
        fault
    }
}

struct Trap {
    method: Method,
    caught: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

impl State {
    fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().expect("no holder panics")
    }
}

/// An answer that the server has given and the client does not have yet.
pub struct Held {
    caught: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

impl Held {
    /// Waits until the server has answered.
    pub async fn caught(&mut self) {
        (&mut self.caught)
            .await
            .expect("the gate stands as long as the test");
    }

    /// Lets the answer through.
    pub fn release(self) {
        // A client that is gone by then needs no answer.
        let _ = self.release.send(());
    }
}

impl Gate {
    /// Opens a gate before the server of this kubeconfig. Requests bring their own credentials.
    ///
    /// # Errors
    /// No port is free, or the file cannot be used.
    pub async fn open(kubeconfig: &Path) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let state = Arc::new(State {
            api: Api::nobody(kubeconfig).await?,
            passed: Mutex::default(),
            trap: Mutex::default(),
            weather: Mutex::default(),
        });
        let address = listener.local_addr()?;
        tokio::spawn(accept(listener, state.clone()));
        Ok(Self { address, state })
    }

    /// Holds the answer to the next request of this method.
    pub fn hold(&self, method: Method) -> Held {
        let (caught, catching) = oneshot::channel();
        let (release, released) = oneshot::channel();
        *self.state.trap.lock().expect("no holder panics") = Some(Trap {
            method,
            caught,
            released,
        });
        Held {
            caught: catching,
            release,
        }
    }

    /// From now on about one request of so many goes wrong, each time in another way; with 0 none does.
    pub fn trouble_every(&self, requests: u64) {
        self.state.weather().every = requests;
    }

    /// Nobody reaches the server for so long.
    pub fn away_for(&self, time: Duration) {
        let state = self.state.clone();
        state.weather().away = true;
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            state.weather().away = false;
        });
    }

    /// Everything that went wrong while the server was there.
    pub fn met(&self) -> Vec<Fault> {
        self.state.weather().met.clone()
    }

    /// Methods and answers so far, in the order in which the server gave them: `GET 200`.
    pub fn passed(&self) -> Vec<String> {
        self.state.passed.lock().expect("no holder panics").clone()
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| pass(state.clone(), request));
            // A connection that breaks is the client's affair.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// The connection breaks.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection broke")
    }
}

impl std::error::Error for Broken {}

async fn pass(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Broken> {
    let method = request.method().clone();
    let fault = state.weather().next();
    let refused = |status: StatusCode| {
        let said = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "etcdserver: leader changed"});
        (status, Bytes::from(said.to_string()))
    };
    let (status, body) = match fault {
        Some(Fault::Unheard) => return Err(Broken),
        Some(Fault::Busy) => (
            StatusCode::TOO_MANY_REQUESTS,
            Bytes::from_static(b"Too many requests, please try again later.\n"),
        ),
        Some(Fault::Failing) => refused(StatusCode::INTERNAL_SERVER_ERROR),
        Some(Fault::Nobody) => refused(StatusCode::SERVICE_UNAVAILABLE),
        Some(Fault::Unanswered) | None => match forward(&state, request).await {
            Ok(answer) => answer,
            Err(error) => (StatusCode::BAD_GATEWAY, Bytes::from(format!("{error:#}"))),
        },
    };
    if fault == Some(Fault::Unanswered) {
        return Err(Broken);
    }
    let words = format!("{method} {}", status.as_u16());
    state.passed.lock().expect("no holder panics").push(words);
    let trap = {
        let mut trap = state.trap.lock().expect("no holder panics");
        trap.take_if(|trap| trap.method == method)
    };
    if let Some(trap) = trap {
        // If the test has ended, there is nobody to wait for.
        let _ = trap.caught.send(());
        let _ = trap.released.await;
    }
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    Ok(response)
}

async fn forward(state: &State, request: Request<Incoming>) -> Result<(StatusCode, Bytes)> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    // The client below names the server itself.
    head.headers.remove(http::header::HOST);
    state.api.pass(Request::from_parts(head, body)).await
}
