//! The host under test: `weir up`, and the commands that people type.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::{Mutex, RwLock, RwLockReadGuard};
use weir_live::GitServer;

use weir_demo::cluster::Cluster;
use weir_demo::github;
use weir_demo::process::{Process, output};
use weir_demo::repository::{NAME, Repository};
use weir_demo::slack::{self, Slack};

/// The host opens its store and its doors.
const UP_LIMIT: Duration = Duration::from_secs(30);

/// A host that is killed may be away when somebody begins to watch; the next try comes after its start.
const WATCH_TRIES: u32 = 5;

/// What a host is started with.
pub(crate) struct Up {
    /// `weir`.
    pub(crate) binary: PathBuf,
    /// Arguments of `weir up` that say for which world.
    arguments: Vec<OsString>,
    /// Its state folder.
    pub(crate) state: PathBuf,
    /// Where it complains.
    log: PathBuf,
}

impl Up {
    /// A host for this world.
    pub(crate) fn of(
        binary: &Path,
        state: &Path,
        cluster: &Cluster,
        git: &GitServer,
        repository: &Repository,
        slack: &Slack,
    ) -> Self {
        let pairs: [(&str, OsString); 8] = [
            ("--check-every", "1s".into()),
            ("--kubeconfig", cluster.kubeconfig.clone().into()),
            (
                "--repository",
                format!("{NAME}={}", repository.path.display()).into(),
            ),
            (
                "--clone-url",
                format!("{NAME}={}", git.url(repository.name())).into(),
            ),
            ("--slack-api", format!("{}/api", slack.address).into()),
            ("--slack-channel", slack::CHANNEL.into()),
            ("--slack-app", slack::APP.into()),
            ("--slack-team", slack::TEAM.into()),
        ];
        Self {
            binary: binary.to_owned(),
            arguments: pairs
                .into_iter()
                .flat_map(|(name, value)| [name.into(), value])
                .collect(),
            state: state.join("host"),
            log: state.join("host.log"),
        }
    }

    /// Starts `weir up`; the process and where it listens.
    async fn start(&self, listen: &str) -> Result<(Process, String)> {
        let mut command = Command::new(&self.binary);
        command
            .args(["up", "--format", "json", "--listen", listen, "--state"])
            .arg(&self.state)
            .args(&self.arguments)
            .env("WEIR_GITHUB_SECRET", github::SECRET)
            .env("WEIR_SLACK_SIGNING_SECRET", slack::SIGNING_SECRET)
            .env("WEIR_SLACK_TOKEN", slack::TOKEN);
        let (process, line) = Process::start("weir up", &mut command, &self.log, UP_LIMIT).await?;
        let url = line["listen"].as_str().context("weir up tells no address")?;
        Ok((process, url.to_owned()))
    }
}

/// A running host.
pub(crate) struct Host {
    pub(crate) up: Up,
    /// Nothing once it was stopped.
    process: Mutex<Option<Process>>,
    pub(crate) url: String,
    /// Held by whoever talks with it: it is killed between conversations, not in the middle of one, as nobody repeats them.
    talks: RwLock<()>,
}

/// One of the host's doors, while somebody talks there.
pub(crate) struct Door<'a> {
    /// Its address.
    pub(crate) url: String,
    _talk: RwLockReadGuard<'a, ()>,
}

impl Host {
    /// Starts `weir up`.
    pub(crate) async fn start(up: Up) -> Result<Self> {
        let (process, url) = up.start("127.0.0.1:0").await?;
        Ok(Self {
            up,
            process: Mutex::new(Some(process)),
            url,
            talks: RwLock::default(),
        })
    }

    /// Kills it with SIGKILL and starts it again on the same address and folder.
    pub(crate) async fn kill_and_start(&self) -> Result<()> {
        let _nobody_talks = self.talks.write().await;
        let mut process = self.process.lock().await;
        let Some(running) = process.take() else {
            bail!("it was stopped");
        };
        running.kill().await?;
        let listen = self.url.trim_start_matches("http://");
        *process = Some(self.up.start(listen).await?.0);
        Ok(())
    }

    async fn door(&self, path: &str) -> Door<'_> {
        Door {
            _talk: self.talks.read().await,
            url: format!("{}{path}", self.url),
        }
    }

    /// The door for GitHub.
    pub(crate) async fn github(&self) -> Door<'_> {
        self.door("/webhooks/github").await
    }

    /// The door for Slack.
    pub(crate) async fn slack(&self) -> Door<'_> {
        self.door("/webhooks/slack").await
    }

    /// A command against the host, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.up.binary);
        command.args(arguments).arg("--state").arg(&self.up.state);
        command
    }

    /// Its answer for people.
    pub(crate) async fn text(&self, arguments: &[&str]) -> Result<String> {
        let _talk = self.talks.read().await;
        output(&mut self.command(arguments)).await
    }

    /// Its answer for programs.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let _talk = self.talks.read().await;
        let text = output(self.command(arguments).args(["--format", "json"])).await?;
        serde_json::from_str(&text).with_context(|| format!("weir {arguments:?} answered {text}"))
    }

    /// Follows a run on this terminal until it ends.
    pub(crate) async fn watch(&self, run: &str) -> Result<()> {
        for _ in 0..WATCH_TRIES {
            drop(self.talks.read().await);
            let status = self.command(&["watch", run]).status().await?;
            if let Some(0 | 1) = status.code() {
                return Ok(());
            }
        }
        bail!("weir watch {run} failed {WATCH_TRIES} times")
    }

    /// Verifies the audit log of a run with the offline command.
    pub(crate) async fn verify_audit(&self, run: &str, file: &Path) -> Result<String> {
        std::fs::write(file, self.text(&["audit", run]).await?)?;
        output(Command::new(&self.up.binary).args(["audit", "verify"]).arg(file)).await
    }

    /// Stops it.
    pub(crate) async fn stop(&self) -> Result<()> {
        match self.process.lock().await.take() {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }
}
