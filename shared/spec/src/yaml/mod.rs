//! YAML 1.2 as a tree that knows where everything stands.

mod build;
mod scalar;

use std::sync::Arc;

pub(crate) use build::documents;
pub(crate) use scalar::to_json;

use crate::source::Place;

/// A node of the tree. Aliases share the node that they name.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    size: usize,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// A scalar as written; `plain` is one without quotes, which may also mean a number, a truth value or null.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Arc<Node>>),
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Arc<Node>,
    /// Came in by `<<`; the mapping's own key takes its place.
    merged: bool,
}

impl Node {
    /// Nodes in here, itself included and aliases counted as often as they are used.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &*entry.value)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// Entries of a mapping; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Arc<Node>] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// Items of a list, or the node itself as the only one.
    pub(crate) fn one_or_many(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::List(items) => items.iter().map(|item| &**item).collect(),
            _ => vec![self],
        }
    }

    /// Text of a scalar that is not null.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if scalar::is_null(text))
    }

    pub(crate) fn bool(&self) -> Option<bool> {
        match &self.kind {
            Kind::Scalar { text, plain: true } => scalar::bool(text),
            _ => None,
        }
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        match &self.kind {
            Kind::Scalar { text, plain: true } => scalar::integer(text),
            _ => None,
        }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match &self.kind {
            Kind::Scalar { text, plain: true } => scalar::float(text),
            _ => None,
        }
    }

    /// What it is, for a complaint.
    pub(crate) fn what(&self) -> String {
        match &self.kind {
            _ if self.is_null() => "nothing".into(),
            Kind::Scalar { text, .. } => format!("`{}`", crate::render::short(text)),
            Kind::List(_) => "a list".into(),
            Kind::Map(_) => "a mapping".into(),
        }
    }
}
