//! Functions are killed in the middle of what they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;
use weir_demo::chance::Chance;
use weir_lambda_host::{Function, Stack};

/// A function is killed at most this long after an event came to it: on an idle machine programs that were built for tests
/// take little more for one, and who has answered cannot be cut short any more.
const WITHIN_MS: u64 = 150;

/// The kills of a push are spread over this: its run takes two or three times as long.
const SPREAD: Duration = Duration::from_secs(30);

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
            while counter.load(Ordering::Relaxed) < count {
                sleep(2 * SPREAD / count * (chance.number() % 1_000) as u32 / 1_000).await;
                let function = next(&stack).await;
                sleep(Duration::from_millis(chance.number() % WITHIN_MS)).await;
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

/// The function that the next event comes to.
async fn next(stack: &Stack) -> Function {
    let functions = [
        "WebhookIntake",
        "ApprovalCallback",
        "StageExecutor",
        "MetricCheck",
    ];
    let [intake, approval, steps, traffic] = functions.map(|id| stack.function(id));
    tokio::select! {
        () = intake.started() => intake,
        () = approval.started() => approval,
        () = steps.started() => steps,
        () = traffic.started() => traffic,
    }
}
