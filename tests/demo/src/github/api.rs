//! GitHub's API, answered from a repository of this machine: trees, blobs, relations of commits, statuses.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::process::output;

/// A served API.
pub struct Api {
    /// Its base address.
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    repository: PathBuf,
    statuses: Mutex<Vec<(String, Value)>>,
}

impl Api {
    /// Serves a repository, whatever name it is asked for by.
    ///
    /// # Errors
    /// No port is free.
    pub async fn serve(repository: PathBuf) -> Result<Self> {
        let shared = Arc::new(Shared {
            repository,
            statuses: Mutex::default(),
        });
        let at = "/repos/{owner}/{name}";
        let routes = Router::new()
            .route(&format!("{at}/git/trees/{{id}}"), get(tree))
            .route(&format!("{at}/git/blobs/{{id}}"), get(blob))
            .route(&format!("{at}/compare/{{pair}}"), get(compare))
            .route(&format!("{at}/statuses/{{id}}"), post(status))
            .with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { url, shared })
    }

    /// The last status of a commit, as it was sent.
    ///
    /// # Errors
    /// It has none.
    pub fn status(&self, commit: &str) -> Result<Value> {
        let statuses = self
            .shared
            .statuses
            .lock()
            .expect("nobody panics while holding it");
        let last = statuses.iter().rev().find(|(of, _)| of == commit);
        last.map(|(_, status)| status.clone())
            .with_context(|| format!("{commit} has no status"))
    }
}

impl Shared {
    async fn git(&self, arguments: &[&str]) -> Result<String> {
        output(
            Command::new("git")
                .arg("-C")
                .arg(&self.repository)
                .args(arguments),
        )
        .await
    }
}

type Of = Path<(String, String, String)>;

fn answer(result: Result<Response>) -> Response {
    result.unwrap_or_else(|_| (StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#).into_response())
}

fn said(body: &Value) -> Response {
    ([("content-type", "application/json")], body.to_string()).into_response()
}

async fn tree(State(shared): State<Arc<Shared>>, Path((_, _, id)): Of) -> Response {
    let listed = shared.git(&["ls-tree", "-l", "-z", &id]).await;
    answer(listed.map(|text| {
        let entries: Vec<Value> = text.split('\0').filter_map(entry).collect();
        said(&json!({ "sha": id, "tree": entries, "truncated": false }))
    }))
}

/// `MODE TYPE ID SIZE`, a tab, the name.
fn entry(line: &str) -> Option<Value> {
    let (about, name) = line.split_once('\t')?;
    let mut parts = about.split_whitespace();
    let (mode, kind, id) = (parts.next()?, parts.next()?, parts.next()?);
    let size: u64 = parts.next().and_then(|size| size.parse().ok()).unwrap_or(0);
    Some(json!({ "path": name, "mode": mode, "type": kind, "sha": id, "size": size }))
}

async fn blob(State(shared): State<Arc<Shared>>, Path((_, _, id)): Of) -> Response {
    let text = shared.git(&["cat-file", "blob", &id]).await;
    answer(text.map(IntoResponse::into_response))
}

async fn compare(State(shared): State<Arc<Shared>>, Path((_, _, pair)): Of) -> Response {
    let relation = async {
        let (base, head) = pair.split_once("...").context("a pair of commits")?;
        let range = format!("{base}...{head}");
        let both = shared
            .git(&["rev-list", "--left-right", "--count", &range])
            .await?;
        let mut counts = both.split_whitespace().map(|count| count != "0");
        let status = match (counts.next(), counts.next()) {
            (Some(false), Some(false)) => "identical",
            (Some(false), _) => "ahead",
            (_, Some(false)) => "behind",
            _ => "diverged",
        };
        Ok(said(&json!({ "status": status })))
    };
    answer(relation.await)
}

async fn status(State(shared): State<Arc<Shared>>, Path((_, _, id)): Of, body: String) -> Response {
    let status = serde_json::from_str(&body).unwrap_or_default();
    let mut statuses = shared.statuses.lock().expect("nobody panics while holding it");
    statuses.push((id, status));
    (StatusCode::CREATED, "{}").into_response()
}
