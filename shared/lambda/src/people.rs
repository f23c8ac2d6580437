//! People, where no Slack is configured: a page is a line in the function's log.

use async_trait::async_trait;
use weir_app::{EffectError, People};
use weir_domain::approval::MessageRef;
use weir_domain::ids::StepId;
use weir_domain::run::Run;

/// Tells nobody.
pub(crate) struct Silent;

#[async_trait]
impl People for Silent {
    async fn show_approval(&self, run: &Run, stage: usize) -> Result<Option<MessageRef>, EffectError> {
        tracing::info!(run.id = %run.id, stage, "an approval changed, and no Slack channel is configured to show it in");
        Ok(None)
    }

    async fn page(&self, run: &Run, step: StepId) -> Result<(), EffectError> {
        let why = run.went_back(step).unwrap_or_default();
        tracing::error!(run.id = %run.id, why, "a rollout needs a look, and no Slack channel is configured to tell the on-call");
        Ok(())
    }
}
