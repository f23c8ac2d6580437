//! webhook-intake: turns a signed push into runs, and an alarm into traffic that goes back.
//!
//! ```text
//!   request ─▶ size, signature ─▶ read ─▶ push ─▶ .weir at its commit ─▶ matching pipelines ─▶ resolved ─▶ started
//!                  413, 401        400     200          503 late                200               failed run     202
//! ```
//! Nothing is parsed before its raw bytes were authenticated (invariant 11). What a push starts is decided by the push
//! and by the definition at its commit alone. The push key and the run are one transaction, so a delivery that comes
//! again gets the same answer and starts nothing. GitHub never delivers again by itself: what cannot be read now is
//! tried until shortly before GitHub stops waiting, and only then refused with what to do.
//!
//! It never moves traffic forward: its engine may only send it back, for at most [`BACK_WITHIN`].

mod alarms;
mod by_hand;
mod intake;
pub mod matching;
mod patience;
mod prepare;
mod reception;

use weir_app::{Engine, Ports, Rights};
use weir_domain::time::Span;

pub use alarms::Alarms;
pub use by_hand::{ByHand, ByHandError, start_by_hand};
pub use intake::Intake;
pub use prepare::UNNAMED;
pub use reception::Reception;

/// How long this function tries to send traffic back before it answers; GitHub and alarms wait 10 s (design §2).
pub const BACK_WITHIN: Span = Span::seconds(4);

/// The loop with this function's rights.
pub fn engine(ports: Ports) -> Engine {
    Engine {
        ports,
        rights: Rights::BackOnly(BACK_WITHIN),
    }
}
