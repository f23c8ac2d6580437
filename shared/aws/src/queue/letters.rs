//! Dead letters: what nobody could handle, with the reason, until somebody redrives it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{
    Message as Received, MessageAttributeValue, MessageSystemAttributeName as SystemAttribute,
};

use super::batch::{Parking, Record};

/// The attribute with the reason.
const REASON: &str = "reason";

/// Longest reason: attributes count towards the size of a message, and the beginning says it.
const REASON_LIMIT: usize = 1_000;

/// Messages that one request receives at most.
const BATCH: u32 = 10;

/// How long a letter is nobody else's while it is moved.
const MOVE_LIMIT_S: i32 = 60;

/// SQS did not do it.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation}: {why}")]
pub struct QueueError {
    operation: &'static str,
    why: String,
}

impl QueueError {
    pub(super) fn new(operation: &'static str, why: impl Into<String>) -> Self {
        Self {
            operation,
            why: why.into(),
        }
    }

    fn of(operation: &'static str, error: impl std::error::Error) -> Self {
        Self::new(operation, DisplayErrorContext(error).to_string())
    }
}

/// A queue of dead letters.
pub struct DeadLetters {
    client: Client,
    url: String,
}

/// What was moved.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Redriven {
    /// Letters.
    pub moved: u32,
    /// How many for each reason.
    pub reasons: BTreeMap<String, u32>,
}

#[async_trait]
impl Parking for DeadLetters {
    async fn park(&self, record: &Record, reason: &str) -> Result<(), QueueError> {
        self.send(&self.url, &record.body, reason, "park a record").await
    }
}

impl DeadLetters {
    /// The queue with this URL.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }

    /// Moves at most `limit` letters to a queue where they are handled again, with their reasons. A letter that still
    /// cannot be handled comes back, which is why there is a limit.
    ///
    /// A letter is removed after it was sent: one that is interrupted in between is in both, and a hint may come twice.
    ///
    /// # Errors
    /// SQS did not answer; what was moved by then is moved.
    pub async fn redrive(&self, to: &str, limit: u32) -> Result<Redriven, QueueError> {
        let mut redriven = Redriven::default();
        while redriven.moved < limit {
            let letters = self.receive(BATCH.min(limit - redriven.moved)).await?;
            if letters.is_empty() {
                break;
            }
            for letter in letters {
                let reason = reason_of(&letter);
                self.send(to, letter.body().unwrap_or_default(), &reason, "send a letter")
                    .await?;
                self.remove(&letter).await?;
                redriven.moved += 1;
                *redriven.reasons.entry(reason).or_default() += 1;
            }
        }
        Ok(redriven)
    }

    async fn receive(&self, most: u32) -> Result<Vec<Received>, QueueError> {
        let call = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(most).expect("a batch is small"))
            .visibility_timeout(MOVE_LIMIT_S)
            // A short poll asks some of the servers only, and may find nothing where there is something.
            .wait_time_seconds(1)
            .message_attribute_names(REASON)
            .message_system_attribute_names(SystemAttribute::ApproximateReceiveCount);
        let received = call.send().await;
        let received = received.map_err(|error| QueueError::of("receive letters", error))?;
        Ok(received.messages.unwrap_or_default())
    }

    async fn remove(&self, letter: &Received) -> Result<(), QueueError> {
        let call = self
            .client
            .delete_message()
            .queue_url(&self.url)
            .set_receipt_handle(letter.receipt_handle.clone());
        let removed = call.send().await;
        removed
            .map(|_| ())
            .map_err(|error| QueueError::of("remove a letter", error))
    }

    async fn send(
        &self,
        to: &str,
        body: &str,
        reason: &str,
        operation: &'static str,
    ) -> Result<(), QueueError> {
        let value = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(attribute(reason))
            .build()
            .expect("type and value are given");
        let call = self
            .client
            .send_message()
            .queue_url(to)
            .message_body(if body.is_empty() { "(empty)" } else { body })
            .message_attributes(REASON, value);
        let sent = call.send().await;
        sent.map(|_| ()).map_err(|error| QueueError::of(operation, error))
    }
}

/// A reason as SQS takes it: not too long, not empty, none of the characters that XML has no way to write.
fn attribute(reason: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => ' ',
        false => c,
    };
    let text: String = reason.chars().map(shown).take(REASON_LIMIT).collect();
    match text.trim().is_empty() {
        true => "unknown".to_owned(),
        false => text,
    }
}

fn reason_of(letter: &Received) -> String {
    let attributes = letter.message_attributes();
    let stated = attributes
        .and_then(|all| all.get(REASON))
        .and_then(|value| value.string_value());
    // Weir states a reason; the queue, which parks what failed too often, does not.
    stated.unwrap_or("it failed too often").to_owned()
}
