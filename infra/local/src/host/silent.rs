//! People, where no Slack is configured: they are found in `weir runs`, and a page is a line in the host's log.

use async_trait::async_trait;
use weir_app::{EffectError, People};
use weir_domain::approval::MessageRef;
use weir_domain::ids::StepId;
use weir_domain::run::Run;

/// Tells nobody.
pub(crate) struct SilentPeople;

#[async_trait]
impl People for SilentPeople {
    async fn show_approval(&self, run: &Run, stage: usize) -> Result<Option<MessageRef>, EffectError> {
        let name = run
            .pipeline
            .stages
            .get(stage)
            .map_or("", |stage| stage.name.as_str());
        tracing::info!(run.id = %run.id, stage = name, "an approval changed; it is answered with `weir approve` or `weir reject`");
        Ok(None)
    }

    async fn page(&self, run: &Run, step: StepId) -> Result<(), EffectError> {
        let why = run.went_back(step).unwrap_or_default();
        tracing::error!(
            run.id = %run.id,
            pipeline = %run.pipeline.name,
            number = run.number,
            why,
            "a rollout needs a look and no Slack channel is configured to tell the on-call: weir show {}",
            run.id
        );
        Ok(())
    }
}
