//! Performs one effect on the cluster of a kubeconfig, and ends: `weir-live-writer KUBECONFIG < {run, effect}`.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde::Deserialize;
use weir_app::Clusters;
use weir_cluster::{Access, Fleet, Places};
use weir_domain::effect::Effect;
use weir_domain::run::Run;
use weir_live::WallClock;

#[derive(Deserialize)]
struct Order {
    run: Run,
    effect: Effect,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let kubeconfig = std::env::args_os()
        .nth(1)
        .context("usage: weir-live-writer KUBECONFIG")?;
    let order: Order = serde_json::from_reader(std::io::stdin())?;
    let fleet = Fleet::new(
        Places::all(Access::kubeconfig(kubeconfig, None)),
        Arc::new(WallClock),
    );
    fleet.perform(&order.run, &order.effect).await?;
    Ok(())
}
