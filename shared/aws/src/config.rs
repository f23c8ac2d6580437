//! How every client of this crate talks to AWS: bounded in time, bounded in tries, one pinned behaviour.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};

/// A host that does not take a connection for this long is away.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// An answer that takes longer is not waited for; the services used here answer in milliseconds.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(3);

/// All tries of one call together. Slack's answer, the tightest of all, is due within 3 s of the request and is given
/// after one commit; the tries beyond are for functions with more time.
const CALL_LIMIT: Duration = Duration::from_secs(8);

/// Tries of one call, the first included. Throttling, lost connections and late answers are tried again, with a token
/// where a repeat would do harm.
const TRIES: u32 = 3;

/// What the SDK's defaults are taken from. Pinned: an update of the SDK must not change how long a call may take.
pub fn behavior() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Limits of one call.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_LIMIT)
        .operation_attempt_timeout(ATTEMPT_LIMIT)
        .operation_timeout(CALL_LIMIT)
        .build()
}

/// The chain that every client begins with; region, credentials and endpoints come from the environment unless they
/// are set on it.
pub fn loader() -> ConfigLoader {
    aws_config::defaults(behavior())
        .timeout_config(timeouts())
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
}

/// The configuration of a function.
pub async fn load() -> SdkConfig {
    loader().load().await
}
