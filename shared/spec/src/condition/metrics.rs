//! Names that a condition may use, and what each counts.

use std::collections::BTreeMap;

use weir_domain::condition::Dimension;

/// Names of a fixed meaning.
const KNOWN: &[(&str, Dimension)] = &[
    ("error_rate", Dimension::Ratio),
    ("success_rate", Dimension::Ratio),
    ("answers_differ", Dimension::Ratio),
    ("gpu_utilization", Dimension::Ratio),
    ("gpu_memory_utilization", Dimension::Ratio),
    ("kv_cache_usage", Dimension::Ratio),
    ("gpu_memory_used", Dimension::Bytes),
    ("memory_used", Dimension::Bytes),
    ("tokens_per_second", Dimension::TokensPerSecond),
    ("requests_per_second", Dimension::Number),
    ("queue_depth", Dimension::Number),
    ("running_requests", Dimension::Number),
    ("restarts", Dimension::Number),
];

/// Families of quantiles: `latency_p99`, `ttft_p95`, `itl_p50`; `p999` is the 99.9th percentile.
const QUANTILES: &[&str] = &["latency", "ttft", "itl"];

/// What is offered for a misspelt name, besides the names above.
const OFFERED: &[&str] = &[
    "latency_p50",
    "latency_p90",
    "latency_p95",
    "latency_p99",
    "ttft_p50",
    "ttft_p95",
    "ttft_p99",
    "itl_p50",
    "itl_p95",
    "itl_p99",
];

/// Metric names: Weir's own and those that a `metrics:` section declares.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    declared: BTreeMap<String, Option<Dimension>>,
}

impl Metrics {
    /// Adds a name; without a dimension it counts whatever it is compared with.
    pub fn declare(&mut self, name: impl Into<String>, dimension: Option<Dimension>) {
        self.declared.insert(name.into(), dimension);
    }

    /// What the name counts: `None` if nobody knows it, `Some(None)` if it may be compared with anything.
    pub(crate) fn dimension(&self, name: &str) -> Option<Option<Dimension>> {
        if let Some((_, dimension)) = KNOWN.iter().find(|(known, _)| *known == name) {
            return Some(Some(*dimension));
        }
        if is_quantile(name) {
            return Some(Some(Dimension::Seconds));
        }
        self.declared.get(name).copied()
    }

    /// All names that can be listed.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let known = KNOWN.iter().map(|(name, _)| *name);
        known
            .chain(OFFERED.iter().copied())
            .chain(self.declared.keys().map(String::as_str))
    }
}

/// Where the values of one of Weir's own metrics lie, in its base unit. What others measure may be anything.
pub(super) fn range(name: &str) -> Option<(f64, f64)> {
    let known = KNOWN.iter().find(|(known, _)| *known == name);
    match known {
        Some((_, Dimension::Ratio)) => Some((0.0, 1.0)),
        Some(_) => Some((0.0, f64::INFINITY)),
        None => is_quantile(name).then_some((0.0, f64::INFINITY)),
    }
}

/// Whether requests are counted for it, so that over any time it is a share of them. All else is a plain number that is read
/// now and then.
pub(crate) fn is_counted(name: &str) -> bool {
    let of_latencies = name
        .strip_prefix("latency_p")
        .is_some_and(|digits| digits.len() >= 2);
    matches!(name, "error_rate" | "success_rate" | "answers_differ") || (of_latencies && is_quantile(name))
}

fn is_quantile(name: &str) -> bool {
    let Some((family, digits)) = name.rsplit_once("_p") else {
        return false;
    };
    let shaped = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    QUANTILES.contains(&family) && shaped && (matches!(digits.len(), 1 | 2) || digits == "999")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_and_other_names_are_unknown() {
        let metrics = Metrics::default();
        for name in ["latency_p99", "ttft_p5", "itl_p999", "latency_p50"] {
            assert_eq!(metrics.dimension(name), Some(Some(Dimension::Seconds)), "{name}");
        }
        for name in [
            "latency",
            "latency_p",
            "latency_p0",
            "latency_p100",
            "latency_p9x",
            "speed_p99",
            "_p99",
        ] {
            assert_eq!(metrics.dimension(name), None, "{name}");
        }
    }
}
