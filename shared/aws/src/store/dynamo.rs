//! The port.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use weir_app::{Clock, Commit, EffectKey, Loaded, Lookout, Store, StoreError};
use weir_domain::Duty;
use weir_domain::audit::Entry;
use weir_domain::ids::{ApprovalToken, LaneKey, PipelineName, PushKey, RunId};
use weir_domain::lane::Lane;
use weir_domain::run::Run;
use weir_domain::time::Timestamp;

use super::{keys, read, sparse, write};

/// The store in a table of DynamoDB.
pub struct DynamoStore {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) tokens: Tokens,
    clock: Arc<dyn Clock>,
    youngest: AtomicI64,
}

impl DynamoStore {
    /// The store in a table that exists. The clock only orders the list of runs.
    pub fn new(client: Client, table: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self {
            client,
            table: table.into(),
            tokens: Tokens::default(),
            clock,
            youngest: AtomicI64::new(0),
        }
    }

    /// When a run that is stored now is born: no two of one process at the same millisecond.
    pub(super) fn born(&self) -> Timestamp {
        let now = self.clock.now().0;
        let after = |last: i64| now.max(last + 1);
        let last = self
            .youngest
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(after(last)));
        Timestamp(after(last.unwrap_or_else(|last| last)))
    }
}

/// Makes tokens that no other commit has, in this process or another. Not secret: a token tells a commit that is
/// repeated from one of somebody else.
#[derive(Default)]
pub(super) struct Tokens {
    /// Keyed by the operating system's random numbers.
    keyed: [RandomState; 2],
    made: AtomicU64,
}

impl Tokens {
    /// 32 hexadecimal digits; DynamoDB takes 36 characters.
    pub(super) fn next(&self) -> String {
        let n = self.made.fetch_add(1, Ordering::Relaxed);
        self.keyed
            .iter()
            .map(|keyed| format!("{:016x}", keyed.hash_one(n)))
            .collect()
    }
}

#[async_trait]
impl Store for DynamoStore {
    async fn load(&self, run: &RunId) -> Result<Option<Loaded>, StoreError> {
        read::load(self, run).await
    }

    async fn lanes(&self, keys: &[LaneKey]) -> Result<Vec<(Lane, u64)>, StoreError> {
        read::lanes(self, keys).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        write::commit(self, &commit).await
    }

    async fn run_of_approval(&self, token: &ApprovalToken) -> Result<Option<RunId>, StoreError> {
        read::pointer(self, "find an approval", &keys::approval(token)).await
    }

    async fn run_of_push(
        &self,
        pipeline: &PipelineName,
        push: &PushKey,
    ) -> Result<Option<RunId>, StoreError> {
        read::pointer(self, "find a push", &keys::push(pipeline, push)).await
    }

    async fn last_number(&self, pipeline: &PipelineName) -> Result<u64, StoreError> {
        read::last_number(self, pipeline).await
    }

    async fn settle(&self, key: &EffectKey) -> Result<(), StoreError> {
        write::settle(self, key).await
    }

    async fn postpone(&self, key: &EffectKey, due: Timestamp) -> Result<(), StoreError> {
        write::postpone(self, key, due).await
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Lookout>, StoreError> {
        sparse::due(self, now, limit).await
    }

    async fn wake(&self, run: &RunId, duty: Duty, at: Timestamp) -> Result<(), StoreError> {
        write::wake(self, run, duty, at).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        sparse::next_due(self).await
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<Entry>, StoreError> {
        read::entries(self, run).await
    }

    async fn runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        sparse::runs(self, limit).await
    }
}
