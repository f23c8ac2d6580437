//! The one place that reads the wall clock: reports carry it, nothing decides by it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, for reports that are laid beside other logs.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge of the process: the time is only printed"
)]
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
