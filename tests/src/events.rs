//! The samples under `events/`, and what stories make of them.

use std::path::{Path, PathBuf};

use serde_json::Value;
use weir_domain::ids::{ApprovalToken, Commit};

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(kind)
}

/// Bytes of one sample, for example `sample("github-push", "valid/tag.json")`.
pub fn sample(kind: &str, name: &str) -> Vec<u8> {
    let path = folder(kind).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All samples of a kind under `valid` or `invalid`: their content types, names and bytes.
pub fn samples(kind: &str, which: &str) -> Vec<(&'static str, String, Vec<u8>)> {
    let entries =
        std::fs::read_dir(folder(kind).join(which)).expect("the samples are part of the repository");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("a folder can be listed").file_name())
        .map(|name| format!("{which}/{}", name.to_string_lossy()))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{kind}/{which} has samples");
    let read = |name: String| (content_type(&name), name.clone(), sample(kind, &name));
    names.into_iter().map(read).collect()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "form")) => "application/x-www-form-urlencoded",
        _ => "application/json",
    }
}

/// The sample push that touches the model, changed.
pub fn github_push(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let body = sample("github-push", "valid/branch-models.json");
    let mut push: Value = serde_json::from_slice(&body).expect("a valid sample is JSON");
    change(&mut push);
    push.to_string().into_bytes()
}

/// The sample push that touches the model, from one commit to the next.
pub fn push_of(before: &Commit, after: &Commit) -> Vec<u8> {
    github_push(|push| {
        push["before"] = before.as_str().into();
        push["after"] = after.as_str().into();
        push["head_commit"]["id"] = after.as_str().into();
    })
}

/// A sample press by `person` on a button that carries `token`.
pub fn slack_press(name: &str, person: &str, token: &ApprovalToken) -> Vec<u8> {
    slack(name, |payload| {
        payload["user"]["id"] = person.into();
        payload["actions"][0]["value"] = token.as_str().into();
    })
}

/// The dialog that a rejection opens, sent by `person` with a reason.
pub fn slack_reason(person: &str, token: &ApprovalToken, reason: &str) -> Vec<u8> {
    let body = sample("slack-view-submission", "valid/reject.form");
    change_form(&body, |payload| {
        payload["user"]["id"] = person.into();
        payload["view"]["private_metadata"] = token.as_str().into();
        payload["view"]["state"]["values"]["why"]["reason"]["value"] = reason.into();
    })
}

fn slack(name: &str, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    change_form(
        &sample("slack-block-actions", &format!("valid/{name}.form")),
        change,
    )
}

fn change_form(form: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(form).expect("a valid sample is a form");
    let mut payload: Value = serde_json::from_str(&fields[0].1).expect("its payload is JSON");
    change(&mut payload);
    let form = serde_urlencoded::to_string([("payload", payload.to_string())]);
    form.expect("text can be encoded").into_bytes()
}
