//! The coverage table names every key and every test that it should, and nothing that is not there.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Mappings whose keys are the user's own names.
const NAMED: [&str; 8] = [
    "variables",
    "requests",
    "limits",
    "env[]",
    "env",
    "node_selector",
    "approvals",
    "body",
];

#[test]
fn every_key_of_the_article_and_of_the_examples_is_in_the_table() {
    let listed: BTreeSet<String> = rows("Keys").into_iter().map(|row| row.0).collect();
    let mut files = kit::examples();
    files.extend(kit::article().unwrap_or_default());
    let mut missing: BTreeMap<String, String> = BTreeMap::new();
    let mut used = BTreeSet::new();
    for file in &files {
        for document in kit::documents(file)
            .iter()
            .filter(|d| d.get("apiVersion").is_none())
        {
            let mut found = BTreeSet::new();
            paths(document, "", &mut found);
            for path in found {
                if !listed.contains(&path) {
                    missing.insert(path.clone(), file.path.clone());
                }
                used.insert(path);
            }
        }
    }
    assert!(missing.is_empty(), "not in docs/coverage.md: {missing:#?}");
    let unused: Vec<_> = listed.difference(&used).collect();
    assert!(
        unused.is_empty(),
        "in docs/coverage.md, and in no file: {unused:#?}"
    );
}

#[test]
fn every_test_of_the_table_exists_and_every_row_has_one() {
    let mut sources = String::new();
    collect(&kit::root(), &mut sources);
    for section in ["Keys", "Features"] {
        let rows = rows(section);
        assert!(rows.len() > 20, "{section} has {} rows", rows.len());
        for (name, behaviour, tests) in rows {
            assert!(!behaviour.is_empty(), "{name} has no behaviour");
            assert!(!tests.is_empty(), "{name} has no test");
            for test in tests {
                assert!(
                    sources.contains(&format!("fn {test}(")),
                    "{name}: there is no test {test}"
                );
            }
        }
    }
}

#[test]
fn every_key_without_effect_is_told_so_in_the_table_and_only_those() {
    let inert: BTreeSet<String> = rows("Keys")
        .into_iter()
        .filter(|row| row.1.contains("no effect yet"))
        .map(|row| last(&row.0))
        .collect();
    let reference = weir_spec::reference();
    let told: BTreeSet<String> = reference
        .lines()
        .filter(|line| line.contains("*No effect yet:"))
        .filter_map(|line| line.split('`').nth(1))
        .map(str::to_owned)
        .collect();
    let used: BTreeSet<String> = rows("Keys").iter().map(|row| last(&row.0)).collect();
    let told: BTreeSet<String> = told.intersection(&used).cloned().collect();
    assert!(
        told.is_subset(&inert),
        "no effect, and the table does not say so: {:?}",
        told.difference(&inert)
    );
}

fn last(path: &str) -> String {
    path.rsplit('.')
        .next()
        .unwrap_or(path)
        .trim_end_matches("[]")
        .to_owned()
}

/// Rows of one table: name, behaviour, tests.
fn rows(section: &str) -> Vec<(String, String, Vec<String>)> {
    let text = fs::read_to_string(kit::root().join("docs/coverage.md")).unwrap();
    let part = text
        .split("\n## ")
        .find(|part| part.starts_with(section))
        .unwrap_or_else(|| panic!("no {section}"));
    let lines = part.lines().filter(|line| line.starts_with('|')).skip(2);
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 3, "{line}");
        let tests = cells[2]
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        (cells[0].trim_matches('`').to_owned(), cells[1].to_owned(), tests)
    };
    lines.map(row).collect()
}

/// Key paths of a value: `pipeline.stages[].stage`. Names that are the user's own become `NAME`.
fn paths(value: &Value, at: &str, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            for (key, inner) in entries {
                let parent = at.rsplit('.').next().unwrap_or(at);
                let own = match at {
                    "" => isolation(key),
                    "groups" => true,
                    _ => NAMED.contains(&parent),
                };
                let name = match (own, at) {
                    (false, _) => key.as_str(),
                    (true, "") => "ENVIRONMENT",
                    (true, _) => "NAME",
                };
                let path = if at.is_empty() {
                    name.to_owned()
                } else {
                    format!("{at}.{name}")
                };
                out.insert(path.clone());
                // Kubernetes' own words are Kubernetes' to explain.
                if !matches!(key.as_str(), "tolerations" | "volumes" | "volume_mounts") {
                    paths(inner, &path, out);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, &format!("{at}[]"), out)),
        _ => {}
    }
}

fn isolation(key: &str) -> bool {
    ["dev", "test", "staging", "preprod", "production"].contains(&key)
}

/// All Rust sources of the tree.
fn collect(folder: &Path, out: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() && !name.starts_with('.') && name != "target" {
            collect(&path, out);
        } else if name.ends_with(".rs") && path.is_file() {
            out.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
