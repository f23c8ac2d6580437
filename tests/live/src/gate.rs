//! A way to the API server on which an answer can be held, and on which requests go wrong.

mod passed;
mod weather;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::api::Api;
use passed::Ledger;
pub use passed::Passed;
pub use weather::Fault;
use weather::Weather;

/// Passes requests on, keeps a list of them, and holds one answer if it is asked to.
pub struct Gate {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    api: Api,
    passed: Mutex<Ledger>,
    trap: Mutex<Option<Trap>>,
    weather: Mutex<Weather>,
}

struct Trap {
    method: Method,
    caught: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

impl State {
    fn passed(&self) -> MutexGuard<'_, Ledger> {
        self.passed.lock().expect("no holder panics")
    }

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
        Self::listen(kubeconfig, None).await
    }

    /// The same over TLS, as the server itself: with the certificate that it has in this folder.
    ///
    /// # Errors
    /// As [`Self::open`], or the folder holds no certificate with its key.
    pub async fn in_its_name(kubeconfig: &Path, pki: &Path) -> Result<Self> {
        Self::listen(kubeconfig, Some(certified(pki)?)).await
    }

    async fn listen(kubeconfig: &Path, tls: Option<TlsAcceptor>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let state = Arc::new(State {
            api: Api::nobody(kubeconfig).await?,
            passed: Mutex::default(),
            trap: Mutex::default(),
            weather: Mutex::default(),
        });
        let address = listener.local_addr()?;
        tokio::spawn(accept(listener, state.clone(), tls));
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

    /// From now on about one of so many requests that read goes wrong, and one of so many that write, in these ways by turns.
    pub fn trouble_every(&self, reads: u64, writes: u64, faults: &'static [Fault]) {
        let mut weather = self.state.weather();
        (weather.every, weather.faults) = (Some((reads, writes)), faults);
    }

    /// Whether nothing goes wrong for now.
    pub fn calm(&self, calm: bool) {
        self.state.weather().calm = calm;
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

    /// How often what went wrong while the server was there; being away is not counted.
    pub fn met(&self) -> Vec<(Fault, u64)> {
        self.state.weather().met()
    }

    /// Methods and answers so far, in the order in which the server gave them: `GET 200`.
    pub fn passed(&self) -> Vec<String> {
        self.calls().iter().map(ToString::to_string).collect()
    }

    /// The same, with what each was about.
    pub fn calls(&self) -> Vec<Passed> {
        self.state.passed().calls.clone()
    }
}

/// The server's own certificate and key.
fn certified(pki: &Path) -> Result<TlsAcceptor> {
    let file = |name: &str| pki.join(name);
    let certificate = CertificateDer::from_pem_file(file("apiserver.crt")).context("no apiserver.crt")?;
    let key = PrivateKeyDer::from_pem_file(file("apiserver.key")).context("no apiserver.key")?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn accept(listener: TcpListener, state: Arc<State>, tls: Option<TlsAcceptor>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (state, tls) = (state.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, state).await,
                // Whoever does not trust the certificate is not served.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, state).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: Arc<State>) {
    let service = service_fn(move |request| pass(state.clone(), request));
    // A connection that breaks is the client's affair.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
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
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let fault = state.weather().next(&request);
    if fault == Some(Fault::Unheard) {
        return Err(Broken);
    }
    let (status, body) = match fault.and_then(Fault::answer) {
        Some(answer) => answer,
        None => match forward(&state, request).await {
            Ok(answer) => answer,
            Err(error) => (StatusCode::BAD_GATEWAY, Bytes::from(format!("{error:#}"))),
        },
    };
    if fault == Some(Fault::Unanswered) {
        return Err(Broken);
    }
    state.passed().note(&method, &path, status, &body);
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
