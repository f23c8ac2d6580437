//! Strategies on a real cluster, with users who ask all along: promoted, and sent back by what was measured, by a person,
//! and by a crash.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod adoption;
mod autoscaler;
mod blue_green;
mod by_replicas;
mod calls;
mod faults;
mod hardware;
mod replica;
mod rolling;
mod shadow;
mod variants;
