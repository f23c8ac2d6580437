//! Requests to the API server as somebody, answered with status and JSON.

use std::path::Path;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body; text that is not JSON as a string.
    pub body: Value,
}

impl Answer {
    /// The body of a success.
    ///
    /// # Panics
    /// The request did not succeed.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.body);
        self.body
    }

    /// The message of a refusal.
    ///
    /// # Panics
    /// The request was not refused with 403.
    #[track_caller]
    pub fn denied(self) -> String {
        assert_eq!(self.status, StatusCode::FORBIDDEN, "{}", self.body);
        self.body["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// The API server, entered as one identity.
#[derive(Clone)]
pub struct Api {
    client: Client,
}

impl Api {
    /// Enters with a kubeconfig.
    ///
    /// # Errors
    /// The file cannot be used.
    pub async fn enter(kubeconfig: &Path) -> Result<Self> {
        let client = Client::try_from(config(kubeconfig).await?)?;
        Ok(Self { client })
    }

    /// Reaches the same server as nobody: requests bring their own credentials.
    pub(crate) async fn nobody(kubeconfig: &Path) -> Result<Self> {
        Self::with(kubeconfig, kube::config::AuthInfo::default()).await
    }

    /// Reaches the same server with a token.
    ///
    /// # Errors
    /// The file cannot be used.
    pub async fn bearing(kubeconfig: &Path, token: &str) -> Result<Self> {
        let auth = kube::config::AuthInfo {
            token: Some(token.to_owned().into()),
            ..Default::default()
        };
        Self::with(kubeconfig, auth).await
    }

    async fn with(kubeconfig: &Path, auth: kube::config::AuthInfo) -> Result<Self> {
        let mut config = config(kubeconfig).await?;
        config.auth_info = auth;
        Ok(Self {
            client: Client::try_from(config)?,
        })
    }

    /// Passes a request on as it is.
    pub(crate) async fn pass(&self, request: Request<Bytes>) -> Result<(StatusCode, Bytes)> {
        let response = self
            .client
            .send(request.map(|body| Body::from(body.to_vec())))
            .await?;
        let (head, body) = response.into_parts();
        Ok((head.status, body.collect().await?.to_bytes()))
    }

    async fn send(&self, method: Method, path: &str, content: &str, body: Option<&Value>) -> Answer {
        let answer = self.ask(method, path, content, body).await;
        answer.expect("the API server answers")
    }

    async fn ask(&self, method: Method, path: &str, content: &str, body: Option<&Value>) -> Result<Answer> {
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, content)
            .body(Bytes::from(bytes))
            .expect("paths of tests are paths");
        let (status, body) = self.pass(request).await?;
        let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
        Ok(Answer {
            status,
            body: serde_json::from_slice(&body).unwrap_or_else(|_| text()),
        })
    }

    /// What is at a path, for who goes on where nobody answers.
    ///
    /// # Errors
    /// Nobody does, or it is refused.
    pub async fn read(&self, path: &str) -> Result<Value> {
        let answer = self.ask(Method::GET, path, "application/json", None).await?;
        if !answer.status.is_success() {
            bail!("{}: {}", answer.status, answer.body);
        }
        Ok(answer.body)
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "application/json", None).await
    }

    /// Removes everything at a path.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, "application/json", None).await
    }

    /// Creates.
    pub async fn create(&self, path: &str, object: &Value) -> Answer {
        self.send(Method::POST, path, "application/json", Some(object))
            .await
    }

    /// Changes by a merge patch.
    pub async fn merge(&self, path: &str, patch: &Value) -> Answer {
        self.send(Method::PATCH, path, "application/merge-patch+json", Some(patch))
            .await
    }

    /// Changes by a JSON Patch.
    pub async fn patch(&self, path: &str, operations: &Value) -> Answer {
        self.send(
            Method::PATCH,
            path,
            "application/json-patch+json",
            Some(operations),
        )
        .await
    }

    /// Replaces the object as it was read.
    pub async fn replace(&self, path: &str, object: &Value) -> Answer {
        self.send(Method::PUT, path, "application/json", Some(object))
            .await
    }

    /// Creates an object or makes it as it shall be, as `kubectl apply --server-side` does.
    pub(crate) async fn apply(&self, path: &str, object: &Value) -> Result<()> {
        let path = format!("{path}?fieldManager=platform&force=true");
        let answer = self
            .send(Method::PATCH, &path, "application/apply-patch+yaml", Some(object))
            .await;
        if !answer.status.is_success() {
            bail!("{path}: {}", answer.body);
        }
        Ok(())
    }
}

async fn config(kubeconfig: &Path) -> Result<Config> {
    let file = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("kubeconfig {} cannot be read", kubeconfig.display()))?;
    Ok(Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?)
}
