//! A way to the API server on which one answer can be held.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
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
}

struct Trap {
    method: Method,
    caught: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
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

async fn pass(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let method = request.method().clone();
    let (status, body) = match forward(&state, request).await {
        Ok(answer) => answer,
        Err(error) => (StatusCode::BAD_GATEWAY, Bytes::from(format!("{error:#}"))),
    };
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
