//! What the four functions share on Lambda: settings, secrets, the ports on AWS, and the two ways in.
//!
//! ```text
//!   function URL ─▶ url   ─▶ door::Request ─▶ the function's handler ─▶ door::Response
//!   SNS          ─▶ topic ─▶ a message ────▶ the function's handler ─▶ done, or to be sent again
//!   SQS batch    ─▶ queue ─▶ one look a run ─▶ the function's handler ─▶ which records to deliver again
//!   schedule     ─▶ queue ─▶ sweep: what is due is hinted again
//! ```
//! A function's `main` is [`start`], then [`Host::serve_door`], [`Host::serve_doors`] or [`Host::serve_queue`]. Settings are read once, before
//! the first event, and the connections that every event needs are made there; secrets are read again every five minutes,
//! and clients of clusters are made when one is needed.

mod bounds;
mod clients;
mod gate;
mod google;
mod host;
mod kept;
mod metrics;
mod people;
mod queue;
mod secrets;
mod settings;
mod sources;
mod topic;
mod url;
mod ways;

pub use gate::{CloudGate, Clouds};
pub use host::{Host, HostError, start};
pub use metrics::SWEEP_LAG;
pub use queue::SWEEP_EVENT;
pub use secrets::Secrets;
pub use settings::{NAMES, Settings, SettingsError};
pub use ways::{Aks, ApiServer, Believed, FUNCTIONS, Gke, GkePlace, Proof, Way};

/// What `main` returns.
pub type Error = lambda_runtime::Error;
