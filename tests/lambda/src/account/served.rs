//! What answers a call that was granted: an emulator, or a stand-in that does what Weir asks of the service.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::primitives::{DateTime, DateTimeFormat};
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::asked::Call;
use super::{Shared, failed, locked};
use crate::trouble::Fault;

pub(super) async fn answer(shared: &Arc<Shared>, call: Call) -> Response {
    match call.service.as_str() {
        "dynamodb" => counted(shared, call).await,
        "sqs" => pass(shared, &shared.behind.sqs, call).await.0,
        "secretsmanager" => said(&json!({ "Name": "weir", "SecretString": shared.behind.secret })),
        "scheduler" => scheduled(shared, &call),
        "eks" => described(shared, &call),
        "sts" => signed(&shared.behind.web_token),
        _ => failed("UnknownOperationException", "this account has no such service"),
    }
}

fn said(body: &Value) -> Response {
    ([("content-type", "application/x-amz-json-1.1")], body.to_string()).into_response()
}

/// Asks the table what a call cost as well. Whoever called does not ask, and passes over the answer.
async fn counted(shared: &Shared, mut call: Call) -> Response {
    call.parsed["ReturnConsumedCapacity"] = json!("TOTAL");
    call.body = call.parsed.to_string().into();
    let operation = call.operation.clone();
    let (response, body) = pass(shared, &shared.behind.dynamodb, call).await;
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    let consumed = match &answer["ConsumedCapacity"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    if unmet(&answer) {
        shared.trouble.met(Fault::Unmet);
    }
    let units = consumed.iter().filter_map(|one| one["CapacityUnits"].as_f64());
    let mut bill = locked(&shared.bill);
    let (calls, taken) = bill.units.entry(operation).or_default();
    *calls += 1;
    *taken += units.sum::<f64>();
    response
}

/// Whether a condition of a write did not hold.
fn unmet(answer: &Value) -> bool {
    let kind = answer["__type"].as_str().unwrap_or_default();
    let mut reasons = answer["CancellationReasons"].as_array().into_iter().flatten();
    kind.ends_with("ConditionalCheckFailedException")
        || reasons.any(|reason| reason["Code"] == "ConditionalCheckFailed")
}

/// Hands a call on; the answer, and its body once more.
async fn pass(shared: &Shared, to: &str, call: Call) -> (Response, Bytes) {
    let mut request = shared.http.post(format!("{to}/"));
    for (name, value) in &call.headers {
        if name != "host" && name != "content-length" {
            request = request.header(name, value);
        }
    }
    let Ok(answer) = request.body(call.body).send().await else {
        let away = (StatusCode::SERVICE_UNAVAILABLE, "the emulator does not answer");
        return (away.into_response(), Bytes::new());
    };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let Ok(body) = answer.bytes().await else {
        let away = (StatusCode::SERVICE_UNAVAILABLE, "the emulator hung up");
        return (away.into_response(), Bytes::new());
    };
    let mut response = (status, body.clone()).into_response();
    for (name, value) in headers.iter() {
        let own = ["content-length", "transfer-encoding", "connection"].contains(&name.as_str());
        if !own {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    (response, body)
}

/// A schedule sends its message once, at its time, and is gone then; one that exists is not made again.
fn scheduled(shared: &Arc<Shared>, call: &Call) -> Response {
    let name = call.operation.rsplit('/').next().unwrap_or_default().to_owned();
    if !locked(&shared.schedules).insert(name.clone()) {
        return conflict();
    }
    let at = text(&call.parsed["ScheduleExpression"]);
    let at = at.trim_start_matches("at(").trim_end_matches(')');
    let Ok(at) = DateTime::from_str(&format!("{at}Z"), DateTimeFormat::DateTime) else {
        return failed("ValidationException", "the expression is no time");
    };
    let Some(send) = sending(shared, call) else {
        return failed("ValidationException", "the target is no queue");
    };
    let shared = shared.clone();
    tokio::spawn(async move {
        tokio::time::sleep(until(at)).await;
        locked(&shared.schedules).remove(&name);
        let _ = send.send().await;
    });
    made()
}

/// A schedule sends its message now, whenever its time is.
pub(super) async fn fired(shared: &Shared, call: &Call) -> Response {
    if let Some(send) = sending(shared, call) {
        // A queue that is away loses it, as one that never fires does.
        let _ = send.send().await;
    }
    made()
}

/// What a schedule sends, if there is such a queue.
fn sending(shared: &Shared, call: &Call) -> Option<SendMessageFluentBuilder> {
    let target = &call.parsed["Target"];
    let queue = text(&target["Arn"]);
    let (url, _) = shared.behind.queues.iter().find(|(_, arn)| **arn == queue)?;
    let send = shared.behind.sender.send_message().queue_url(url);
    Some(send.message_body(text(&target["Input"])))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn made() -> Response {
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

/// STS says it in XML. Whoever gets the token reads it; here it is only handed out.
fn signed(token: &str) -> Response {
    let body = format!(
        "<GetWebIdentityTokenResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetWebIdentityTokenResult>\
         <WebIdentityToken>{token}</WebIdentityToken></GetWebIdentityTokenResult></GetWebIdentityTokenResponse>"
    );
    ([("content-type", "text/xml")], body).into_response()
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
