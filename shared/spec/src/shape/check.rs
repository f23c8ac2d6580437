//! Compares a tree with the table of keys.

use super::values::{is_dns_name, is_quantity, parse_chance, parse_percent, parse_span, path_fault};
use super::{Key, Shape};
use crate::condition::{self, Metrics};
use crate::diagnostic::{Diagnostic, Sink};
use crate::nearest::nearest;
use crate::render::{list, short};
use crate::source::Place;
use crate::yaml::{Kind, Node};

/// Items of one list.
const MAX_ITEMS: usize = 500;

/// Complains about everything in `node`, the value of the key `name`, that the shape does not allow.
pub(crate) fn check(node: &Node, shape: &Shape, name: &str, metrics: &Metrics, sink: &mut Sink) {
    Check { metrics, sink }.value(node, shape, name);
}

struct Check<'a> {
    metrics: &'a Metrics,
    sink: &'a mut Sink,
}

impl Check<'_> {
    fn value(&mut self, node: &Node, shape: &Shape, name: &str) {
        match shape {
            Shape::Object(keys) => self.object(node, keys, name),
            Shape::ByType(keys, types) => self.by_type(node, keys, types, name),
            Shape::Named(inner) => self.named(node, inner, name),
            Shape::List(inner) => self.list(node, inner, name),
            Shape::OneOrMany(inner) => match node.kind {
                Kind::List(_) => self.list(node, inner, name),
                _ => self.value(node, inner, name),
            },
            Shape::ListOrMap(items, keyed) => match node.kind {
                Kind::Map(_) => self.value(node, keyed, name),
                _ => self.value(node, items, name),
            },
            Shape::TextOr(object) => match node.kind {
                Kind::Scalar { .. } => self.scalar(node, &Shape::Text, name),
                _ => self.value(node, object, name),
            },
            Shape::WordOr(words, object) => match node.kind {
                Kind::Scalar { .. } => self.scalar(node, &Shape::Choice(words), name),
                _ => self.value(node, object, name),
            },
            Shape::Env => self.env(node, name),
            Shape::Kubernetes => {
                if matches!(node.kind, Kind::Scalar { .. }) {
                    self.wrong(node, name, "a mapping or a list");
                }
            }
            scalar => self.scalar(node, scalar, name),
        }
    }

    fn object(&mut self, node: &Node, keys: &'static [Key], name: &str) {
        if !matches!(node.kind, Kind::Map(_)) {
            return self.wrong(node, name, &format!("a mapping with {}", key_names(keys)));
        }
        for entry in node.entries() {
            match keys.iter().find(|key| key.name == entry.key) {
                Some(key) => self.entry(key, &entry.value, &entry.key_place),
                None => self.unknown_key(&entry.key, &entry.key_place, keys, name),
            }
        }
        self.missing(node, keys, name);
    }

    fn entry(&mut self, key: &Key, value: &Node, place: &Place) {
        if let Some(instead) = key.inert {
            let found = format!("`{}` has no effect yet: {instead}", key.name);
            self.sink.push(Diagnostic::warning(place, found));
        }
        self.value(value, key.shape, key.name);
    }

    fn missing(&mut self, node: &Node, keys: &[Key], name: &str) {
        for key in keys
            .iter()
            .filter(|key| key.required && node.entry(key.name).is_none())
        {
            let of = if name.is_empty() {
                String::new()
            } else {
                format!(" of `{name}`")
            };
            let found = format!("key `{}`{of} is missing", key.name);
            self.sink.push(Diagnostic::error(&node.place, found));
        }
    }

    fn unknown_key(&mut self, written: &str, place: &Place, keys: &[Key], name: &str) {
        let of = if name.is_empty() {
            String::new()
        } else {
            format!(" in `{name}`")
        };
        let found = format!("unknown key `{}`{of}", short(written));
        let complaint = Diagnostic::error(place, found).expected(key_names(keys));
        let turned = matches!(written, "true" | "True") && keys.iter().any(|key| key.name == "on");
        self.sink.push(if turned {
            complaint.help("a YAML 1.1 tool has turned `on` into a truth value: write `on`")
        } else {
            complaint.nearest(written, keys.iter().map(|key| key.name))
        });
    }

    /// A step: its `type` says which keys its `spec` takes.
    fn by_type(&mut self, node: &Node, keys: &'static [Key], types: &'static [(&str, &Shape)], name: &str) {
        if !matches!(node.kind, Kind::Map(_)) {
            return self.wrong(
                node,
                name,
                &format!("a mapping with {}, type, spec", key_names(keys)),
            );
        }
        let names: Vec<&str> = types.iter().map(|(name, _)| *name).collect();
        let written = node.get("type").and_then(Node::text);
        let spec = written.and_then(|text| types.iter().find(|(name, _)| *name == text));
        for entry in node.entries() {
            match (entry.key.as_str(), keys.iter().find(|key| key.name == entry.key)) {
                ("type", _) => self.choice(&entry.value, &names, "type"),
                ("spec", _) => {
                    if let Some((_, shape)) = spec {
                        self.value(&entry.value, shape, "spec");
                    }
                }
                (_, Some(key)) => self.entry(key, &entry.value, &entry.key_place),
                (other, None) => {
                    let found = format!("unknown key `{}` in `{name}`", short(other));
                    let all = keys.iter().map(|key| key.name).chain(["type", "spec"]);
                    let expected = list(all.clone());
                    self.sink.push(
                        Diagnostic::error(&entry.key_place, found)
                            .expected(expected)
                            .nearest(other, all),
                    );
                }
            }
        }
        self.missing(node, keys, name);
        for key in ["type", "spec"] {
            if node.entry(key).is_none() {
                let found = format!("key `{key}` of `{name}` is missing");
                self.sink.push(Diagnostic::error(&node.place, found));
            }
        }
    }

    fn named(&mut self, node: &Node, inner: &Shape, name: &str) {
        if !matches!(node.kind, Kind::Map(_)) {
            return self.wrong(node, name, "a mapping of names to values");
        }
        for entry in node.entries() {
            self.value(&entry.value, inner, &entry.key);
        }
    }

    fn list(&mut self, node: &Node, inner: &Shape, name: &str) {
        match &node.kind {
            Kind::List(items) if items.is_empty() => self.wrong(node, name, "at least one item"),
            Kind::List(items) if items.len() > MAX_ITEMS => {
                self.wrong(node, name, &format!("at most {MAX_ITEMS} items"));
            }
            Kind::List(items) => items.iter().for_each(|item| self.value(item, inner, name)),
            _ => self.wrong(node, name, "a list: lines that begin with `- `"),
        }
    }

    /// `NAME: value`, or the article's list of mappings with one key each.
    fn env(&mut self, node: &Node, name: &str) {
        let maps: Vec<&Node> = match node.kind {
            Kind::Scalar { .. } => return self.wrong(node, name, "a mapping of names to values"),
            _ => node.one_or_many(),
        };
        let mut seen = std::collections::BTreeSet::new();
        for map in maps {
            if !matches!(map.kind, Kind::Map(_)) {
                self.wrong(map, name, "`NAME: value`");
            }
            for entry in map.entries() {
                if !is_variable_name(&entry.key) {
                    let found = format!("`{}` as the name of a variable", short(&entry.key));
                    let expected = "letters, digits and `_`, not beginning with a digit";
                    self.sink
                        .push(Diagnostic::error(&entry.key_place, found).expected(expected));
                }
                if !seen.insert(entry.key.as_str()) {
                    let found = format!("variable `{}` is set twice", short(&entry.key));
                    self.sink.push(Diagnostic::error(&entry.key_place, found));
                }
                if !matches!(entry.value.kind, Kind::Scalar { .. }) {
                    self.wrong(&entry.value, &entry.key, "text or a number");
                }
            }
        }
    }

    fn scalar(&mut self, node: &Node, shape: &Shape, name: &str) {
        let Some(text) = node.text() else {
            return self.wrong(node, name, &wanted(shape));
        };
        match shape {
            Shape::Text if text.trim().is_empty() => self.wrong(node, name, "text"),
            Shape::Bool if node.bool().is_none() => self.not_bool(node, text, name),
            Shape::Choice(words) => self.choice(node, words, name),
            Shape::Condition => self.condition(node, text),
            Shape::Span(positive) => match parse_span(text) {
                Err(expected) => self.wrong(node, name, &expected),
                Ok(span) if *positive && span.0 == 0 => self.wrong(node, name, "a time longer than nothing"),
                Ok(_) => {}
            },
            Shape::Path => {
                if let Some(expected) = path_fault(text) {
                    self.wrong(node, name, expected);
                }
            }
            _ if fits(node, text, shape) => {}
            _ => self.wrong(node, name, &wanted(shape)),
        }
    }

    fn condition(&mut self, node: &Node, text: &str) {
        match condition::parse(text, self.metrics) {
            Err(error) => self.sink.push(error.diagnostic(&node.place, text)),
            Ok(condition) => {
                if let Some(wrong) = condition::senseless(&condition) {
                    let complaint = Diagnostic::error(&node.place, wrong.found);
                    self.sink.push(complaint.expected(wrong.expected));
                }
            }
        }
    }

    fn not_bool(&mut self, node: &Node, text: &str, name: &str) {
        let found = format!("`{name}` is {}", node.what());
        let complaint = Diagnostic::error(&node.place, found).expected("true or false");
        let meant = match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" | "true" => Some("true"),
            "no" | "off" | "n" | "false" => Some("false"),
            _ => None,
        };
        self.sink.push(match meant {
            Some(word) => complaint.help(format!("YAML 1.2 reads `{}` as text: write {word}", short(text))),
            None => complaint,
        });
    }

    fn choice(&mut self, node: &Node, words: &[&str], name: &str) {
        let text = node.text().unwrap_or_default();
        if words.contains(&text) {
            return;
        }
        let found = match node.kind {
            Kind::Scalar { .. } if !node.is_null() => format!("unknown {} `{}`", spoken(name), short(text)),
            _ => format!("`{name}` is {}", node.what()),
        };
        let complaint = Diagnostic::error(&node.place, found).expected(list(words.iter().copied()));
        self.sink.push(match nearest(text, words.iter().copied()) {
            Some(word) => complaint.help(format!("did you mean `{word}`?")),
            None => complaint,
        });
    }

    fn wrong(&mut self, node: &Node, name: &str, expected: &str) {
        let found = if name.is_empty() {
            node.what()
        } else {
            format!("`{}` is {}", short(name), node.what())
        };
        self.sink
            .push(Diagnostic::error(&node.place, found).expected(expected));
    }
}

/// A key's name in a sentence.
fn spoken(name: &str) -> String {
    name.replace('_', " ")
}

fn key_names(keys: &[Key]) -> String {
    list(keys.iter().map(|key| key.name))
}

fn fits(node: &Node, text: &str, shape: &Shape) -> bool {
    match shape {
        Shape::Count(from, to) => node
            .integer()
            .and_then(|n| u64::try_from(n).ok())
            .is_some_and(|n| (*from..=*to).contains(&n)),
        Shape::Percent(fraction) => {
            parse_percent(text).is_some_and(|p| p <= 100.0 && (*fraction || p.fract() == 0.0))
        }
        Shape::Chance => parse_chance(text).is_some(),
        Shape::Number => node.number().is_some_and(|n| n >= 0.0),
        Shape::Quantity => is_quantity(text),
        Shape::DnsName => is_dns_name(text),
        _ => true,
    }
}

fn wanted(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "true or false".into(),
        Shape::Count(from, to) => format!("a whole number from {from} to {to}"),
        Shape::Percent(false) => "a whole percentage from 0 to 100".into(),
        Shape::Percent(true) => "a percentage from 0 to 100".into(),
        Shape::Chance => "a chance above 0 and below 1, for example 1% or 0.01".into(),
        Shape::Number => "a number that is not negative".into(),
        Shape::Span(_) => "a time with a unit, for example 30s, 10m, 24h or 7d".into(),
        Shape::Choice(words) => list(words.iter().copied()),
        Shape::Condition => "a condition, for example error_rate > 2%".into(),
        Shape::Path => "a path relative to the root of the repository".into(),
        Shape::Quantity => "a quantity, for example 8Gi, 500m or 4".into(),
        Shape::DnsName => "lower-case letters, digits and dashes, at most 63".into(),
        _ => "text".into(),
    }
}

/// Whether a shell and Kubernetes take the text as the name of a variable.
pub(crate) fn is_variable_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
