//! stage-executor: looks after stages, steps, approvals and turns in lanes.
//!
//! Woken by a message that names a run, or by a timer. It starts and polls the Kubernetes Jobs of Plugin steps, asks
//! people, reports statuses, and takes a run's turn in its lane. It never moves traffic: that is metric-check's, whose
//! queue never waits behind the polling of Kubernetes Jobs.

use weir_app::{Engine, HandleError, Ports, Rights};
use weir_domain::Duty;
use weir_domain::ids::RunId;

/// What this function looks after.
pub const DUTY: Duty = Duty::Steps;

/// The loop with this function's rights.
pub fn engine(ports: Ports) -> Engine {
    Engine {
        ports,
        rights: Rights::Steps,
    }
}

/// Handles one message: somebody should look at this run. A duplicate or late one changes nothing.
///
/// # Errors
/// The store failed, or others kept writing: the message is to be delivered again.
pub async fn handle(engine: &Engine, run: &RunId) -> Result<(), HandleError> {
    engine.look(run, DUTY).await
}
