//! The store in memory, with faults.

use std::sync::Arc;

use async_trait::async_trait;
use weir_app::memory::MemoryStore;
use weir_app::{Commit, EffectKey, Loaded, Lookout, Store, StoreError};
use weir_domain::Duty;
use weir_domain::audit::Entry;
use weir_domain::ids::{ApprovalToken, LaneKey, PipelineName, PushKey, RunId};
use weir_domain::lane::Lane;
use weir_domain::run::Run;
use weir_domain::time::Timestamp;

use crate::faults::Faults;
use crate::version::Version;

/// The store as one function has it; the rows are everybody's.
#[derive(Clone)]
pub(crate) struct FaultyStore {
    pub(crate) inner: Arc<MemoryStore>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) version: Version,
}

impl FaultyStore {
    fn alive(&self, operation: &'static str) -> Result<(), StoreError> {
        match self.faults.dead() {
            true => Err(StoreError::Unavailable {
                operation,
                source: "the process is dead".into(),
            }),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn load(&self, run: &RunId) -> Result<Option<Loaded>, StoreError> {
        self.alive("load a run")?;
        let loaded = self.inner.load(run).await?;
        Ok(loaded.map(|mut loaded| {
            loaded.state.run = self.version.read(loaded.state.run);
            loaded
        }))
    }

    async fn lanes(&self, keys: &[LaneKey]) -> Result<Vec<(Lane, u64)>, StoreError> {
        self.alive("load lanes")?;
        self.inner.lanes(keys).await
    }

    async fn commit(&self, mut commit: Commit) -> Result<(), StoreError> {
        self.alive("commit")?;
        commit.run = self.version.write(commit.run);
        let item = format!("{} at {}", commit.run.id, commit.expected);
        if self.faults.conflict(&item) {
            return Err(StoreError::Conflict(item));
        }
        // A look that decides nothing has nothing to lose; all others are counted, and die in turn.
        let decides = !commit.entries.is_empty() || !commit.outbox.is_empty();
        let writing = self.version.writing(&commit.run);
        self.inner.commit(commit).await?;
        self.version.stored(writing);
        if decides {
            self.faults.committed();
        }
        self.alive("commit")
    }

    async fn run_of_approval(&self, token: &ApprovalToken) -> Result<Option<RunId>, StoreError> {
        self.alive("find an approval")?;
        self.inner.run_of_approval(token).await
    }

    async fn run_of_push(
        &self,
        pipeline: &PipelineName,
        push: &PushKey,
    ) -> Result<Option<RunId>, StoreError> {
        self.alive("find a push")?;
        self.inner.run_of_push(pipeline, push).await
    }

    async fn last_number(&self, pipeline: &PipelineName) -> Result<u64, StoreError> {
        self.alive("count runs")?;
        self.inner.last_number(pipeline).await
    }

    async fn settle(&self, key: &EffectKey) -> Result<(), StoreError> {
        self.alive("settle an effect")?;
        self.inner.settle(key).await
    }

    async fn postpone(&self, key: &EffectKey, due: Timestamp) -> Result<(), StoreError> {
        self.alive("postpone an effect")?;
        self.inner.postpone(key, due).await
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Lookout>, StoreError> {
        self.alive("sweep")?;
        self.inner.due(now, limit).await
    }

    async fn wake(&self, run: &RunId, duty: Duty, at: Timestamp) -> Result<(), StoreError> {
        self.alive("wake a run")?;
        self.inner.wake(run, duty, at).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.inner.next_due().await
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<Entry>, StoreError> {
        self.inner.entries(run).await
    }

    async fn runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        self.inner.runs(limit).await
    }
}
