//! Times in the reader's zone.

use jiff::tz::TimeZone;
use weir_domain::time::Timestamp;

/// The reader's zone.
#[derive(Clone, Debug)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    /// The zone of this machine, or of `TZ`.
    pub(crate) fn of_this_machine() -> Self {
        Self(TimeZone::system())
    }

    #[cfg(test)]
    pub(crate) fn east(hours: i8) -> Self {
        Self(TimeZone::fixed(jiff::tz::offset(hours)))
    }

    fn format(&self, at: Timestamp, form: &str) -> String {
        match jiff::Timestamp::from_millisecond(at.0) {
            Ok(time) => time.to_zoned(self.0.clone()).strftime(form).to_string(),
            // Thousands of years away: a broken clock, shown as it is.
            Err(_) => format!("{} ms", at.0),
        }
    }

    /// `2026-11-24 01:17:03 +08:00`
    pub(crate) fn full(&self, at: Timestamp) -> String {
        self.format(at, "%Y-%m-%d %H:%M:%S %:z")
    }

    /// `2026-11-24T01:17:03.120+08:00`
    pub(crate) fn exact(&self, at: Timestamp) -> String {
        self.format(at, "%Y-%m-%dT%H:%M:%S.%3f%:z")
    }

    /// `01:17:03`
    pub(crate) fn time(&self, at: Timestamp) -> String {
        self.format(at, "%H:%M:%S")
    }

    /// `2026-11-24 +08:00`
    pub(crate) fn day(&self, at: Timestamp) -> String {
        self.format(at, "%Y-%m-%d %:z")
    }
}
