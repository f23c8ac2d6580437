//! The table of keys as a page for people.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{ISOLATION, Key, SECTIONS, Shape};

/// The table of all keys in Markdown: a heading for each mapping, a row for each key.
pub fn reference() -> String {
    let mut page = Page {
        out: String::new(),
        seen: BTreeSet::new(),
    };
    page.mapping("Sections", SECTIONS);
    page.mapping(
        "Isolation blocks: `dev`, `test`, `staging`, `preprod`, `production`, or an environment's name",
        ISOLATION,
    );
    page.out
}

struct Page {
    out: String,
    seen: BTreeSet<String>,
}

impl Page {
    fn mapping(&mut self, title: &str, keys: &[Key]) {
        if !self.seen.insert(title.to_owned()) {
            return;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(
            self.out,
            "## {title}\n\n| key | value | what it does |\n|---|---|---|"
        );
        for key in keys {
            let must = if key.required { " **(required)**" } else { "" };
            let inert = key
                .inert
                .map(|instead| format!(" *No effect yet: {instead}.*"))
                .unwrap_or_default();
            let value = words(key.shape).replace('|', "\\|");
            let _ = writeln!(
                self.out,
                "| `{}`{must} | {value} | {}{inert} |",
                key.name,
                key.doc.replace('|', "\\|")
            );
        }
        self.out.push('\n');
        let prefix = if title == "Sections" || title.starts_with("Isolation") {
            ""
        } else {
            title
        };
        for key in keys {
            let path = format!("{}.{}", prefix.trim_matches('`'), key.name);
            self.inner(path.trim_start_matches('.'), key.shape);
        }
    }

    /// Mappings inside of a value.
    fn inner(&mut self, path: &str, shape: &Shape) {
        match shape {
            Shape::Object(keys) => self.mapping(&format!("`{path}`"), keys),
            Shape::List(inner) | Shape::OneOrMany(inner) | Shape::TextOr(inner) | Shape::WordOr(_, inner) => {
                self.inner(path, inner);
            }
            Shape::Named(inner) => self.inner(&format!("{path}.NAME"), inner),
            Shape::ListOrMap(items, _) => self.inner(path, items),
            Shape::ByType(keys, types) => {
                self.mapping(&format!("`{path}`"), keys);
                for (name, shape) in *types {
                    self.inner(&format!("{path}.spec (type: {name})"), shape);
                }
            }
            _ => {}
        }
    }
}

/// What a value looks like, in a few words.
fn words(shape: &Shape) -> String {
    match shape {
        Shape::Text => "text".into(),
        Shape::Bool => "`true` or `false`".into(),
        Shape::Count(from, to) => format!("whole number, {from} to {to}"),
        Shape::Percent(false) => "whole percentage, 0 to 100".into(),
        Shape::Percent(true) => "percentage, 0 to 100".into(),
        Shape::Chance => "chance: `1%`, `0.01`".into(),
        Shape::Number => "number".into(),
        Shape::Span(_) => "time: `30s`, `10m`, `24h`, `7d`".into(),
        Shape::Choice(words) => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
        Shape::Condition => "condition".into(),
        Shape::Path => "path from the root of the repository".into(),
        Shape::Quantity => "Kubernetes quantity".into(),
        Shape::DnsName => "lower-case letters, digits and dashes".into(),
        Shape::Env => "mapping, or list of mappings with one key".into(),
        Shape::Kubernetes => "in Kubernetes' own words".into(),
        Shape::Object(_) | Shape::ByType(..) => "mapping".into(),
        Shape::Named(inner) => format!("mapping of names to: {}", words(inner)),
        Shape::List(inner) => format!("list of: {}", words(inner)),
        Shape::OneOrMany(inner) => format!("{}, or a list of them", words(inner)),
        Shape::ListOrMap(items, keyed) => format!("{}; or {}", words(items), words(keyed)),
        Shape::WordOr(choices, inner) => format!("`{}`, or {}", choices.join("`, `"), words(inner)),
        Shape::TextOr(inner) => format!("text, or {}", words(inner)),
    }
}
