//! The cluster adapter with its shipped rights, on a real API server with real pods and a real gateway.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "tables of tests read better with values"
)]

mod capacity;
mod conformance;
mod eks;
mod fence;
mod jwt;
mod plugin;
mod preflight;
mod rights;
mod rollout;
mod site;
mod storm;
mod warm_up;
