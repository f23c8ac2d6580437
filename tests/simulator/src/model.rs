//! The model file: how this version of this model behaves, at rest and under load.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// Bytes of a model file. A hundred times what every key together needs.
const FILE_BYTES_MAX: usize = 64 * 1024;
/// Seconds that any phase may last: a day.
const SECONDS_MAX: f64 = 86_400.0;
/// Milliseconds that any latency may last: ten minutes.
const LATENCY_MS_MAX: f64 = 600_000.0;
/// Tokens that one generation may have.
pub(crate) const TOKENS_MAX: u32 = 16_384;
/// Characters of a name or a version: they travel in a header and in every metric line.
const NAME_CHARS_MAX: usize = 128;

/// Behaviour of one model version. Every key has a default; `{}` is a healthy model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// Served model name: the label `model_name` of every vLLM metric.
    pub name: String,
    /// Version, sent in the header `x-model-version` of every answer.
    pub version: String,
    /// Seed of every random draw.
    pub seed: u64,
    /// Seconds from start until the weights are in memory.
    pub load_seconds: f64,
    /// Generations the server makes for itself after loading, before it calls itself ready.
    pub warm_up_generations: u32,
    /// Time to the first token, and of a whole answer that is not streamed.
    pub latency_ms: Latency,
    /// Length and pace of an answer.
    pub tokens: Tokens,
    /// Share of requests that fail at any load.
    pub error_ratio: f64,
    /// Share of requests that fail while the pod gets more than so many requests a second.
    pub error_ratio_above_rps: Option<UnderLoad>,
    /// Factor on every latency while the pod gets more than so many requests a second.
    pub latency_factor_above_rps: Option<SlowUnderLoad>,
    /// Of the streams that fail, the share that is cut in the middle instead of answered with a 500.
    pub cut_share: f64,
    /// Seconds over which requests a second are counted.
    pub load_window_seconds: f64,
    /// The process crashes when this request arrives, counted since it was ready.
    pub crash_after_requests: Option<u64>,
    /// The process crashes this many seconds after it was ready.
    pub crash_after_seconds_serving: Option<f64>,
    /// Generations that run at once; others wait.
    pub capacity_concurrent: u32,
    /// Requests that may wait; others get a 503.
    pub queue_limit: u32,
    /// Memory that requests leave behind.
    pub leak: Option<Leak>,
    /// Milliseconds without any request, after SIGTERM, until the process ends.
    pub drain_quiet_ms: u64,
}

/// Time to first token in milliseconds: log-normal through these two points.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// Tokens of an answer when the request does not say, and their pace in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// Fewest.
    pub min: u32,
    /// Most.
    pub max: u32,
    /// Tokens a second within one stream.
    pub per_second: f64,
}

/// Errors that only show under load.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnderLoad {
    /// Requests a second to this pod above which the ratio holds.
    pub rps: f64,
    /// Share of requests that then fail.
    pub ratio: f64,
}

/// Latency that only shows under load.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowUnderLoad {
    /// Requests a second to this pod above which the factor holds.
    pub rps: f64,
    /// What the time to the first token and between tokens is multiplied by.
    pub factor: f64,
}

/// Memory that is never given back. When all of the KV cache is gone, the process crashes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leak {
    /// Share of the KV cache that each request takes for good.
    pub kv_share_per_request: f64,
}

/// Why a model file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file could not be read.
    #[error("could not read the model file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// More bytes than a model file can have.
    #[error("the model has {bytes} bytes, at most {FILE_BYTES_MAX} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not JSON, an unknown key, or a value of the wrong type.
    #[error("could not parse the model")]
    Parse(#[source] serde_json::Error),
    /// An array: structures could be read from one, and then values would depend on their order.
    #[error("the model and each of its parts must be an object, found an array")]
    Array,
    /// A value outside its range.
    #[error("model key `{key}` is {found}, expected {expected}")]
    Invalid {
        /// Path of the key.
        key: &'static str,
        /// The value.
        found: String,
        /// The range.
        expected: &'static str,
    },
}

impl Default for Model {
    fn default() -> Self {
        Self {
            name: "model".to_owned(),
            version: "v0".to_owned(),
            seed: 1,
            load_seconds: 4.0,
            warm_up_generations: 2,
            latency_ms: Latency::default(),
            tokens: Tokens::default(),
            error_ratio: 0.0,
            error_ratio_above_rps: None,
            latency_factor_above_rps: None,
            cut_share: 0.0,
            load_window_seconds: 5.0,
            crash_after_requests: None,
            crash_after_seconds_serving: None,
            capacity_concurrent: 64,
            queue_limit: 1024,
            leak: None,
            drain_quiet_ms: 1000,
        }
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            p50: 120.0,
            p99: 600.0,
        }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            min: 8,
            max: 64,
            per_second: 20.0,
        }
    }
}

impl Model {
    /// Reads and checks a model file.
    ///
    /// # Errors
    /// When the file cannot be read, or as [`Model::parse`].
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let text = std::fs::read(path).map_err(|source| ModelError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Parses and checks the text of a model file.
    ///
    /// # Errors
    /// When it is too large, not JSON, has an unknown key, or a value outside its range; the text names the key.
    pub fn parse(text: &[u8]) -> Result<Self, ModelError> {
        if text.len() > FILE_BYTES_MAX {
            return Err(ModelError::TooLarge { bytes: text.len() });
        }
        let model: Self = serde_json::from_slice(text).map_err(ModelError::Parse)?;
        let value = serde_json::from_slice(text).map_err(ModelError::Parse)?;
        if has_array(&value) {
            return Err(ModelError::Array);
        }
        model.check()?;
        Ok(model)
    }

    fn check(&self) -> Result<(), ModelError> {
        name("name", &self.name)?;
        name("version", &self.version)?;
        within("load_seconds", self.load_seconds, 0.0, SECONDS_MAX, "0 to 86400")?;
        within(
            "load_window_seconds",
            self.load_window_seconds,
            0.1,
            3600.0,
            "0.1 to 3600",
        )?;
        within(
            "latency_ms.p50",
            self.latency_ms.p50,
            0.01,
            LATENCY_MS_MAX,
            "0.01 to 600000",
        )?;
        let (p50, p99) = (self.latency_ms.p50, self.latency_ms.p99);
        within(
            "latency_ms.p99",
            p99,
            p50,
            LATENCY_MS_MAX,
            "latency_ms.p50 to 600000",
        )?;
        within(
            "tokens.per_second",
            self.tokens.per_second,
            0.01,
            10_000.0,
            "0.01 to 10000",
        )?;
        self.check_counts()?;
        self.check_faults()
    }

    fn check_counts(&self) -> Result<(), ModelError> {
        count("tokens.min", self.tokens.min, 1, TOKENS_MAX, "1 to 16384")?;
        count(
            "tokens.max",
            self.tokens.max,
            self.tokens.min,
            TOKENS_MAX,
            "tokens.min to 16384",
        )?;
        count(
            "warm_up_generations",
            self.warm_up_generations,
            0,
            1000,
            "0 to 1000",
        )?;
        count(
            "capacity_concurrent",
            self.capacity_concurrent,
            1,
            65_536,
            "1 to 65536",
        )?;
        count("queue_limit", self.queue_limit, 0, 65_536, "0 to 65536")
    }

    fn check_faults(&self) -> Result<(), ModelError> {
        ratio("error_ratio", self.error_ratio)?;
        ratio("cut_share", self.cut_share)?;
        if let Some(load) = self.error_ratio_above_rps {
            within("error_ratio_above_rps.rps", load.rps, 0.0, 1e6, "0 to 1000000")?;
            ratio("error_ratio_above_rps.ratio", load.ratio)?;
        }
        if let Some(load) = self.latency_factor_above_rps {
            within("latency_factor_above_rps.rps", load.rps, 0.0, 1e6, "0 to 1000000")?;
            within(
                "latency_factor_above_rps.factor",
                load.factor,
                0.01,
                1000.0,
                "0.01 to 1000",
            )?;
        }
        if let Some(leak) = self.leak {
            ratio("leak.kv_share_per_request", leak.kv_share_per_request)?;
        }
        if let Some(seconds) = self.crash_after_seconds_serving {
            within(
                "crash_after_seconds_serving",
                seconds,
                0.0,
                SECONDS_MAX,
                "0 to 86400",
            )?;
        }
        match self.crash_after_requests {
            Some(0) => Err(invalid("crash_after_requests", &0, "1 or more")),
            _ => Ok(()),
        }
    }
}

fn has_array(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Object(map) => map.values().any(has_array),
        _ => false,
    }
}

fn ratio(key: &'static str, value: f64) -> Result<(), ModelError> {
    within(key, value, 0.0, 1.0, "0 to 1")
}

fn within(
    key: &'static str,
    value: f64,
    min: f64,
    max: f64,
    expected: &'static str,
) -> Result<(), ModelError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(invalid(key, &value, expected))
    }
}

fn count(
    key: &'static str,
    value: u32,
    min: u32,
    max: u32,
    expected: &'static str,
) -> Result<(), ModelError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(invalid(key, &value, expected))
    }
}

fn name(key: &'static str, value: &str) -> Result<(), ModelError> {
    let legal = !value.is_empty()
        && value.len() <= NAME_CHARS_MAX
        && value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    let trimmed = value.trim() == value;
    if legal && trimmed {
        return Ok(());
    }
    Err(invalid(
        key,
        &format!("{value:?}"),
        "1 to 128 printable ASCII characters",
    ))
}

fn invalid(key: &'static str, found: &impl ToString, expected: &'static str) -> ModelError {
    ModelError::Invalid {
        key,
        found: found.to_string(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error and its cause, as the binary prints them.
    fn refusal(text: &str) -> String {
        let error = Model::parse(text.as_bytes()).expect_err("must be refused");
        match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }
    }

    #[test]
    fn an_empty_object_is_the_healthy_default() {
        assert_eq!(Model::parse(b"{}").unwrap(), Model::default());
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"{"name":"fraud-detector","version":"v2","seed":9,"load_seconds":0.5,
            "warm_up_generations":1,"latency_ms":{"p50":10,"p99":20},
            "tokens":{"min":1,"max":2,"per_second":40},"error_ratio":0.002,
            "error_ratio_above_rps":{"rps":0.5,"ratio":0.3},
            "latency_factor_above_rps":{"rps":2,"factor":8},"cut_share":0.5,
            "load_window_seconds":1,"crash_after_requests":200,"crash_after_seconds_serving":null,
            "capacity_concurrent":4,"queue_limit":8,"leak":{"kv_share_per_request":0.01},
            "drain_quiet_ms":50}"#;
        let expected = Model {
            name: "fraud-detector".to_owned(),
            version: "v2".to_owned(),
            seed: 9,
            load_seconds: 0.5,
            warm_up_generations: 1,
            latency_ms: Latency { p50: 10.0, p99: 20.0 },
            tokens: Tokens {
                min: 1,
                max: 2,
                per_second: 40.0,
            },
            error_ratio: 0.002,
            error_ratio_above_rps: Some(UnderLoad { rps: 0.5, ratio: 0.3 }),
            latency_factor_above_rps: Some(SlowUnderLoad {
                rps: 2.0,
                factor: 8.0,
            }),
            cut_share: 0.5,
            load_window_seconds: 1.0,
            crash_after_requests: Some(200),
            crash_after_seconds_serving: None,
            capacity_concurrent: 4,
            queue_limit: 8,
            leak: Some(Leak {
                kv_share_per_request: 0.01,
            }),
            drain_quiet_ms: 50,
        };
        assert_eq!(Model::parse(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn unknown_keys_are_named_at_any_depth() {
        assert!(refusal(r#"{"latency":3}"#).contains("unknown field `latency`"));
        assert!(refusal(r#"{"tokens":{"mix":3}}"#).contains("unknown field `mix`"));
        assert!(refusal(r#"{"leak":{"kb":3}}"#).contains("unknown field `kb`"));
    }

    #[test]
    fn values_out_of_range_are_named_with_the_range() {
        let cases = [
            (
                r#"{"error_ratio":1.5}"#,
                "model key `error_ratio` is 1.5, expected 0 to 1",
            ),
            (
                r#"{"cut_share":-0.1}"#,
                "model key `cut_share` is -0.1, expected 0 to 1",
            ),
            (
                r#"{"latency_ms":{"p50":700}}"#,
                "model key `latency_ms.p99` is 600",
            ),
            (r#"{"latency_ms":{"p50":0}}"#, "model key `latency_ms.p50` is 0"),
            (r#"{"tokens":{"min":9,"max":8}}"#, "model key `tokens.max` is 8"),
            (r#"{"tokens":{"max":99999}}"#, "model key `tokens.max` is 99999"),
            (
                r#"{"capacity_concurrent":0}"#,
                "model key `capacity_concurrent` is 0",
            ),
            (
                r#"{"load_seconds":1e9}"#,
                "model key `load_seconds` is 1000000000",
            ),
            (
                r#"{"crash_after_requests":0}"#,
                "model key `crash_after_requests` is 0",
            ),
            (r#"{"version":"v\n1"}"#, "model key `version` is \"v\\n1\""),
            (r#"{"name":""}"#, "model key `name` is \"\""),
            (
                r#"{"error_ratio_above_rps":{"rps":1,"ratio":2}}"#,
                "`error_ratio_above_rps.ratio` is 2",
            ),
            (
                r#"{"latency_factor_above_rps":{"rps":1,"factor":0}}"#,
                "`latency_factor_above_rps.factor` is 0",
            ),
        ];
        for (text, expected) in cases {
            let found = refusal(text);
            assert!(found.contains(expected), "{text}: {found}");
        }
    }

    #[test]
    fn wrong_types_duplicates_missing_parts_and_other_text_are_refused() {
        for text in ["[]", r#"["m"]"#, r#"{"latency_ms":[1,2]}"#] {
            assert!(refusal(text).contains("found an array"), "{text}");
        }
        for text in [
            "",
            "{",
            r#"{"seed":-1}"#,
            r#"{"name":3}"#,
            r#"{"seed":1,"seed":2}"#,
        ] {
            assert!(refusal(text).starts_with("could not parse the model: "), "{text}");
        }
        assert!(refusal(r#"{"error_ratio_above_rps":{"rps":1}}"#).contains("missing field `ratio`"));
        let deep = format!(r#"{{"leak":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
        assert!(refusal(&deep).starts_with("could not parse"));
        assert!(refusal(&" ".repeat(FILE_BYTES_MAX + 1)).contains("at most 65536"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Model::read(Path::new("/nowhere/model.json")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not read the model file /nowhere/model.json"
        );
    }
}
