//! The host under test: `weir up`, and the commands that people type.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::Command;
use weir_live::GitServer;

use weir_demo::cluster::Cluster;
use weir_demo::github;
use weir_demo::process::{Process, output};
use weir_demo::repository::{NAME, Repository};
use weir_demo::slack::{self, Slack};

/// The host opens its store and its doors.
const UP_LIMIT: Duration = Duration::from_secs(30);

/// A running host.
pub(crate) struct Host {
    process: Process,
    pub(crate) binary: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) url: String,
}

impl Host {
    /// Starts `weir up`.
    pub(crate) async fn start(
        binary: &Path,
        state: &Path,
        cluster: &Cluster,
        git: &GitServer,
        repository: &Repository,
        slack: &Slack,
    ) -> Result<Self> {
        let mut command = Command::new(binary);
        command
            .args([
                "up",
                "--format",
                "json",
                "--listen",
                "127.0.0.1:0",
                "--check-every",
                "1s",
            ])
            .arg("--state")
            .arg(state.join("host"))
            .arg("--kubeconfig")
            .arg(&cluster.kubeconfig)
            .arg("--repository")
            .arg(format!("{NAME}={}", repository.path.display()))
            .args(["--clone-url", &format!("{NAME}={}", git.url(repository.name()))])
            .args(["--slack-api", &format!("{}/api", slack.address)])
            .args([
                "--slack-channel",
                slack::CHANNEL,
                "--slack-app",
                slack::APP,
                "--slack-team",
                slack::TEAM,
            ])
            .env("WEIR_GITHUB_SECRET", github::SECRET)
            .env("WEIR_SLACK_SIGNING_SECRET", slack::SIGNING_SECRET)
            .env("WEIR_SLACK_TOKEN", slack::TOKEN);
        let (process, line) =
            Process::start("weir up", &mut command, &state.join("host.log"), UP_LIMIT).await?;
        Ok(Self {
            process,
            binary: binary.to_owned(),
            state: state.join("host"),
            url: line["listen"]
                .as_str()
                .context("weir up tells no address")?
                .to_owned(),
        })
    }

    /// The door for GitHub.
    pub(crate) fn github(&self) -> String {
        format!("{}/webhooks/github", self.url)
    }

    /// The door for Slack.
    pub(crate) fn slack(&self) -> String {
        format!("{}/webhooks/slack", self.url)
    }

    /// A command against the host, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--state").arg(&self.state);
        command
    }

    /// Its answer for people.
    pub(crate) async fn text(&self, arguments: &[&str]) -> Result<String> {
        output(&mut self.command(arguments)).await
    }

    /// Its answer for programs.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = output(self.command(arguments).args(["--format", "json"])).await?;
        serde_json::from_str(&text).with_context(|| format!("weir {arguments:?} answered {text}"))
    }

    /// Follows a run on this terminal until it ends.
    pub(crate) async fn watch(&self, run: &str) -> Result<()> {
        let status = self.command(&["watch", run]).status().await?;
        match status.code() {
            Some(0 | 1) => Ok(()),
            _ => bail!("weir watch {run} ended with {status}"),
        }
    }

    /// Verifies the audit log of a run with the offline command.
    pub(crate) async fn verify_audit(&self, run: &str, file: &Path) -> Result<String> {
        std::fs::write(file, self.text(&["audit", run]).await?)?;
        output(Command::new(&self.binary).args(["audit", "verify"]).arg(file)).await
    }

    /// Stops it.
    pub(crate) async fn stop(self) -> Result<()> {
        self.process.stop().await
    }
}
