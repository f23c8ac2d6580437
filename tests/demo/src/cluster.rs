//! The test cluster: started, given what exists before Weir, and read back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::{Method, Request};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::process::Command;
use weir_cluster::names;
use weir_domain::ids::{EnvironmentName, LaneKey, RevisionId, ServiceName};

use crate::process::Process;
use crate::seen::Seen;

/// Control plane, nodes and gateway on a busy machine.
const UP_LIMIT: Duration = Duration::from_secs(180);

/// Time between two looks at the cluster.
const LOOK: Duration = Duration::from_millis(200);

/// Where the Kubernetes Jobs of steps run.
pub const BUILDS: &str = "weir-builds";

/// What is applied, and where: in a namespace, or for the cluster as a whole.
pub type Manifest<'a> = (Option<&'a str>, &'a str);

/// A running test cluster.
pub struct Cluster {
    process: Process,
    client: Client,
    /// For clients of the cluster.
    pub kubeconfig: PathBuf,
    /// Address of the API server.
    pub address: String,
    /// The authority that its certificate is signed by: PEM in base64.
    pub authority: String,
    /// Where users come in.
    pub gateway: String,
    /// What is seen on it beside the story.
    pub seen: Seen,
}

impl Cluster {
    /// Starts a cluster and applies the manifests. Pods reach the port `git` of this machine as `host`. The roles of the
    /// entrance, if there is one, are let in with tokens of EKS.
    pub async fn start(
        bin: &Path,
        state: &Path,
        simulator: &Path,
        git: u16,
        manifests: &[Manifest<'_>],
        entrance: Option<&Value>,
    ) -> Result<Self> {
        let mut command = Command::new(bin.join("weir-cluster"));
        command
            .args([
                "up",
                "--stop-on-stdin-close",
                "--gpu-nodes",
                "3",
                "--gpus-per-node",
                "4",
                "--state",
            ])
            .arg(state.join("cluster"))
            .arg("--image")
            .arg(format!("ai-service={}", simulator.display()))
            .args(["--expose", &git.to_string()]);
        if let Some(entrance) = entrance {
            let file = state.join("eks.json");
            std::fs::write(&file, entrance.to_string())?;
            command.arg("--eks").arg(file);
        }
        let (process, line) =
            Process::start("the cluster", &mut command, &state.join("cluster.log"), UP_LIMIT).await?;
        let text = |key: &str| {
            line[key]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("no {key}"))
        };
        let kubeconfig = PathBuf::from(text("kubeconfig")?);
        let file = Kubeconfig::read_from(&kubeconfig)?;
        let named = file.clusters.first().and_then(|named| named.cluster.as_ref());
        let authority = named.and_then(|cluster| cluster.certificate_authority_data.clone());
        let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        let cluster = Self {
            process,
            client: Client::try_from(config)?,
            kubeconfig,
            address: text("api")?,
            authority: authority.context("the kubeconfig names no authority")?,
            gateway: text("gateway")?,
            seen: Seen::default(),
        };
        for (namespace, text) in manifests {
            cluster.apply(*namespace, text).await?;
        }
        cluster.seen.follow(&cluster.client);
        Ok(cluster)
    }

    /// Applies every document of a manifest.
    async fn apply(&self, namespace: Option<&str>, text: &str) -> Result<()> {
        for mut object in serde_saphyr::from_multiple::<Value>(text)? {
            if let Some(namespace) = namespace {
                object["metadata"]["namespace"] = namespace.into();
            }
            let path = format!("{}?fieldManager=platform&force=true", path_of(&object)?);
            let request = Request::builder()
                .method(Method::PATCH)
                .uri(&path)
                .header(http::header::CONTENT_TYPE, "application/apply-patch+yaml")
                .body(object.to_string().into_bytes())?;
            self.client
                .request::<Value>(request)
                .await
                .with_context(|| format!("could not apply {path}"))?;
        }
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let request = Request::get(path).body(Vec::new())?;
        Ok(self.client.request(request).await?)
    }

    /// The route of a namespace, for whoever follows it beside the story.
    pub fn route(&self, namespace: &'static str) -> Route {
        Route(self.client.clone(), namespace)
    }

    /// Shares of the production route by backend, without those of nothing.
    pub async fn shares(&self) -> Result<BTreeMap<String, u64>> {
        self.route("production").shares().await
    }

    /// Production's pods by revision, those that leave included.
    pub async fn pods(&self) -> Result<BTreeMap<String, usize>> {
        let list = self.get("/api/v1/namespaces/production/pods").await?;
        let mut pods = BTreeMap::new();
        for pod in list["items"].as_array().into_iter().flatten() {
            let revision = pod["metadata"]["labels"][names::REVISION]
                .as_str()
                .unwrap_or("none");
            *pods.entry(revision.to_owned()).or_insert(0) += 1;
        }
        Ok(pods)
    }

    /// Waits until nothing of the revisions that were sent back is left in production.
    pub async fn until_one_revision_is_left(&self, limit: Duration) -> Result<()> {
        let gone = async {
            while self.pods().await?.len() != 1 {
                tokio::time::sleep(LOOK).await;
            }
            Ok(())
        };
        tokio::time::timeout(limit, gone)
            .await
            .context("revisions that were sent back are still there")?
    }

    /// Stops everything.
    pub async fn stop(self) -> Result<()> {
        self.process.stop().await
    }
}

/// The service's route in a namespace.
pub struct Route(Client, &'static str);

impl Route {
    /// Shares by backend, without those of nothing.
    pub async fn shares(&self) -> Result<BTreeMap<String, u64>> {
        let Self(client, namespace) = self;
        let path = format!("/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/ai-service");
        let route: Value = client.request(Request::get(path).body(Vec::new())?).await?;
        let backends = route["spec"]["rules"][0]["backendRefs"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let share = |backend: &Value| {
            let weight = backend["weight"].as_u64().unwrap_or(1);
            Some((backend["name"].as_str()?.to_owned(), weight)).filter(|_| weight > 0)
        };
        Ok(backends.iter().filter_map(share).collect())
    }
}

/// The Service of a production revision.
pub fn backend(revision: &str) -> String {
    let lane = LaneKey {
        service: ServiceName::new("ai-service"),
        environment: EnvironmentName::new("Production"),
    };
    names::revision_name(&lane, &RevisionId::new(revision))
}

fn path_of(object: &Value) -> Result<String> {
    let (kind, version) = (
        object["kind"].as_str().unwrap_or_default(),
        object["apiVersion"].as_str(),
    );
    let version = version.context("an object without apiVersion")?;
    let plural = match kind {
        "HTTPRoute" => "httproutes".to_owned(),
        "ValidatingAdmissionPolicy" => "validatingadmissionpolicies".to_owned(),
        "Namespace"
        | "Deployment"
        | "Secret"
        | "Service"
        | "ServiceAccount"
        | "Role"
        | "RoleBinding"
        | "ClusterRole"
        | "ClusterRoleBinding"
        | "ValidatingAdmissionPolicyBinding" => format!("{}s", kind.to_lowercase()),
        other => bail!("the demonstration applies no {other}"),
    };
    let root = if version.contains('/') {
        format!("/apis/{version}")
    } else {
        format!("/api/{version}")
    };
    let name = object["metadata"]["name"]
        .as_str()
        .context("an object without a name")?;
    Ok(match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("{root}/{plural}/{name}"),
    })
}
