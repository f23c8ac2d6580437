//! Servers of metrics, each asked in its own language and answering in one form: a value, no data, or an error.
//!
//! The three are different things (invariant 5). *No data*: the server answered, and nothing it said is a number: an
//! empty list, null, `NaN`, an infinity, a partial answer. *Error*: it did not answer, refused, or answered something
//! that cannot be read; trying again may help. Both name their reason. Neither is ever a pass or a fail.
//!
//! Every answer is bounded in bytes and time, redirects are not followed, and no error holds a secret or an address
//! with its query.

mod cloudwatch;
mod datadog;
#[cfg(test)]
mod faults_tests;
mod http;
mod json;
mod named;
mod prometheus;
mod secret;
mod sign;
#[cfg(test)]
pub(crate) mod stand_in;
mod tokens;
mod unready;

use std::collections::BTreeMap;

use async_trait::async_trait;
use weir_domain::time::{Span, Timestamp};

pub use cloudwatch::CloudWatch;
pub use datadog::{Datadog, DatadogVersion};
pub use http::SetupError;
pub use json::JsonApi;
pub use named::{Keys, Named, NamedError, Servers};
pub use prometheus::{Authorization, Prometheus};
pub use secret::Secret;
pub use sign::Identity;
pub use tokens::{Issuer, Tokens};
pub use unready::Unready;

/// What came of a question.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer<T> {
    /// This.
    Value(T),
    /// The server answered and had nothing; why that is nothing.
    NoData(String),
    /// The server failed; how.
    Error(String),
}

/// A stretch of time; `to` is not in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

impl Window {
    /// Its length in whole seconds.
    pub fn seconds(self) -> u64 {
        self.to.since(self.from).0 / 1_000
    }
}

/// How the points of a window become one number, where the server gives points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fold {
    /// They are counts.
    Sum,
    /// They are levels.
    Mean,
}

/// How fresh a server is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Its newest numbers are this old: windows end before.
    pub lag: Span,
    /// Windows are a multiple of this.
    pub step: Span,
}

/// A server of metrics.
#[async_trait]
pub trait Provider: Send + Sync {
    /// How fresh it is.
    fn pace(&self) -> Pace;

    /// One number for a window.
    async fn number(&self, query: &str, window: Window, fold: Fold) -> Answer<f64>;

    /// The query for a metric that a definition only names; a query stays as it is.
    fn query_of(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Why it cannot be asked at all, if so.
    fn unready(&self) -> Option<&str> {
        None
    }

    /// Whether it has [`Self::series`].
    fn has_series(&self) -> bool {
        false
    }

    /// Numbers at one moment, by their labels: counters and buckets.
    async fn series(&self, query: &str, at: Timestamp) -> Answer<BTreeMap<Labels, f64>> {
        let _ = (query, at);
        Answer::Error(
            "this kind of source has no counters and no histograms: write the query with ${window}".into(),
        )
    }
}

/// Labels of one series, in order of their names.
pub type Labels = BTreeMap<String, String>;

/// A number that a server sent: what is none is no data.
fn finite(number: f64) -> Answer<f64> {
    if number.is_finite() {
        Answer::Value(number)
    } else {
        Answer::NoData(format!(
            "the source computed {number}, as it does for 0 of 0 requests"
        ))
    }
}

/// Points of one series, folded. `None` is a point without data.
fn folded(points: impl Iterator<Item = Option<f64>>, fold: Fold) -> Answer<f64> {
    let numbers: Vec<f64> = points.flatten().filter(|number| number.is_finite()).collect();
    if numbers.is_empty() {
        return Answer::NoData("no point of the window has a value".into());
    }
    let sum: f64 = numbers.iter().sum();
    Answer::Value(match fold {
        Fold::Sum => sum,
        Fold::Mean => sum / numbers.len() as f64,
    })
}

/// Text of a server, short enough for a log.
fn short(text: &str) -> String {
    /// Characters of a server's own words that are kept.
    const KEPT: usize = 200;
    let line = text.lines().next().unwrap_or_default().trim();
    let mut kept: String = line.chars().take(KEPT).collect();
    if kept.len() < line.len() {
        kept.push('…');
    }
    kept
}
