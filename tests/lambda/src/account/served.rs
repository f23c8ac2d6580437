//! What answers a call that was granted: an emulator, or a stand-in that does what Weir asks of the service.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_sqs::primitives::{DateTime, DateTimeFormat};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::asked::Call;
use super::{Shared, failed, locked};

pub(super) async fn answer(shared: &Arc<Shared>, call: Call) -> Response {
    match call.service.as_str() {
        "dynamodb" => pass(shared, &shared.behind.dynamodb, call).await,
        "sqs" => pass(shared, &shared.behind.sqs, call).await,
        "secretsmanager" => said(&json!({ "Name": "weir", "SecretString": shared.behind.secret })),
        "scheduler" => scheduled(shared, &call),
        "eks" => described(shared, &call),
        _ => failed("UnknownOperationException", "this account has no such service"),
    }
}

fn said(body: &Value) -> Response {
    ([("content-type", "application/x-amz-json-1.1")], body.to_string()).into_response()
}

/// Hands a call on, as it came.
async fn pass(shared: &Shared, to: &str, call: Call) -> Response {
    let mut request = shared.http.post(format!("{to}/"));
    for (name, value) in &call.headers {
        if name != "host" && name != "content-length" {
            request = request.header(name, value);
        }
    }
    let Ok(answer) = request.body(call.body).send().await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the emulator does not answer").into_response();
    };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let Ok(body) = answer.bytes().await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the emulator hung up").into_response();
    };
    let mut response = (status, body).into_response();
    for (name, value) in headers.iter() {
        let own = ["content-length", "transfer-encoding", "connection"].contains(&name.as_str());
        if !own {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    response
}

/// A schedule sends its message once, at its time, and is gone then; one that exists is not made again.
fn scheduled(shared: &Arc<Shared>, call: &Call) -> Response {
    let name = call.operation.rsplit('/').next().unwrap_or_default().to_owned();
    if !locked(&shared.schedules).insert(name.clone()) {
        return conflict();
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let at = text(&call.parsed["ScheduleExpression"]);
    let at = at.trim_start_matches("at(").trim_end_matches(')');
    let Ok(at) = DateTime::from_str(&format!("{at}Z"), DateTimeFormat::DateTime) else {
        return failed("ValidationException", "the expression is no time");
    };
    let target = &call.parsed["Target"];
    let queue = text(&target["Arn"]);
    let Some((url, _)) = shared.behind.queues.iter().find(|(_, arn)| **arn == queue) else {
        return failed("ValidationException", "the target is no queue");
    };
    let send = shared.behind.sender.send_message().queue_url(url);
    let send = send.message_body(text(&target["Input"]));
    let shared = shared.clone();
    tokio::spawn(async move {
        tokio::time::sleep(until(at)).await;
        locked(&shared.schedules).remove(&name);
        let _ = send.send().await;
    });
    said(&json!({ "ScheduleArn": "arn" }))
}

fn conflict() -> Response {
    let headers = [("x-amzn-errortype", "ConflictException")];
    (StatusCode::CONFLICT, headers, r#"{"Message":"it exists"}"#).into_response()
}

#[allow(
    clippy::disallowed_methods,
    reason = "schedules go by the machine's clock, as the programs do"
)]
fn until(at: DateTime) -> Duration {
    let at = SystemTime::try_from(at).unwrap_or(SystemTime::UNIX_EPOCH);
    at.duration_since(SystemTime::now()).unwrap_or_default()
}

fn described(shared: &Shared, call: &Call) -> Response {
    let name = call.operation.rsplit('/').next().unwrap_or_default();
    match shared.behind.clusters.get(name) {
        Some((url, authority)) => said(&json!({
            "cluster": { "name": name, "endpoint": url, "certificateAuthority": { "data": authority } },
        })),
        None => failed("ResourceNotFoundException", "there is no such cluster"),
    }
}
