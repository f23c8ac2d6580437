//! Processes of the demonstration: each writes its complaints to a file, tells its address in one line of JSON, and ends
//! with whoever started it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// A process that runs beside the demonstration.
pub struct Process {
    name: &'static str,
    child: Child,
    /// Held open: some end when it is closed.
    _stdin: Option<ChildStdin>,
}

impl Process {
    /// Starts a process and waits for its first line, which says where it is.
    pub async fn start(
        name: &'static str,
        command: &mut Command,
        log: &Path,
        within: Duration,
    ) -> Result<(Self, Value)> {
        // Whoever is started again goes on in its file.
        let complaints = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("could not write {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("its output is a pipe")?;
        let mut lines = BufReader::new(stdout).lines();
        let first = timeout(within, lines.next_line())
            .await
            .with_context(|| format!("{name} said nothing within {within:?}; see {}", log.display()))??;
        let Some(first) = first else {
            bail!("{name} ended before it was up; see {}", log.display());
        };
        let line = serde_json::from_str(&first)
            .with_context(|| format!("{name} said `{first}` instead of where it is"))?;
        tokio::spawn(drain(lines));
        let process = Self {
            name,
            child,
            _stdin: stdin,
        };
        Ok((process, line))
    }

    /// Ends it as a power cut does.
    pub async fn kill(mut self) -> Result<()> {
        self.child
            .kill()
            .await
            .with_context(|| format!("could not kill {}", self.name))
    }

    /// Tells it to end and waits for that.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(id) = self.child.id() {
            let told = Command::new("kill").arg(id.to_string()).status().await?;
            if !told.success() {
                bail!("{} could not be told to end", self.name);
            }
        }
        self.child.wait().await?;
        Ok(())
    }
}

/// Reads on, so that the process never waits for a reader.
async fn drain(mut lines: Lines<BufReader<ChildStdout>>) {
    while let Ok(Some(_)) = lines.next_line().await {}
}

/// Runs a command to its end; its output, or what it complained of.
pub async fn output(command: &mut Command) -> Result<String> {
    let done = command
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("could not start {command:?}"))?;
    if !done.status.success() {
        bail!(
            "{command:?} ended with {}: {}",
            done.status,
            String::from_utf8_lossy(&done.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
