//! A function is killed at the worst moment there is: it has stored that traffic goes back, and has not sent it back yet.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

use crate::stage::Stage;

/// Time between two looks at the route.
const LOOK: Duration = Duration::from_millis(100);

/// Traffic is back within this, whatever happened to who sent it back (design §4).
pub(crate) const BACK_LIMIT: Duration = Duration::from_secs(20);

/// The sweep finds what no guard did; beyond this nothing does.
const WAIT_LIMIT: Duration = Duration::from_secs(90);

/// Somebody who waits for a revert to be stored.
pub(crate) struct Cut(JoinHandle<Result<Duration>>);

impl Cut {
    /// Kills metric-check right after it has stored the next revert, and follows the route from there until one backend has
    /// everything again.
    pub(crate) fn set(stage: &Stage) -> Self {
        let stored = |body: &serde_json::Value| body.to_string().contains("revert_decided");
        let killed = stage.stack.kill_after("MetricCheck", stored);
        let route = stage.cluster.route();
        Self(tokio::spawn(async move {
            killed.await;
            let since = Instant::now();
            let back = async {
                let mut looks = interval(LOOK);
                while route.shares().await?.len() != 1 {
                    looks.tick().await;
                }
                Ok(since.elapsed())
            };
            let back = timeout(WAIT_LIMIT, back).await;
            back.context("traffic did not come back after the function was killed")?
        }))
    }

    /// How long it took, if it has happened: no later than the end of the run that was sent back.
    pub(crate) async fn took(self) -> Result<Option<Duration>> {
        if !self.0.is_finished() {
            self.0.abort();
        }
        match self.0.await {
            Ok(took) => took.map(Some),
            Err(_) => Ok(None),
        }
    }
}
