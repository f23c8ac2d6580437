//! Is the candidate bad? Asked after every look, answered with a stated error rate.
//!
//! Everything is a count: how many of how many requests were bad (failed, or slower than a line). Two questions are
//! asked apart: is the candidate's share over its limit, and is it greater than the stable revision's? Each has an
//! *e-value*: the factor by which someone who bets against "no harm" has multiplied the stake. In a fair game that is
//! at most 1 on average, and the chance that it is ever 100 is at most 1 in 100, however often one looks. The mean of
//! e-values is one again, so several metrics need no correction beyond sharing the stake.
//!
//! ```text
//!  block {stable, candidate} ──▶ bursts (how far to trust) ──▶ relative · share · bounds ──▶ step: verdict
//! ```
//! No randomness, sums in a fixed order: the same blocks always give the same verdict. [`step::Judge`] is where to
//! start reading; [`condition`] weighs the conditions of a pipeline.

mod between;
mod bounds;
mod budget;
mod bursts;
pub mod carried;
pub mod condition;
mod curve;
pub mod detector;
pub mod experiment;
pub mod hardware;
pub mod kayenta;
mod metric;
pub mod point;
pub mod power;
pub mod proof;
mod proportion;
pub mod ranks;
mod ratio;
mod recent;
mod relative;
mod root;
mod said;
pub mod series;
mod share;
pub mod special;
pub mod split;
mod standing;
mod step;
mod tally;
pub mod watching;
mod windowed;
pub mod words;

pub use bounds::RatioBounds;
pub use budget::{ALPHA, Alpha};
pub use bursts::Bursts;
pub use condition::{Evidence, weigh};
pub use metric::{Asked, Metric, Shown};
pub use ratio::{ln_e_by_arm, ln_e_two_by_two};
pub use relative::Relative;
pub use share::{ln_e_over, ln_e_under, share_bounds};
pub use standing::{Standing, Stands};
pub use step::{Judge, Question, Verdict};
pub use tally::{Arms, Tally};
pub use windowed::{Side, Windowed};

use serde::{Deserialize, Serialize};

/// What promotion needs at the end of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promote {
    /// Enough requests, no harm shown, the share within the limit; labelled with the smallest harm it could have seen.
    #[default]
    Article,
    /// Shown to be within the margin of stable and under the limit.
    Proven,
}
