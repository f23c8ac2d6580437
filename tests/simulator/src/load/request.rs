//! One request from its start to its outcome.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::load::book::{Failure, Outcome};
use crate::load::options::Options;
use crate::random::Random;

/// What a complete stream ends with.
const DONE: &[u8] = b"data: [DONE]\n\n";
/// Longest time for one whole answer: one that trickles for ever counts as cut.
const ANSWER_LIMIT: Duration = Duration::from_secs(900);
/// How long a connection without a request is kept. Shorter than what a gateway keeps it for, so that the
/// gateway does not close it just when a request leaves.
const IDLE_LIMIT: Duration = Duration::from_secs(5);
/// Connections without a request that are kept: a burst must not leave thousands behind.
const IDLE_MAX: usize = 256;

/// Sends the requests of one load over kept connections.
#[derive(Clone)]
pub(crate) struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
    options: Options,
}

impl Sender {
    pub(crate) fn new(options: Options) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(options.silence_limit));
        // A request that was never written because its kept connection was already closed is sent on another
        // one; nothing that may have reached a server is sent twice.
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        let uri = Uri::builder()
            .scheme("http")
            .authority(options.target.address().to_string())
            .path_and_query(options.path.as_str())
            .build()
            .expect("an address and a checked path make a URL");
        Self { client, uri, options }
    }

    /// Sends one request and reads its answer to the end.
    pub(crate) async fn send(&self, number: u64) -> Outcome {
        let (request, stream) = self.request(number);
        let began = Instant::now();
        let mut outcome = Outcome {
            version: None,
            latency: None,
            result: Ok(()),
        };
        let response = match timeout(self.options.silence_limit, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                return Outcome {
                    result: failed(chain(&error)),
                    ..outcome
                };
            }
            Err(_) => {
                return Outcome {
                    result: failed(self.silence("no answer")),
                    ..outcome
                };
            }
        };
        outcome.latency = Some(began.elapsed());
        outcome.version = version(&response);
        let status = response.status();
        if !status.is_success() {
            outcome.result = failed(format!("status {}", status.as_u16()));
            // Read to its end, so that the connection can be kept; how it ends changes nothing.
            let _ = timeout(self.options.silence_limit, response.into_body().collect()).await;
            return outcome;
        }
        let body = timeout(ANSWER_LIMIT, self.read(response.into_body(), stream)).await;
        outcome.result = body.unwrap_or_else(|_| cut(format!("no end after {} s", ANSWER_LIMIT.as_secs())));
        outcome
    }

    fn request(&self, number: u64) -> (Request<Full<Bytes>>, bool) {
        let mut random = Random::for_request(self.options.seed, number);
        let stream = random.chance(self.options.streams);
        let range = self.options.stream_seconds;
        let seconds = random.within(range.from, range.to);
        let mut body = json!({"prompt": format!("what does the weir do, {number}?"), "stream": stream});
        if stream {
            let tokens = (seconds * self.options.tokens_per_second)
                .round()
                .clamp(1.0, 16_384.0);
            body["min_tokens"] = json!(tokens as u32);
            body["max_tokens"] = json!(tokens as u32);
        }
        let host = self
            .options
            .host
            .clone()
            .unwrap_or_else(|| self.options.target.address().to_string());
        let request = Request::post(self.uri.clone())
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .expect("checked options make a request");
        (request, stream)
    }

    async fn read(&self, mut body: Incoming, stream: bool) -> Result<(), Failure> {
        let mut tail = Vec::with_capacity(2 * DONE.len());
        loop {
            let frame = match timeout(self.options.silence_limit, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return cut(chain(&error)),
                Ok(None) if stream && !tail.ends_with(DONE) => return cut("ended without [DONE]".to_owned()),
                Ok(None) => return Ok(()),
                Err(_) => return cut(self.silence("the answer stopped")),
            };
            if let Some(data) = frame.data_ref() {
                keep_tail(&mut tail, data);
            }
        }
    }

    fn silence(&self, what: &str) -> String {
        format!("{what} within {} ms", self.options.silence_limit.as_millis())
    }
}

/// Keeps as many of the last bytes as the end mark has, also when it comes in two pieces.
fn keep_tail(tail: &mut Vec<u8>, data: &[u8]) {
    tail.extend_from_slice(&data[data.len().saturating_sub(DONE.len())..]);
    tail.drain(..tail.len().saturating_sub(DONE.len()));
}

fn version(response: &Response<Incoming>) -> Option<String> {
    response
        .headers()
        .get("x-model-version")?
        .to_str()
        .ok()
        .map(str::to_owned)
}

fn failed(what: String) -> Result<(), Failure> {
    Err(Failure::Failed(what))
}

fn cut(what: String) -> Result<(), Failure> {
    Err(Failure::Cut(what))
}

/// An error with its causes: the first text alone mostly says "client error".
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_mark_is_seen_in_any_split() {
        let all = b"data: {}\n\ndata: [DONE]\n\n";
        for place in 0..=all.len() {
            let mut tail = Vec::new();
            keep_tail(&mut tail, &all[..place]);
            keep_tail(&mut tail, &all[place..]);
            assert!(tail.ends_with(DONE), "split at {place}");
        }
    }

    #[test]
    fn the_seed_decides_which_requests_are_streams() {
        let target = "http://127.0.0.1:1".parse().unwrap();
        let sender = Sender::new(Options::new(target));
        let streams: Vec<bool> = (0..1000).map(|number| sender.request(number).1).collect();
        let again: Vec<bool> = (0..1000).map(|number| sender.request(number).1).collect();
        assert_eq!(streams, again);
        let count = streams.iter().filter(|stream| **stream).count();
        assert!((250..350).contains(&count), "{count} of 1000");
    }
}
