//! Pure decisions of Weir: what a run, a rollout, an approval and a lane do next.
//!
//! No I/O, clock, randomness, async, cloud or cluster in here (invariant 1). Time, tokens and limits are arguments;
//! what the world looks like arrives as an observation; what is to be done leaves as effects, values that an executor
//! elsewhere performs.
//!
//! ```text
//!   Event ──▶ decide(&State, &Event, &Moment) ──▶ Decision { next, effects, notes, reply }
//!                     ▲
//!   wants(&State) ────┘  what to look at before the next decision;  next_look(&State)  when
//! ```
//! Start reading at [`decide()`]; the rollout's own machine is [`rollout`].

pub mod approval;
pub mod audit;
pub mod budget;
pub mod condition;
pub mod deadlines;
mod decide;
mod differences;
pub mod digest;
pub mod effect;
pub mod event;
pub mod experiment;
pub mod fit;
pub mod ids;
pub mod json;
pub mod judge;
pub mod ladder;
pub mod lane;
pub mod people;
pub mod pipeline;
pub mod pool;
pub mod rollout;
pub mod run;
pub mod seen;
pub mod strategy;
pub mod time;
pub mod undo;
pub mod units;
pub mod workload;

pub use decide::{Decision, Duty, Refused, Rejected, Reply, Wanted, begin, decide, next_look, refuse, wants};
