//! The world of a demonstration: a cluster with what exists before Weir, a repository that grows by a commit a push,
//! GitHub's and Slack's parts, and users.
//!
//! The demonstration of `weir up` (`main.rs`) and that of the functions (`tests/aws-demo`) happen in it.
#![allow(clippy::disallowed_methods, reason = "it measures time where the world is")]

pub mod chance;
pub mod clock;
pub mod cluster;
pub mod github;
pub mod load;
pub mod model;
pub mod process;
pub mod repository;
pub mod seen;
pub mod slack;
