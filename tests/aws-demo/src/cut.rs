//! A function is killed at the worst moment there is: it has stored that traffic goes back, and has not sent it back yet.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

use crate::stage::Stage;

/// Time between two looks at the route.
const LOOK: Duration = Duration::from_millis(100);

/// Traffic is back within this, whatever happened to who sent it back (design §4).
const BACK_LIMIT: Duration = Duration::from_secs(20);

/// The guard arrives ten seconds after it was sent. Traffic that is back sooner than this was brought by a message from before.
const GUARD: Duration = Duration::from_secs(9);

/// Nothing is swept meanwhile, and a message that nobody ended comes again after minutes: beyond this nothing does it.
const WAIT_LIMIT: Duration = Duration::from_secs(90);

/// The candidate crashes at this request, which comes later than the guard of the weight that brought it requests: no message
/// from before the revert can send traffic back.
pub(crate) const REQUESTS: u64 = 60;

/// The pipeline that is pushed, what of it says how long its first step is, and what makes it long enough for that.
const PIPELINE: &str = ".weir/model-update.yaml";
const STEP: &str = "interval: 12s";
const LONG_STEP: &str = "interval: 60s";

/// Makes the first step of the canary last until the candidate has crashed.
pub(crate) fn lengthen_the_step(stage: &Stage) -> Result<()> {
    stage.repository.rewrite(PIPELINE, |text| {
        ensure!(text.contains(STEP), "{PIPELINE} has no `{STEP}`");
        Ok(text.replace(STEP, LONG_STEP))
    })
}

/// Somebody who waits for a revert to be stored.
pub(crate) struct Cut(JoinHandle<Result<Duration>>);

/// How long it took each time until traffic was back.
#[derive(Default)]
pub(crate) struct Took(Vec<Duration>);

impl Cut {
    /// Kills metric-check right after it has stored the next revert, and follows the route from there until one backend has
    /// everything again. Then what else goes wrong may do so again; until then, nothing is swept.
    pub(crate) fn set(stage: &Stage) -> Self {
        let weather = stage.weather();
        let stored = |body: &serde_json::Value| body.to_string().contains("revert_decided");
        let killed = stage.stack.kill_after("MetricCheck", stored);
        let route = stage.cluster.route("production");
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
            weather.calm(false);
            let words = "traffic was not back within 90 s after the function that stored the revert was killed: no guard came";
            back.context(words)?
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

impl Took {
    pub(crate) fn note(&mut self, took: Duration) {
        self.0.push(took);
        println!(
            "   traffic was back after {:.1} s, {} times so far",
            took.as_secs_f64(),
            self.0.len()
        );
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Prints it; whether it was soon enough, 99 times of 100.
    pub(crate) fn told(&mut self) -> bool {
        self.0.sort_unstable();
        let at = |percent: usize| {
            // The smallest that so many of a hundred are no longer than.
            let rank = (self.0.len() * percent).div_ceil(100).max(1);
            self.0.get(rank - 1).copied().unwrap_or_default()
        };
        if !self.0.is_empty() {
            let before = self.0.iter().filter(|took| **took < GUARD).count();
            let seconds = [0, 50, 99, 100].map(|percent| at(percent).as_secs_f64());
            println!(
                "traffic back after the function that stored the revert was killed, without a sweep: n={}, min {:.1} s, \
                 median {:.1} s, p99 {:.1} s, max {:.1} s; {before} by a message from before the guard",
                self.0.len(),
                seconds[0],
                seconds[1],
                seconds[2],
                seconds[3],
            );
        }
        at(99) <= BACK_LIMIT
    }
}
