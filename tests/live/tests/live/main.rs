//! The cluster adapter with its shipped rights, on a real API server with real pods and a real gateway.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod capacity;
mod fence;
mod plugin;
mod rights;
mod rollout;
mod storm;
