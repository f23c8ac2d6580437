//! Many services whose canaries breach, driven by the loop of `weir up`: real API server, store, queue and workers.
//!
//! It is a program of its own so that what is measured is built as a host is, with optimisation, beside a test that is not.
//! An order comes as one line of JSON; each further line is answered by one. Times are milliseconds, one of each service.
//!
//! ```text
//! {"services": […], "first": {…}, "second": {…}, …}  ─▶ {"ready": true}   every canary has its share
//! "together"  ─▶ {"told": […], "decided": […], "accepted": […]}   all breach at once; from the check
//! "in_turn"   ─▶ {"told": […], "decided": […], "accepted": […]}   one after another; each from its breach
//! ```

mod crowd;
mod order;
mod played;
mod times;

use std::io::{BufRead, Write};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use weir_domain::rollout::{Phase, Rollout};

use crowd::Crowd;
use order::{Breach, Order};

#[tokio::main]
async fn main() -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let order = lines.next().context("no order came")??;
    let order: Order = serde_json::from_str(&order).context("the order cannot be read")?;
    let crowd = Crowd::new(&order)?;
    crowd.roll_out("v1", &order.first, &served).await?;
    let runs = crowd.roll_out("v2", &order.second, &steps).await?;
    say(&json!({"ready": true}))?;

    let breach = lines.next().context("nobody let them breach")??;
    let breach: Breach = serde_json::from_str(&breach).context("how they breach cannot be read")?;
    let times = match breach {
        Breach::Together => times::together(&crowd, &runs).await?,
        Breach::InTurn => times::in_turn(&crowd, &runs).await?,
    };
    say(&json!(times))
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
