//! GitHub's part: a signed push.

mod api;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use weir_github::{Secret, signature};

use crate::repository::{NAME, Push};

pub use api::Api;

/// The secret that the webhook is configured with.
pub const SECRET: &str = "only for the demonstration: github";

/// Where GitHub says that the repository is.
pub const CLONE_URL: &str = "https://github.com/acme/llm-service.git";

/// Posts a push to a webhook as GitHub does, telling pods where to clone from; the run it started.
pub async fn push(webhook: &str, push: &Push, clone_url: &str) -> Result<String> {
    let body = payload(push, clone_url).to_string().into_bytes();
    let secret = Secret::new(SECRET).context("a secret")?;
    let response = reqwest::Client::new()
        .post(webhook)
        .header("content-type", "application/json")
        .header("x-github-event", "push")
        .header("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
        .header("x-hub-signature-256", signature::sign(&body, &secret))
        .body(body)
        .send()
        .await?;
    let status = response.status();
    let answer: Value = response.json().await?;
    let run = answer["runs"][0]["run"].as_str();
    match run {
        Some(run) if status.is_success() => Ok(run.to_owned()),
        _ => bail!("the push was answered with {status}: {answer}"),
    }
}

/// Posts the same push with a signature made with another secret; the status of the answer.
pub async fn forged_push(webhook: &str, push: &Push) -> Result<u16> {
    let body = payload(push, CLONE_URL).to_string().into_bytes();
    let secret = Secret::new("another secret").context("a secret")?;
    let response = reqwest::Client::new()
        .post(webhook)
        .header("content-type", "application/json")
        .header("x-github-event", "push")
        .header("x-hub-signature-256", signature::sign(&body, &secret))
        .body(body)
        .send()
        .await?;
    Ok(response.status().as_u16())
}

fn payload(push: &Push, clone_url: &str) -> Value {
    let author = json!({"name": "Ben Example", "email": "ben@acme.example", "username": "ben-example"});
    let commit = json!({
        "id": push.after,
        "tree_id": "7b1a8f088ba32c63e2e44a349a84bb4db468c388",
        "distinct": true,
        "message": push.message,
        "timestamp": "2026-11-24T09:57:03+08:00",
        "url": format!("https://github.com/{NAME}/commit/{}", push.after),
        "author": author,
        "committer": author,
        "added": [],
        "removed": [],
        "modified": [push.changed],
    });
    json!({
        "ref": "refs/heads/main",
        "before": push.before,
        "after": push.after,
        "created": false,
        "deleted": false,
        "forced": false,
        "base_ref": null,
        "compare": format!("https://github.com/{NAME}/compare/{}...{}", push.before, push.after),
        "commits": [commit],
        "head_commit": commit,
        "repository": {
            "id": 186_853_002,
            "name": "llm-service",
            "full_name": NAME,
            "private": true,
            "clone_url": clone_url,
            "default_branch": "main",
            "owner": {"login": "acme", "id": 9_919},
        },
        "pusher": {"name": "ben-example", "email": "ben@acme.example"},
        "sender": {"login": "ben-example", "id": 21_031_067, "type": "User"},
    })
}
