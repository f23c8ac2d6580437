//! Everything that the demonstration runs on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_live::GitServer;

use crate::host::{Host, Up};
use weir_demo::cluster::Cluster;
use weir_demo::load::Load;
use weir_demo::process::output;
use weir_demo::repository::Repository;
use weir_demo::slack::Slack;

/// A revision that was sent back is kept for two seconds, and its streams may take thirty more to end.
const GONE_LIMIT: Duration = Duration::from_secs(90);

/// Where the programs are and where files go.
pub(crate) struct Places {
    /// The project.
    pub(crate) project: PathBuf,
    /// The test cluster's programs.
    pub(crate) cluster_bin: PathBuf,
    /// `weir`, `weir-simulator` and `weir-load`.
    pub(crate) bin: PathBuf,
    /// Files of this demonstration; emptied at its start.
    pub(crate) state: PathBuf,
}

impl Places {
    /// The programs that were built with this one.
    pub(crate) fn of_this_build() -> Result<Self> {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()?;
        let cluster_bin =
            std::env::var_os("WEIR_CLUSTER_BIN").context("WEIR_CLUSTER_BIN is not set: run `make demo`")?;
        let this = std::env::current_exe()?;
        let bin = this.parent().context("a program lies in a folder")?.to_owned();
        for program in ["weir", "weir-simulator", "weir-load"] {
            ensure!(
                bin.join(program).exists(),
                "{program} is not built: run `make demo`"
            );
        }
        Ok(Self {
            state: project.join(".cache/demo"),
            cluster_bin: cluster_bin.into(),
            project,
            bin,
        })
    }
}

/// Cluster, repository, Slack, host and, once something serves, users.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) repository: Repository,
    _git: GitServer,
    pub(crate) slack: Slack,
    pub(crate) host: Arc<Host>,
    pub(crate) state: PathBuf,
    load_binary: PathBuf,
    load: Option<Load>,
}

impl Stage {
    /// Starts everything but the users.
    pub(crate) async fn start(places: &Places) -> Result<Self> {
        let Places {
            project,
            cluster_bin,
            bin,
            state,
        } = places;
        if state.exists() {
            std::fs::remove_dir_all(state).with_context(|| format!("could not empty {}", state.display()))?;
        }
        std::fs::create_dir_all(state)?;
        let sample = project.join("tests/demo/sample");
        let repository = Repository::create(&sample, &state.join("repository"), uid().await?).await?;
        let simulator = bin.join("weir-simulator");
        let git = GitServer::start(state).await?;
        let manifests = [
            (None, include_str!("../manifests/cluster.yaml")),
            (None, include_str!("../../../infra/cluster/rbac.yaml")),
            (None, include_str!("../../../infra/cluster/admission.yaml")),
        ];
        println!("   starting the control plane, GPU nodes and the gateway …");
        let cluster = Cluster::start(cluster_bin, state, &simulator, git.port(), &manifests, None).await?;
        println!(
            "   gateway {}, kubeconfig {}",
            cluster.gateway,
            cluster.kubeconfig.display()
        );
        let slack = Slack::start().await?;
        let up = Up::of(&bin.join("weir"), state, &cluster, &git, &repository, &slack);
        let host = Arc::new(Host::start(up).await?);
        println!("   weir is up on {}", host.url);
        Ok(Self {
            cluster,
            repository,
            _git: git,
            slack,
            host,
            state: state.clone(),
            load_binary: bin.join("weir-load"),
            load: None,
        })
    }

    /// Lets users come.
    pub(crate) async fn open(&mut self) -> Result<()> {
        let log = self.state.join("load.log");
        self.load = Some(Load::start(&self.load_binary, &self.cluster.gateway, &log).await?);
        Ok(())
    }

    /// The users.
    pub(crate) fn load(&self) -> Result<&Load> {
        self.load.as_ref().context("no users yet")
    }

    /// A run as it is stored, with its log.
    pub(crate) async fn show(&self, run: &str) -> Result<Value> {
        self.host.json(&["show", run]).await
    }

    /// The word for how a run stands.
    pub(crate) async fn status(&self, run: &str) -> Result<String> {
        let shown = self.show(run).await?;
        let word = status_word(&shown["run"]);
        Ok(word
            .with_context(|| format!("a run without a status: {shown}"))?
            .to_owned())
    }

    /// Waits until nothing of the revisions that were sent back is left.
    pub(crate) async fn settle(&self) -> Result<()> {
        self.cluster.until_one_revision_is_left(GONE_LIMIT).await
    }

    /// For whoever wants to go on looking.
    pub(crate) fn how_to_look_around(&self) -> String {
        format!(
            "It stays up until Ctrl-C. In another terminal:\n\n    export KUBECONFIG={}\n    {} runs --state {}\n",
            self.cluster.kubeconfig.display(),
            self.host.up.binary.display(),
            self.host.up.state.display(),
        )
    }

    /// Stops everything, the users first.
    pub(crate) async fn stop(self) -> Result<()> {
        if let Some(load) = self.load {
            load.stop().await?;
        }
        self.host.stop().await?;
        self.cluster.stop().await
    }
}

/// Who runs this.
async fn uid() -> Result<u32> {
    Ok(output(tokio::process::Command::new("id").arg("-u"))
        .await?
        .trim()
        .parse()?)
}

/// The word for how a run stands: a status with a reason is an object of one key.
pub(crate) fn status_word(run: &Value) -> Option<&str> {
    let status = &run["status"];
    status
        .as_str()
        .or_else(|| status.as_object()?.keys().next().map(String::as_str))
}
