//! Clusters: what Weir makes there, changes there, and sees there.
//!
//! A revision is one Deployment and one immutable Service ([`render`]); the user's HTTPRoute names revisions, and its
//! weights change by JSON Patch ([`split`]). Every write carries the resourceVersion of the read that checked the fence,
//! so a writer that was stopped in between is refused (invariant 8). Looks turn pods, route and Kubernetes Jobs into the
//! domain's words ([`pods`], [`route`], [`execution`]).
//!
//! ```text
//!   Effect ──▶ Fleet ──▶ revision / traffic / execution ──▶ Api ──▶ API server
//!   Scenery ◀── scenery ◀── pods, route ◀──────────────────┘
//! ```
//! Weir reads no Secret and starts no program in a pod. Start reading at [`Fleet`].

#![cfg_attr(
    test,
    allow(
        clippy::needless_pass_by_value,
        reason = "tables of tests read better with values"
    )
)]

mod adopt;
mod api;
mod autoscaler;
mod class;
pub mod conformance;
mod connect;
mod execution;
mod fault;
mod fleet;
mod grace;
mod ground;
mod landing;
mod ledger;
mod mirror;
pub mod names;
mod outputs;
mod pods;
mod proxy;
mod ratio;
mod render;
mod revision;
mod rights;
mod route;
mod scenery;
mod site;
pub mod snapshot;
mod split;
mod sticky;
mod traffic;
mod variant;
mod warm_up;

pub use connect::{Access, ConnectError, Gate, Pass, Places};
pub use fleet::Fleet;
pub use render::{SERVICE_PORT, pod_labels};

#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod testing;
