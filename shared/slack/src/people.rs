//! The people of the loop: approvals and pages in one Slack channel.

mod approval;
mod experiment;
mod page;

use async_trait::async_trait;
use weir_app::{EffectError, People, Retry as Again};
use weir_domain::approval::MessageRef;
use weir_domain::ids::StepId;
use weir_domain::run::Run;
use weir_domain::time::{Span, Timestamp};

use crate::client::{PostedMessage, Retry, SlackClient, SlackError};

/// Asks and tells people in a channel.
#[derive(Debug, Clone)]
pub struct SlackPeople {
    /// The bot.
    pub client: SlackClient,
    /// The channel, by id or name.
    pub channel: String,
}

#[async_trait]
impl People for SlackPeople {
    /// Posts the first time and changes that message afterwards. A crash between posting and noting where the message
    /// stands posts it twice: both carry the same token, so both work, and one of them is changed at the end.
    async fn show_approval(&self, run: &Run, stage: usize) -> Result<Option<MessageRef>, EffectError> {
        const OPERATION: &str = "show the approval of";
        let Some(message) = approval::message(run, stage) else {
            return Ok(None);
        };
        let posted = run.stages[stage]
            .approval
            .as_ref()
            .and_then(|a| a.message.as_ref());
        let result = match posted {
            Some(at) => {
                let posted = PostedMessage {
                    channel: at.channel.clone(),
                    ts: at.ts.clone(),
                };
                self.client.update(&posted, &message).await.map(|()| posted)
            }
            None => self.client.post_message(&self.channel, &message).await,
        };
        let posted = result.map_err(|error| failed(OPERATION, run, &error))?;
        Ok(Some(MessageRef {
            channel: posted.channel,
            ts: posted.ts,
        }))
    }

    async fn page(&self, run: &Run, step: StepId) -> Result<(), EffectError> {
        const OPERATION: &str = "page the on-call about";
        let Some(message) = page::message(run, step) else {
            return Ok(());
        };
        let posted = self.client.post_message(&self.channel, &message).await;
        posted.map(|_| ()).map_err(|error| failed(OPERATION, run, &error))
    }
}

fn failed(operation: &'static str, run: &Run, error: &SlackError) -> EffectError {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    EffectError {
        operation,
        object: run.title(),
        why: format!("{error}{}", cause.unwrap_or_default()),
        retry: match error.retry() {
            Retry::After(pause) => {
                Again::After(Span::millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)))
            }
            Retry::Never => Again::Never,
        },
    }
}

/// Seconds since 1970.
fn unix(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000)
}

#[cfg(test)]
mod tests;
