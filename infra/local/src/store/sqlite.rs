//! The port, over two desks: writes are one after another, reads never wait for a sync.

use std::path::Path;

use async_trait::async_trait;
use rusqlite::TransactionBehavior;
use tokio::sync::watch;
use weir_app::{Commit, EffectKey, Loaded, Lookout, Store, StoreError};
use weir_domain::Duty;
use weir_domain::audit::Entry;
use weir_domain::ids::{ApprovalToken, LaneKey, PipelineName, PushKey, RunId};
use weir_domain::lane::Lane;
use weir_domain::run::Run;
use weir_domain::time::Timestamp;

use super::desk::Desk;
use super::schema::{self, OpenError};
use super::{keys, read, write};

/// The store in a file. The one who opens it holds the lock of its folder.
pub struct SqliteStore {
    writes: Desk,
    reads: Desk,
    commits: watch::Sender<u64>,
}

impl SqliteStore {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// It cannot be opened, or another version of Weir wrote it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        // The writer first: it makes the table.
        let writer = schema::open(path)?;
        let reader = schema::open(path)?;
        Ok(Self {
            writes: Desk::new("weir-store-w", writer, TransactionBehavior::Immediate)?,
            reads: Desk::new("weir-store-r", reader, TransactionBehavior::Deferred)?,
            commits: watch::Sender::new(0),
        })
    }

    /// Changes with every decision that was stored, so that whoever watches a run need not ask again and again.
    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// The runs that carry this number, one a pipeline at most.
    pub(crate) async fn numbered(&self, number: u64) -> Result<Vec<Run>, StoreError> {
        self.reads
            .run("find a number", move |sp| read::numbered(sp, number))
            .await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn load(&self, run: &RunId) -> Result<Option<Loaded>, StoreError> {
        let run = run.clone();
        self.reads.run("load a run", move |sp| read::load(sp, &run)).await
    }

    async fn lanes(&self, keys: &[LaneKey]) -> Result<Vec<(Lane, u64)>, StoreError> {
        let keys = keys.to_vec();
        self.reads
            .run("load lanes", move |sp| read::lanes(sp, &keys))
            .await
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        self.writes
            .run("commit a decision", move |sp| write::commit(sp, &commit))
            .await?;
        self.commits.send_modify(|count| *count += 1);
        Ok(())
    }

    async fn run_of_approval(&self, token: &ApprovalToken) -> Result<Option<RunId>, StoreError> {
        let pk = keys::approval(token);
        self.reads
            .run("find an approval", move |sp| read::pointer(sp, &pk))
            .await
    }

    async fn run_of_push(
        &self,
        pipeline: &PipelineName,
        push: &PushKey,
    ) -> Result<Option<RunId>, StoreError> {
        let pk = keys::push(pipeline, push);
        self.reads
            .run("find a push", move |sp| read::pointer(sp, &pk))
            .await
    }

    async fn last_number(&self, pipeline: &PipelineName) -> Result<u64, StoreError> {
        let pipeline = pipeline.clone();
        self.reads
            .run("read the last number", move |sp| read::last_number(sp, &pipeline))
            .await
    }

    async fn settle(&self, key: &EffectKey) -> Result<(), StoreError> {
        let key = key.clone();
        self.writes
            .run("settle an effect", move |sp| write::settle(sp, &key))
            .await
    }

    async fn postpone(&self, key: &EffectKey, due: Timestamp) -> Result<(), StoreError> {
        let key = key.clone();
        self.writes
            .run("postpone an effect", move |sp| write::postpone(sp, &key, due))
            .await
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Lookout>, StoreError> {
        self.reads
            .run("read what is due", move |sp| read::due(sp, now, limit))
            .await
    }

    async fn wake(&self, run: &RunId, duty: Duty, at: Timestamp) -> Result<(), StoreError> {
        let run = run.clone();
        self.writes
            .run("wake a run", move |sp| write::wake(sp, &run, duty, at))
            .await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.reads.run("read what is due next", read::next_due).await
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<Entry>, StoreError> {
        let run = run.clone();
        self.reads
            .run("read a log", move |sp| read::entries(sp, &run))
            .await
    }

    async fn runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        self.reads.run("list runs", move |sp| read::runs(sp, limit)).await
    }
}
