//! metric-check: looks after rollouts that move.
//!
//! Woken by a timer, or by a message that names a run. It scales revisions, writes weights, reads what pods, route and
//! counters show, and sends traffic back. Its looks are short: nothing slow has a place in its queue.

use weir_app::{Engine, HandleError, Ports, Rights};
use weir_domain::Duty;
use weir_domain::ids::RunId;

/// What this function looks after.
pub const DUTY: Duty = Duty::Traffic;

/// The loop with this function's rights.
pub fn engine(ports: Ports) -> Engine {
    Engine {
        ports,
        rights: Rights::Traffic,
    }
}

/// Handles one message: somebody should look at this run. A duplicate or late one changes nothing.
///
/// # Errors
/// The store failed, or others kept writing: the message is to be delivered again.
pub async fn handle(engine: &Engine, run: &RunId) -> Result<(), HandleError> {
    engine.look(run, DUTY).await
}
