//! Live load: requests start on schedule whatever the answers are, and every bad answer is counted.
//!
//! ```text
//! schedule ──► request ──► outcome ──► book ──┬─► one line a second
//!                                             └─► GET /totals, per mark
//! ```
//!
//! A request ends in exactly one of three ways: `ok`, `failed` (no answer, or not a 2xx) or `cut` (an answer that
//! began with 2xx and did not reach its end). At any moment `sent = ok + failed + cut + in_flight`.

mod book;
mod drive;
mod options;
mod quantiles;
mod request;
mod stats;

pub use book::{Book, Failure, Outcome};
pub use drive::drive;
pub use options::{Options, OptionsError, Range, Target, parse_duration};
pub use stats::Stats;
