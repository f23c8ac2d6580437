//! The doors that face the network: webhooks over HTTP/1, each with limits on size and time.
//!
//! Nothing here reads a request; a door authenticates its raw bytes first (invariant 11). TLS is ended in front of this
//! host, as for any server on a loopback address.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use weir_app::door::{Request, Response};

use super::stopped;

/// Largest body: GitHub sends no more than 25 MB.
const BODY_LIMIT: usize = 25 << 20;
/// Headers of one request; GitHub and Slack send about twenty.
const HEADERS: usize = 100;
/// Bytes of all headers, and of what is read ahead.
const HEADER_BYTES: usize = 64 << 10;
/// A client sends its headers within this time, also on a connection that is kept.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// A request is read and answered within this time; GitHub waits 10 s.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// Connections at once. More wait in the kernel's queue.
const CONNECTIONS: usize = 256;
/// Requests that are being answered when the host is told to stop have this long.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Answers requests of one kind.
pub(crate) type Door = Arc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// A door that is shut, because the secret that its requests would be signed with is not configured.
pub(crate) fn shut(variable: &'static str) -> Door {
    Arc::new(move |_| {
        let words = format!(
            "this host takes no such requests: set {variable} (or {variable}_FILE) and start it again\n"
        );
        Box::pin(std::future::ready(Response::text(503, words)))
    })
}

/// Senders of alarms. One door reads them all; the names are for people and their logs.
const ALARMS: [&str; 4] = ["alertmanager", "cloudwatch", "datadog", "alarm"];

/// The routes.
pub(crate) fn routes(github: Door, slack: Door, alarms: &Door) -> Router {
    let mut webhooks = Router::new()
        .route("/webhooks/github", post(hand_over).with_state(github))
        .route("/webhooks/slack", post(hand_over).with_state(slack));
    for source in ALARMS {
        let door = post(hand_over).with_state(alarms.clone());
        webhooks = webhooks.route(&format!("/webhooks/{source}"), door);
    }
    let webhooks = webhooks.layer(DefaultBodyLimit::max(BODY_LIMIT));
    Router::new()
        .route("/health", get(async || "ok\n"))
        .merge(webhooks)
        .layer(from_fn(in_time))
}

async fn hand_over(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> HttpResponse {
    let mut text = Vec::with_capacity(headers.len());
    for (name, value) in &headers {
        // A value that is no text can be no signature and no event name.
        if let Ok(value) = value.to_str() {
            text.push((name.as_str().to_owned(), value.to_owned()));
        }
    }
    let request = Request {
        headers: text,
        body: body.into(),
    };
    // In a task of its own: a client that hangs up, or a request that takes too long, must not stop half-way what a
    // verified delivery started.
    match tokio::spawn(door(request)).await {
        Ok(response) => answer(response),
        Err(error) => {
            tracing::error!(why = %error, "a request could not be handled");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn answer(response: Response) -> HttpResponse {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        status,
        [(header::CONTENT_TYPE, response.content_type)],
        response.body,
    )
        .into_response()
}

async fn in_time(request: HttpRequest, next: Next) -> HttpResponse {
    match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the request took too long\n").into_response(),
    }
}

/// Takes the address.
///
/// # Errors
/// It is not this machine's, or somebody else has it.
pub(crate) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|error: std::io::Error| {
        format!("{address} cannot be listened on: {error}; give another --listen")
    })
}

/// Serves until told to stop, then finishes the requests that it has.
pub(crate) async fn serve(listener: TcpListener, routes: Router, mut stop: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = stopped(&mut stop) => break,
        };
        if let Some((stream, permit)) = accepted {
            let (routes, stop) = (routes.clone(), stop.clone());
            connections.spawn(async move {
                connection(stream, routes, stop).await;
                drop(permit);
            });
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    let rest = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_LIMIT, rest).await.is_err() {
        tracing::warn!("requests were still being answered when the host stopped");
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = room
        .clone()
        .acquire_owned()
        .await
        .expect("the semaphore is never closed");
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            // Out of files, or the client is gone already. A short rest lets others end.
            tracing::warn!(why = %error, "a connection could not be taken");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn connection(stream: TcpStream, routes: Router, mut stop: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(routes);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(why = %error, "a connection ended early");
    }
}
