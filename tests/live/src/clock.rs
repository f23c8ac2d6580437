//! The time of day.

use std::time::SystemTime;

use weir_app::Clock;
use weir_domain::time::Timestamp;

/// The machine's clock.
pub struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("the machine's clock is past 1970");
        Timestamp(i64::try_from(since.as_millis()).expect("milliseconds since 1970 fit"))
    }
}
