//! A rollout: one service in one environment on its way from the stable revision to the candidate, or back.
//!
//! ```text
//! Queued ─▶ Surveying ─▶ Growing(step) ─▶ Watching(step) ─┬▶ next step ─▶ Baking ─▶ Draining ─▶ Drained
//!                             │               │           │                 │
//!                             └───────────────┴───────────┴─────────────────┴──▶ Reverting ─▶ Reverted ─▶ Removed
//! ```
//! The plan says what the steps are: `FirstRelease`, or `Stepping` (judged) and then `Ramping`. Blue-green is a canary with
//! one step, of 100 %, and a step of 0 % before it in which the candidate is looked at (`preview`). A shadow has one step,
//! whose weight is that of copies, and ends behind it (`shadow`): Watching ─▶ Leaving ─▶ Kept or Removing. Surveying asks the cluster
//! what fits; where there is no room, the plan lets the candidate grow in the places of stable replicas (`borrow`), and
//! a revert gives them back (`restore`). One of a release is held at the end of its bake until all of them are (`baking`), and then
//! promoted with them.

mod adopt;
mod autoscaler;
mod baking;
mod borrow;
mod choice;
pub(crate) mod claims;
mod cold;
mod draining;
mod evidence;
mod forecast;
mod growing;
mod landing;
mod lending;
mod lost;
mod moves;
mod pace;
mod passing;
mod pause;
mod phases;
mod plan;
mod prepare;
mod preview;
mod ratio;
mod replace;
mod restore;
mod revert;
mod rolling;
mod serving;
mod settle;
mod shadow;
mod share;
mod smaller;
mod stable;
mod survey;
mod swap;
#[cfg(test)]
pub(crate) mod testing;
mod told;
mod watch;
mod watching;
mod way_back;

pub use adopt::Adoption;
pub use autoscaler::{Autoscaler, AutoscalerKind, Scaled};
pub(crate) use baking::is_watched;
pub use choice::{Choice, Question, choose};
pub use claims::Ahead;
pub use forecast::{Forecast, ForecastStep, Site, Timing, forecast};
pub use landing::Landed;
pub(crate) use moves::{leave_lane, promote_held};
pub use pace::look_again;
pub use passing::Inconclusive;
pub use pause::{HELD_WITHIN, Paused};
pub use phases::{Away, Phase, Rollout};
pub use plan::{Plan, PlannedStep, StepKind, plan};
pub(crate) use preview::checked;
pub use preview::{Checks, Preview};
pub use ratio::Ratio;
pub use replace::Replaced;
pub(crate) use revert::revert;
pub(crate) use settle::accepted;
pub use stable::StableSide;
pub use survey::no_requests;
pub(crate) use survey::{sited, survey, surveyed};
pub use told::told;
pub(crate) use watch::{call_people, observe, unreachable};
