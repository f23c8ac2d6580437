//! A rollout: one service in one environment on its way from the stable revision to the candidate, or back.
//!
//! ```text
//! Queued ─▶ Growing(step) ─▶ Watching(step) ─┬▶ next step ─▶ Baking ─▶ Draining ─▶ Drained
//!                 │               │           │                 │
//!                 └───────────────┴───────────┴─────────────────┴──▶ Reverting ─▶ Reverted ─▶ Removed
//! ```
//! The plan says what the steps are: `FirstRelease`, or `Stepping` (judged) and then `Ramping`.

mod evidence;
mod forecast;
mod moves;
mod passing;
mod phases;
mod plan;
mod revert;
mod settle;
mod watch;

pub use forecast::{Forecast, ForecastStep, Ground, Timing, forecast};
pub(crate) use moves::{leave_lane, start};
pub use passing::Inconclusive;
pub use phases::{Phase, Rollout, StableSide};
pub use plan::{Plan, PlannedStep, StepKind, plan};
pub(crate) use revert::revert;
pub(crate) use settle::accepted;
pub use watch::look_again;
pub(crate) use watch::{observe, unreachable};
