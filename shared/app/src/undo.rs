//! A person wants back what served before a run that is promoted already.

use weir_domain::Refused;
use weir_domain::ids::{PushKey, RunId};
use weir_domain::people::Identity;
use weir_domain::undo::undo;

use crate::engine::Engine;
use crate::retry::{Classified, Retry};
use crate::start::{Start, StartError, Started};
use crate::store::StoreError;

/// Asking again within this time is the same wish: a second click, or a request that was sent again.
const SAME_WISH_MS: i64 = 60_000;

/// Why nothing is undone.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// It cannot be, and why.
    #[error("{0}")]
    Refused(String),
    /// The run that undoes could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The store failed.
    #[error("what is to be undone could not be read")]
    Store(#[from] StoreError),
}

impl Classified for UndoError {
    fn retry(&self) -> Retry {
        match self {
            Self::Refused(_) => Retry::Never,
            Self::Start(error) => error.retry(),
            Self::Store(error) => error.retry(),
        }
    }
}

impl From<Refused> for UndoError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused.why)
    }
}

impl Engine {
    /// Starts the run that brings back what served before another. It is like every other run, except that nobody pushed.
    ///
    /// # Errors
    /// It is refused, or the store failed.
    pub async fn undo(&self, run: &RunId, by: &Identity, reason: &str) -> Result<Started, UndoError> {
        let store = &self.ports.store;
        let missing = |run: &RunId| UndoError::Refused(format!("run {run} is not known any more"));
        let loaded = store.load(run).await?.ok_or_else(|| missing(run))?;
        let now = self.ports.clock.now();
        let mut wish = undo(&loaded.state, by, reason, now)?;
        // What the old revision was made from names outputs of the run that brought it.
        let brought = store.load(&wish.brought_by).await?;
        let brought = brought.ok_or_else(|| missing(&wish.brought_by))?;
        wish.pipeline.outputs = brought.state.run.outputs;
        let minute = now.0.div_euclid(SAME_WISH_MS);
        let start = Start {
            push: PushKey::new(format!("undo of {run} at minute {minute}")),
            cause: wish.cause,
            pipeline: Ok(wish.pipeline),
        };
        Ok(self.start(start).await?)
    }
}
