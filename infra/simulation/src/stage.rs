//! People and a source host who are there and say nothing.

use async_trait::async_trait;
use weir_app::{EffectError, People, Source, SourceError, SourceFile};
use weir_domain::approval::MessageRef;
use weir_domain::effect::CommitState;
use weir_domain::ids::{Commit, StepId};
use weir_domain::run::{Cause, Repository, Run};

/// Nobody reads messages.
pub struct Nobody;

#[async_trait]
impl People for Nobody {
    async fn show_approval(&self, _: &Run, _: usize) -> Result<Option<MessageRef>, EffectError> {
        Ok(None)
    }

    async fn page(&self, _: &Run, _: StepId) -> Result<(), EffectError> {
        Ok(())
    }
}

/// Every commit descends from those before it, and statuses are set.
pub struct History;

#[async_trait]
impl Source for History {
    async fn files(&self, _: &Repository, _: &Commit, _: &[String]) -> Result<Vec<SourceFile>, SourceError> {
        Ok(Vec::new())
    }

    async fn descends(&self, _: &Repository, _: &Commit, _: &Commit) -> Result<bool, SourceError> {
        Ok(true)
    }

    async fn report(&self, _: &Cause, _: &str, _: CommitState, _: &str) -> Result<(), SourceError> {
        Ok(())
    }
}
