//! The time of day.

use std::sync::atomic::{AtomicI64, Ordering};
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

/// The machine's clock, set forward or back.
#[derive(Default)]
pub struct ShiftedClock(AtomicI64);

impl ShiftedClock {
    /// A clock that is so much ahead; behind, if it is negative.
    pub fn ahead_ms(by: i64) -> Self {
        Self(AtomicI64::new(by))
    }

    /// Sets it to be so much ahead.
    pub fn set_ahead_ms(&self, by: i64) {
        self.0.store(by, Ordering::Relaxed);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        Timestamp(WallClock.now().0 + self.0.load(Ordering::Relaxed))
    }
}
