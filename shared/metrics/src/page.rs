//! What a pod's own page says: latencies, and answers where the server counts them.
//!
//! Presets, first match wins:
//!
//! | server | latency | answers |
//! |---|---|---|
//! | vLLM | `vllm:time_to_first_token_seconds` | `http_requests_total` of its web framework, by status |
//! | SGLang | `sglang:time_to_first_token_seconds` | – |
//! | TensorRT-LLM | `trtllm_time_to_first_token_seconds` | – |
//! | Triton | `nv_inference_first_response_histogram_ms`, if enabled | `nv_inference_request_success`, `…_failure` |
//! | plain HTTP | `http_request_duration_seconds` | `http_requests_total` by `code` or `status` |

use std::collections::BTreeMap;

use crate::text::{Malformed, Sample, declares, samples};

/// Bytes of a page; vLLM's with all its histograms is about 100 KiB.
pub(crate) const BYTES_MAX: usize = 2 * 1024 * 1024;
/// Edges that are kept of one histogram; servers have about twenty.
const EDGES_MAX: usize = 64;

/// Histograms and the milliseconds of their unit. Times to the first token come first: a whole stream takes as long
/// as its answer is long.
const LATENCIES: [(&str, f64); 5] = [
    ("vllm:time_to_first_token_seconds", 1000.0),
    ("sglang:time_to_first_token_seconds", 1000.0),
    ("trtllm_time_to_first_token_seconds", 1000.0),
    ("nv_inference_first_response_histogram_ms", 1.0),
    ("http_request_duration_seconds", 1000.0),
];
const REQUESTS: &str = "http_requests_total";
const SUCCESS: &str = "nv_inference_request_success";
const FAILURE: &str = "nv_inference_request_failure";
/// Answers that began well and that the server closed before their end; no gateway counts them as errors.
const CUT: &str = "http_responses_cut_total";
/// Labels under which servers tell the status; its values are `503` or `5xx`.
const STATUS: [&str; 3] = ["code", "status", "status_code"];
/// Labels under which servers tell the path, and the paths of probes and scrapes, which are no traffic.
const PATH: [&str; 3] = ["handler", "path", "endpoint"];
const PROBES: [&str; 8] = [
    "/health", "/healthz", "/livez", "/readyz", "/ready", "/ping", "/metrics", "/version",
];

/// The counters of one pod since its process began. What is `None` is not there.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Page {
    pub(crate) answers: Option<Answers>,
    pub(crate) cut: Option<u64>,
    pub(crate) latency: Option<Latency>,
}

/// Requests that were answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) requests: u64,
    pub(crate) bad: u64,
}

/// A histogram in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Latency {
    /// The series it was read from.
    pub(crate) family: &'static str,
    /// Upper edge, and how many took at most that long; never decreasing.
    pub(crate) within_ms: BTreeMap<u64, u64>,
    pub(crate) timed: u64,
}

/// Reads a page; nothing if it is no page of metrics, or a value that it is read for is broken: a sum without it would
/// look like a restart. `family` is the histogram that was read of this pod before: one is not exchanged for another,
/// since they count different things.
pub(crate) fn read(page: &str, family: Option<&str>) -> Option<Page> {
    let mut sums = Sums::default();
    let (mut understood, mut malformed) = (false, false);
    // Every line is looked at, so that a web page is told from a page that has none of the presets.
    for sample in samples(page, |_| true) {
        match sample {
            Ok(sample) => {
                understood = true;
                sums.add(&sample)?;
            }
            Err(Malformed(name)) => {
                malformed = true;
                if name.is_some_and(matters) {
                    return None;
                }
            }
        }
    }
    let declared = || declares(page, REQUESTS).then(Answers::default);
    (understood || !malformed).then(|| Page {
        answers: sums
            .http
            .or_else(declared)
            .or(sums.triton)
            .filter(|_| !sums.no_status),
        cut: sums.cut,
        latency: sums.latency(family),
    })
}

/// Whether a series is one that is summed up.
fn matters(name: &str) -> bool {
    let histogram = |family| matches!(name.strip_prefix(family), Some("_bucket" | "_count"));
    [REQUESTS, SUCCESS, FAILURE, CUT].contains(&name)
        || LATENCIES.iter().any(|(family, _)| histogram(*family))
}

/// All that is summed up in one passage over the page.
#[derive(Default)]
struct Sums {
    http: Option<Answers>,
    /// The server counts answers and does not say how they ended.
    no_status: bool,
    triton: Option<Answers>,
    cut: Option<u64>,
    latencies: [Buckets; LATENCIES.len()],
}

impl Sums {
    /// Nothing if the sample matters and is no count.
    fn add(&mut self, sample: &Sample<'_>) -> Option<()> {
        if !matters(sample.name) || is_probe(sample) {
            return Some(());
        }
        let count = sample.count()?;
        match sample.name {
            REQUESTS => {
                let class = status_class(sample);
                self.no_status |= class.is_none();
                self.http.get_or_insert_default().add(count, class == Some('5'));
            }
            SUCCESS => self.triton.get_or_insert_default().add(count, false),
            // `CANCELED`: the client gave up; that is no failure of the server.
            FAILURE => {
                let failed = sample.label("reason") != Some("CANCELED");
                self.triton.get_or_insert_default().add(count, failed);
            }
            CUT => {
                let cut = self.cut.get_or_insert_default();
                *cut = cut.saturating_add(count);
            }
            name => {
                for (buckets, (family, unit_ms)) in self.latencies.iter_mut().zip(LATENCIES) {
                    match name.strip_prefix(family) {
                        Some("_bucket") => buckets.add(sample.label("le")?.parse().ok()?, unit_ms, count),
                        Some("_count") => buckets.add_series(count),
                        _ => {}
                    }
                }
            }
        }
        Some(())
    }

    /// The histogram of this family, or the first that the page has.
    fn latency(&self, family: Option<&str>) -> Option<Latency> {
        let mut all = self.latencies.iter().zip(LATENCIES);
        let (buckets, (name, _)) = all
            .find(|(buckets, (name, _))| buckets.series > 0 && family.is_none_or(|family| family == *name))?;
        Some(buckets.latency(name))
    }
}

impl Answers {
    fn add(&mut self, count: u64, bad: bool) {
        self.requests = self.requests.saturating_add(count);
        self.bad = self.bad.saturating_add(if bad { count } else { 0 });
    }
}

fn is_probe(sample: &Sample<'_>) -> bool {
    PATH.iter()
        .any(|label| sample.label(label).is_some_and(|path| PROBES.contains(&path)))
}

fn status_class(sample: &Sample<'_>) -> Option<char> {
    let status = STATUS.iter().find_map(|label| sample.label(label))?;
    status.chars().next().filter(|class| ('1'..='5').contains(class))
}

/// A sum over the label sets of a histogram.
#[derive(Default)]
struct Buckets {
    series: u64,
    timed: u64,
    /// Edge in milliseconds, its count, and how many label sets have it.
    within: BTreeMap<u64, (u64, u64)>,
}

impl Buckets {
    fn add_series(&mut self, count: u64) {
        self.series += 1;
        self.timed = self.timed.saturating_add(count);
    }

    fn add(&mut self, edge: f64, unit_ms: f64, count: u64) {
        if let Some(edge) = whole_ms(edge * unit_ms) {
            let (within, series) = self.within.entry(edge).or_default();
            *within = within.saturating_add(count);
            *series += 1;
        }
    }

    /// Edges that some label sets lack are left out: below them nobody knows the count.
    fn latency(&self, family: &'static str) -> Latency {
        let common = self
            .within
            .iter()
            .filter(|(_, (_, series))| *series == self.series);
        let mut highest = 0;
        let rising = common.take(EDGES_MAX).map(|(edge, (within, _))| {
            highest = highest.max(*within);
            (*edge, highest)
        });
        let within_ms: BTreeMap<u64, u64> = rising.collect();
        // The count and the buckets of a page may have been read one after the other.
        Latency {
            family,
            timed: self.timed.max(highest),
            within_ms,
        }
    }
}

/// Edges that are not whole milliseconds are left out, and so is infinity, which `_count` tells.
fn whole_ms(edge: f64) -> Option<u64> {
    let rounded = edge.round();
    let near = (edge - rounded).abs() < 1e-6 * rounded.max(1.0);
    (near && (1.0..1e12).contains(&rounded)).then_some(rounded as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As vLLM writes it: two engines, whole numbers as floats, a web framework that counts classes of statuses.
    const VLLM: &str = r#"# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_sum{engine="0",model_name="m"} 12.5
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.5",model_name="m"} 3.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="1.0",model_name="m"} 5.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="m"} 6.0
vllm:time_to_first_token_seconds_count{engine="0",model_name="m"} 6.0
vllm:time_to_first_token_seconds_bucket{engine="1",le="0.5",model_name="m"} 1.0
vllm:time_to_first_token_seconds_bucket{engine="1",le="1.0",model_name="m"} 1.0
vllm:time_to_first_token_seconds_bucket{engine="1",le="+Inf",model_name="m"} 2.0
vllm:time_to_first_token_seconds_count{engine="1",model_name="m"} 2.0
# TYPE http_requests_total counter
http_requests_total{handler="/v1/completions",method="POST",status="2xx"} 7.0
http_requests_total{handler="/v1/completions",method="POST",status="5xx"} 2.0
http_requests_total{handler="/health",method="GET",status="2xx"} 900.0
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{handler="/v1/completions",le="0.1",method="POST"} 0.0
http_request_duration_seconds_count{handler="/v1/completions",method="POST"} 9.0
"#;

    #[test]
    fn the_first_token_comes_before_the_whole_request_and_engines_are_summed() {
        let page = read(VLLM, None).unwrap();
        let latency = page.latency.unwrap();
        assert_eq!(latency.family, "vllm:time_to_first_token_seconds");
        assert_eq!(latency.within_ms, BTreeMap::from([(500, 4), (1000, 6)]));
        assert_eq!(latency.timed, 8);
        assert_eq!(page.answers, Some(Answers { requests: 9, bad: 2 }));
        assert_eq!(page.cut, None);
    }

    #[test]
    fn a_histogram_once_chosen_is_kept() {
        let page = read(VLLM, Some("http_request_duration_seconds")).unwrap();
        assert_eq!(page.latency.unwrap().timed, 9);
        assert_eq!(
            read(VLLM, Some("sglang:time_to_first_token_seconds"))
                .unwrap()
                .latency,
            None
        );
    }

    #[test]
    fn a_page_with_a_broken_value_is_not_half_read() {
        for (whole, broken) in [
            ("\"5xx\"} 2.0", "\"5xx\"} NaN"),
            ("\"5xx\"} 2.0", "\"5xx} 2.0"),
            ("le=\"1.0\",model_name=\"m\"} 1.0", "le=\"1.0\"} -1"),
            ("le=\"1.0\",model_name=\"m\"} 1.0", "le=\"one\"} 1"),
        ] {
            assert_eq!(read(&VLLM.replace(whole, broken), None), None, "{broken}");
        }
        let elsewhere = VLLM.replace(
            "seconds_sum{engine=\"0\",model_name=\"m\"} 12.5",
            "seconds_sum{} NaN",
        );
        assert_eq!(read(&elsewhere, None), read(VLLM, None));
    }

    #[test]
    fn an_edge_that_one_label_set_lacks_is_left_out() {
        let line = "vllm:time_to_first_token_seconds_bucket{engine=\"1\",le=\"0.5\",model_name=\"m\"} 1.0\n";
        let latency = read(&VLLM.replace(line, ""), None).unwrap().latency.unwrap();
        assert_eq!(latency.within_ms, BTreeMap::from([(1000, 6)]));
    }

    #[test]
    fn triton_counts_successes_and_failures_apart() {
        let page = r#"nv_inference_request_success{model="m",version="1"} 40
nv_inference_request_failure{model="m",reason="BACKEND",version="1"} 3
nv_inference_request_failure{model="m",reason="CANCELED",version="1"} 2
nv_inference_first_response_histogram_ms_count{model="m",version="1"} 40
nv_inference_first_response_histogram_ms_bucket{model="m",version="1",le="100"} 30
nv_inference_first_response_histogram_ms_bucket{model="m",version="1",le="+Inf"} 40
"#;
        let page = read(page, None).unwrap();
        assert_eq!(page.answers, Some(Answers { requests: 45, bad: 3 }));
        assert_eq!(page.latency.unwrap().within_ms, BTreeMap::from([(100, 30)]));
    }

    #[test]
    fn a_counter_that_is_only_declared_stands_at_zero() {
        let declared = "# TYPE http_requests_total counter\nup 1\n";
        assert_eq!(read(declared, None).unwrap().answers, Some(Answers::default()));
        assert_eq!(read("up 1", None), Some(Page::default()));
        let no_status = read("http_requests_total 5", None).unwrap();
        assert_eq!(no_status, Page::default(), "unknown errors are not zero errors");
        assert_eq!(read("<html>", None), None);
    }

    #[test]
    fn edges_below_a_millisecond_are_left_out() {
        assert_eq!(whole_ms(0.005 * 1000.0), Some(5));
        assert_eq!(whole_ms(2.3 * 1000.0), Some(2300));
        for edge in [0.5, 0.0, -1.0, 2.5, f64::INFINITY, f64::NAN] {
            assert_eq!(whole_ms(edge), None, "{edge}");
        }
    }
}
