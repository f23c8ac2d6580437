//! Trees to the typed definition.
//!
//! The shapes have been checked before, and every fault there was complained about. What does not fit here is left
//! out without a word.

mod measure;
mod pipeline;
mod sections;
mod service;

pub(crate) use measure::measures;
pub(crate) use pipeline::{pipeline, trigger_list};
pub(crate) use sections::{
    builds, clusters, environments, groups, isolation, metrics, policy, rollback_policy,
};
pub(crate) use service::service;

use weir_domain::condition::Mode;
use weir_domain::time::Span;

use crate::shape::{parse_percent, parse_span};
use crate::source::Located;
use crate::yaml::{Node, to_json};

fn text(node: &Node, key: &str) -> Option<Located<String>> {
    node.get(key).and_then(located)
}

fn located(node: &Node) -> Option<Located<String>> {
    node.text()
        .map(|text| Located::new(text.to_owned(), node.place.clone()))
}

fn plain(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(Node::text).map(str::to_owned)
}

fn texts(node: &Node, key: &str) -> Vec<Located<String>> {
    let list = node.get(key).map(Node::one_or_many).unwrap_or_default();
    list.into_iter().filter_map(located).collect()
}

fn plain_texts(node: &Node, keys: &[&str]) -> Vec<String> {
    let lists = keys.iter().flat_map(|key| texts(node, key));
    lists.map(|text| text.value).collect()
}

fn span(node: &Node, key: &str) -> Option<Span> {
    node.get(key)
        .and_then(Node::text)
        .and_then(|text| parse_span(text).ok())
}

/// The `mode` of a condition.
fn mode(node: &Node) -> Mode {
    match plain(node, "mode").as_deref() {
        Some("point") => Mode::Point,
        _ => Mode::Evidence,
    }
}

fn count<T: TryFrom<i64>>(node: &Node, key: &str) -> Option<T> {
    node.get(key)
        .and_then(Node::integer)
        .and_then(|n| T::try_from(n).ok())
}

fn percent(node: &Node, key: &str) -> Option<f64> {
    node.get(key).and_then(Node::text).and_then(parse_percent)
}

/// A whole percentage. What is over 100 has been complained about.
fn weight(node: &Node, key: &str) -> Option<Located<u8>> {
    let place = &node.get(key)?.place;
    let percent = percent(node, key).filter(|p| *p <= 100.0)?;
    Some(Located::new(percent as u8, place.clone()))
}

/// Environment in either form, in the order written. A value that is nothing is empty text.
fn env(node: &Node, key: &str) -> Vec<(String, Located<String>)> {
    let maps = node.get(key).map(Node::one_or_many).unwrap_or_default();
    let entries = maps.into_iter().flat_map(Node::entries);
    entries
        .map(|entry| {
            let value = entry.value.text().unwrap_or_default().to_owned();
            (entry.key.clone(), Located::new(value, entry.value.place.clone()))
        })
        .collect()
}

/// Items in Kubernetes' own words.
fn raw(node: &Node, key: &str) -> Vec<Located<serde_json::Value>> {
    let items = node.get(key).map(Node::items).unwrap_or_default();
    items
        .iter()
        .map(|item| Located::new(to_json(item), item.place.clone()))
        .collect()
}
