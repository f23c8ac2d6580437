//! The counts: in all, since the last report, and since each mark.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::clock::unix_ms;
use crate::load::quantiles::Quantiles;

/// Failures that are kept with their time and text; further ones are only counted.
const FAILURES_KEPT: usize = 20;
/// Seconds with failures that are counted apart: an hour of them.
const SECONDS_KEPT: usize = 3_600;
/// Named counts at once. Each one costs a little on every answer.
const MARKS_MAX: usize = 256;
/// Versions counted apart; further ones are counted together.
const VERSIONS_MAX: usize = 64;
/// The version of an answer that does not say one: no pod wrote it.
const NO_VERSION: &str = "unknown";
/// Where versions beyond the limit are counted.
const FURTHER_VERSIONS: &str = "further";

/// How one request went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No answer, or not a 2xx.
    Failed(String),
    /// An answer that began with 2xx and did not reach its end.
    Cut(String),
}

/// How one request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The header `x-model-version` of the answer.
    pub version: Option<String>,
    /// From the start of the request to the head of its answer.
    pub latency: Option<Duration>,
    /// Complete, or what was wrong.
    pub result: Result<(), Failure>,
}

#[derive(Debug, Clone, Default)]
struct Version {
    ok: u64,
    failed: u64,
    cut: u64,
    latency: Quantiles,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    since_unix_ms: u64,
    sent: u64,
    ok: u64,
    failed: u64,
    cut: u64,
    by_version: BTreeMap<String, Version>,
    failures: Vec<Value>,
    /// How many failed or were cut, by the second since 1970.
    lost_by_second: BTreeMap<u64, u64>,
}

impl Counts {
    fn begin() -> Self {
        Self {
            since_unix_ms: unix_ms(),
            ..Self::default()
        }
    }

    fn record(&mut self, outcome: &Outcome) {
        let name = self.version_name(outcome.version.as_deref());
        let version = self.by_version.entry(name.clone()).or_default();
        let what = match &outcome.result {
            Ok(()) => {
                self.ok += 1;
                version.ok += 1;
                version.latency.observe(outcome.latency.unwrap_or_default());
                return;
            }
            Err(Failure::Failed(what)) => {
                self.failed += 1;
                version.failed += 1;
                what
            }
            Err(Failure::Cut(what)) => {
                self.cut += 1;
                version.cut += 1;
                what
            }
        };
        let now = unix_ms();
        if self.failures.len() < FAILURES_KEPT {
            self.failures
                .push(json!({"t": now, "version": name, "what": what}));
        }
        if self.lost_by_second.len() < SECONDS_KEPT {
            *self.lost_by_second.entry(now / 1_000).or_insert(0) += 1;
        }
    }

    fn version_name(&self, version: Option<&str>) -> String {
        let name = version.unwrap_or(NO_VERSION);
        let known = self.by_version.contains_key(name) || self.by_version.len() < VERSIONS_MAX;
        if known {
            name.to_owned()
        } else {
            FURTHER_VERSIONS.to_owned()
        }
    }

    fn json(&self) -> Map<String, Value> {
        let by_version: Map<String, Value> = self
            .by_version
            .iter()
            .map(|(name, version)| (name.clone(), version.json()))
            .collect();
        let counts = json!({
            "sent": self.sent, "ok": self.ok, "failed": self.failed, "cut": self.cut, "by_version": by_version,
        });
        match counts {
            Value::Object(map) => map,
            _ => unreachable!("an object is written just above"),
        }
    }

    fn detailed(&self) -> Value {
        let mut map = self.json();
        map.insert("since_unix_ms".to_owned(), self.since_unix_ms.into());
        map.insert("failures".to_owned(), self.failures.clone().into());
        map.insert("lost_by_second".to_owned(), json!(self.lost_by_second));
        map.into()
    }
}

impl Version {
    fn json(&self) -> Value {
        json!({
            "ok": self.ok, "failed": self.failed, "cut": self.cut,
            "p50_ms": self.latency.at(0.5), "p99_ms": self.latency.at(0.99),
        })
    }
}

/// No further mark can be set.
#[derive(Debug, thiserror::Error)]
#[error("could not set the mark {0}: there are {MARKS_MAX} already")]
pub(crate) struct TooManyMarks(String);

#[derive(Debug)]
struct Pages {
    total: Counts,
    latest: Counts,
    marks: BTreeMap<String, Counts>,
}

/// Everything counted by one driver, shared by its requests, its report and its statistics.
///
/// A request is counted when it ends: in every mark that is set at that moment, also in those set after it began.
#[derive(Debug)]
pub struct Book(Mutex<Pages>);

impl Default for Book {
    fn default() -> Self {
        let (total, latest) = (Counts::begin(), Counts::begin());
        Self(Mutex::new(Pages {
            total,
            latest,
            marks: BTreeMap::new(),
        }))
    }
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().expect("no code panics while it counts")
    }

    fn each(&self, count: impl Fn(&mut Counts)) {
        let pages = &mut *self.pages();
        [&mut pages.total, &mut pages.latest]
            .into_iter()
            .chain(pages.marks.values_mut())
            .for_each(count);
    }

    /// Counts a request that starts now.
    pub(crate) fn send(&self) {
        self.each(|counts| counts.sent += 1);
    }

    /// Counts a request that ended now.
    pub(crate) fn record(&self, outcome: &Outcome) {
        self.each(|counts| counts.record(outcome));
    }

    /// Starts a named count; the same name again starts anew.
    pub(crate) fn mark(&self, name: &str) -> Result<(), TooManyMarks> {
        let marks = &mut self.pages().marks;
        if marks.len() >= MARKS_MAX && !marks.contains_key(name) {
            return Err(TooManyMarks(name.to_owned()));
        }
        marks.insert(name.to_owned(), Counts::begin());
        Ok(())
    }

    /// Requests that began and did not end yet.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        in_flight(&self.pages().total)
    }

    /// The counts since the last call, as a report line.
    pub(crate) fn take_line(&self) -> Value {
        let mut pages = self.pages();
        let latest = std::mem::replace(&mut pages.latest, Counts::begin());
        let mut line = latest.json();
        line.insert("t".to_owned(), unix_ms().into());
        line.insert("in_flight".to_owned(), in_flight(&pages.total).into());
        line.into()
    }

    /// All counts as the last line of a report: `{"total": …, "failures": […]}`.
    #[must_use]
    pub fn closing_line(&self) -> Value {
        let pages = self.pages();
        let mut total = pages.total.json();
        total.insert("in_flight".to_owned(), in_flight(&pages.total).into());
        json!({"t": unix_ms(), "total": total, "failures": pages.total.failures})
    }

    /// All counts and those since each mark: `{"total": …, "since": {NAME: …}}`.
    #[must_use]
    pub fn totals(&self) -> Value {
        let pages = self.pages();
        let since: Map<String, Value> = pages
            .marks
            .iter()
            .map(|(name, counts)| (name.clone(), counts.detailed()))
            .collect();
        let mut total = pages.total.detailed();
        total["in_flight"] = in_flight(&pages.total).into();
        json!({"t": unix_ms(), "total": total, "since": since})
    }
}

fn in_flight(total: &Counts) -> u64 {
    total.sent - total.ok - total.failed - total.cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(version: &str, result: Result<(), Failure>) -> Outcome {
        let latency = Some(Duration::from_millis(100));
        Outcome {
            version: Some(version.to_owned()),
            latency,
            result,
        }
    }

    fn failed() -> Result<(), Failure> {
        Err(Failure::Failed("status 500".to_owned()))
    }

    #[test]
    fn a_mark_counts_what_ends_after_it() {
        let book = Book::default();
        (0..3).for_each(|_| book.send());
        book.record(&ended("v1", failed()));
        book.mark("shift").unwrap();
        book.record(&ended("v1", Ok(())));
        book.record(&ended("v2", Err(Failure::Cut("no [DONE]".to_owned()))));
        let totals = book.totals();
        assert_eq!(totals["total"]["failed"], 1);
        assert_eq!(totals["total"]["in_flight"], 0);
        let shift = &totals["since"]["shift"];
        assert_eq!(
            (&shift["ok"], &shift["failed"], &shift["cut"]),
            (&1.into(), &0.into(), &1.into())
        );
        assert_eq!(shift["by_version"]["v2"]["cut"], 1);
        assert_eq!(shift["failures"][0]["what"], "no [DONE]");
        assert!(shift["by_version"]["v1"]["p50_ms"].as_f64().unwrap() >= 100.0);
    }

    #[test]
    fn a_mark_set_again_starts_anew() {
        let book = Book::default();
        book.mark("a").unwrap();
        book.send();
        book.record(&ended("v1", failed()));
        book.mark("a").unwrap();
        assert_eq!(book.totals()["since"]["a"]["failed"], 0);
    }

    #[test]
    fn a_line_holds_what_happened_since_the_line_before() {
        let book = Book::default();
        (0..3).for_each(|_| book.send());
        book.record(&ended("v1", Ok(())));
        let line = book.take_line();
        assert_eq!(
            (&line["sent"], &line["ok"], &line["in_flight"]),
            (&3.into(), &1.into(), &2.into())
        );
        let line = book.take_line();
        assert_eq!(
            (&line["sent"], &line["ok"], &line["in_flight"]),
            (&0.into(), &0.into(), &2.into())
        );
        assert_eq!(book.closing_line()["total"]["ok"], 1);
    }

    #[test]
    fn marks_versions_and_kept_failures_are_limited() {
        let book = Book::default();
        for n in 0..MARKS_MAX {
            book.mark(&n.to_string()).unwrap();
        }
        assert!(book.mark("one too many").is_err());
        assert!(book.mark("0").is_ok());
        for n in 0..200 {
            book.send();
            book.record(&ended(&n.to_string(), failed()));
        }
        let total = book.totals()["total"].clone();
        assert_eq!(total["failed"], 200);
        assert_eq!(total["failures"].as_array().unwrap().len(), FAILURES_KEPT);
        let by_second = total["lost_by_second"].as_object().unwrap().values();
        let all: u64 = by_second.map(|lost| lost.as_u64().unwrap()).sum();
        assert_eq!(total["failed"], all);
        assert_eq!(total["by_version"].as_object().unwrap().len(), VERSIONS_MAX + 1);
        assert_eq!(
            total["by_version"][FURTHER_VERSIONS]["failed"],
            200 - VERSIONS_MAX
        );
    }

    #[test]
    fn an_answer_without_a_version_is_counted_as_unknown() {
        let book = Book::default();
        book.send();
        book.record(&Outcome {
            version: None,
            latency: None,
            result: failed(),
        });
        assert_eq!(book.totals()["total"]["by_version"]["unknown"]["failed"], 1);
    }
}
