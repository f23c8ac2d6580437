//! Datadog's part: one number for what is asked over a window, as its second interface gives it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use weir_emulators::{Heard, Played};

/// What the host knows it by; a `type: Datadog` step that names no source asks this one.
pub(crate) const NAME: &str = "datadog";

/// The keys that the secret has for it.
pub(crate) const KEYS: &str = "api-key:application-key";

/// What each metric is, whenever it is asked for: model B is the faster one, and a little worse.
const METRICS: [(&str, f64); 4] = [
    ("model_a.inference.latency", 0.25),
    ("model_b.inference.latency", 0.19),
    ("model_a.accuracy", 0.93),
    ("model_b.accuracy", 0.92),
];

/// Beginning and end of a window, in milliseconds since 1970.
pub(crate) type Asked = (i64, i64);

/// A site.
pub(crate) struct Datadog(Played);

impl Datadog {
    pub(crate) async fn serve() -> Self {
        Self(Played::serve(answer).await)
    }

    /// Where it is, as the stack's parameter names it.
    pub(crate) fn source(&self) -> String {
        format!("{NAME}=datadog:{}", self.0.url)
    }

    /// The windows that each metric was asked for.
    pub(crate) fn asked(&self) -> BTreeMap<&'static str, BTreeSet<Asked>> {
        let mut asked: BTreeMap<_, BTreeSet<Asked>> = BTreeMap::new();
        for heard in self.0.heard() {
            let attributes = attributes(&heard);
            let window = (&attributes["from"], &attributes["to"]);
            if let (Some((name, _)), (Some(from), Some(to))) =
                (metric(&attributes), (window.0.as_i64(), window.1.as_i64()))
            {
                asked.entry(name).or_default().insert((from, to));
            }
        }
        asked
    }
}

fn attributes(heard: &Heard) -> Value {
    let body: Value = serde_json::from_str(&heard.body).unwrap_or_default();
    body["data"]["attributes"].clone()
}

/// The metric that is averaged over everything.
fn metric(attributes: &Value) -> Option<(&'static str, f64)> {
    let query = attributes["queries"][0]["query"].as_str()?;
    let name = query.strip_prefix("avg:")?.strip_suffix("{*}")?;
    METRICS.into_iter().find(|(known, _)| *known == name)
}

fn answer(heard: &Heard) -> (u16, String) {
    let keys = format!(
        "{}:{}",
        heard.header("dd-api-key"),
        heard.header("dd-application-key")
    );
    if keys != KEYS {
        return (403, json!({"errors": ["Forbidden"]}).to_string());
    }
    if heard.path != "/api/v2/query/scalar" {
        return (404, json!({"errors": ["Not found"]}).to_string());
    }
    let values = metric(&attributes(heard)).map(|(_, value)| json!([value]));
    let column = json!({
        "name": "a", "type": "number", "values": values.unwrap_or_else(|| json!([])),
        "meta": {"unit": [{"family": "time", "name": "second", "scale_factor": 1}, null]},
    });
    let body = json!({"data": {"type": "scalar_response", "attributes": {"columns": [column]}}});
    (200, body.to_string())
}
