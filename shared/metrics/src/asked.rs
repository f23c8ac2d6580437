//! What was asked of servers so far: the counts that grew, and where they stood.
//!
//! A query without `${window}` gives counters. Each series is remembered by its labels; what it grew by is added, and
//! one that fell was restarted. What is there at the first question is the zero line. A series that is gone keeps what
//! it contributed and where it stood, so that one that was only missed for a while is not counted twice.
//!
//! A query with `${window}` gives what a stretch of time added. Stretches follow one another without a gap: one whose
//! answer did not come is asked for again as part of the next.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_domain::digest::sha256_hex;
use weir_domain::time::{Span, Timestamp};

use crate::provider::{Labels, Pace, Window};

/// Longest stretch that is asked for at once; what is older is not made up for.
const WINDOW_MAX: Span = Span::hours(1);
/// Hex digits of the hash that labels are remembered by: of 400 series two collide with chance 4·10⁻¹⁵.
const DIGITS: usize = 16;
/// The edge of everything: `+Inf`.
const EVERYTHING: &str = "+Inf";

/// What a query gave for one revision.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Grown {
    /// What it grew by so far: by edge for buckets, else under the empty name.
    #[serde(default)]
    pub(crate) sums: BTreeMap<String, f64>,
    /// Where each series stood.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    stood: BTreeMap<String, f64>,
    /// Whether the zero line was drawn.
    #[serde(default)]
    begun: bool,
}

impl Grown {
    /// Counters as they stand.
    pub(crate) fn counters(&mut self, series: &BTreeMap<Labels, f64>) {
        for (labels, now) in series {
            let edge = labels.get("le").cloned().unwrap_or_default();
            let sum = self.sums.entry(edge).or_insert(0.0);
            let before = self.stood.insert(name(labels), *now);
            // The rollout has no use for what was counted before it, all at once.
            if self.begun {
                *sum += match before {
                    Some(before) if *now >= before => now - before,
                    _ => *now,
                };
            }
        }
        self.begun = true;
    }

    /// What a window added.
    pub(crate) fn window(&mut self, series: &BTreeMap<Labels, f64>) {
        for (labels, added) in series {
            let edge = labels.get("le").cloned().unwrap_or_default();
            *self.sums.entry(edge).or_insert(0.0) += added.max(0.0);
        }
    }

    /// All of it, as a count.
    pub(crate) fn count(&self) -> u64 {
        whole(self.sums.values().sum())
    }

    /// As a histogram: how many took at most so many milliseconds, and how many there are.
    pub(crate) fn histogram(&self, unit_ms: u32) -> (BTreeMap<u64, u64>, u64) {
        let mut edges: Vec<(u64, u64)> = self
            .sums
            .iter()
            .filter_map(|(edge, sum)| Some((edge.parse::<f64>().ok()?, whole(*sum))))
            .filter(|(edge, _)| edge.is_finite() && *edge > 0.0)
            .map(|(edge, sum)| ((edge * f64::from(unit_ms)).round() as u64, sum))
            .collect();
        edges.sort_unstable();
        let last = edges.last().map_or(0, |(_, sum)| *sum);
        let all = self.sums.get(EVERYTHING).map_or(last, |sum| whole(*sum));
        // Rounding, or edges that not every pod has, must not make a histogram fall.
        let mut most = 0;
        let rising = edges.into_iter().map(|(edge, sum)| {
            most = sum.max(most).min(all);
            (edge, most)
        });
        (rising.collect(), all)
    }
}

fn whole(sum: f64) -> u64 {
    sum.round().max(0.0) as u64
}

fn name(labels: &Labels) -> String {
    let text = serde_json::to_string(labels).unwrap_or_default();
    let mut hash = sha256_hex(text.as_bytes());
    hash.truncate(DIGITS);
    hash
}

/// The stretch to ask for next, if it is whole by now. `asked_to`: where the last one ended.
pub(crate) fn next_window(asked_to: Timestamp, now: Timestamp, pace: Pace) -> Option<Window> {
    let step = i64::try_from(pace.step.0).unwrap_or(i64::MAX).max(1);
    let whole = now - pace.lag;
    let to = Timestamp(whole.0.div_euclid(step) * step);
    let from = asked_to.max(to - WINDOW_MAX);
    (to > from).then_some(Window { from, to })
}

/// Where the first stretch begins: nothing that was counted before the rollout is asked for.
pub(crate) fn first(now: Timestamp, pace: Pace) -> Timestamp {
    let step = i64::try_from(pace.step.0).unwrap_or(i64::MAX).max(1);
    Timestamp(now.0.div_euclid(step) * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(pairs: &[(&str, f64)]) -> BTreeMap<Labels, f64> {
        let one = |(pod, value): &(&str, f64)| (Labels::from([("pod".into(), (*pod).into())]), *value);
        pairs.iter().map(one).collect()
    }

    #[test]
    fn counters_are_subtracted_series_by_series_and_may_restart() {
        let mut grown = Grown::default();
        grown.counters(&series(&[("a", 1_000.0), ("b", 500.0)]));
        assert_eq!(grown.count(), 0, "the first look is the zero line");
        grown.counters(&series(&[("a", 1_010.0), ("b", 7.0)]));
        assert_eq!(grown.count(), 17, "b was restarted");
        grown.counters(&series(&[("a", 1_010.0)]));
        grown.counters(&series(&[("a", 1_010.0), ("b", 9.0), ("c", 4.0)]));
        assert_eq!(grown.count(), 23, "b was missed once, c is a new pod");
    }

    #[test]
    fn buckets_meet_by_edge_whatever_the_pod() {
        let one = |pod: &str, le: &str, value| {
            let labels = [("pod", pod), ("le", le)].map(|(k, v)| (k.to_owned(), v.to_owned()));
            (Labels::from(labels), value)
        };
        let mut grown = Grown::default();
        grown.window(&[one("a", "0.5", 8.0), one("a", "1", 9.0), one("a", "+Inf", 10.0)].into());
        grown.window(&[one("b", "0.5", 1.0), one("b", "1", 3.0), one("b", "+Inf", 4.0)].into());
        assert_eq!(grown.histogram(1_000), ([(500, 9), (1_000, 12)].into(), 14));
    }

    #[test]
    fn windows_follow_one_another_and_end_before_the_lag() {
        let pace = Pace {
            lag: Span::minutes(2),
            step: Span::minutes(1),
        };
        let at = |seconds: i64| Timestamp(seconds * 1_000);
        let begun = first(at(1_000), pace);
        assert_eq!(begun, at(960));
        assert_eq!(next_window(begun, at(1_070), pace), None);
        let window = next_window(begun, at(1_150), pace).unwrap();
        assert_eq!((window.from, window.to), (at(960), at(1_020)));
        let late = next_window(window.to, at(1_390), pace).unwrap();
        assert_eq!(
            (late.from, late.to),
            (at(1_020), at(1_260)),
            "nothing in between is lost"
        );
    }
}
