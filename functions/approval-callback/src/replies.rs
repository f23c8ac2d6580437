//! Answers to the one person who pressed.

use async_trait::async_trait;
use weir_slack::message::reject_dialog;
use weir_slack::{Message, ResponseUrl, SlackClient};

/// What is told to the person who pressed, beside the answer to their request.
#[async_trait]
pub trait Replies: Send + Sync {
    /// Shows `text` to that person alone. Nobody waits for it: a failure is logged.
    async fn tell(&self, to: &ResponseUrl, text: &str);

    /// Opens the dialog that asks for the reason of a rejection. The trigger works once, within 3 s of the press.
    ///
    /// # Errors
    /// Why it did not open, in words.
    async fn ask_reason(
        &self,
        trigger_id: &str,
        token: &str,
        pipeline: &str,
        number: u64,
    ) -> Result<(), String>;
}

#[async_trait]
impl Replies for SlackClient {
    async fn tell(&self, to: &ResponseUrl, text: &str) {
        if let Err(error) = self.respond(to, &Message::lines(text)).await {
            tracing::warn!(why = %error, "a person could not be told about their press");
        }
    }

    async fn ask_reason(
        &self,
        trigger_id: &str,
        token: &str,
        pipeline: &str,
        number: u64,
    ) -> Result<(), String> {
        let dialog = reject_dialog(token, pipeline, number);
        self.open_view(trigger_id, &dialog)
            .await
            .map_err(|error| error.to_string())
    }
}
