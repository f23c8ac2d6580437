//! What others do to a cluster while rollouts are under way, with users who ask all along: another service wants the same GPUs,
//! a foreign pod takes one, a node is drained or loses its power, the API server ends.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod drained;
mod last_gpus;
mod lost;
mod nodes;
mod restarted;
mod stolen;

use tokio::sync::{Mutex, MutexGuard};
use weir_live::{Nodes, shared_with};

/// One may be closed, and the rest still holds two revisions of a service.
const NODES: Nodes = Nodes {
    with_gpus: 3,
    pretended: 0,
};

/// What is done here is done to all that share the cluster, so one is alone with it at a time.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    let guard = ALONE.lock().await;
    shared_with(NODES);
    guard
}
