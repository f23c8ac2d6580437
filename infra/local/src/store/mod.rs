//! The store on SQLite: one table, one transaction a decision, in one file.
//!
//! ```text
//! RUN#<id>       STATE              version, born     the run
//!                EVENT#<n>                            an entry of its log
//!                OUTBOX#<version>#<n>     due, duty   an effect that is not settled
//!                TIMER#<duty>             due, duty   when to look again
//!                SCRAPE#<step>                        what the metrics source wants to see again
//! LANE#<service>#<environment>  STATE     version     the lane
//! PUSH#<pipeline>#<key>         STATE                 the run that a push started
//! APPROVAL#<token>              STATE                 the run that asks
//! NUMBER#<pipeline>             <n>                   the run that has the number
//! ```
//! A commit is durable when it returns: write-ahead log, synced at every transaction. Commits that wait for the same
//! sync share it. What cannot be read as what it must be is an error, never a default.

mod decode;
mod desk;
mod keys;
mod read;
mod schema;
mod sqlite;
mod write;

pub use schema::OpenError;
pub use sqlite::SqliteStore;
