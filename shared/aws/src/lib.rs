//! The ports on AWS: state in DynamoDB, hints in SQS, long delays in EventBridge Scheduler, clusters in EKS,
//! and proofs of who a function is for clusters elsewhere.
//!
//! ```text
//!              commit                       hint, within 15 minutes
//!   engine ───────────▶ DynamoDB     engine ────────────────────────▶ SQS ──▶ function
//!              due                          hint, later                ▲
//!   sweep  ◀─────────── DynamoDB     engine ─────▶ EventBridge Scheduler
//! ```
//! The table is the truth. A message only makes somebody look, so it may come twice, late, out of order or never; the
//! sweep reads what is due and sends it again (invariants 6 and 7). Nothing here decides anything, and nothing knows
//! Lambda: the functions do.

pub mod config;
pub mod eks;
pub mod identity;
pub mod queue;
pub mod store;
pub mod whereabouts;

pub use eks::Eks;
pub use identity::Identity;
pub use queue::SqsQueue;
pub use store::DynamoStore;
pub use whereabouts::Whereabouts;
