//! Objects in and out of the API server, as plain JSON.

use std::path::Path;

use anyhow::{Context, Result, bail};
use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

/// An API server.
#[derive(Clone)]
pub struct Api(Client);

impl Api {
    /// Enters with a kubeconfig.
    ///
    /// # Errors
    /// It cannot be used.
    pub async fn new(kubeconfig: &Path) -> Result<Self> {
        let file = Kubeconfig::read_from(kubeconfig)?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Ok(Self(Client::try_from(config)?))
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: &Value) -> Result<Value> {
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header("content-type", kind)
            .body(if body.is_null() {
                Vec::new()
            } else {
                serde_json::to_vec(body)?
            })?;
        self.0
            .request(request)
            .await
            .with_context(|| format!("{method} {path}"))
    }

    /// Makes an object.
    ///
    /// # Errors
    /// The server refuses it.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value> {
        self.send(Method::POST, path, "application/json", object).await
    }

    /// Makes an object; one that is there already will do.
    ///
    /// # Errors
    /// The server refuses it for another reason.
    pub async fn ensure(&self, path: &str, object: &Value) -> Result<()> {
        match self.create(path, object).await {
            Err(error) if status(&error) != Some(409) => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads an object or a list.
    ///
    /// # Errors
    /// There is none, or the server is away.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.send(Method::GET, path, "application/json", &Value::Null)
            .await
    }

    /// Changes fields of an object.
    ///
    /// # Errors
    /// The server refuses it.
    pub async fn patch(&self, path: &str, change: &Value) -> Result<Value> {
        self.send(Method::PATCH, path, "application/merge-patch+json", change)
            .await
    }

    /// Deletes an object or a collection. `grace`: seconds that its pods have left.
    ///
    /// # Errors
    /// The server refuses it.
    pub async fn delete(&self, path: &str, grace: u32) -> Result<()> {
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": grace});
        match self
            .send(Method::DELETE, path, "application/json", &options)
            .await
        {
            Err(error) if status(&error) != Some(404) => bail!(error),
            _ => Ok(()),
        }
    }
}

/// The HTTP status of the server's refusal.
pub(crate) fn status(error: &anyhow::Error) -> Option<u16> {
    error
        .chain()
        .find_map(|cause| match cause.downcast_ref::<kube::Error>() {
            Some(kube::Error::Api(refusal)) => Some(refusal.code),
            _ => None,
        })
}
