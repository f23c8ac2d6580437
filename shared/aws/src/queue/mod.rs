//! Hints on SQS, and what a function does with a batch of them.
//!
//! ```text
//!   hint ──▶ within 15 min: SQS, delayed ─────────────▶ batch ──▶ look
//!        └─▶ later: a schedule, then SQS at its time        │ unreadable, or can never succeed
//!                                                           ▼
//!                                              dead letters, with the reason ──▶ redrive
//! ```
//! | Queue | retry | order | duplicate | dead letter | owner |
//! |---|---|---|---|---|---|
//! | steps | visibility timeout | none | harmless | after `maxReceiveCount`, or at once with a reason | stage-executor |
//! | traffic | visibility timeout | none | harmless | the same | metric-check |
//!
//! Each hint is one request: a request for ten that partly fails has no success to be mistaken for. Nothing rests on a
//! message that arrives: what is due stands in the store (invariant 7).

mod batch;
mod letters;
mod message;
mod schedule;
mod sqs;
mod trace;

pub use batch::{BatchResponse, Failure, Parking, Record, records, work};
pub use letters::{DeadLetters, QueueError, Redriven};
pub use message::{Message, Unreadable};
pub use schedule::{EventBridge, Schedule, ScheduleError, Schedules};
pub use sqs::{Address, SqsQueue};
pub use trace::{current as current_trace, traced};
