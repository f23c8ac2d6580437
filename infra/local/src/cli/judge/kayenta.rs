//! Kayenta's verdict on plain series, for people who come from there: the configuration says `kayenta`, each line of
//! stdin is a metric with its two series, and the last answer is the score.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use weir_domain::json::{Fault, read};
use weir_domain::judge::kayenta::{Class, Harm, classify, score};

use crate::cli::output::Failure;

/// Points of a series: a week of minutes. The test takes time with their number squared.
const MAX_POINTS: usize = 10_080;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    kayenta: Asked,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    metrics: BTreeMap<String, MetricConfig>,
    #[serde(default = "usual_pass")]
    pass: f64,
    #[serde(default = "usual_marginal")]
    marginal: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricConfig {
    #[serde(default)]
    harm: HarmConfig,
    #[serde(default)]
    critical: bool,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HarmConfig {
    Increase,
    Decrease,
    #[default]
    Either,
}

fn usual_pass() -> f64 {
    95.0
}

fn usual_marginal() -> f64 {
    75.0
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    metric: String,
    control: Vec<Option<f64>>,
    experiment: Vec<Option<f64>>,
}

/// What was asked, and the class of each metric so far.
pub(super) struct Session {
    asked: Asked,
    classes: BTreeMap<String, Class>,
}

impl Session {
    /// A judgement by this configuration; nothing where it does not ask for Kayenta's.
    pub(super) fn of(text: &str) -> Result<Option<Self>, Failure> {
        let unread = |fault: Fault| Failure::unread("the configuration", &fault);
        let value: Value = read(text).map_err(unread)?;
        if value.get("kayenta").is_none() {
            return Ok(None);
        }
        let Config { kayenta: asked } = read(text).map_err(unread)?;
        if asked.metrics.is_empty() {
            return Err(Failure::new("0 metrics: expected at least 1"));
        }
        let (pass, marginal) = (asked.pass, asked.marginal);
        if !(0.0..=100.0).contains(&marginal) || !(marginal..=100.0).contains(&pass) {
            return Err(Failure::new(format!(
                "marginal {marginal}, pass {pass}: expected scores between 0 and 100, marginal not above pass"
            )));
        }
        Ok(Some(Self {
            asked,
            classes: BTreeMap::new(),
        }))
    }

    pub(super) fn take(&mut self, line: &str) -> Result<Option<Value>, Failure> {
        if line.trim_ascii().is_empty() {
            return Ok(None);
        }
        let line: Line = read(line).map_err(|fault| Failure::unread("a metric", &fault))?;
        let Some(config) = self.asked.metrics.get(&line.metric) else {
            let names: Vec<&str> = self.asked.metrics.keys().map(String::as_str).collect();
            return Err(Failure::new(format!(
                "metric `{}` is not in the configuration: expected {}",
                line.metric,
                names.join(", ")
            )));
        };
        let longest = line.control.len().max(line.experiment.len());
        if longest > MAX_POINTS {
            return Err(Failure::new(format!(
                "metric `{}`: {longest} points; expected at most {MAX_POINTS}",
                line.metric
            )));
        }
        if self.classes.contains_key(&line.metric) {
            return Ok(None);
        }
        let harm = match config.harm {
            HarmConfig::Increase => Harm::Increase,
            HarmConfig::Decrease => Harm::Decrease,
            HarmConfig::Either => Harm::Either,
        };
        let numbers = |series: &[Option<f64>]| series.iter().flatten().copied().collect::<Vec<_>>();
        let class = classify(&numbers(&line.control), &numbers(&line.experiment), harm);
        let answer = json!({"metric": line.metric, "class": class.as_str()});
        self.classes.insert(line.metric, class);
        Ok(Some(answer))
    }

    /// The score, and what it means by the thresholds. Metrics that never came have no data.
    pub(super) fn end(&self) -> Value {
        let of = |name: &String| self.classes.get(name).copied().unwrap_or(Class::NoData);
        let classes: Vec<Class> = self.asked.metrics.keys().map(of).collect();
        let failed = |class: Class| matches!(class, Class::High | Class::Low);
        let critical = self
            .asked
            .metrics
            .iter()
            .find(|(name, config)| config.critical && failed(of(name)));
        let score = match critical {
            Some(_) => 0.0,
            None => score(&classes).unwrap_or(0.0),
        };
        let verdict = match score {
            score if score >= self.asked.pass => "pass",
            score if score >= self.asked.marginal => "marginal",
            _ => "fail",
        };
        let not_passed = self.asked.metrics.keys().filter(|name| of(name) != Class::Pass);
        let why: Vec<String> = not_passed
            .map(|name| format!("{name}: {}", of(name).as_str()))
            .collect();
        json!({"score": score, "verdict": verdict, "why": why.join("; ")})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(mean: f64) -> Vec<f64> {
        (0..20).map(|i| mean + f64::from(i % 7)).collect()
    }

    fn line(metric: &str, control: f64, experiment: f64) -> String {
        let line = json!({"metric": metric, "control": series(control), "experiment": series(experiment)});
        line.to_string()
    }

    fn judged(config: &Value, lines: &[String]) -> (Vec<String>, Value) {
        let mut session = Session::of(&config.to_string()).unwrap().unwrap();
        let answers = lines.iter().filter_map(|line| session.take(line).unwrap());
        let classes = answers.map(|answer| answer["class"].as_str().unwrap_or_default().to_owned());
        (classes.collect(), session.end())
    }

    #[test]
    fn a_score_is_the_part_that_passes_and_a_critical_metric_decides_alone() {
        let mut config = json!({"kayenta": {"metrics": {
            "errors": {"harm": "increase"}, "latency": {"harm": "increase"}, "rate": {"harm": "decrease"}, "gpu": {},
        }}});
        let lines = [
            line("errors", 100.0, 100.0),
            line("latency", 100.0, 140.0),
            line("latency", 100.0, 100.0),
            line("rate", 100.0, 140.0),
            r#"{"metric": "gpu", "control": [null], "experiment": [1.0]}"#.to_owned(),
        ];
        let (classes, end) = judged(&config, &lines);
        assert_eq!(classes, ["pass", "high", "pass", "no_data"]);
        assert_eq!(end["verdict"], "fail");
        assert!(
            (end["score"].as_f64().unwrap() - 200.0 / 3.0).abs() < 1e-9,
            "{end}"
        );
        assert_eq!(end["why"], "gpu: no_data; latency: high");
        config["kayenta"]["marginal"] = json!(60);
        assert_eq!(judged(&config, &lines).1["verdict"], "marginal");
        config["kayenta"]["metrics"]["latency"]["critical"] = json!(true);
        assert_eq!(judged(&config, &lines).1["score"], 0.0);
        assert_eq!(judged(&config, &lines[..1]).1["verdict"], "pass");
        assert_eq!(
            judged(&config, &[]).1,
            json!({"score": 0.0, "verdict": "fail", "why": "errors: no_data; gpu: no_data; latency: no_data; rate: no_data"})
        );
    }

    #[test]
    fn what_cannot_be_asked_or_read_is_told() {
        assert!(Session::of(r#"{"metrics": {"e": {}}}"#).unwrap().is_none());
        let faults = [
            (r#"{"kayenta": {"metrics": {}}}"#, "0 metrics"),
            (
                r#"{"kayenta": {"metrics": {"e": {"harm": "up"}}}}"#,
                "unknown variant",
            ),
            (
                r#"{"kayenta": {"metrics": {"e": {}}, "pass": 50}}"#,
                "marginal 75, pass 50",
            ),
            (
                r#"{"kayenta": {"metrics": {"e": {}}}, "alpha": 0.1}"#,
                "unknown field",
            ),
        ];
        for (config, says) in faults {
            let message = Session::of(config).err().unwrap().message;
            assert!(message.contains(says), "{config}: {message}");
        }
        let config = r#"{"kayenta": {"metrics": {"e": {}}}}"#;
        let mut session = Session::of(config).unwrap().unwrap();
        for bad in [
            "nope",
            r#"{"metric": "e"}"#,
            r#"{"metric": "x", "control": [], "experiment": []}"#,
        ] {
            assert!(session.take(bad).is_err(), "{bad}");
        }
    }
}
