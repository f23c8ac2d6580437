//! Pods' own endpoints, read through the API server.

use async_trait::async_trait;
use http::{Method, StatusCode};
use serde_json::Value;
use weir_app::{PodRef, Proxy, ProxyError, with_causes};
use weir_domain::ids::ClusterName;

use crate::api::{Answer, NoAnswer, is_status};
use crate::fleet::Fleet;
use crate::pods::cut;

#[async_trait]
impl Proxy for Fleet {
    async fn get(
        &self,
        cluster: &ClusterName,
        pod: &PodRef,
        port: u16,
        path: &str,
        limit: usize,
    ) -> Result<String, ProxyError> {
        let path = path_to(pod, port, path);
        self.by_way_of(cluster, Method::GET, &path, None, limit).await
    }

    async fn post(
        &self,
        cluster: &ClusterName,
        pod: &PodRef,
        port: u16,
        path: &str,
        body: String,
        limit: usize,
    ) -> Result<String, ProxyError> {
        let path = path_to(pod, port, path);
        self.by_way_of(cluster, Method::POST, &path, Some(body), limit)
            .await
    }
}

fn path_to(pod: &PodRef, port: u16, path: &str) -> String {
    format!(
        "/api/v1/namespaces/{}/pods/{}:{port}/proxy/{}",
        pod.namespace,
        pod.name,
        path.trim_start_matches('/')
    )
}

impl Fleet {
    /// Sends what is for a pod to the API server, and JSON with it if there is some.
    async fn by_way_of(
        &self,
        cluster: &ClusterName,
        method: Method,
        path: &str,
        json: Option<String>,
        limit: usize,
    ) -> Result<String, ProxyError> {
        let api = self
            .api(cluster)
            .await
            .map_err(|error| ProxyError::Cluster(with_causes(&error)))?;
        let content = if json.is_some() { "application/json" } else { "" };
        let body = json.map(String::into_bytes).unwrap_or_default();
        match api.send(method, path, content, body, limit).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                Ok(String::from_utf8_lossy(&answer.body).into_owned())
            }
            Ok(answer) => Err(sort(&answer)),
            Err(NoAnswer::TooLarge) => Err(ProxyError::TooLarge(limit)),
            Err(NoAnswer::Away(why)) => Err(ProxyError::Cluster(why)),
        }
    }
}

/// Which hop failed. What the API server says itself is a `Status`; all else came from the pod.
pub(crate) fn sort(answer: &Answer) -> ProxyError {
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let own = is_status(&said);
    let words = match said["message"].as_str() {
        Some(message) if own => cut(message),
        _ => format!("it answered {}", answer.status),
    };
    match answer.status {
        // Who has too much to do says so in plain text, without a `Status`.
        StatusCode::TOO_MANY_REQUESTS => ProxyError::Cluster(words),
        _ if !own => ProxyError::Pod(words),
        StatusCode::FORBIDDEN => ProxyError::Denied(words),
        // `error trying to reach service: …` with 503, or 500 and 502 from the node: the API server itself is fine.
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => ProxyError::Pod(words),
        status if status.is_server_error() && reached_out(&words) => ProxyError::Pod(words),
        _ => ProxyError::Cluster(words),
    }
}

fn reached_out(words: &str) -> bool {
    words.contains("error trying to reach service")
        || words.contains("no endpoints available")
        || words.contains("dial")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(status: u16, body: &str) -> ProxyError {
        sort(&Answer {
            status: StatusCode::from_u16(status).unwrap(),
            body: body.to_owned().into(),
        })
    }

    #[test]
    fn the_hop_that_failed_is_named() {
        let status =
            |message: &str| format!(r#"{{"kind":"Status","apiVersion":"v1","message":"{message}"}}"#);
        let refused = "error trying to reach service: dial tcp 10.64.0.9:8000: connect: connection refused";
        assert_eq!(sorted(503, &status(refused)), ProxyError::Pod(refused.into()));
        assert_eq!(
            sorted(403, &status("no right")),
            ProxyError::Denied("no right".into())
        );
        assert_eq!(
            sorted(404, &status("pods x not found")),
            ProxyError::Pod("pods x not found".into())
        );
        assert_eq!(
            sorted(503, &status("etcd is away")),
            ProxyError::Cluster("etcd is away".into())
        );
        assert_eq!(
            sorted(429, "Too many requests, please try again later."),
            ProxyError::Cluster("it answered 429 Too Many Requests".into())
        );
        assert_eq!(
            sorted(500, "boom"),
            ProxyError::Pod("it answered 500 Internal Server Error".into())
        );
    }
}
