//! Pictures of the docs, drawn from what was measured: lines over time, one panel above the other.

mod course;
mod log;
mod svg;

pub use course::{Course, Steps};
pub use log::{experiment, lost_by_second, rollout};
pub use svg::{Line, Panel, draw};
