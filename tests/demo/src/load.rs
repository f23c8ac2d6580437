//! Live traffic of users.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::process::Process;

/// The driver connects to nothing before its first line.
const UP_LIMIT: Duration = Duration::from_secs(10);

/// It stops by itself after this, if whoever started it does not: longer than any soak.
const LONGEST: &str = "360m";

/// Requests a second.
pub const RPS: u32 = 80;

/// A running load on the gateway.
pub struct Load {
    process: Process,
    stats: String,
}

impl Load {
    /// Starts users who ask the service through the gateway: three of ten take a stream of two to four seconds.
    pub async fn start(binary: &Path, gateway: &str, log: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        command
            .args([
                "--target",
                gateway,
                "--host",
                "ai-service",
                "--rps",
                &RPS.to_string(),
            ])
            .args([
                "--streams",
                "0.3",
                "--stream-seconds",
                "2..4",
                "--tokens-per-second",
                "20",
            ])
            .args([
                "--duration",
                LONGEST,
                "--stop-on-stdin-close",
                "--stats-listen",
                "127.0.0.1:0",
            ]);
        let (process, line) = Process::start("the load", &mut command, log, UP_LIMIT).await?;
        let stats = line["stats"]
            .as_str()
            .context("the load tells no statistics")?
            .to_owned();
        Ok(Self { process, stats })
    }

    /// Counts from now on under this name as well.
    pub async fn mark(&self, name: &str) -> Result<()> {
        let url = format!("{}/mark?name={name}", self.stats);
        reqwest::Client::new()
            .post(url)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// What was counted since a mark.
    pub async fn since(&self, name: &str) -> Result<Value> {
        let totals: Value = reqwest::get(format!("{}/totals", self.stats))
            .await?
            .json()
            .await?;
        Ok(totals["since"][name].clone())
    }

    /// Stops it.
    pub async fn stop(self) -> Result<()> {
        self.process.stop().await
    }
}
