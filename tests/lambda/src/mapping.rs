//! An event source mapping: takes batches from a queue and hands them to a function, as Lambda does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use serde_json::{Value, json};

use crate::function::Function;

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
        let records: Vec<Value> = messages.iter().map(record).collect();
        let answer = self.function.invoke(json!({ "Records": records })).await;
        let mut done = 0;
        for message in &messages {
            if answer.as_ref().is_ok_and(|answer| is_done(answer, message)) {
                self.remove(message).await?;
                done += 1;
            }
        }
        Ok((messages.len(), done))
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

fn record(message: &Message) -> Value {
    let attributes = message.attributes.as_ref();
    let attributes: serde_json::Map<String, Value> = attributes
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str().to_owned(), json!(value)))
        .collect();
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
