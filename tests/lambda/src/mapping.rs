//! An event source mapping: takes batches from a queue and hands them to a function, as Lambda does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use serde_json::{Value, json};

use crate::function::Function;
use crate::runtime::Outcome;
use crate::sandbox::Sleep;
use crate::trouble::{Fault, Place, Trouble, spread};

/// How often a message was received, as SQS names it.
const RECEIVED: &str = "ApproximateReceiveCount";

/// A program that falls asleep over its batch does so within this, in the middle of a look.
const ASLEEP_WITHIN_MS: u64 = 100;

/// And sleeps so long: others have done the same by then, and what follows from it.
const ASLEEP: Duration = Duration::from_millis(2_500);

/// Pause after the queue did not answer.
const PAUSE: Duration = Duration::from_millis(200);

/// A queue that feeds a function. Failed records stay in the queue, and the queue's own patience decides about them.
pub struct Mapping {
    /// For requests to the queue.
    pub client: Client,
    /// The queue.
    pub url: String,
    /// Messages of one batch, at most.
    pub batch: i32,
    /// Who gets its messages.
    pub function: Function,
    pub(crate) trouble: Arc<Trouble>,
}

impl Mapping {
    /// Polls for ever. What a batch comes to is the function's business, and the queue's.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            if self.poll().await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Takes one batch and hands it over; how many records were in it, and how many of them are done.
    ///
    /// # Errors
    /// The queue did not answer, in words.
    pub async fn poll(&self) -> Result<(usize, usize), String> {
        let call = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(self.batch)
            .wait_time_seconds(1)
            .message_system_attribute_names(MessageSystemAttributeName::All);
        let received = call.send().await.map_err(|error| format!("{error:?}"))?;
        let messages = received.messages.unwrap_or_default();
        if messages.is_empty() {
            return Ok((0, 0));
        }
        let answers = self.answers(&messages).await;
        let mut done = 0;
        for message in &messages {
            if answers.iter().flatten().any(|answer| is_done(answer, message)) {
                self.remove(message).await?;
                done += 1;
            }
        }
        Ok((messages.len(), done))
    }

    /// What came of a batch: once, or twice if it comes again before the first has ended.
    async fn answers(&self, messages: &[Message]) -> Vec<Outcome> {
        let event = |again| {
            let records: Vec<Value> = messages.iter().map(|message| record(message, again)).collect();
            json!({ "Records": records })
        };
        let redelivered = self.trouble.strikes(Place::Batch, &[Fault::Redelivered]);
        if redelivered.is_none() {
            return vec![self.function.invoke(event(0)).await];
        }
        let ids: Vec<Option<&str>> = messages.iter().map(Message::message_id).collect();
        let after = Duration::from_millis(spread(ids) % ASLEEP_WITHIN_MS);
        let sleep = Sleep { after, time: ASLEEP };
        let first_ended = AtomicBool::new(false);
        let first = async {
            let answer = self.function.invoke_and_let_sleep(event(0), Some(sleep)).await;
            first_ended.store(true, Ordering::Relaxed);
            answer
        };
        let second = async {
            tokio::time::sleep(after).await;
            let answer = self.function.invoke(event(1)).await;
            if answer.is_ok() && !first_ended.load(Ordering::Relaxed) {
                self.trouble.met(Fault::Redelivered);
            }
            answer
        };
        let (first, second) = tokio::join!(first, second);
        vec![first, second]
    }

    async fn remove(&self, message: &Message) -> Result<(), String> {
        let call = self
            .client
            .delete_message()
            .queue_url(&self.url)
            .set_receipt_handle(message.receipt_handle.clone());
        call.send()
            .await
            .map(|_| ())
            .map_err(|error| format!("{error:?}"))
    }
}

/// A message as a record, received so often more than the queue says.
fn record(message: &Message, again: u32) -> Value {
    let attributes = message.attributes.as_ref();
    let mut attributes: serde_json::Map<String, Value> = attributes
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str().to_owned(), json!(value)))
        .collect();
    if let Some(count) = attributes.get_mut(RECEIVED) {
        let received: u32 = count.as_str().and_then(|text| text.parse().ok()).unwrap_or(1);
        *count = json!((received + again).to_string());
    }
    json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    })
}

/// Whether the answer names the message as none of its failures. An id that is not in the batch fails all of it.
fn is_done(answer: &Value, message: &Message) -> bool {
    let failures = answer["batchItemFailures"].as_array();
    let failed: BTreeSet<&str> = failures
        .into_iter()
        .flatten()
        .filter_map(|failure| failure["itemIdentifier"].as_str())
        .collect();
    message.message_id().is_some_and(|id| !failed.contains(id))
}
