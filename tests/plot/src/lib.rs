//! Pictures of the docs, drawn from what was measured: lines over time, one panel above the other.

mod rollout;
mod svg;

pub use rollout::rollout;
pub use svg::{Line, Panel, draw};
