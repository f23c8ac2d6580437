//! What every adapter of a port must do, as suites that each adapter's own tests call.
//!
//! The store in memory, on which stories are told, passes the same suite as the stores that people run on: so what the
//! stories prove holds there too.
#![allow(clippy::unwrap_used, reason = "a suite that cannot go on fails")]

pub mod queue;
pub mod sample;
pub mod store;
