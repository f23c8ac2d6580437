//! Functions are killed in the middle of what they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use weir_demo::chance::Chance;
use weir_lambda_host::Stack;

/// Who may be killed. Those that do most of the work come up most.
const VICTIMS: [&str; 6] = [
    "MetricCheck",
    "StageExecutor",
    "MetricCheck",
    "ApprovalCallback",
    "StageExecutor",
    "WebhookIntake",
];

/// A function is killed at most this long after an event came to it: on an idle machine programs that were built for tests
/// take little more for one, and who has answered cannot be cut short any more.
const WITHIN_MS: u64 = 150;

/// The kills of a push are spread over this: its run takes about twice as long.
const SPREAD: Duration = Duration::from_secs(60);

/// Time that somebody waits for a function that no event comes to.
const PATIENCE: Duration = Duration::from_millis(500);

/// Somebody who kills.
pub(crate) struct Kills {
    task: JoinHandle<()>,
    done: Arc<AtomicU32>,
}

impl Kills {
    /// Kills so many, one after the other.
    pub(crate) fn start(stack: Arc<Stack>, count: u32) -> Self {
        let done = Arc::new(AtomicU32::new(0));
        let counter = done.clone();
        let task = tokio::spawn(async move {
            let mut chance = Chance::default();
            for turn in (0..VICTIMS.len()).cycle() {
                if counter.load(Ordering::Relaxed) >= count {
                    return;
                }
                tokio::time::sleep(2 * SPREAD / count * (chance.number() % 1_000) as u32 / 1_000).await;
                let function = stack.function(VICTIMS[turn]);
                if tokio::time::timeout(PATIENCE, function.started()).await.is_err() {
                    continue;
                }
                tokio::time::sleep(Duration::from_millis(chance.number() % WITHIN_MS)).await;
                if function.kill().await {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { task, done }
    }

    /// Stops killing; how many events were cut short.
    pub(crate) async fn ended(self) -> u32 {
        self.task.abort();
        let _ = self.task.await;
        self.done.load(Ordering::Relaxed)
    }
}
