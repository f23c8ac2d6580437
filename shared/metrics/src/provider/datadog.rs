//! Datadog: the first interface gives points, the second one number.

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use weir_domain::time::{Span, Timestamp};

use super::http::{Caller, Reach, Reply, SetupError, base};
use super::{Answer, Fold, Pace, Provider, Secret, Window, folded, short};

/// Waited after "too many requests" that does not say how long.
const DEFAULT_PAUSE: Span = Span::seconds(60);

/// Which interface is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DatadogVersion {
    /// `GET /api/v1/query`: seconds in, milliseconds out.
    V1,
    /// `POST /api/v2/query/scalar`: milliseconds.
    V2,
}

/// Datadog.
pub struct Datadog {
    caller: Caller,
    base: Url,
    version: DatadogVersion,
    api_key: Secret,
    application_key: Secret,
    /// Nothing is asked for windows that end before: the site's limit was reached.
    quiet_until: AtomicI64,
}

impl Datadog {
    /// A site, for example `https://api.datadoghq.eu`, with the keys `API:APPLICATION`. Nothing is sent yet.
    ///
    /// # Errors
    /// The address may not be called, or there are not two keys.
    pub fn new(address: &str, version: DatadogVersion, keys: &Secret) -> Result<Self, SetupError> {
        let parts = keys.parts();
        let [api_key, application_key] = parts.as_slice() else {
            return Err(SetupError::Keys(
                "Datadog needs two keys, written API_KEY:APPLICATION_KEY",
            ));
        };
        Ok(Self {
            caller: Caller::new(Reach::Chosen),
            base: base(address)?,
            version,
            api_key: api_key.clone(),
            application_key: application_key.clone(),
            quiet_until: AtomicI64::new(0),
        })
    }

    fn v1(&self, client: &Client, query: &str, window: Window) -> RequestBuilder {
        let mut url = self.base.join("api/v1/query").expect("a fixed path joins");
        url.query_pairs_mut()
            .append_pair("from", &(window.from.0 / 1_000).to_string())
            .append_pair("to", &(window.to.0 / 1_000).to_string())
            .append_pair("query", query);
        client.get(url)
    }

    fn v2(&self, client: &Client, query: &str, window: Window, fold: Fold) -> RequestBuilder {
        let url = self.base.join("api/v2/query/scalar").expect("a fixed path joins");
        let aggregator = match fold {
            Fold::Sum => "sum",
            Fold::Mean => "avg",
        };
        let one = json!({"data_source": "metrics", "name": "a", "aggregator": aggregator, "query": query});
        let attributes = json!({
            "from": window.from.0, "to": window.to.0, "queries": [one], "formulas": [{"formula": "a"}],
        });
        let body = json!({"data": {"type": "scalar_request", "attributes": attributes}});
        client.post(url).json(&body)
    }
}

#[derive(Deserialize)]
struct Points {
    #[serde(default)]
    status: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    series: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    /// Seconds between points.
    #[serde(default)]
    interval: i64,
    pointlist: Vec<(f64, Option<f64>)>,
}

fn read_v1(body: &[u8], window: Window, fold: Fold) -> Answer<f64> {
    let Ok(points) = serde_json::from_slice::<Points>(body) else {
        return Answer::Error("its answer is not Datadog's".into());
    };
    if points.status != "ok" {
        let why = points.error.unwrap_or_else(|| "the query failed".into());
        return Answer::Error(short(&why));
    }
    match points.series.as_slice() {
        [] => Answer::NoData("no series matches the query".into()),
        [line] => {
            // The last bucket may still be filling: it is left out unless it ended inside the window.
            let width = line.interval.max(1) * 1_000;
            let whole = |at: f64| at as i64 >= window.from.0 && at as i64 + width <= window.to.0;
            let points = line.pointlist.iter().filter(|(at, _)| whole(*at));
            folded(points.map(|(_, value)| *value), fold)
        }
        many => Answer::Error(format!(
            "the query gave {} series: leave out `by {{…}}`",
            many.len()
        )),
    }
}

fn read_v2(body: &[u8]) -> Answer<f64> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Answer::Error("its answer is not Datadog's".into());
    };
    if let Some(error) = value["errors"].as_str() {
        return Answer::Error(short(error));
    }
    let Some(columns) = value["data"]["attributes"]["columns"].as_array() else {
        return Answer::Error("its answer has no columns".into());
    };
    let numbers: Vec<&Vec<Value>> = columns
        .iter()
        .filter(|column| column["type"] == "number")
        .filter_map(|column| column["values"].as_array())
        .collect();
    match numbers.as_slice() {
        [] => Answer::NoData("no series matches the query".into()),
        [values] => match values.as_slice() {
            [] => Answer::NoData("no series matches the query".into()),
            [one] => match one.as_f64() {
                Some(number) => super::finite(number),
                None => Answer::NoData("the value is null".into()),
            },
            many => Answer::Error(format!(
                "the query gave {} values: leave out `by {{…}}`",
                many.len()
            )),
        },
        many => Answer::Error(format!("the query gave {} columns", many.len())),
    }
}

/// Seconds that the site asks us to wait.
fn pause(headers: &HeaderMap) -> Span {
    let named = ["x-ratelimit-reset", "retry-after"]
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok()?.parse::<u64>().ok());
    named.map_or(DEFAULT_PAUSE, |seconds| Span::seconds(seconds.min(3_600)))
}

fn refusal(reply: &Reply) -> String {
    let value: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let why = value["errors"][0]
        .as_str()
        .or_else(|| value["error"].as_str())
        .unwrap_or_default();
    match reply.status {
        401 | 403 => format!("it refused the keys ({}): {}", reply.status, short(why)),
        status => format!("it answered {status}: {}", short(why)),
    }
}

#[async_trait]
impl Provider for Datadog {
    /// Agents send every 10 to 15 s; a point is whole after about a minute.
    fn pace(&self) -> Pace {
        Pace {
            lag: Span::seconds(60),
            step: Span::seconds(60),
        }
    }

    fn query_of(&self, name: &str) -> String {
        let bare = |c: char| c.is_alphanumeric() || "._".contains(c);
        match name.chars().all(bare) {
            true => format!("avg:{name}{{*}}"),
            false => name.to_owned(),
        }
    }

    async fn number(&self, query: &str, window: Window, fold: Fold) -> Answer<f64> {
        let quiet = Timestamp(self.quiet_until.load(Ordering::Relaxed));
        if window.to < quiet {
            let rest = quiet.since(window.to);
            return Answer::Error(format!("too many requests; it may be asked again in {rest}"));
        }
        let client = match self.caller.client() {
            Ok(client) => client,
            Err(why) => return Answer::Error(why),
        };
        let request = match self.version {
            DatadogVersion::V1 => self.v1(client, query, window),
            DatadogVersion::V2 => self.v2(client, query, window, fold),
        };
        let request = request
            .header("DD-API-KEY", self.api_key.expose())
            .header("DD-APPLICATION-KEY", self.application_key.expose());
        let reply = match Caller::call(request).await {
            Ok(reply) => reply,
            Err(why) => return Answer::Error(why),
        };
        match (reply.status, self.version) {
            (200, DatadogVersion::V1) => read_v1(&reply.body, window, fold),
            (200, DatadogVersion::V2) => read_v2(&reply.body),
            (429, _) => {
                let wait = pause(&reply.headers);
                self.quiet_until.store((window.to + wait).0, Ordering::Relaxed);
                Answer::Error(format!("too many requests; it may be asked again in {wait}"))
            }
            _ => Answer::Error(refusal(&reply)),
        }
    }
}

#[cfg(test)]
#[path = "datadog_tests.rs"]
mod tests;
