//! A batch as Lambda hands it over. Each record is read, looked at and judged by itself: one that cannot be read, fails
//! or panics takes no other with it.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::Instrument;
use weir_app::{Classified, Retry};

use super::letters::QueueError;
use super::message::{Message, Unreadable};
use super::trace::{current, traced};

/// One record of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Names it to SQS. One without cannot be asked for again; SQS gives every record one.
    pub id: Option<String>,
    /// As it was received.
    pub body: String,
    /// How often it was received, this time included.
    pub received: u32,
    /// What it says.
    pub message: Result<Message, Unreadable>,
    /// The trace that it belongs to.
    pub trace: Option<String>,
}

/// What Lambda is told: the records that must be delivered again. All others are done.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct BatchResponse {
    /// One for each.
    #[serde(rename = "batchItemFailures")]
    pub failures: Vec<Failure>,
}

/// A record that must be delivered again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Failure {
    /// Its id.
    #[serde(rename = "itemIdentifier")]
    pub id: String,
}

/// Where records go that nobody will ever handle.
#[async_trait]
pub trait Parking: Send + Sync {
    /// Keeps the record with the reason, for people.
    ///
    /// # Errors
    /// It could not be kept, and must be delivered again.
    async fn park(&self, record: &Record, reason: &str) -> Result<(), QueueError>;
}

/// The records of an event. What is no event has none.
pub fn records(event: &Value) -> Vec<Record> {
    let list = event.get("Records").and_then(Value::as_array);
    list.map_or_else(Vec::new, |list| list.iter().map(record).collect())
}

fn record(value: &Value) -> Record {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Attributes {
        #[serde(rename = "AWSTraceHeader")]
        trace: Option<String>,
        #[serde(rename = "ApproximateReceiveCount")]
        received: Option<String>,
    }
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    // What only helps people must not cost the record.
    let attributes: Attributes = value
        .get("attributes")
        .and_then(|attributes| Attributes::deserialize(attributes).ok())
        .unwrap_or_default();
    let received = attributes.received.and_then(|count| count.parse().ok());
    let body = text("body").unwrap_or_default();
    let message = Message::parse(&body);
    let carried = message.as_ref().ok().and_then(|message| message.trace.clone());
    Record {
        id: text("messageId"),
        received: received.unwrap_or(1),
        trace: attributes.trace.or(carried),
        message,
        body,
    }
}

/// Works through a batch. Records that ask for the same look share one; different looks go on side by side.
///
/// A look that can never succeed parks its records with the reason. One that may succeed later, or panicked, has them
/// delivered again; the queue parks those too when its patience is over.
pub async fn work<E, F, L>(event: &Value, parking: &dyn Parking, look: L) -> BatchResponse
where
    E: Classified,
    F: Future<Output = Result<(), E>>,
    L: Fn(Message) -> F,
{
    let mut looks: BTreeMap<_, (Message, Vec<Record>)> = BTreeMap::new();
    let mut unreadable = Vec::new();
    for record in records(event) {
        match record.message.clone() {
            Ok(message) => {
                let key = (message.run.clone(), message.duty);
                looks
                    .entry(key)
                    .or_insert_with(|| (message, Vec::new()))
                    .1
                    .push(record);
            }
            Err(why) => unreadable.push((record, why.to_string())),
        }
    }
    let parked = unreadable
        .into_iter()
        .map(|(record, why)| async move { again(parking, vec![record], Some(why)).await });
    let look = &look;
    let looked = looks.into_values().map(|(message, records)| {
        let trace = records
            .iter()
            .find_map(|record| record.trace.clone())
            .or_else(current);
        let ids: Vec<&str> = records.iter().filter_map(|record| record.id.as_deref()).collect();
        let duty = message.duty.as_str();
        let span = tracing::info_span!("look", run.id = %message.run, duty, message.id = ids.join(","));
        // Called inside, so that a panic before the first await is caught too.
        let attempt = AssertUnwindSafe(traced(trace, async move { look(message).await })).catch_unwind();
        let looked = async move {
            match attempt.await {
                Ok(Ok(())) => Vec::new(),
                Ok(Err(error)) => {
                    let why = weir_app::with_causes(&error);
                    tracing::error!(why, "a look failed");
                    let never = error.retry() == Retry::Never;
                    again(parking, records, never.then_some(why)).await
                }
                Err(_) => {
                    tracing::error!("a look panicked");
                    again(parking, records, None).await
                }
            }
        };
        looked.instrument(span)
    });
    let (parked, looked) = futures::join!(join_all(parked), join_all(looked));
    let mut failures: Vec<Failure> = parked.into_iter().chain(looked).flatten().collect();
    failures.sort();
    BatchResponse { failures }
}

/// Which of the records must be delivered again: all without a reason to park them, else those that could not be.
async fn again(parking: &dyn Parking, records: Vec<Record>, reason: Option<String>) -> Vec<Failure> {
    let mut failures = Vec::new();
    for record in records {
        let kept = match &reason {
            Some(reason) => parking.park(&record, reason).await,
            None => Err(QueueError::new("handle a record", "it is delivered again")),
        };
        if let (Err(error), Some(id)) = (kept, record.id) {
            if reason.is_some() {
                tracing::error!(message.id = id, why = %error, "a record could not be parked");
            }
            failures.push(Failure { id });
        }
    }
    failures
}

#[cfg(test)]
mod tests;
