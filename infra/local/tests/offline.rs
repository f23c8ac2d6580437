//! `weir validate` and `weir trigger` as a person or a pipeline calls them: what they print, and how they exit.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// Exit status and what was said as JSON.
fn weir(arguments: &[&str], paths: &[&Path]) -> (Option<i32>, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(arguments)
        .args(paths)
        .args(["--format", "json"])
        .output()
        .unwrap();
    let said = serde_json::from_slice(&output.stdout);
    let said = said.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code(), said)
}

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weir.yaml");
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

#[test]
fn a_definition_without_fault_is_valid_and_answered() {
    let (status, said) = weir(&["validate"], &[&project("docs/examples/rolling.yaml")]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(said["valid"], true);
    // Alone, it names a service and an environment that other files declare.
    let told = said["diagnostics"].as_array().unwrap();
    assert!(told.iter().all(|told| told["severity"] == "warning"), "{said}");
}

#[test]
fn a_fault_is_told_with_its_place_and_its_help_before_any_warning() {
    let (_folder, file) = written(
        "pipeline:\n  name: P\n  stages:\n    - stage: S\n      steps:\n        - step:\n            name: N\n            \
         type: Kubernetes\n            spec: {namespace: production, strategy: canery}\n",
    );
    let (status, said) = weir(&["validate"], &[&file]);
    assert_eq!((status, &said["valid"]), (Some(1), &json!(false)));
    let first = said["diagnostics"][0].clone();
    assert_eq!(
        first,
        json!({
            "severity": "error",
            "file": file.display().to_string(),
            "line": 9,
            "column": 53,
            "message": "unknown strategy `canery`: expected rolling, canary, blue-green, shadow",
            "help": "did you mean `canary`?",
        })
    );
    let severities: Vec<&str> = said["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|diagnostic| diagnostic["severity"].as_str().unwrap())
        .collect();
    assert!(severities.is_sorted(), "errors come first: {severities:?}");
}

#[test]
fn a_path_that_is_not_there_is_no_verdict() {
    let (status, said) = weir(&["validate"], &[Path::new("/nowhere/weir.yaml")]);
    assert_eq!(status, Some(2));
    let message = said["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("/nowhere/weir.yaml cannot be read"),
        "{message}"
    );
}

fn triggered(event: &Path) -> (Option<i32>, Value) {
    let config = project("docs/examples/model-update.yaml");
    let (event, config) = (event.to_str().unwrap(), config.to_str().unwrap());
    weir(
        &["trigger", "--kind", "push", "--event", event, "--config", config],
        &[],
    )
}

#[test]
fn a_push_says_which_pipelines_it_would_start_and_why_the_others_not() {
    let (status, said) = triggered(&project("events/github-push/valid/branch-models.json"));
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(said["event"]["kind"], "push");
    assert_eq!(said["event"]["ref"], "refs/heads/main");
    assert_eq!(said["event"]["delivery"], Value::Null);
    assert_eq!(said["runs"][0]["pipeline"], "LLM-Model-Update");
    assert!(
        said["runs"][0]["reason"].as_str().unwrap().contains("models/"),
        "{said}"
    );

    let (status, said) = triggered(&project("events/github-push/valid/branch-docs-only.json"));
    assert_eq!((status, &said["runs"]), (Some(0), &json!([])));
    assert_eq!(said["ignored"][0]["pipeline"], "LLM-Model-Update");
}

#[test]
fn a_body_that_is_no_push_is_an_error_with_its_place() {
    let (status, said) = triggered(&project("events/github-push/invalid/truncated.json"));
    assert_eq!(status, Some(2), "{said}");
    assert!(said["error"]["line"].as_u64() > Some(0), "{said}");
}
