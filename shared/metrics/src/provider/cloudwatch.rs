//! Amazon CloudWatch: `GetMetricData`, page by page.

use async_trait::async_trait;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use weir_domain::time::Span;

use super::http::{Caller, Reach, SetupError, base, within};
use super::sign::{Identity, Signer};
use super::{Answer, Fold, Pace, Provider, Window, folded, short};

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
const TARGET: &str = "GraniteServiceVersion20100801.GetMetricData";
/// Pages of one answer: a window of an hour has 60 points, which are one page.
const PAGES: usize = 10;
/// Queries that the service takes in one request.
const QUERIES: usize = 500;

/// CloudWatch in one region.
pub struct CloudWatch {
    caller: Caller,
    url: Url,
    signer: Signer,
}

impl CloudWatch {
    /// A region, or another address that answers for it. Nothing is sent yet.
    ///
    /// # Errors
    /// The address may not be called.
    pub fn new(region: &str, address: Option<&str>, identity: Identity) -> Result<Self, SetupError> {
        let usual = format!("https://monitoring.{region}.amazonaws.com");
        Ok(Self {
            caller: Caller::new(Reach::Chosen),
            url: base(address.unwrap_or(&usual))?,
            signer: Signer {
                identity,
                region: region.to_owned(),
                service: "monitoring",
            },
        })
    }

    async fn page(&self, body: &Value) -> Result<Page, String> {
        let body = body.to_string();
        let headers = [("content-type", CONTENT_TYPE), ("x-amz-target", TARGET)];
        let signed = self.signer.headers(&self.url, &headers, body.as_bytes()).await?;
        let mut request = self.caller.client()?.post(self.url.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in signed {
            request = request.header(name, value);
        }
        let reply = Caller::call(request.body(body)).await?;
        if reply.status != 200 {
            let value: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let kind = value["__type"].as_str().unwrap_or_default();
            let kind = kind.rsplit('#').next().unwrap_or_default();
            let why = value["message"].as_str().or_else(|| value["Message"].as_str());
            return Err(format!(
                "it answered {} {kind}: {}",
                reply.status,
                short(why.unwrap_or_default())
            ));
        }
        serde_json::from_slice(&reply.body).map_err(|_| "its answer is not CloudWatch's".into())
    }
}

/// The queries of a definition: a metric math or Insights expression, or CloudWatch's own JSON list.
fn queries(query: &str, window: Window) -> Result<Value, String> {
    let query = query.trim();
    if !query.starts_with('[') {
        let period = window.seconds().max(60);
        return Ok(json!([{"Id": "m1", "Expression": query, "Period": period, "ReturnData": true}]));
    }
    let list: Value =
        serde_json::from_str(query).map_err(|error| format!("the query is not JSON: {error}"))?;
    match list.as_array().map_or(0, Vec::len) {
        0 => Err("the query is an empty list".into()),
        n if n > QUERIES => Err(format!("the query has {n} parts; CloudWatch takes {QUERIES}")),
        _ => Ok(list),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    metric_data_results: Vec<Part>,
    #[serde(default)]
    next_token: Option<String>,
    /// About the whole request: as much of it as was possible was done.
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Part {
    id: String,
    status_code: String,
    #[serde(default)]
    timestamps: Vec<f64>,
    #[serde(default)]
    values: Vec<f64>,
    #[serde(default)]
    messages: Vec<Message>,
}

/// Parts of one id over all pages.
#[derive(Default)]
struct Gathered {
    id: Option<String>,
    points: Vec<(f64, f64)>,
    partial: bool,
}

impl Gathered {
    fn add(&mut self, part: Part) -> Result<(), String> {
        if self.id.get_or_insert_with(|| part.id.clone()) != &part.id {
            return Err("the query gave several results: set ReturnData to false for all but one".into());
        }
        match part.status_code.as_str() {
            "Complete" => self.partial = false,
            "PartialData" => self.partial = true,
            other => {
                let why = part.messages.first().map(|message| message.value.as_str());
                return Err(format!("{other}: {}", short(why.unwrap_or_default())));
            }
        }
        self.points.extend(part.timestamps.into_iter().zip(part.values));
        Ok(())
    }

    fn answer(&self, window: Window, fold: Fold) -> Answer<f64> {
        if self.partial {
            return Answer::NoData("the answer is partial".into());
        }
        let inside =
            |at: f64| (at * 1_000.0) as i64 >= window.from.0 && ((at * 1_000.0) as i64) < window.to.0;
        let points = self.points.iter().filter(|(at, _)| inside(*at));
        folded(points.map(|(_, value)| Some(*value)), fold)
    }
}

#[async_trait]
impl Provider for CloudWatch {
    /// Minutes are whole one to three minutes later.
    fn pace(&self) -> Pace {
        Pace {
            lag: Span::minutes(2),
            step: Span::minutes(1),
        }
    }

    async fn number(&self, query: &str, window: Window, fold: Fold) -> Answer<f64> {
        within(self.pages(query, window, fold)).await
    }
}

impl CloudWatch {
    async fn pages(&self, query: &str, window: Window, fold: Fold) -> Answer<f64> {
        let queries = match queries(query, window) {
            Ok(queries) => queries,
            Err(why) => return Answer::Error(why),
        };
        let (from, to) = (window.from.0 / 1_000, window.to.0 / 1_000);
        let mut body = json!({
            "MetricDataQueries": queries, "StartTime": from, "EndTime": to, "ScanBy": "TimestampAscending",
        });
        let mut gathered = Gathered::default();
        for _ in 0..PAGES {
            let page = match self.page(&body).await {
                Ok(page) => page,
                Err(why) => return Answer::Error(why),
            };
            if let Some(message) = page.messages.first() {
                return Answer::NoData(format!("the answer is partial: {}", short(&message.value)));
            }
            for part in page.metric_data_results {
                if let Err(why) = gathered.add(part) {
                    return Answer::Error(why);
                }
            }
            match page.next_token {
                Some(token) => body["NextToken"] = token.into(),
                None => return gathered.answer(window, fold),
            }
        }
        Answer::Error(format!("the answer has more than {PAGES} pages"))
    }
}

#[cfg(test)]
#[path = "cloudwatch_tests.rs"]
mod tests;
