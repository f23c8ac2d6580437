//! Weir's identities, as service accounts with short-lived tokens.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use crate::api::Api;

/// Seconds that a token lives: longer than all tests.
const TOKEN_S: u32 = 3_600;

/// Who somebody is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Moves traffic.
    MetricCheck,
    /// Sends it back.
    WebhookIntake,
    /// Runs Plugin steps.
    StageExecutor,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MetricCheck, Self::WebhookIntake, Self::StageExecutor];

    /// Name of its service account.
    pub fn account(self) -> &'static str {
        match self {
            Self::MetricCheck => "metric-check",
            Self::WebhookIntake => "webhook-intake",
            Self::StageExecutor => "stage-executor",
        }
    }

    /// The group that the shipped bindings name.
    pub fn group(self) -> &'static str {
        match self {
            Self::MetricCheck => "weir:metric-check",
            Self::WebhookIntake => "weir:back-only",
            Self::StageExecutor => "weir:stage-executor",
        }
    }
}

/// Somebody who can enter the cluster.
#[derive(Clone)]
pub struct Identity {
    /// Its kubeconfig.
    pub kubeconfig: PathBuf,
    /// The API server, entered as this identity.
    pub api: Api,
}

impl Identity {
    /// Makes a service account and a token for it.
    pub(crate) async fn of_account(
        admin: &Api,
        base: &Path,
        dir: &Path,
        namespace: &str,
        role: Role,
    ) -> Result<Self> {
        let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        let name = role.account();
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
        admin.create(&accounts, &account).await.ok();
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_S},
        });
        let token = admin
            .create(&format!("{accounts}/{name}/token"), &request)
            .await
            .ok();
        let token = token["status"]["token"].as_str().context("a token comes back")?;
        Self::with_user(
            base,
            &dir.join(format!("{namespace}-{name}.json")),
            &json!({"token": token}),
        )
        .await
    }

    /// The administrator, speaking for somebody of a role's group, as a cloud's identity is mapped.
    pub(crate) async fn of_group(base: &Path, dir: &Path, role: Role) -> Result<Self> {
        let mut user = user(base)?;
        user["as"] = json!(format!("cloud-{}", role.account()));
        user["as-groups"] = json!([role.group(), "system:authenticated"]);
        Self::with_user(base, &dir.join(format!("group-{}.json", role.account())), &user).await
    }

    async fn with_user(base: &Path, path: &Path, user: &Value) -> Result<Self> {
        let mut file = serde_json::to_value(Kubeconfig::read_from(base)?)?;
        file["users"][0]["user"] = user.clone();
        std::fs::write(path, file.to_string())?;
        Ok(Self {
            kubeconfig: path.to_owned(),
            api: Api::enter(path).await?,
        })
    }

    /// The same identity, reaching the server by another address without TLS.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn by_way_of(&self, address: std::net::SocketAddr, path: &Path) -> Result<()> {
        let mut file: Value = serde_json::from_slice(&std::fs::read(&self.kubeconfig)?)?;
        file["clusters"][0]["cluster"] = json!({"server": format!("http://{address}")});
        std::fs::write(path, file.to_string())?;
        Ok(())
    }
}

/// How a kubeconfig's first user is known. `serde_json` writes the token as the file has it.
fn user(base: &Path) -> Result<Value> {
    let file: Value = serde_saphyr::from_str(&std::fs::read_to_string(base)?)?;
    Ok(file["users"][0]["user"].clone())
}
