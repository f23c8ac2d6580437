//! The local host: the four functions in one process, over SQLite, with queue and timers of its own; and the commands
//! of the binary `weir`.

pub mod cli;
mod dispatch;
mod matching;
mod queue;
mod store;
mod view;
mod words;

pub use dispatch::{Look, Looked, sweep, work};
pub use queue::LocalQueue;
pub use store::{OpenError, SqliteStore};
