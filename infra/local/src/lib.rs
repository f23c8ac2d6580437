//! The local host: the four functions in one process, over SQLite, with queue and timers of its own; and the commands
//! of the binary `weir`.
//!
//! ```text
//!   GitHub, Slack ──▶ http ──▶ webhook-intake, approval-callback ─┐
//!   weir approve … ─▶ socket ─▶ counter ──────────────────────────┤ commit
//!                                                                 ▼
//!   sweep ──▶ queue ──▶ workers ──▶ stage-executor, metric-check ──▶ SQLite
//! ```
//! Killed at any moment and started again, every run goes on: the store has it, and the sweep brings it back. Start
//! reading at [`up`].

pub mod cli;
mod dispatch;
mod host;
mod protocol;
mod queue;
mod store;
mod view;

pub use dispatch::{Look, Looked, sweep, work};
pub use host::up;
pub use queue::LocalQueue;
pub use store::{OpenError, SqliteStore};
