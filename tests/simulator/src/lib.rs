//! A GPU pod without a GPU, and the traffic that shows whether it serves.
//!
//! `weir-simulator` is one process for one pod. It loads for as long as its model file says, warms up, streams
//! tokens, errs, slows down or crashes as that file says, and reports itself with vLLM's metric names:
//!
//! ```text
//! loading ──► warming ──► serving ──SIGTERM──► draining ──quiet──► exit 0
//! /health 503  503         200                  200     └─ a crash at any point: exit 139, or 137 without memory; streams cut
//! ```
//!
//! `weir-load` ([`load`]) starts requests on schedule whatever the answers are, and counts every one that failed
//! or was cut, by model version. Neither knows of clusters, rollouts or of the other's inside.

mod clock;
mod random;

mod model;
mod plan;
mod rate;

mod histogram;
mod metrics;

mod life;
mod pod;
mod serve;
mod stream;

pub mod load;

pub use life::{Control, End, Simulator};
pub use model::{Latency, Leak, Model, ModelError, SlowUnderLoad, Tokens, UnderLoad};
pub use pod::Crash;
