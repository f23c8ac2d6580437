//! What `/metrics` says: vLLM's names, labels and buckets, and plain HTTP counters beside them.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::histogram::{FIRST_TOKEN_EDGES, HTTP_EDGES, Histogram, PER_TOKEN_EDGES, REQUEST_EDGES};

/// Why vLLM counts a request as finished. It counts no failures; those show in the HTTP counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Finished {
    Stop,
    Length,
    /// The client went away.
    Abort,
}

impl Finished {
    const ALL: [Self; 3] = [Self::Stop, Self::Length, Self::Abort];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Abort => "abort",
        }
    }
}

/// Values that are read at the moment of the scrape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gauges {
    pub(crate) running: u32,
    pub(crate) waiting: u32,
    pub(crate) kv_cache_usage: f64,
}

/// Method, code and path, all from closed sets: no client can add a series.
pub(crate) type Route = (&'static str, u16, &'static str);

/// Everything that is counted since the process began.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) prompt_tokens: u64,
    pub(crate) generation_tokens: u64,
    pub(crate) responses_cut: u64,
    pub(crate) first_token: Histogram,
    pub(crate) inter_token: Histogram,
    pub(crate) per_output_token: Histogram,
    pub(crate) whole: Histogram,
    pub(crate) queue: Histogram,
    finished: BTreeMap<Finished, u64>,
    requests: BTreeMap<Route, u64>,
    duration: Histogram,
}

impl Counters {
    pub(crate) fn finish(&mut self, reason: Finished) {
        *self.finished.entry(reason).or_default() += 1;
    }

    /// Counts one answered request, when its head and first token are ready.
    pub(crate) fn answer(&mut self, route: Route, took: Duration) {
        *self.requests.entry(route).or_default() += 1;
        self.duration.observe(took);
    }
}

/// The counters of one process and the labels they carry.
#[derive(Debug)]
pub(crate) struct Metrics {
    labels: String,
    version: String,
    counters: Mutex<Counters>,
}

impl Metrics {
    pub(crate) fn new(model_name: &str, version: &str) -> Self {
        let counters = Counters {
            prompt_tokens: 0,
            generation_tokens: 0,
            responses_cut: 0,
            first_token: Histogram::new(FIRST_TOKEN_EDGES),
            inter_token: Histogram::new(PER_TOKEN_EDGES),
            per_output_token: Histogram::new(PER_TOKEN_EDGES),
            whole: Histogram::new(REQUEST_EDGES),
            queue: Histogram::new(REQUEST_EDGES),
            finished: Finished::ALL.into_iter().map(|reason| (reason, 0)).collect(),
            requests: BTreeMap::new(),
            duration: Histogram::new(HTTP_EDGES),
        };
        let labels = format!("engine=\"0\",model_name=\"{}\"", escape(model_name));
        Self {
            labels,
            version: escape(version),
            counters: Mutex::new(counters),
        }
    }

    pub(crate) fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().expect("no code panics while it counts")
    }

    /// The text that Prometheus scrapes.
    pub(crate) fn render(&self, gauges: Gauges) -> String {
        let mut page = Page {
            out: String::with_capacity(16 * 1024),
            labels: &self.labels,
        };
        let counters = self.counters();
        page.gauges(gauges);
        page.generations(&counters);
        page.histograms(&counters);
        page.http(&counters);
        let version = format!("{},version=\"{}\"", self.labels, self.version);
        page.head(
            "simulator_model_info",
            "gauge",
            "Name and version of the model served; always 1.",
        );
        page.value("simulator_model_info", &version, 1);
        page.out
    }
}

fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

struct Page<'a> {
    out: String,
    labels: &'a str,
}

impl Page<'_> {
    fn head(&mut self, name: &str, kind: &str, meaning: &str) {
        let _ = writeln!(self.out, "# HELP {name} {meaning}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.out, "{name}{{{labels}}} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, meaning: &str, value: impl Display) {
        self.head(name, kind, meaning);
        self.value(name, self.labels, value);
    }

    fn gauges(&mut self, gauges: Gauges) {
        self.single(
            "vllm:num_requests_running",
            "gauge",
            "Generations that run now.",
            gauges.running,
        );
        self.single(
            "vllm:num_requests_waiting",
            "gauge",
            "Requests that wait for a place.",
            gauges.waiting,
        );
        let meaning = "KV cache in use, 1 is all of it.";
        self.single(
            "vllm:kv_cache_usage_perc",
            "gauge",
            meaning,
            gauges.kv_cache_usage,
        );
    }

    fn generations(&mut self, counters: &Counters) {
        let prompt = counters.prompt_tokens;
        self.single(
            "vllm:prompt_tokens_total",
            "counter",
            "Prompt tokens processed.",
            prompt,
        );
        let generated = counters.generation_tokens;
        self.single(
            "vllm:generation_tokens_total",
            "counter",
            "Tokens generated.",
            generated,
        );
        let name = "vllm:request_success_total";
        self.head(
            name,
            "counter",
            "Requests finished, by reason; failures are not counted here.",
        );
        for (reason, count) in &counters.finished {
            let labels = format!("{},finished_reason=\"{}\"", self.labels, reason.as_str());
            self.value(name, &labels, count);
        }
    }

    fn histograms(&mut self, counters: &Counters) {
        let table = [
            (
                "vllm:time_to_first_token_seconds",
                "Arrival to first token.",
                &counters.first_token,
            ),
            (
                "vllm:inter_token_latency_seconds",
                "Between two tokens of a stream.",
                &counters.inter_token,
            ),
            (
                "vllm:request_time_per_output_token_seconds",
                "Mean time between the tokens of a complete stream.",
                &counters.per_output_token,
            ),
            (
                "vllm:e2e_request_latency_seconds",
                "Arrival to last token, complete answers.",
                &counters.whole,
            ),
            (
                "vllm:request_queue_time_seconds",
                "Arrival to start of the generation.",
                &counters.queue,
            ),
        ];
        for (name, meaning, histogram) in table {
            self.head(name, "histogram", meaning);
            histogram.write(&mut self.out, name, self.labels);
        }
    }

    fn http(&mut self, counters: &Counters) {
        let name = "http_requests_total";
        self.head(
            name,
            "counter",
            "Requests answered; probes and scrapes are not counted.",
        );
        for ((method, code, path), count) in &counters.requests {
            let labels = format!("method=\"{method}\",code=\"{code}\",path=\"{path}\"");
            self.value(name, &labels, count);
        }
        let name = "http_request_duration_seconds";
        let meaning =
            "Arrival until the response head and the first token are ready; a stream goes on after it.";
        self.head(name, "histogram", meaning);
        counters.duration.write(&mut self.out, name, "");
        let name = "http_responses_cut_total";
        self.head(
            name,
            "counter",
            "Responses begun with 200 and closed by the server before their end.",
        );
        let _ = writeln!(self.out, "{name} {}", counters.responses_cut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Gauges = Gauges {
        running: 2,
        waiting: 1,
        kv_cache_usage: 0.25,
    };

    fn page() -> String {
        let metrics = Metrics::new("a \"b\"", "v1");
        {
            let mut counters = metrics.counters();
            counters.prompt_tokens = 7;
            counters.first_token.observe(Duration::from_millis(120));
            counters.finish(Finished::Length);
            counters.answer(("POST", 200, "/inference"), Duration::from_millis(120));
            counters.answer(("POST", 500, "/inference"), Duration::from_millis(2));
        }
        metrics.render(IDLE)
    }

    #[test]
    fn every_series_has_the_names_and_labels_of_vllm() {
        let page = page();
        let labels = r#"engine="0",model_name="a \"b\"""#;
        for line in [
            format!("vllm:num_requests_running{{{labels}}} 2"),
            format!("vllm:num_requests_waiting{{{labels}}} 1"),
            format!("vllm:kv_cache_usage_perc{{{labels}}} 0.25"),
            format!("vllm:prompt_tokens_total{{{labels}}} 7"),
            format!("vllm:generation_tokens_total{{{labels}}} 0"),
            format!("vllm:request_success_total{{{labels},finished_reason=\"stop\"}} 0"),
            format!("vllm:request_success_total{{{labels},finished_reason=\"length\"}} 1"),
            format!("vllm:request_success_total{{{labels},finished_reason=\"abort\"}} 0"),
            format!("vllm:time_to_first_token_seconds_bucket{{{labels},le=\"0.1\"}} 0"),
            format!("vllm:time_to_first_token_seconds_bucket{{{labels},le=\"0.25\"}} 1"),
            format!("vllm:inter_token_latency_seconds_bucket{{{labels},le=\"80.0\"}} 0"),
            format!("vllm:request_time_per_output_token_seconds_count{{{labels}}} 0"),
            format!("vllm:e2e_request_latency_seconds_bucket{{{labels},le=\"7680.0\"}} 0"),
            format!("vllm:request_queue_time_seconds_bucket{{{labels},le=\"0.3\"}} 0"),
            "http_requests_total{method=\"POST\",code=\"200\",path=\"/inference\"} 1".to_owned(),
            "http_requests_total{method=\"POST\",code=\"500\",path=\"/inference\"} 1".to_owned(),
            "http_request_duration_seconds_bucket{le=\"0.005\"} 1".to_owned(),
            "http_request_duration_seconds_bucket{le=\"+Inf\"} 2".to_owned(),
            "http_request_duration_seconds_count 2".to_owned(),
            "http_responses_cut_total 0".to_owned(),
            format!("simulator_model_info{{{labels},version=\"v1\"}} 1"),
        ] {
            assert!(
                page.lines().any(|found| found == line),
                "{line} is missing in\n{page}"
            );
        }
    }

    #[test]
    fn every_sample_follows_its_help_and_type() {
        let page = page();
        let mut family = "";
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap();
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family), "{line} does not belong to {family}");
                let value = line.rsplit(' ').next().unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
        assert!(page.ends_with('\n'));
    }
}
