//! What Weir knows of GitHub.
//!
//! Inwards: a webhook request is authenticated on its raw bytes ([`signature`]), then read ([`delivery`], [`push`]),
//! then held against a pipeline's trigger ([`filter`]), which answers with a reason either way.
//! Outwards: files of the pushed commit ([`local`], [`api`]) and commit statuses back ([`status`]).
//!
//! ```text
//! headers + bytes ──▶ signature ──▶ delivery ──▶ push ──▶ filter ──▶ run or ignored, with a reason
//!                                                  │
//!                     .weir/*.yaml at that commit ◀┴─▶ commit status
//! ```
//! Everything up to the filter is pure: no I/O, no clock. This crate never clones a repository, never follows a link
//! inside a commit, and never talks to a host other than the one it was configured with.

pub mod limits;

pub mod names;

mod key;
pub mod signature;

pub mod delivery;
mod json;
pub mod push;

pub mod filter;
pub mod glob;

pub mod source;

pub mod api;
pub mod local;
pub mod status;

mod repositories;

pub use api::{ApiError, GitHubApi};
pub use delivery::{Delivery, DeliveryError, Event, Ping};
pub use filter::{Answer, Filter, FilterSpec, InvalidFilter};
pub use key::Key;
pub use local::LocalRepository;
pub use names::{CommitSha, GitRef, InvalidName, RepositoryName};
pub use push::Push;
pub use repositories::Repositories;
pub use signature::{Refused, Verified, verify};
pub use source::{Relation, RepositoryPath, Retry, SourceError, SourceFile};
pub use status::{CommitState, CommitStatus};
pub use weir_app::{Headers, Secret};
