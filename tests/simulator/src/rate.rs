//! Requests a second over a sliding window.

use std::time::Duration;

/// Parts of the window; the rate forgets one part at a time.
const SLOTS: usize = 20;

/// Counts arrivals in the last window. Time is an argument: the age of the process.
#[derive(Debug)]
pub(crate) struct Rate {
    window_seconds: f64,
    counts: [u32; SLOTS],
    newest: u64,
}

impl Rate {
    pub(crate) fn new(window_seconds: f64) -> Self {
        Self {
            window_seconds,
            counts: [0; SLOTS],
            newest: 0,
        }
    }

    /// Counts one arrival and returns the requests a second, this one included. In the first window after a
    /// pause the rate is too low rather than too high: the missing time counts as quiet.
    pub(crate) fn arrive(&mut self, age: Duration) -> f64 {
        let now = self.slot(age);
        // A slot that the window has left is emptied before it is counted in again.
        for passed in self.newest + 1..=now.min(self.newest + SLOTS as u64) {
            self.counts[index(passed)] = 0;
        }
        self.newest = self.newest.max(now);
        self.counts[index(self.newest)] += 1;
        f64::from(self.counts.iter().sum::<u32>()) / self.window_seconds
    }

    fn slot(&self, age: Duration) -> u64 {
        (age.as_secs_f64() / self.window_seconds * SLOTS as f64) as u64
    }
}

fn index(slot: u64) -> usize {
    usize::try_from(slot % SLOTS as u64).expect("less than the number of slots")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(rate: &mut Rate, times_ms: impl IntoIterator<Item = u64>) -> f64 {
        times_ms
            .into_iter()
            .map(|ms| rate.arrive(Duration::from_millis(ms)))
            .last()
            .unwrap()
    }

    #[test]
    fn a_steady_arrival_is_measured() {
        let found = after(&mut Rate::new(5.0), (0..100).map(|n| n * 100));
        assert!((9.5..=10.5).contains(&found), "{found}");
    }

    #[test]
    fn a_burst_is_forgotten_after_the_window() {
        let mut rate = Rate::new(1.0);
        assert!((after(&mut rate, [0; 50]) - 50.0).abs() < 1e-9);
        assert!((after(&mut rate, [2_500]) - 1.0).abs() < 1e-9);
        assert!((after(&mut rate, [900_000]) - 1.0).abs() < 1e-9);
    }
}
