//! The third place in which the handlers run: virtual time, over a world that a file describes.
//!
//! ```text
//! world file ─▶ SimulatedCluster ─┐
//! pipeline ─────▶ run ────────────┤   the real stage-executor and metric-check, the store in memory
//! clock ◀─ next thing that is due ┘   ─▶ timeline
//! ```
//! Nothing waits: the clock jumps to whatever is due next. There is no chance in it: a share of the requests is exactly
//! that share, so the same files always tell the same timeline. What it answers is what Weir would do, and when; what
//! noise does to a verdict is what `make bench-judge` answers.

mod clock;
mod cluster;
mod seed;
mod simulate;
mod stage;
mod world;

pub use clock::{CountedIds, HeldQueue, ManualClock};
pub use cluster::{Behaviour, Outcome, Rates, SimulatedCluster};
pub use simulate::{Moment, SimulateError, Told, simulate};
pub use stage::{History, Nobody};
pub use world::{MetricWorld, Pool, RevisionWorld, TrafficWorld, VariantWorld, WorldFile};
