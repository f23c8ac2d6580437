//! Every sample under `events/github-*`: valid ones are understood, invalid ones refused, and the schemas tell the same.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "../../../events/samples.rs"]
mod samples;

use std::path::Path;

use samples::{folder, samples, violations};
use serde_json::{Value, json};
use weir_github::{
    Delivery, DeliveryError, Event, Filter, FilterSpec, GitRef, Headers, Push, Secret, delivery, signature,
};

/// Sends a sample through the door, as GitHub would.
fn deliver(event: &str, path: &Path, body: &[u8]) -> Result<Delivery, DeliveryError> {
    let secret = Secret::new("s3cret").unwrap();
    let content_type = match path.extension().and_then(|e| e.to_str()) {
        Some("json") => "application/json",
        Some("form") => "application/x-www-form-urlencoded",
        other => panic!("{}: unknown kind of sample {other:?}", path.display()),
    };
    let headers = Headers::from_pairs([
        ("x-github-event", event.to_owned()),
        (
            "x-github-delivery",
            "0b989ba4-242f-11e5-81e1-c7b6966d2516".to_owned(),
        ),
        ("content-type", content_type.to_owned()),
        (signature::HEADER, signature::sign(body, &secret)),
    ]);
    let keys = [secret.into()];
    delivery::read(&headers, &signature::verify(&headers, body, &keys).unwrap())
}

fn json_of(path: &Path, body: &[u8]) -> Value {
    if path.extension().is_some_and(|extension| extension == "form") {
        let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(body).unwrap();
        return serde_json::from_str(&fields[0].1).unwrap();
    }
    serde_json::from_slice(body).unwrap()
}

fn push(name: &str) -> Push {
    let path = folder("github-push").join("valid").join(name);
    let body = std::fs::read(&path).unwrap();
    match deliver("push", &path, &body).unwrap().event {
        Event::Push(push) => *push,
        other => panic!("{name}: {other:?}"),
    }
}

fn article() -> Filter {
    let list = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect();
    let spec = FilterSpec {
        branches: list(&["main"]),
        paths: list(&["models/**", "src/**"]),
        ..FilterSpec::default()
    };
    Filter::compile(&spec).unwrap()
}

#[test]
fn every_valid_sample_is_understood_and_fits_its_schema() {
    for kind in ["push", "ping"] {
        let folder_name = format!("github-{kind}");
        let samples = samples(&folder_name, "valid");
        assert!(samples.len() >= 2, "{folder_name} has samples");
        for (path, body) in samples {
            let delivery =
                deliver(kind, &path, &body).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(matches!(
                (kind, delivery.event),
                ("push", Event::Push(_)) | ("ping", Event::Ping(_))
            ));
            let found = violations(&folder_name, &json_of(&path, &body));
            assert!(found.is_empty(), "{}: {found:?}", path.display());
        }
    }
}

#[test]
fn every_invalid_sample_is_refused() {
    for kind in ["push", "ping"] {
        let samples = samples(&format!("github-{kind}"), "invalid");
        assert!(samples.len() >= 2, "{kind} has samples");
        for (path, body) in samples {
            assert!(
                deliver(kind, &path, &body).is_err(),
                "{} was understood",
                path.display()
            );
        }
    }
}

#[test]
fn pushes_start_the_articles_pipeline_as_the_table_in_the_readme_says() {
    let expected = [
        ("branch-models.json", true),
        ("branch-models.form", true),
        ("branch-rename.json", true),
        ("branch-forced.json", true),
        ("branch-without-sender.json", true),
        ("branch-docs-only.json", false),
        ("branch-no-commits.json", false),
        ("branch-empty-commit.json", false),
        ("branch-created-from-existing.json", false),
        ("branch-created.json", false),
        ("branch-deleted.json", false),
        ("tag-deleted.json", false),
        ("tag.json", false),
        ("branch-odd-names.json", false),
    ];
    let readme = std::fs::read_to_string(folder("README.md")).unwrap();
    for (name, runs) in expected {
        let answer = article().decide(&push(name));
        assert_eq!(answer.runs(), runs, "{name}: {}", answer.reason());
        let row = readme
            .lines()
            .find(|line| line.starts_with("| `") && line.contains(&format!("`{name}`")))
            .unwrap();
        assert_eq!(row.contains("| runs"), runs, "{row}");
    }
    assert_eq!(
        samples("github-push", "valid").len(),
        expected.len(),
        "every sample is in the table"
    );
}

#[test]
fn a_branch_push_is_read_whole() {
    let push = push("branch-models.json");
    assert_eq!(push.repository.as_str(), "acme/llm-service");
    assert_eq!(
        push.clone_url.as_deref(),
        Some("https://github.com/acme/llm-service.git")
    );
    assert_eq!(push.git_ref, GitRef::Branch("main".into()));
    let files = [
        "src/server.py",
        "tests/load_test.py",
        "models/tokenizer.json",
        "models/model.safetensors",
    ];
    assert_eq!(push.changed_files, files);
    let head = push.head_commit.unwrap();
    assert_eq!(head.id, push.after);
    assert_eq!(head.author.unwrap().name, "Ada Example");
    assert_eq!(
        (push.sender.as_deref(), push.pusher.unwrap().name.as_str()),
        (Some("ada-example"), "ada-example")
    );
    assert_eq!(
        (push.created, push.deleted, push.forced, push.truncated),
        (false, false, false, false)
    );
}

#[test]
fn shapes_are_told_apart() {
    let created = push("branch-created-from-existing.json");
    assert!(created.created && created.created_from_existing() && created.head_commit.is_some());
    assert!(push("branch-deleted.json").deleted && push("tag-deleted.json").deleted);
    assert_eq!(push("tag.json").git_ref, GitRef::Tag("v2026.11+1".into()));
    let bare = push("branch-without-sender.json");
    assert_eq!((bare.sender, bare.pusher), (None, None));
    assert_eq!(
        push("branch-models.form").dedup_key(),
        push("branch-models.json").dedup_key()
    );
}

#[test]
fn as_many_commits_as_a_payload_can_list_start_a_run_whatever_they_touch() {
    let (path, body) = samples("github-push", "valid")
        .into_iter()
        .find(|(p, _)| p.ends_with("branch-docs-only.json"))
        .unwrap();
    let mut payload: Value = serde_json::from_slice(&body).unwrap();
    let commit = payload["commits"][0].clone();
    for (count, runs) in [(1000, false), (1001, true), (2047, true), (2048, true)] {
        payload["commits"] = json!(vec![commit.clone(); count]);
        let Event::Push(push) = deliver("push", &path, payload.to_string().as_bytes())
            .unwrap()
            .event
        else {
            panic!()
        };
        assert_eq!((push.commits, push.truncated), (count, count == 2048));
        assert_eq!(article().decide(&push).runs(), runs, "{count}");
    }
}

#[test]
fn no_cut_of_any_sample_makes_the_reader_panic() {
    for (path, body) in samples("github-push", "valid") {
        for end in (0..body.trim_ascii_end().len()).step_by(37) {
            assert!(
                deliver("push", &path, &body[..end]).is_err(),
                "{} cut at {end}",
                path.display()
            );
        }
    }
}
