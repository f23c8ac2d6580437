//! Prometheus histograms with fixed bucket edges, in seconds.

use std::fmt::Write as _;
use std::time::Duration;

/// Edges of `vllm:time_to_first_token_seconds`, as vLLM has them.
pub(crate) const FIRST_TOKEN_EDGES: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0,
    80.0, 160.0, 640.0, 2560.0,
];
/// Edges of the times between tokens, as vLLM has them.
pub(crate) const PER_TOKEN_EDGES: &[f64] = &[
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
];
/// Edges of whole requests and their phases, as vLLM has them.
pub(crate) const REQUEST_EDGES: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0,
    960.0, 1920.0, 7680.0,
];
/// Edges of `http_request_duration_seconds`. Usual limits (500 ms, 1 s, 2 s, 5 s) are edges, so that what lies
/// above them is counted exactly.
pub(crate) const HTTP_EDGES: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 30.0,
];

/// Counts of observations below each edge.
#[derive(Debug)]
pub(crate) struct Histogram {
    edges: &'static [f64],
    /// One more than edges: the last counts what lies above all of them.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    pub(crate) fn new(edges: &'static [f64]) -> Self {
        Self {
            edges,
            counts: vec![0; edges.len() + 1],
            sum: 0.0,
        }
    }

    /// Counts one observation; one that equals an edge lies below it.
    pub(crate) fn observe(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        self.counts[self.edges.partition_point(|edge| *edge < seconds)] += 1;
        self.sum += seconds;
    }

    /// Writes `_bucket`, `_sum` and `_count` lines; `labels` is empty or `a="b",c="d"`.
    pub(crate) fn write(&self, out: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut total = 0;
        for (place, count) in self.counts.iter().enumerate() {
            total += count;
            let edge = self
                .edges
                .get(place)
                .map_or_else(|| "+Inf".to_owned(), |edge| format!("{edge:?}"));
            let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{edge}\"}} {total}");
        }
        let braced = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{labels}}}")
        };
        let _ = writeln!(out, "{name}_sum{braced} {}", self.sum);
        let _ = writeln!(out, "{name}_count{braced} {total}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_on_an_edge_counts_below_it() {
        let mut histogram = Histogram::new(&[0.5, 1.0]);
        for ms in [250, 500, 750, 1000, 1500] {
            histogram.observe(Duration::from_millis(ms));
        }
        let mut text = String::new();
        histogram.write(&mut text, "t", "a=\"b\"");
        let expected = "t_bucket{a=\"b\",le=\"0.5\"} 2\nt_bucket{a=\"b\",le=\"1.0\"} 4\n\
            t_bucket{a=\"b\",le=\"+Inf\"} 5\nt_sum{a=\"b\"} 4\nt_count{a=\"b\"} 5\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn edges_are_those_of_the_servers_imitated() {
        let text = |edges: &[f64]| edges.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(
            text(FIRST_TOKEN_EDGES),
            "0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 20 40 80 160 640 2560"
        );
        assert_eq!(
            text(PER_TOKEN_EDGES),
            "0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1 2.5 5 7.5 10 20 40 80"
        );
        assert_eq!(
            text(REQUEST_EDGES),
            "0.3 0.5 0.8 1 1.5 2 2.5 5 10 15 20 30 40 50 60 120 240 480 960 1920 7680"
        );
        assert_eq!(
            text(HTTP_EDGES),
            "0.005 0.01 0.025 0.05 0.1 0.25 0.5 0.75 1 1.5 2 2.5 5 10 30"
        );
    }
}
