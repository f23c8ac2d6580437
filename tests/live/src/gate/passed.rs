//! What has passed a gate.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;

/// A request and its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passed {
    /// The method.
    pub method: Method,
    /// Kind of the object, as the path names it: `pods`, `pods/proxy`.
    pub kind: String,
    /// The answer's status.
    pub status: StatusCode,
    /// A write that was taken and changed nothing: the object's version is what it was.
    pub idle: bool,
}

impl Passed {
    /// Whether it could change something.
    pub fn writes(&self) -> bool {
        ![Method::GET, Method::HEAD].contains(&self.method) && self.kind != "selfsubjectrulesreviews"
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.status.as_u16())
    }
}

/// All of them, and the version of each object that was seen last.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) calls: Vec<Passed>,
    versions: BTreeMap<String, String>,
}

impl Ledger {
    pub(super) fn note(&mut self, method: &Method, path: &str, status: StatusCode, body: &Bytes) {
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let version = said["metadata"]["resourceVersion"].as_str().map(str::to_owned);
        let before = version.and_then(|version| {
            self.versions
                .insert(path.to_owned(), version.clone())
                .zip(Some(version))
        });
        let same = before.is_some_and(|(before, now)| before == now);
        let mut passed = Passed {
            method: method.clone(),
            kind: kind(path),
            status,
            idle: false,
        };
        passed.idle = same && passed.writes() && status.is_success();
        self.calls.push(passed);
    }
}

/// The words of a path that name a kind: what follows the version, or the namespace, and what follows the name.
fn kind(path: &str) -> String {
    let mut words = path.trim_matches('/').split('/');
    let skipped = if words.next() == Some("api") { 1 } else { 2 };
    let mut words: Vec<&str> = words.skip(skipped).collect();
    if words.first() == Some(&"namespaces") && words.len() > 2 {
        words.drain(..2);
    }
    let kind = words.first().copied().unwrap_or_default();
    match words.get(2) {
        Some(part) => format!("{kind}/{part}"),
        None => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_kind() {
        for (path, expected) in [
            ("/api/v1/namespaces/prod/pods", "pods"),
            ("/api/v1/namespaces/prod/pods/a:80/proxy/metrics", "pods/proxy"),
            ("/apis/apps/v1/namespaces/prod/deployments/w-1", "deployments"),
            ("/api/v1/nodes", "nodes"),
            ("/api/v1/namespaces/prod", "namespaces"),
        ] {
            assert_eq!(kind(path), expected);
        }
    }

    #[test]
    fn a_write_that_leaves_the_version_is_idle() {
        let mut ledger = Ledger::default();
        let body = |version: u8| Bytes::from(format!(r#"{{"metadata":{{"resourceVersion":"{version}"}}}}"#));
        for (method, version) in [(Method::GET, 1), (Method::PATCH, 1), (Method::PATCH, 2)] {
            ledger.note(
                &method,
                "/api/v1/namespaces/p/services/s",
                StatusCode::OK,
                &body(version),
            );
        }
        let idle: Vec<bool> = ledger.calls.iter().map(|call| call.idle).collect();
        assert_eq!(idle, [false, true, false]);
    }
}
