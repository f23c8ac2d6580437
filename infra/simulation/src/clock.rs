//! Time, tokens and hints of a simulated host.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use async_trait::async_trait;
use weir_app::{Clock, Ids, Queue};
use weir_domain::Duty;
use weir_domain::ids::{ApprovalToken, RunId};
use weir_domain::time::Timestamp;

/// Where time begins, so that no moment of a simulation lies before 1970.
const BEGINNING: i64 = 1_700_000_000_000;

/// A clock that only its owner moves.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl Default for ManualClock {
    fn default() -> Self {
        Self(AtomicI64::new(BEGINNING))
    }
}

impl ManualClock {
    /// Moves on to `at`; never back.
    pub fn reach(&self, at: Timestamp) {
        self.0.fetch_max(at.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Tokens that can be foreseen.
#[derive(Default, Debug)]
pub struct CountedIds(AtomicU64);

impl Ids for CountedIds {
    fn approval_token(&self) -> ApprovalToken {
        ApprovalToken::new(format!("apr-{}", self.0.fetch_add(1, Ordering::SeqCst) + 1))
    }
}

/// Hints that were not delivered yet.
#[derive(Default, Debug)]
pub struct HeldQueue(pub Mutex<BTreeSet<(Timestamp, RunId, Duty)>>);

#[async_trait]
impl Queue for HeldQueue {
    async fn hint(&self, run: &RunId, duty: Duty, at: Timestamp) {
        self.0
            .lock()
            .expect("nobody panics while holding this")
            .insert((at, run.clone(), duty));
    }
}
