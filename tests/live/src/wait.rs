//! Waiting for what a cluster does in its own time.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

/// A machine with two busy cores starts a pod within a few seconds; more than this is a failure.
const LIMIT: Duration = Duration::from_secs(90);
/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks until there is something, and fails with the last reason why not.
///
/// # Panics
/// There is nothing after the limit.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Result<T, String>) -> T {
    soon(what, look).await.unwrap_or_else(|why| panic!("{why}"))
}

/// The same for who goes on without it.
///
/// # Errors
/// There is nothing after the limit; the last reason why.
pub async fn soon<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> Result<T, String> {
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
        Ok(found) => Ok(found),
        Err(_) => Err(format!("{what}: not so after {} s: {last}", LIMIT.as_secs())),
    }
}
