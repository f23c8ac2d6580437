//! Many services whose canaries breach at once, driven by the loop of `weir up`: real API server, store, queue and workers.
//!
//! It is a program of its own so that what is measured is built as a host is, with optimisation, beside a test that is not.
//! An order comes as one line of JSON; each further line is answered by one:
//!
//! ```text
//! {"services": […], "first": {…}, "second": {…}, "kubeconfigs": {…}}   ─▶ {"ready": true}   every canary has its share
//! {}                                                                  ─▶ {"decided": […], "accepted": […]}   they breached
//! ```

mod crowd;
mod played;

use std::io::{BufRead, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use weir_domain::rollout::{Phase, Rollout};
use weir_domain::units::Weight;

use crowd::Crowd;

/// What to do.
#[derive(Deserialize)]
pub(crate) struct Order {
    /// Names of services, each with a route of the same name.
    services: Vec<String>,
    /// Pipeline of the first release. The service `chat` of its rollout stands for each of them.
    first: Value,
    /// Pipeline of the canary.
    second: Value,
    kubeconfigs: Kubeconfigs,
}

/// Who enters the cluster.
#[derive(Deserialize)]
struct Kubeconfigs {
    steps: PathBuf,
    traffic: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let order = lines.next().context("no order came")??;
    let order: Order = serde_json::from_str(&order).context("the order cannot be read")?;
    let crowd = Crowd::new(&order)?;
    crowd.roll_out("v1", &order.first, &served).await?;
    let runs = crowd.roll_out("v2", &order.second, &steps).await?;
    say(&json!({"ready": true}))?;

    lines.next().context("nobody let them breach")??;
    let checked = crowd.breach(&runs).await?;
    let (mut decided, mut accepted) = (Vec::new(), Vec::new());
    for run in &runs {
        let rollout = crowd.until(run, "the share is back", &is_back).await?;
        let change = rollout.changes.last().context("traffic was moved")?;
        let back = change.accepted.context("the write was accepted")?;
        decided.push(change.decided.since(checked).0);
        accepted.push(back.since(checked).0);
    }
    say(&json!({"decided": decided, "accepted": accepted}))
}

fn say(line: &Value) -> Result<()> {
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

fn served(rollout: &Rollout) -> bool {
    rollout.phase == Phase::Drained
}

fn steps(rollout: &Rollout) -> bool {
    let last = rollout.changes.last();
    let settled = last.is_some_and(|change| change.observed.is_some());
    rollout.phase == Phase::Watching { step: 0 } && settled
}

fn is_back(rollout: &Rollout) -> bool {
    let last = rollout.changes.last();
    let accepted = last.is_some_and(|change| change.accepted.is_some());
    rollout.weight == Weight::ZERO && accepted
}
