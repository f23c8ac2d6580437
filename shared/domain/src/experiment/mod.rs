//! An experiment: variants of one service that run already share its traffic, until the step that measures them ends.
//!
//! ```text
//! Queued ─▶ Surveying ─▶ Warming ─▶ Running ─▶ Ending ─▶ Over
//!                           │                    ▲
//!                           └────────────────────┘
//! ```
//! Consecutive steps that name a variant and its share are one experiment and one mover of the lane. Variants are selected,
//! never made: their Deployments belong to whoever made them and are never written; of Weir there are a Service a variant and
//! the weights of the route. All weights are one write, made once every variant is warm and every step has begun. Traffic then
//! goes back to where it came from: when the measuring ends, when a person, an alarm or a newer push wants it, or when no
//! variant is warm. What each collects stands in `collect`, what it shows in `judge::series`.

mod change;
pub mod collect;
mod compare;
mod end;
mod grouping;
mod kept;
mod look;
mod shares;
mod start;
mod state;
mod steps;

pub(crate) use end::{end, lay_off};
pub use grouping::{leader_of, variants_from};
pub use kept::{Callers, Keep, keep};
pub use look::look_again;
pub(crate) use look::observe;
pub use shares::{Side, shares};
pub(crate) use start::{join, sited};
pub use state::{Ending, Experiment, Phase, variant_revision};
pub(crate) use steps::{settle, take_turns};
