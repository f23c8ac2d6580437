//! How long it takes until traffic is back.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use weir_domain::ids::RunId;
use weir_domain::rollout::Rollout;
use weir_domain::time::Timestamp;
use weir_domain::units::Weight;

use crate::crowd::Crowd;

/// A version begins to fail up to this long, in milliseconds, after the one before it is back.
const APART: u64 = 10_000;

/// Milliseconds, one of each canary.
#[derive(Default, Serialize)]
pub(crate) struct Times {
    /// Until the source said that it fails.
    told: Vec<u64>,
    /// Until weight 0 was decided.
    decided: Vec<u64>,
    /// Until the API server had it.
    accepted: Vec<u64>,
}

impl Times {
    /// Waits until a canary is back, and adds how long that took since it began.
    async fn add(&mut self, crowd: &Crowd, run: &RunId, began: Timestamp) -> Result<()> {
        let rollout = crowd.until(run, "the share is back", &is_back).await?;
        let change = rollout.changes.last().context("traffic was moved")?;
        let back = change.accepted.context("the write was accepted")?;
        self.told.push(crowd.told(run)?.since(began).0);
        self.decided.push(change.decided.since(began).0);
        self.accepted.push(back.since(began).0);
        Ok(())
    }
}

/// All breach at once, and are checked at that moment.
pub(crate) async fn together(crowd: &Crowd, runs: &[RunId]) -> Result<Times> {
    let checked = crowd.breach_together(runs).await?;
    let mut times = Times::default();
    for run in runs {
        times.add(crowd, run, checked).await?;
    }
    Ok(times)
}

/// One after another, each at a moment of chance: a version does not wait for a check before it fails.
pub(crate) async fn in_turn(crowd: &Crowd, runs: &[RunId]) -> Result<Times> {
    let mut times = Times::default();
    for run in runs {
        let chance = RandomState::new().hash_one(());
        tokio::time::sleep(Duration::from_millis(chance % APART)).await;
        times.add(crowd, run, crowd.breach(run)).await?;
    }
    Ok(times)
}

fn is_back(rollout: &Rollout) -> bool {
    let last = rollout.changes.last();
    let accepted = last.is_some_and(|change| change.accepted.is_some());
    rollout.weight == Weight::ZERO && accepted
}
