//! The HTTP face: health, metrics, generations, and a way to spoil this one process.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::metrics::Finished;
use crate::model::TOKENS_MAX;
use crate::plan::{Ask, Ending, Plan, plan};
use crate::pod::{Crash, Phase, Pod, QueueFull, Ticket};
use crate::random::Random;
use crate::stream::{TokenStream, word};

/// Bytes of a request body: far above any prompt of the load driver.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Characters a token has, about; only counts of prompt tokens depend on it.
const CHARS_PER_TOKEN: usize = 4;

/// Body of any answer.
pub(crate) type Reply = Either<Full<Bytes>, TokenStream>;

/// The body of a generation request. Further keys, as clients of such servers send them, are ignored.
#[derive(Debug, Deserialize)]
struct Wire {
    #[serde(alias = "input")]
    prompt: Value,
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    min_tokens: Option<u32>,
    #[serde(default)]
    stream: bool,
}

/// What is wrong with one process of several that serve the same model, from now on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Fault {
    /// So many of its requests fail, beside what the model says.
    ErrorRatio(f64),
    /// It is never ready.
    Unready,
    /// It crashes.
    Crash,
    /// It uses all the memory that it may have.
    OutOfMemory,
}

/// Answers one request. Health and metrics are not counted as requests, as vLLM does not count them: a probe
/// that fails while the model loads is no error of the service.
pub(crate) async fn answer(pod: Arc<Pod>, request: Request<Incoming>) -> Result<Response<Reply>, Infallible> {
    let began = Instant::now();
    let (method, path) = (method(request.method()), path(request.uri().path()));
    let mut response = match (method, path) {
        ("GET", "/health") => return Ok(finish(&pod, health(&pod))),
        ("GET", "/metrics") => return Ok(finish(&pod, metrics(&pod))),
        ("GET", "/v1/models") => return Ok(finish(&pod, models(&pod))),
        ("POST", "/fault") => return Ok(finish(&pod, spoil(&pod, request).await)),
        ("POST", "/v1/completions" | "/inference") => generate(pod.clone(), request).await,
        (_, "other") => refusal(StatusCode::NOT_FOUND, "no such path"),
        _ => refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "this path does not take this method",
        ),
    };
    response = finish(&pod, response);
    pod.metrics
        .counters()
        .answer((method, response.status().as_u16(), path), began.elapsed());
    Ok(response)
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "other",
    }
}

fn path(path: &str) -> &'static str {
    [
        "/health",
        "/metrics",
        "/fault",
        "/v1/models",
        "/v1/completions",
        "/inference",
    ]
    .into_iter()
    .find(|known| *known == path)
    .unwrap_or("other")
}

/// Headers that every answer carries. While draining, connections are closed after their answer, so that a
/// proxy holds no idle one when the process ends.
fn finish(pod: &Pod, mut response: Response<Reply>) -> Response<Reply> {
    let version = HeaderValue::from_str(&pod.model.version).expect("a checked version is printable");
    response.headers_mut().insert("x-model-version", version);
    if pod.draining() {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Reply> {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn refusal(status: StatusCode, message: &str) -> Response<Reply> {
    let body = json!({"error": {"message": message, "code": status.as_u16()}});
    whole(status, "application/json", body.to_string())
}

/// What the server calls its model, once it is there.
fn models(pod: &Pod) -> Response<Reply> {
    if *pod.phase.borrow() != Phase::Serving {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "the model is not ready");
    }
    let model = json!({"object": "model", "id": pod.model.name});
    let body = json!({"object": "list", "data": [model]});
    whole(StatusCode::OK, "application/json", body.to_string())
}

fn health(pod: &Pod) -> Response<Reply> {
    let (load, turns) = (pod.model.load_seconds, pod.model.warm_up_generations);
    if pod.is_unready() {
        return whole(
            StatusCode::SERVICE_UNAVAILABLE,
            "text/plain",
            "not ready, as it was told",
        );
    }
    let waiting = match *pod.phase.borrow() {
        Phase::Loading => format!("loading {:.1} of {load:.1} s", pod.age().as_secs_f64().min(load)),
        Phase::Warming { done } => format!("warming {done} of {turns} generations"),
        Phase::Serving => {
            let status = if pod.draining() { "draining" } else { "ok" };
            let body = json!({"status": status, "version": pod.model.version});
            return whole(StatusCode::OK, "application/json", body.to_string());
        }
    };
    whole(StatusCode::SERVICE_UNAVAILABLE, "text/plain", waiting)
}

fn metrics(pod: &Pod) -> Response<Reply> {
    whole(
        StatusCode::OK,
        "text/plain; version=0.0.4; charset=utf-8",
        pod.metrics.render(pod.gauges()),
    )
}

async fn spoil(pod: &Pod, request: Request<Incoming>) -> Response<Reply> {
    let bytes = match body(request.into_body()).await {
        Ok(bytes) => bytes,
        Err((status, message)) => return refusal(status, &message),
    };
    match serde_json::from_slice(&bytes) {
        Ok(Fault::ErrorRatio(ratio)) if (0.0..=1.0).contains(&ratio) => pod.spoil(ratio),
        Ok(Fault::Unready) => pod.unready(),
        Ok(Fault::Crash) => pod.crash(Crash::fault("as it was told")),
        Ok(Fault::OutOfMemory) => pod.crash(Crash::memory("as it was told")),
        _ => {
            return refusal(
                StatusCode::BAD_REQUEST,
                "the body is no fault: expected {\"error_ratio\": 0 to 1}, \"unready\", \"crash\" or \"out_of_memory\"",
            );
        }
    }
    whole(StatusCode::OK, "application/json", bytes)
}

async fn generate(pod: Arc<Pod>, request: Request<Incoming>) -> Response<Reply> {
    if *pod.phase.borrow() != Phase::Serving {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "the model is not ready");
    }
    let mut ticket = Ticket::new(pod.clone());
    let ask = match read(request.into_body()).await {
        Ok(ask) => ask,
        Err((status, message)) => return refusal(status, &message),
    };
    let (number, rps) = pod.arrive();
    let mut random = Random::for_request(pod.model.seed, number);
    let mut plan = plan(&pod.model, ask, rps, &mut random);
    // Drawn only where there is a fault: without one, the seed decides what it always did.
    let fault = pod.fault();
    if fault > 0.0 && random.chance(fault) {
        plan.ending = Ending::Fail;
    }
    if let Err(QueueFull) = ticket.start().await {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "the queue is full");
    }
    {
        let mut counters = pod.metrics.counters();
        counters.queue.observe(ticket.arrived.elapsed());
        counters.prompt_tokens += u64::from(ask.prompt_tokens);
    }
    sleep(plan.first_token).await;
    if plan.ending == Ending::Fail {
        ticket.fail();
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, "the model failed");
    }
    pod.metrics
        .counters()
        .first_token
        .observe(ticket.arrived.elapsed());
    if ask.stream {
        let mut response = Response::new(Either::Right(TokenStream::new(ticket, plan, number, random)));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        return response;
    }
    let body = completion(&pod, ask, &plan, number);
    complete(&mut ticket, &plan);
    whole(StatusCode::OK, "application/json", body.to_string())
}

/// Counts an answer that was given whole.
fn complete(ticket: &mut Ticket, plan: &Plan) {
    {
        let mut counters = ticket.pod.metrics.counters();
        counters.generation_tokens += u64::from(plan.tokens);
        counters.whole.observe(ticket.arrived.elapsed());
    }
    ticket.finish(reason(plan));
}

fn reason(plan: &Plan) -> Finished {
    if plan.ending == Ending::Length {
        Finished::Length
    } else {
        Finished::Stop
    }
}

fn completion(pod: &Pod, ask: Ask, plan: &Plan, number: u64) -> Value {
    let text = (0..plan.tokens)
        .map(|token| word(number, token))
        .collect::<Vec<_>>()
        .join(" ");
    json!({
        "id": format!("gen-{number}"),
        "object": "text_completion",
        "model": pod.model.name,
        "version": pod.model.version,
        "choices": [{"index": 0, "text": text, "finish_reason": reason(plan).as_str()}],
        "usage": {
            "prompt_tokens": ask.prompt_tokens,
            "completion_tokens": plan.tokens,
            "total_tokens": u64::from(ask.prompt_tokens) + u64::from(plan.tokens),
        },
    })
}

async fn read(incoming: Incoming) -> Result<Ask, (StatusCode, String)> {
    let bytes = body(incoming).await?;
    ask(&bytes).map_err(|message| (StatusCode::BAD_REQUEST, message))
}

async fn body(incoming: Incoming) -> Result<Bytes, (StatusCode, String)> {
    match Limited::new(incoming, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err((
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than 1 MiB".to_owned(),
        )),
        Err(_) => Err((StatusCode::BAD_REQUEST, "the body ended early".to_owned())),
    }
}

fn ask(bytes: &[u8]) -> Result<Ask, String> {
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err("the body is not a JSON object".to_owned());
    }
    let wire: Wire =
        serde_json::from_slice(bytes).map_err(|error| format!("the body is not a request: {error}"))?;
    for (key, tokens) in [("max_tokens", wire.max_tokens), ("min_tokens", wire.min_tokens)] {
        if tokens.is_some_and(|tokens| !(1..=TOKENS_MAX).contains(&tokens)) {
            return Err(format!("{key} must be 1 to {TOKENS_MAX}"));
        }
    }
    if wire.min_tokens > wire.max_tokens.or(wire.min_tokens) {
        return Err("min_tokens is more than max_tokens".to_owned());
    }
    let chars = wire
        .prompt
        .as_str()
        .map_or_else(|| wire.prompt.to_string().len(), str::len);
    let prompt_tokens = u32::try_from(chars.div_ceil(CHARS_PER_TOKEN))
        .unwrap_or(u32::MAX)
        .max(1);
    let Wire {
        stream,
        min_tokens,
        max_tokens,
        ..
    } = wire;
    Ok(Ask {
        stream,
        prompt_tokens,
        min_tokens,
        max_tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_body_are_understood() {
        let plain = ask(br#"{"input":"12345678","model":"any"}"#).unwrap();
        assert_eq!(
            plain,
            Ask {
                stream: false,
                prompt_tokens: 2,
                min_tokens: None,
                max_tokens: None
            }
        );
        let stream = ask(br#"{"prompt":["a"],"stream":true,"min_tokens":3,"max_tokens":9}"#).unwrap();
        let expected = Ask {
            stream: true,
            prompt_tokens: 2,
            min_tokens: Some(3),
            max_tokens: Some(9),
        };
        assert_eq!(stream, expected);
    }

    #[test]
    fn bodies_that_are_no_request_are_refused() {
        let deep = format!(r#"{{"prompt":{}}}"#, "[".repeat(10_000));
        for text in [
            "",
            "{}",
            "[]",
            r#"["a"]"#,
            "{\"prompt\":1",
            r#"{"prompt":"a","max_tokens":0}"#,
            r#"{"prompt":"a","max_tokens":-1}"#,
            r#"{"prompt":"a","max_tokens":16385}"#,
            r#"{"prompt":"a","min_tokens":5,"max_tokens":4}"#,
            r#"{"prompt":"a","stream":"yes"}"#,
            &deep,
        ] {
            assert!(ask(text.as_bytes()).is_err(), "{text}");
        }
    }
}
