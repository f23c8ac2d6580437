//! The real kube-scheduler as the judge of `weir fit`.
//!
//! ```text
//!   seed ──▶ generate (a small cluster, a workload, N) ──▶ play: objects on a real control plane
//!                                                             │ the same objects, read back ──▶ fit
//!                                                             └ N pods ──▶ kube-scheduler ──▶ how many are bound
//! ```
//! Many such clusters live on one control plane at a time, apart by a node selector, by namespaces and by topology keys of
//! their own. Nodes are plain objects and nothing runs: a pod needs only to be bound. A *yes* must bind all N pods, a *no*
//! must not; `depends_on_order` allows both and is counted.

mod client;
mod control;
pub mod generate;
mod judge;
mod play;
pub mod random;
mod report;

pub use client::Api;
pub use control::{ControlPlane, binaries};
pub use judge::{Outcome, judge};
pub use play::{BATCH, play};
pub use report::Report;
