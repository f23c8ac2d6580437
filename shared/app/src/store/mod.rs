//! The store: one table, one transaction a decision.
//!
//! The same contract holds for memory, SQLite and DynamoDB; its suite stands in `tests/`.

pub mod memory;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use weir_domain::Duty;
use weir_domain::audit::Entry;
use weir_domain::effect::Effect;
use weir_domain::ids::{ApprovalToken, LaneKey, PipelineName, PoolKey, PushKey, RunId, StepId};
use weir_domain::lane::Lane;
use weir_domain::pool::Pool;
use weir_domain::run::{Run, State};
use weir_domain::time::{Span, Timestamp};

use crate::retry::{Classified, Retry};

/// A run with its lanes, and the versions they were read at.
#[derive(Clone, PartialEq, Debug)]
pub struct Loaded {
    /// What was read.
    pub state: State,
    /// Version of the run's item; 0: it does not exist yet.
    pub version: u64,
    /// Versions of the lanes; a lane that is absent here does not exist yet.
    pub lanes: Vec<(LaneKey, u64)>,
    /// Versions of the pools; a pool that is absent here does not exist yet.
    pub pools: Vec<(PoolKey, u64)>,
    /// When each duty is due; a duty that is absent here is not.
    pub looks: Vec<(Duty, Timestamp)>,
    /// Effects that are not settled, in the order they were decided.
    pub outbox: Vec<OutboxRow>,
    /// The scrape that the last committed count of each step left.
    pub scrapes: Vec<Scrape>,
}

impl Loaded {
    /// A run with its lanes and pools, each with the version it was read at. Nothing of it is due or not settled.
    pub fn new(run: Run, version: u64, lanes: Vec<(Lane, u64)>, pools: Vec<(Pool, u64)>) -> Self {
        let of_lanes = lanes.iter().map(|(lane, at)| (lane.key.clone(), *at));
        let of_pools = pools.iter().map(|(pool, at)| (pool.key.clone(), *at));
        Self {
            version,
            lanes: of_lanes.collect(),
            pools: of_pools.collect(),
            looks: Vec::new(),
            outbox: Vec::new(),
            scrapes: Vec::new(),
            state: State {
                run,
                lanes: lanes
                    .into_iter()
                    .map(|(lane, _)| (lane.key.clone(), lane))
                    .collect(),
                pools: pools
                    .into_iter()
                    .map(|(pool, _)| (pool.key.clone(), pool))
                    .collect(),
            },
        }
    }

    /// When a duty is due.
    pub fn due(&self, duty: Duty) -> Option<Timestamp> {
        self.looks.iter().find(|(own, _)| *own == duty).map(|(_, at)| *at)
    }

    /// What the last count of a step left.
    pub fn scrape(&self, step: StepId) -> Option<&serde_json::Value> {
        self.scrapes
            .iter()
            .find(|own| own.step == step)
            .map(|own| &own.value)
    }
}

/// Names an effect: `run#version#n`. The version is that of the run after the commit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct EffectKey {
    /// The run.
    pub run: RunId,
    /// Version of the run that decided it.
    pub version: u64,
    /// Place in the decision, from 0.
    pub n: u32,
}

impl std::fmt::Display for EffectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}#{}", self.run, self.version, self.n)
    }
}

/// An effect that is not settled yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutboxRow {
    /// Its name.
    pub key: EffectKey,
    /// What to do.
    pub effect: Effect,
    /// When the sweep takes it, if nobody settled it before.
    pub due: Timestamp,
    /// How often it was tried in vain.
    pub attempts: u32,
}

/// What the metrics source wants to see again at its next count.
#[derive(Clone, PartialEq, Debug)]
pub struct Scrape {
    /// The rollout step.
    pub step: StepId,
    /// Opaque.
    pub value: serde_json::Value,
}

/// A run that somebody must look at.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Lookout {
    /// When it was due.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// What to look after.
    pub duty: Duty,
}

/// One decision, to be stored whole or not at all.
#[derive(Clone, PartialEq, Debug)]
pub struct Commit {
    /// State after; its lanes are those that changed.
    pub run: Run,
    /// Version that the run must still have; 0: it must not exist.
    pub expected: u64,
    /// Lanes that changed, each with the version it must still have.
    pub lanes: Vec<(Lane, u64)>,
    /// Pools that changed, each with the version it must still have.
    pub pools: Vec<(Pool, u64)>,
    /// New entries of the log.
    pub entries: Vec<Entry>,
    /// New effects.
    pub outbox: Vec<OutboxRow>,
    /// When each duty must be looked at again. Both are always given and replace what stood.
    pub looks: [(Duty, Option<Timestamp>); 2],
    /// Replaces the scrape of its step, if it is kept ([`Commit::kept_scrape`]).
    pub scrape: Option<Scrape>,
    /// Closed stages ([`Run::is_closed`]) that this decision changed; of a run that is stored first, all. What was scraped
    /// for their steps is forgotten ([`Commit::forgotten`]).
    pub closed: Vec<usize>,
    /// The push that a new run belongs to. One push starts a pipeline once, whatever is delivered again.
    pub push: Option<PushKey>,
}

impl Commit {
    /// The scrape, if somebody may still ask for it: a look that comes late counts once more for a stage that is closed.
    pub fn kept_scrape(&self) -> Option<&Scrape> {
        self.scrape
            .as_ref()
            .filter(|scrape| self.run.is_counted(scrape.step))
    }

    /// Steps whose scrapes are forgotten.
    pub fn forgotten(&self) -> impl Iterator<Item = StepId> {
        let all = self.closed.iter().flat_map(|&stage| {
            let steps = self.run.stages.get(stage).map_or(0, |stage| stage.steps.len());
            (0..steps).map(move |step| StepId { stage, step })
        });
        all.filter(|step| !self.run.is_counted(*step))
    }
}

/// The store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An item is not at the expected version any more.
    #[error("{0} was changed by somebody else")]
    Conflict(String),
    /// This push has already started this pipeline.
    #[error("the push has already started run {0}")]
    Duplicate(RunId),
    /// What was read does not fit the schema this engine knows.
    #[error("{item} cannot be read: {why}")]
    Decode {
        /// Which item.
        item: String,
        /// What is wrong with it.
        why: String,
    },
    /// What is to be stored is larger than the store takes.
    #[error("{item} has {size} {unit}; the store takes {limit}: make the definition or its outputs smaller")]
    TooLarge {
        /// Which item, or the whole decision.
        item: String,
        /// Its size.
        size: usize,
        /// What is counted.
        unit: &'static str,
        /// The most there may be.
        limit: usize,
    },
    /// The store asks for patience.
    #[error("the store was too busy to {operation}")]
    Busy {
        /// What was asked.
        operation: &'static str,
        /// When to ask again.
        wait: Span,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store did not answer.
    #[error("the store could not {operation}")]
    Unavailable {
        /// What was asked.
        operation: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Classified for StoreError {
    fn retry(&self) -> Retry {
        match self {
            Self::Conflict(_) => Retry::Conflict,
            Self::Duplicate(_) | Self::Decode { .. } | Self::TooLarge { .. } => Retry::Never,
            Self::Busy { wait, .. } => Retry::After(*wait),
            Self::Unavailable { .. } => Retry::Now,
        }
    }
}

/// Keeps runs, lanes, logs, outbox and looks.
///
/// *Guarantees*: reads are strongly consistent; [`Store::commit`] is one transaction conditioned on every version it
/// names; entries are never changed or removed.
#[async_trait]
pub trait Store: Send + Sync {
    /// A run with the lanes and pools its definition names, and with what is not settled.
    async fn load(&self, run: &RunId) -> Result<Option<Loaded>, StoreError>;

    /// Lanes as they stand, for a run that does not exist yet.
    async fn lanes(&self, keys: &[LaneKey]) -> Result<Vec<(Lane, u64)>, StoreError>;

    /// Stores a decision.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if any item is not at its expected version; [`StoreError::Duplicate`] if the push has
    /// already started a run of this pipeline. Nothing is stored then.
    async fn commit(&self, commit: Commit) -> Result<(), StoreError>;

    /// The run that waits for this approval, or once did.
    async fn run_of_approval(&self, token: &ApprovalToken) -> Result<Option<RunId>, StoreError>;

    /// The run that this push started in this pipeline.
    async fn run_of_push(&self, pipeline: &PipelineName, push: &PushKey)
    -> Result<Option<RunId>, StoreError>;

    /// The highest number among the runs of a pipeline; 0 if there is none.
    async fn last_number(&self, pipeline: &PipelineName) -> Result<u64, StoreError>;

    /// An effect was performed, or can never be. Settling again changes nothing.
    async fn settle(&self, key: &EffectKey) -> Result<(), StoreError>;

    /// An effect was tried in vain; the sweep takes it at `due`.
    async fn postpone(&self, key: &EffectKey, due: Timestamp) -> Result<(), StoreError>;

    /// Runs whose look or whose outbox is due, longest due first, at most `limit`. A run stays due until a commit says
    /// when to look next.
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Lookout>, StoreError>;

    /// Makes a duty of a run due at `at`, unless it is due earlier. Unconditional: it moves no version, and a run that
    /// does not exist is passed over.
    async fn wake(&self, run: &RunId, duty: Duty, at: Timestamp) -> Result<(), StoreError>;

    /// When the next run will be due, if any.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// The log of a run, in order.
    async fn entries(&self, run: &RunId) -> Result<Vec<Entry>, StoreError>;

    /// Runs, newest first, at most `limit`.
    async fn runs(&self, limit: usize) -> Result<Vec<Run>, StoreError>;
}
