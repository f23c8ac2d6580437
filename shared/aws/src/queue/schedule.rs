//! Delays longer than SQS takes: a schedule that puts the hint into the queue at its time, and is gone then.

use async_trait::async_trait;
use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_scheduler::primitives::{DateTime, DateTimeFormat};
use aws_sdk_scheduler::types::{ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, Target};
use weir_domain::digest::sha256_hex;
use weir_domain::time::Timestamp;

use super::message::Message;

/// A message that is sent to a queue once, at a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// The same for the same hint, so that giving it twice makes one schedule.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// The queue's ARN.
    pub queue: String,
    /// What is sent.
    pub body: String,
}

impl Schedule {
    /// The schedule of a hint.
    pub fn new(message: &Message, queue: String) -> Self {
        let what = format!(
            "{}\n{}\n{}\n{queue}",
            message.run,
            message.duty.as_str(),
            message.due.0
        );
        Self {
            // EventBridge takes 64 characters of `0-9a-zA-Z-_.`, and a run's id may hold others.
            name: format!("weir-{}", &sha256_hex(what.as_bytes())[..40]),
            at: message.due,
            queue,
            body: message.to_body(),
        }
    }

    /// The time as EventBridge takes it: UTC, whole seconds, never before its time.
    pub fn expression(&self) -> String {
        let seconds = self.at.0.div_euclid(1_000) + i64::from(self.at.0.rem_euclid(1_000) > 0);
        let text = DateTime::from_secs(seconds)
            .fmt(DateTimeFormat::DateTime)
            .expect("a time of this century can be written");
        format!("at({})", text.trim_end_matches('Z'))
    }
}

/// A schedule could not be created.
#[derive(Debug, thiserror::Error)]
#[error("could not create schedule {name}: {why}")]
pub struct ScheduleError {
    /// Its name.
    pub name: String,
    /// What came back.
    pub why: String,
}

/// Creates schedules.
///
/// *Guarantees*: none beyond "usually within a minute of its time". One that exists already is no error.
#[async_trait]
pub trait Schedules: Send + Sync {
    /// Creates a schedule.
    ///
    /// # Errors
    /// It could not be created.
    async fn create(&self, schedule: Schedule) -> Result<(), ScheduleError>;
}

/// Schedules of EventBridge Scheduler.
pub struct EventBridge {
    client: Client,
    group: String,
    role: String,
}

impl EventBridge {
    /// Schedules in a group, which send with a role that may send to Weir's queues and nothing else.
    pub fn new(client: Client, group: impl Into<String>, role_arn: impl Into<String>) -> Self {
        Self {
            client,
            group: group.into(),
            role: role_arn.into(),
        }
    }
}

#[async_trait]
impl Schedules for EventBridge {
    async fn create(&self, schedule: Schedule) -> Result<(), ScheduleError> {
        let expression = schedule.expression();
        let Schedule {
            name, queue, body, ..
        } = schedule;
        let target = Target::builder()
            .arn(queue)
            .role_arn(&self.role)
            .input(body)
            .build()
            .expect("queue and role are given");
        let exactly = FlexibleTimeWindow::builder()
            .mode(FlexibleTimeWindowMode::Off)
            .build()
            .expect("a mode is given");
        let call = self
            .client
            .create_schedule()
            .name(&name)
            .group_name(&self.group)
            .client_token(&name)
            .schedule_expression(expression)
            .flexible_time_window(exactly)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(target);
        match call.send().await {
            Ok(_) => Ok(()),
            // The name says what is sent, where and when: the one that exists is this one.
            Err(error) if error.code() == Some("ConflictException") => Ok(()),
            Err(error) => Err(ScheduleError {
                name,
                why: DisplayErrorContext(error).to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_domain::Duty;
    use weir_domain::ids::RunId;

    fn schedule(run: &str, ms: i64) -> Schedule {
        let message = Message::new(RunId::new(run), Duty::Steps, Timestamp(ms), None);
        Schedule::new(&message, "arn:aws:sqs:eu-central-1:1:steps".into())
    }

    #[test]
    fn the_time_is_in_whole_seconds_and_never_early() {
        assert_eq!(
            schedule("a", 1_700_000_000_000).expression(),
            "at(2023-11-14T22:13:20)"
        );
        assert_eq!(
            schedule("a", 1_700_000_000_001).expression(),
            "at(2023-11-14T22:13:21)"
        );
    }

    #[test]
    fn the_same_hint_has_the_same_name_and_another_has_another() {
        let name = |run, ms| schedule(run, ms).name;
        assert_eq!(name("a", 1), name("a", 1));
        assert_ne!(name("a", 1), name("a", 2));
        assert_ne!(name("a", 1), name("a b/ü", 1));
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        assert!(name("a b/ü", 1).len() <= 64 && name("a b/ü", 1).chars().all(allowed));
    }
}
