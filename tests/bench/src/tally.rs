//! Firing times of many runs, and what readers ask of them.

use crate::traffic::MINUTE;

/// When each run fired, in blocks from 1; `None`: never.
#[derive(Clone, Default, Debug)]
pub(crate) struct Firings(pub Vec<Option<usize>>);

impl Firings {
    /// Part of the runs that fired within so many minutes.
    pub(crate) fn within(&self, minutes: usize) -> f64 {
        let blocks = minutes * MINUTE;
        let fired = self
            .0
            .iter()
            .filter(|at| at.is_some_and(|at| at <= blocks))
            .count();
        fired as f64 / self.0.len().max(1) as f64
    }

    /// Interval of that part with 95 % (Wilson).
    pub(crate) fn interval(&self, minutes: usize) -> (f64, f64) {
        let (n, p, z) = (self.0.len() as f64, self.within(minutes), 1.96);
        let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        ((middle - half).max(0.0), (middle + half).min(1.0))
    }

    /// Median minute, and its interval with 95 % from order statistics; `None`: most never fired.
    pub(crate) fn median(&self) -> Option<(f64, f64, f64)> {
        let mut sorted: Vec<f64> = self
            .0
            .iter()
            .map(|at| at.map_or(f64::INFINITY, |at| at as f64 / MINUTE as f64))
            .collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len() as f64;
        let off = 0.98 * n.sqrt();
        let at = |place: f64| sorted[(place.max(0.0) as usize).min(sorted.len() - 1)];
        let median = at(n / 2.0);
        median
            .is_finite()
            .then(|| (median, at(n / 2.0 - off), at(n / 2.0 + off)))
    }

    /// `0.3/0.3`, `51/97.7 (10)`: percent by ten and by thirty minutes, median minute.
    pub(crate) fn cell(&self) -> String {
        let (ten, thirty) = (100.0 * self.within(10), 100.0 * self.within(30));
        match self.median() {
            Some((median, ..)) => format!("{ten:.1}/{thirty:.1} ({median})"),
            None => format!("{ten:.1}/{thirty:.1}"),
        }
    }
}
