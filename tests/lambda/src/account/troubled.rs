//! Calls that something goes wrong with.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::asked::Call;
use super::{Shared, failed, locked, served};
use crate::trouble::{Fault, Place, spread};

/// How a call is throttled. The client tries again what it knows by these names.
const THROTTLED: [&str; 4] = [
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TransactionInProgressException",
];

/// How an action of a transaction is. The client does not try that again.
const ACTION_THROTTLED: [&str; 2] = ["ThrottlingError", "ProvisionedThroughputExceeded"];

/// Time by which a message is passed by later ones: more than a look takes.
const HELD_BACK_S: u64 = 3;

/// Answers a call that was granted; in trouble, if it is its turn.
pub(super) async fn answer(shared: &Arc<Shared>, call: Call) -> Response {
    if given_up(shared, &call) {
        return throttled(&call, shared);
    }
    let fault = strikes(shared, &call);
    if let Some(fault) = fault {
        shared.trouble.met(fault);
    }
    match fault {
        None => served::answer(shared, call).await,
        Some(Fault::Throttled) => throttled(&call, shared),
        Some(Fault::ThrottledForLong) => throttled_for_long(&call, shared),
        Some(Fault::Raced) if call.operation == "TransactWriteItems" => {
            cancelled(&call, "TransactionConflict")
        }
        Some(Fault::Raced) => failed(
            "TransactionConflictException",
            "a transaction is writing the item",
        ),
        Some(Fault::WrittenTooLate) => {
            served::answer(shared, call).await;
            std::future::pending().await
        }
        Some(Fault::SentUnanswered) => {
            served::answer(shared, call).await;
            broken()
        }
        Some(Fault::Duplicated) => {
            served::answer(shared, call.clone()).await;
            served::answer(shared, call).await
        }
        Some(Fault::Passed) => served::answer(shared, held_back(call)).await,
        Some(Fault::Early) => {
            served::answer(shared, call.clone()).await;
            served::fired(shared, &call).await
        }
        Some(other) => unreachable!("{other:?} befalls no call"),
    }
}

/// What befalls a call, if it is its turn.
fn strikes(shared: &Shared, call: &Call) -> Option<Fault> {
    let (place, possible): (Place, &[Fault]) = match (call.service.as_str(), call.operation.as_str()) {
        ("dynamodb", "TransactWriteItems" | "UpdateItem") => (
            Place::Write,
            &[
                Fault::Throttled,
                Fault::ThrottledForLong,
                Fault::Raced,
                Fault::WrittenTooLate,
            ],
        ),
        ("dynamodb", "DeleteItem") => (
            Place::Write,
            &[Fault::Throttled, Fault::ThrottledForLong, Fault::WrittenTooLate],
        ),
        ("dynamodb", _) => (Place::Read, &[Fault::Throttled, Fault::ThrottledForLong]),
        ("sqs", "SendMessage") => (
            Place::Send,
            &[Fault::SentUnanswered, Fault::Duplicated, Fault::Passed],
        ),
        ("scheduler", _) => (Place::Schedule, &[Fault::Early]),
        _ => return None,
    };
    shared.trouble.strikes(place, possible)
}

/// All tries of a call have one name.
fn name(call: &Call) -> Option<&str> {
    call.headers.get("amz-sdk-invocation-id")?.to_str().ok()
}

fn given_up(shared: &Shared, call: &Call) -> bool {
    name(call).is_some_and(|name| locked(&shared.given_up).contains(name))
}

fn throttled_for_long(call: &Call, shared: &Shared) -> Response {
    let n = shared.turn();
    if call.operation == "TransactWriteItems" && n.is_multiple_of(2) {
        return cancelled(call, ACTION_THROTTLED[pick(n, ACTION_THROTTLED.len())]);
    }
    if let Some(name) = name(call) {
        locked(&shared.given_up).insert(name.to_owned());
    }
    throttled(call, shared)
}

fn throttled(call: &Call, shared: &Shared) -> Response {
    // The last can be said of a transaction alone.
    let known = match call.operation.as_str() {
        "TransactWriteItems" => THROTTLED.len(),
        _ => THROTTLED.len() - 1,
    };
    failed(
        THROTTLED[pick(shared.turn(), known)],
        "more than the table can take now",
    )
}

fn pick(n: u64, of: usize) -> usize {
    usize::try_from(spread(n)).unwrap_or_default() % of
}

/// A transaction that was cancelled for its first action.
fn cancelled(call: &Call, why: &str) -> Response {
    let actions = call.parsed["TransactItems"].as_array().map_or(0, Vec::len);
    let reason = |n| match n {
        0 => json!({ "Code": why, "Message": why }),
        _ => json!({ "Code": "None" }),
    };
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{why}]"),
        "CancellationReasons": (0..actions).map(reason).collect::<Vec<Value>>(),
    });
    let headers = [("content-type", "application/x-amz-json-1.0")];
    (StatusCode::BAD_REQUEST, headers, body.to_string()).into_response()
}

/// An answer that begins, and whose connection breaks then.
fn broken() -> Response {
    let cut = async { Err::<Bytes, _>(io::Error::other("the connection broke")) };
    Body::from_stream(futures::stream::once(cut)).into_response()
}

fn held_back(mut call: Call) -> Call {
    let delay = call.parsed["DelaySeconds"].as_u64().unwrap_or_default();
    call.parsed["DelaySeconds"] = json!(delay + HELD_BACK_S);
    call.body = call.parsed.to_string().into();
    call
}
