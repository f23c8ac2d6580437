//! The counts over HTTP, while the load runs: `GET /totals`, `POST /mark?name=X`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::load::book::Book;
use crate::load::options::{OptionsError, Target};

/// Characters of the name of a mark.
const NAME_CHARS_MAX: usize = 64;
/// Connections at once: the readers are one program and perhaps a person.
const CONNECTIONS_MAX: usize = 64;

/// Serves the counts of one load on a loopback address.
pub struct Stats {
    listener: TcpListener,
    book: Arc<Book>,
}

impl Stats {
    /// Binds the address.
    ///
    /// # Errors
    /// When it is not a loopback address or cannot be bound.
    pub async fn bind(address: SocketAddr, book: Arc<Book>) -> std::io::Result<Self> {
        let refused = |error: OptionsError| std::io::Error::new(std::io::ErrorKind::InvalidInput, error);
        let address = Target::new(address).map_err(refused)?.address();
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            book,
        })
    }

    /// The bound address; its port is never 0.
    ///
    /// # Errors
    /// When the system does not know the socket any more.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is dropped, or the socket fails.
    ///
    /// # Errors
    /// When no connection can be accepted.
    pub async fn run(self) -> std::io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                    let (stream, _) = accepted?;
                    stream.set_nodelay(true)?;
                    let book = self.book.clone();
                    let service = service_fn(move |request| answer(book.clone(), request));
                    connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
                }
            }
        }
    }
}

async fn answer(book: Arc<Book>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/totals") => (StatusCode::OK, book.totals()),
        (&Method::POST, "/mark") => mark(&book, request.uri().query().unwrap_or_default()),
        _ => (
            StatusCode::NOT_FOUND,
            json!({"error": "only GET /totals and POST /mark?name=NAME"}),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn mark(book: &Book, query: &str) -> (StatusCode, Value) {
    let legal = |name: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !name.is_empty() && name.len() <= NAME_CHARS_MAX && name.bytes().all(plain)
    };
    let Some(name) = query.strip_prefix("name=").filter(legal) else {
        let expected = "name=NAME, 1 to 64 letters, digits, '-', '_' or '.'";
        return (StatusCode::BAD_REQUEST, json!({ "error": expected }));
    };
    match book.mark(name) {
        Ok(()) => (StatusCode::OK, json!({"marked": name})),
        Err(error) => (
            StatusCode::INSUFFICIENT_STORAGE,
            json!({"error": error.to_string()}),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_need_a_plain_name() {
        let book = Book::default();
        assert_eq!(mark(&book, "name=ramp-5.v2_a").0, StatusCode::OK);
        assert!(book.totals()["since"]["ramp-5.v2_a"].is_object());
        let long = format!("name={}", "x".repeat(65));
        for query in [
            "",
            "name=",
            "name=a b",
            "name=a&name=b",
            "other=a",
            "name=%41",
            &long,
        ] {
            assert_eq!(mark(&book, query).0, StatusCode::BAD_REQUEST, "{query}");
        }
    }

    #[tokio::test]
    async fn only_loopback_addresses_are_bound() {
        let refused = Stats::bind("0.0.0.0:0".parse().unwrap(), Arc::new(Book::default())).await;
        assert_eq!(refused.err().unwrap().kind(), std::io::ErrorKind::InvalidInput);
    }
}
