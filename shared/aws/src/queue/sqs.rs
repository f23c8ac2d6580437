//! The port.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{
    MessageSystemAttributeNameForSends as SystemAttribute, MessageSystemAttributeValue as SystemValue,
};
use weir_app::{Clock, Queue};
use weir_domain::Duty;
use weir_domain::ids::RunId;
use weir_domain::time::{Span, Timestamp};

use super::message::Message;
use super::schedule::{Schedule, Schedules};
use super::trace;

/// Longest delay that SQS takes.
const DELAY_LIMIT: Span = Span::seconds(900);

/// A queue, as its two callers name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// For requests to SQS.
    pub url: String,
    /// For schedules.
    pub arn: String,
}

/// Gives hints over SQS, a queue for each duty.
pub struct SqsQueue {
    client: Client,
    queues: BTreeMap<Duty, Address>,
    schedules: Arc<dyn Schedules>,
    clock: Arc<dyn Clock>,
}

impl SqsQueue {
    /// A queue for each duty, and where delays beyond 15 minutes go.
    pub fn new(
        client: Client,
        steps: Address,
        traffic: Address,
        schedules: Arc<dyn Schedules>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            client,
            queues: [(Duty::Steps, steps), (Duty::Traffic, traffic)].into(),
            schedules,
            clock,
        }
    }

    async fn send(&self, message: Message, wait: Span) -> Result<(), String> {
        let address = &self.queues[&message.duty];
        if wait > DELAY_LIMIT {
            let schedule = Schedule::new(&message, address.arn.clone());
            return self
                .schedules
                .create(schedule)
                .await
                .map_err(|error| error.to_string());
        }
        let header = message.trace.clone();
        let call = self
            .client
            .send_message()
            .queue_url(&address.url)
            .message_body(message.to_body())
            .delay_seconds(seconds(wait));
        let call = match header.map(trace_header) {
            Some(value) => call.message_system_attributes(SystemAttribute::AwsTraceHeader, value),
            None => call,
        };
        let sent = call.send().await;
        sent.map(|_| ())
            .map_err(|error| DisplayErrorContext(error).to_string())
    }
}

/// Whole seconds, never fewer than asked for: a hint that comes early is passed over.
fn seconds(wait: Span) -> i32 {
    i32::try_from(wait.0.div_ceil(1_000)).expect("a delay is at most 900 s")
}

fn trace_header(header: String) -> SystemValue {
    SystemValue::builder()
        .data_type("String")
        .string_value(header)
        .build()
        .expect("type and value are given")
}

#[async_trait]
impl Queue for SqsQueue {
    /// A hint that cannot be given is logged and nothing else: the run is due in the store, and the sweep finds it.
    async fn hint(&self, run: &RunId, duty: Duty, at: Timestamp) {
        let wait = at.since(self.clock.now());
        let message = Message::new(run.clone(), duty, at, trace::current());
        if let Err(why) = self.send(message, wait).await {
            tracing::warn!(run.id = %run, duty = duty.as_str(), why, "a hint was not sent; the sweep will find the run");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_never_shorter_than_asked_for() {
        let cases = [(0, 0), (1, 1), (1_000, 1), (1_001, 2), (900_000, 900)];
        for (ms, expected) in cases {
            assert_eq!(seconds(Span::millis(ms)), expected, "{ms} ms");
        }
    }
}
