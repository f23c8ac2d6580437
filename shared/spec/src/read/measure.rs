//! What a metric of the `metrics` section is measured with.

use weir_domain::pipeline::{Measure, Query};

use super::plain;
use crate::diagnostic::Diagnostic;
use crate::nearest::nearest;
use crate::presets::preset;
use crate::source::Place;
use crate::yaml::{Kind, Node};

/// What is filled into a query when it is asked.
pub(crate) const FILLED: &[&str] = &[
    "revision",
    "revision_id",
    "namespace",
    "service",
    "route",
    "window",
];

/// The measures of a section by name, and the complaints about it. Text alone is a query without a source.
pub(crate) fn measures(node: &Node) -> (Vec<(String, Measure, Place)>, Vec<Diagnostic>) {
    let entries: Vec<(String, &Node, Place)> = match &node.kind {
        Kind::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), &*entry.value, entry.key_place.clone()))
            .collect(),
        _ => node
            .items()
            .iter()
            .filter_map(|item| Some((plain(item, "name")?, &**item, item.place.clone())))
            .collect(),
    };
    let (mut found, mut complaints) = (Vec::new(), Vec::new());
    for (name, body, place) in entries {
        match one(&name, body, &place) {
            Ok(measures) => {
                for (name, measure) in measures {
                    complaints.extend(unknown(&measure.query, &place));
                    found.push((name, measure, place.clone()));
                }
            }
            Err(complaint) => complaints.push(*complaint),
        }
    }
    (found, complaints)
}

fn one(name: &str, body: &Node, place: &Place) -> Result<Vec<(String, Measure)>, Box<Diagnostic>> {
    let has = |key: &str| body.get(key).is_some();
    let error = |found: String, help: &str| Err(Box::new(Diagnostic::error(place, found).help(help)));
    let Some(source) = plain(body, "source") else {
        let found = format!("nothing measures `{name}`: it names no source; a condition on it finds no data");
        let help = "add `source:`, the name of a server that the host was started with";
        return Err(Box::new(Diagnostic::warning(place, found).help(help)));
    };
    let forms: Vec<&str> = ["preset", "query", "total", "bad", "buckets"]
        .into_iter()
        .filter(|key| has(key))
        .collect();
    let measure = |query| Measure {
        source: source.clone(),
        query,
    };
    let text = |key: &str| plain(body, key).unwrap_or_default();
    match forms.as_slice() {
        ["preset"] => {
            let queries = preset(&text("preset")).unwrap_or_default();
            let measures = queries.into_iter();
            Ok(measures
                .map(|(name, query)| (name.to_owned(), measure(query)))
                .collect())
        }
        ["query"] => Ok(vec![(name.to_owned(), measure(Query::Value(text("query"))))]),
        ["total", "bad"] => {
            let (total, bad) = (text("total"), text("bad"));
            Ok(vec![("requests".into(), measure(Query::Requests { total, bad }))])
        }
        ["buckets"] => {
            let unit_ms = if plain(body, "le").as_deref() == Some("ms") {
                1
            } else {
                1_000
            };
            let buckets = text("buckets");
            Ok(vec![(
                "latency".into(),
                measure(Query::Latencies { buckets, unit_ms }),
            )])
        }
        [] => error(
            format!("`{name}` asks its source nothing"),
            "add `preset`, `query`, `total` and `bad`, or `buckets`",
        ),
        _ => error(
            format!("`{name}` has {}", forms.join(" and ")),
            "a metric has one of `preset`, `query`, `total` with `bad`, or `buckets`",
        ),
    }
}

/// A name in `${…}` that nobody fills in.
fn unknown(query: &Query, place: &Place) -> Option<Diagnostic> {
    let texts = match query {
        Query::Value(query) | Query::Gpus(query) => vec![query],
        Query::Requests { total, bad } => vec![total, bad],
        Query::Latencies { buckets, .. } => vec![buckets],
    };
    let names = texts
        .into_iter()
        .flat_map(|text| text.split("${").skip(1))
        .map(|rest| rest.split('}').next().unwrap_or_default());
    let wrong = names.into_iter().find(|name| !FILLED.contains(name))?;
    let found = format!("`${{{wrong}}}` is not filled into a query");
    let complaint = Diagnostic::error(place, found).expected(format!("one of {}", FILLED.join(", ")));
    Some(match nearest(wrong, FILLED.iter().copied()) {
        Some(near) => complaint.help(format!("did you mean `${{{near}}}`?")),
        None => complaint,
    })
}
