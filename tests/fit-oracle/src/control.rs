//! A control plane for as long as a test takes.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::client::Api;

/// API server, controllers and scheduler on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(180);

/// The directory of the test cluster's programs; they are built if need be.
///
/// # Errors
/// They cannot be built.
pub async fn binaries() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster/build.sh");
    let built = Command::new(script).stderr(Stdio::inherit()).output().await?;
    if !built.status.success() {
        bail!("tests/cluster/build.sh ended with {}", built.status);
    }
    Ok(PathBuf::from(String::from_utf8(built.stdout)?.trim()))
}

/// A running control plane without nodes. It ends with this value.
pub struct ControlPlane {
    /// Its API server.
    pub api: Api,
    process: Child,
    _state: TempDir,
}

impl ControlPlane {
    /// Starts one.
    ///
    /// # Errors
    /// A part does not come up in time.
    pub async fn start(bin: &Path) -> Result<Self> {
        let state = tempfile::tempdir()?;
        let mut process = Command::new(bin.join("weir-cluster"))
            .args([
                "up",
                // However this process ends, its end of the pipe is closed then.
                "--stop-on-stdin-close",
                "--no-gateway",
                "--cpu-nodes",
                "0",
                "--gpu-nodes",
                "0",
                "--kwok-nodes",
                "0",
                "--state",
            ])
            .arg(state.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .context("weir-cluster cannot be started")?;
        let out = process.stdout.take().context("its output is piped")?;
        let mut lines = BufReader::new(out).lines();
        let line = timeout(START_LIMIT, lines.next_line())
            .await
            .context("the control plane is not up in time")??
            .context("the control plane ended before it was up")?;
        let line: Value = serde_json::from_str(&line)?;
        let kubeconfig = line["kubeconfig"].as_str().context("no kubeconfig")?;
        Ok(Self {
            api: Api::new(Path::new(kubeconfig)).await?,
            process,
            _state: state,
        })
    }

    /// Stops it and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn stop(mut self) -> Result<()> {
        // Its processes live in a namespace that ends with it.
        self.process.kill().await?;
        Ok(())
    }
}
