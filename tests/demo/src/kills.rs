//! The host is killed in the middle of what it does, and started again: every run goes on where it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::task::JoinHandle;
use weir_demo::chance::Chance;

use crate::host::Host;

/// A host lives between these: long enough to begin something, too short to end all of it.
const LIVES_MS: std::ops::Range<u64> = 300..3_500;

/// Somebody who kills.
pub(crate) struct Kills {
    task: JoinHandle<Result<()>>,
    done: Arc<AtomicU32>,
    wanted: u32,
}

impl Kills {
    /// Kills a host so many times, one after the other, with SIGKILL.
    pub(crate) fn start(host: Arc<Host>, wanted: u32) -> Self {
        let done = Arc::new(AtomicU32::new(0));
        let counter = done.clone();
        let task = tokio::spawn(async move {
            let mut chance = Chance::default();
            for n in 1..=wanted {
                let lives = LIVES_MS.start + chance.number() % (LIVES_MS.end - LIVES_MS.start);
                tokio::time::sleep(Duration::from_millis(lives)).await;
                host.kill_and_start()
                    .await
                    .with_context(|| format!("weir up, killed {n} times"))?;
                counter.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { task, done, wanted }
    }

    /// How often it was killed. Fewer times than wanted is an error, and so is a host that did not come back.
    pub(crate) async fn ended(self) -> Result<u32> {
        match self.task.is_finished() {
            true => self.task.await??,
            false => {
                self.task.abort();
                let done = self.done.load(Ordering::Relaxed);
                bail!(
                    "weir up was killed {done} times before all was over: expected {}",
                    self.wanted
                );
            }
        }
        Ok(self.wanted)
    }
}
