//! Waiting for what a cluster does in its own time.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

/// A machine with two busy cores starts a pod within a few seconds; more than this is a failure.
const LIMIT: Duration = Duration::from_secs(90);
/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks until there is something, and fails with the last reason why not.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let mut last = String::from("nobody has looked yet");
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let found = timeout(LIMIT, async {
        loop {
            ticks.tick().await;
            match look().await {
                Ok(found) => return found,
                Err(why) => last = why,
            }
        }
    });
    match found.await {
        Ok(found) => found,
        Err(_) => panic!("{what}: not so after {} s: {last}", LIMIT.as_secs()),
    }
}
