//! Processes that can be stopped at any instruction: an API server, and a writer.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use weir_domain::effect::Effect;
use weir_domain::run::Run;

use crate::wait::eventually;

/// A process of this machine.
pub struct Process(u32);

/// A writer in a process of its own.
pub struct Writer {
    child: Child,
    process: Process,
}

impl Process {
    pub(crate) fn of(id: u32) -> Self {
        Self(id)
    }

    /// Stops it where it is, and returns once the kernel says that it is stopped.
    pub async fn stop(&self) {
        self.signal("STOP").await;
        let path = format!("/proc/{}/stat", self.0);
        eventually("the process is stopped", async || {
            let stat = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
            // The state stands after the name, which may hold anything.
            let state = stat.rsplit(") ").next().unwrap_or_default().chars().next();
            if state == Some('T') { Ok(()) } else { Err(stat) }
        })
        .await;
    }

    /// Lets it go on.
    pub async fn go_on(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "kill", name, &self.0.to_string()])
            .status()
            .await
            .expect("`sh` can be started");
        assert!(status.success(), "SIG{name} cannot be sent");
    }
}

impl Writer {
    /// Starts one that performs an effect and ends.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start(program: &str, kubeconfig: &Path, run: &Run, effect: &Effect) -> Result<Self> {
        let mut child = Command::new(program)
            .arg(kubeconfig)
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{program} cannot be started"))?;
        let order = json!({"run": run, "effect": effect}).to_string();
        let mut input = child.stdin.take().expect("its input is a pipe");
        input.write_all(order.as_bytes()).await?;
        drop(input);
        let process = Process::of(child.id().context("it was not waited for yet")?);
        Ok(Self { child, process })
    }

    /// Stops it where it is, and returns once the kernel says that it is stopped.
    pub async fn stop(&self) {
        self.process.stop().await;
    }

    /// Lets it go on.
    pub async fn go_on(&self) {
        self.process.go_on().await;
    }

    /// How it ended.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn ended(mut self) -> Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }
}
