//! approval-callback: a button pressed in Slack becomes an answer to an approval.
//!
//! ```text
//!   request ─▶ signature, time ─▶ read ─┬▶ approve ─▶ decided ─▶ 200 empty; a refusal is told to that person alone
//!               401                400  ├▶ reject ──▶ dialog ─▶ reason ─▶ decided
//!                                       ├▶ go on, roll back ─▶ decided; what came of it is told to that person
//!                                       └▶ details ─▶ the evidence so far
//! ```
//! Slack waits 3 s and does not repeat a press; whoever pressed sees an error then and presses again. Who may answer is
//! decided where the answer is counted, not here (invariant 11). A rejection or a rollback sends traffic back, which this function
//! tries for at most [`BACK_WITHIN`]; nothing else on a cluster is in its rights.

mod callback;
mod evidence;
mod replies;

use weir_app::{Engine, Ports, Rights};
use weir_domain::time::Span;

pub use callback::Callback;
pub use replies::Replies;

/// How long this function tries to send traffic back before it answers; Slack waits 3 s (design §2).
pub const BACK_WITHIN: Span = Span::seconds(1);

/// The loop with this function's rights.
pub fn engine(ports: Ports) -> Engine {
    Engine {
        ports,
        rights: Rights::BackOnly(BACK_WITHIN),
    }
}
