//! The loop that every function runs, and the ports it runs over, in the domain's words.
//!
//! ```text
//!   hint ─▶ look ─▶ load ─▶ decide ─▶ commit ─▶ perform
//!                    ▲                  │ conflict
//!                    └──────────────────┘
//! ```
//! A commit is one transaction: the run, its lanes, its log, the outbox and the next look. What is in the outbox is
//! performed at once by whoever may, and again by the next who looks, until it is settled. So a crash anywhere costs
//! time and nothing else (invariants 6 to 8).

mod causes;
mod changed;
pub mod door;
mod engine;
mod experiment;
mod hand;
mod headers;
mod machine;
pub mod names;
mod perform;
mod ports;
mod retry;
mod secret;
mod see;
mod start;
mod store;
mod together;
mod undo;

pub use causes::with_causes;
pub use engine::{Engine, HandleError, Handled};
pub use headers::Headers;
pub use machine::{RandomIds, SystemClock};
pub use perform::{Rights, performed_by_traffic};
pub use ports::{
    Clock, Clusters, Counting, EffectError, Ids, Measured, People, Placed, PodRef, Ports, Proxy, ProxyError,
    Queue, Scenery, Source, SourceError, SourceFile, Traffic, VariantScenery,
};
pub use retry::{Classified, Retry};
pub use secret::Secret;
pub use start::{Start, StartError, Started, run_id};
pub use store::{Commit, EffectKey, Loaded, Lookout, OutboxRow, Scrape, Store, StoreError, memory};
pub use together::Together;
pub use undo::UndoError;
