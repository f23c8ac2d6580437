//! Prometheus, and what speaks its language: Thanos, Mimir, VictoriaMetrics, Amazon's and Google's managed ones.

use std::collections::BTreeMap;

use async_trait::async_trait;
use reqwest::Url;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use weir_domain::time::{Span, Timestamp};

use super::http::{Caller, Reach, Reply, SetupError, base, within, without_keys};
use super::sign::{Identity, Signer};
use super::{Answer, Fold, Issuer, Labels, Pace, Provider, Secret, Window, finite, short};

/// Series of one answer. A counter by pod and status of eight pods has about forty.
const SERIES_LIMIT: usize = 400;
/// What the server is told to take at most; a query that takes longer would end a check late.
const QUERY_LIMIT: &str = "7s";
const FORM: &str = "application/x-www-form-urlencoded";
/// Times that another token is asked for within a question: one may just have been withdrawn.
const TOKENS: usize = 1;

/// How the server knows us.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// It does not ask.
    None,
    /// A token: Grafana Cloud, a proxy.
    Bearer(Secret),
    /// Tokens that end: Google's managed service.
    Tokens(Issuer),
    /// A signature of AWS, for `aps` in this region.
    Aws(Identity, String),
}

/// A Prometheus server.
pub struct Prometheus {
    caller: Caller,
    url: Url,
    authorization: Authorization,
}

impl Prometheus {
    /// A server under this address, for example `http://prometheus.monitoring.svc:9090`. Nothing is sent yet.
    ///
    /// # Errors
    /// The address is not one that may be called.
    pub fn new(address: &str, authorization: Authorization) -> Result<Self, SetupError> {
        let url = base(address)?;
        let url = url
            .join("api/v1/query")
            .map_err(|_| SetupError::Address(without_keys(address)))?;
        Ok(Self {
            caller: Caller::new(Reach::Chosen),
            url,
            authorization,
        })
    }

    async fn ask(&self, query: &str, at: Timestamp) -> Result<Data, Answer<IgnoredAny>> {
        let Authorization::Tokens(Issuer(issuer)) = &self.authorization else {
            let reply = self.call(query, at, None).await.map_err(Answer::Error)?;
            return read(reply.status, &reply.body);
        };
        let mut tries = 0..TOKENS;
        loop {
            let token = issuer.token().await.map_err(Answer::Error)?;
            let reply = self.call(query, at, Some(&token)).await;
            let reply = reply.map_err(Answer::Error)?;
            if reply.status == 401 {
                // It may have been withdrawn: another one is asked for, now or at the next question.
                issuer.refused(&token).await;
                if tries.next().is_some() {
                    continue;
                }
            }
            return read(reply.status, &reply.body);
        }
    }

    async fn call(&self, query: &str, at: Timestamp, token: Option<&Secret>) -> Result<Reply, String> {
        let time = format!("{}.{:03}", at.0 / 1_000, at.0 % 1_000);
        let form = [("query", query), ("time", &time), ("timeout", QUERY_LIMIT)];
        let body = serde_urlencoded::to_string(form).expect("text pairs always encode");
        let client = self.caller.client()?;
        let mut request = client.post(self.url.clone()).header("content-type", FORM);
        match &self.authorization {
            Authorization::None => {}
            Authorization::Bearer(token) => request = request.bearer_auth(token.expose()),
            Authorization::Tokens(_) => {
                let token = token.map(Secret::expose).unwrap_or_default();
                request = request.bearer_auth(token);
            }
            Authorization::Aws(identity, region) => {
                let signer = Signer {
                    identity: identity.clone(),
                    region: region.clone(),
                    service: "aps",
                };
                let headers = signer
                    .headers(&self.url, &[("content-type", FORM)], body.as_bytes())
                    .await;
                for (name, value) in headers? {
                    request = request.header(name, value);
                }
            }
        }
        Caller::call(request.body(body)).await
    }
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType", default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

/// A result of a query at one moment.
#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
    Scalar((f64, String)),
    Matrix(IgnoredAny),
    String(IgnoredAny),
}

#[derive(Deserialize)]
struct Series {
    metric: Labels,
    /// Absent for a native histogram.
    value: Option<(f64, String)>,
}

fn read(status: u16, body: &[u8]) -> Result<Data, Answer<IgnoredAny>> {
    let error = |words: String| Err(Answer::Error(words));
    let Ok(envelope) = serde_json::from_slice::<Envelope>(body) else {
        let said = of_cloud(body).map_or(String::new(), |said| format!(": {said}"));
        return error(match status {
            200 => "its answer is not Prometheus's".into(),
            401 | 403 => format!("it refused the token ({status}){said}"),
            _ => format!("it answered {status}{said}"),
        });
    };
    if envelope.status != "success" {
        return error(format!("{}: {}", envelope.error_type, short(&envelope.error)));
    }
    if let Some(warning) = envelope.warnings.first() {
        return Err(Answer::NoData(format!(
            "the answer is partial: {}",
            short(warning)
        )));
    }
    match envelope.data {
        Some(data) => Ok(data),
        None => error("its answer has no data field".into()),
    }
}

/// Why a managed server refuses, as all of Google's APIs and Amazon's say it.
fn of_cloud(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let said = value["error"]["message"].as_str().or(value["message"].as_str());
    said.map(short)
}

fn parsed(text: &str) -> Answer<f64> {
    match text.parse() {
        Ok(number) => finite(number),
        Err(_) => Answer::Error(format!("{}: not a number", short(text))),
    }
}

fn one(data: &Data) -> Answer<f64> {
    match data {
        Data::Scalar((_, text)) => parsed(text),
        Data::Vector(series) => match series.as_slice() {
            [] => Answer::NoData("no series matches the query".into()),
            [
                Series {
                    value: Some((_, text)),
                    ..
                },
            ] => parsed(text),
            [_] => Answer::Error("the query gave a histogram, not a number".into()),
            many => Answer::Error(format!(
                "the query gave {} series: write sum(…) around it",
                many.len()
            )),
        },
        Data::Matrix(_) | Data::String(_) => {
            Answer::Error("the query gave neither a number nor series at one moment".into())
        }
    }
}

fn all(data: Data) -> Answer<BTreeMap<Labels, f64>> {
    let series = match data {
        Data::Vector(series) => series,
        Data::Scalar((_, text)) => {
            return match parsed(&text) {
                Answer::Value(number) => Answer::Value([(Labels::new(), number)].into()),
                Answer::NoData(why) => Answer::NoData(why),
                Answer::Error(why) => Answer::Error(why),
            };
        }
        Data::Matrix(_) | Data::String(_) => {
            return Answer::Error("the query gave no series at one moment".into());
        }
    };
    if series.len() > SERIES_LIMIT {
        return Answer::Error(format!(
            "the query gave {} series; at most {SERIES_LIMIT} are read: select by pod or revision",
            series.len()
        ));
    }
    let mut out = BTreeMap::new();
    for one in series {
        let Some((_, text)) = &one.value else {
            return Answer::Error("the query gave native histograms: ask for classic buckets".into());
        };
        // A series that is no number is as if it were not there.
        if let Ok(number) = text.parse::<f64>()
            && number.is_finite()
        {
            out.insert(one.metric, number);
        }
    }
    if out.is_empty() {
        return Answer::NoData("no series matches the query".into());
    }
    Answer::Value(out)
}

fn into<T>(answer: Answer<IgnoredAny>) -> Answer<T> {
    match answer {
        Answer::NoData(why) => Answer::NoData(why),
        Answer::Error(why) => Answer::Error(why),
        Answer::Value(_) => Answer::Error("an answer without a value".into()),
    }
}

#[async_trait]
impl Provider for Prometheus {
    /// Counters are read at the moment; a window ends a scrape ago, and a minute holds four scrapes.
    fn pace(&self) -> Pace {
        Pace {
            lag: Span::seconds(15),
            step: Span::seconds(60),
        }
    }

    async fn number(&self, query: &str, window: Window, _: Fold) -> Answer<f64> {
        let answer = async {
            match self.ask(query, window.to).await {
                Ok(data) => one(&data),
                Err(other) => into(other),
            }
        };
        within(answer).await
    }

    fn has_series(&self) -> bool {
        true
    }

    async fn series(&self, query: &str, at: Timestamp) -> Answer<BTreeMap<Labels, f64>> {
        let answer = async {
            match self.ask(query, at).await {
                Ok(data) => all(data),
                Err(other) => into(other),
            }
        };
        within(answer).await
    }
}

#[cfg(test)]
#[path = "prometheus_tests.rs"]
mod tests;
