//! What is counted: how many of how many were bad.

use serde::{Deserialize, Serialize};

/// Requests of one arm in one block, and the bad ones among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Bad ones: failed, or slower than the line.
    pub bad: u64,
    /// All of them.
    pub total: u64,
}

impl Tally {
    /// `bad` of `total`; never more bad ones than there are.
    pub fn new(bad: u64, total: u64) -> Self {
        let bad = bad.min(total);
        Self { bad, total }
    }

    /// Both together; as many as can be counted at most.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            bad: self.bad.saturating_add(more.bad),
            total: self.total.saturating_add(more.total),
        }
    }

    /// This without a part of it.
    #[must_use]
    pub fn without(self, part: Self) -> Self {
        Self::new(
            self.bad.saturating_sub(part.bad),
            self.total.saturating_sub(part.total),
        )
    }

    /// The share of bad ones; nothing counted is no share.
    pub fn share(self) -> Option<f64> {
        (self.total > 0).then(|| self.bad as f64 / self.total as f64)
    }
}

/// Both arms of one metric in one block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Arms {
    /// What serves.
    pub stable: Tally,
    /// What is judged.
    pub candidate: Tally,
}
