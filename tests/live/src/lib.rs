//! The kit of the live tests: one real control plane for all of them, a namespace and identities for each.
//!
//! ```text
//!   test ──▶ World ── identities of infra/cluster ──▶ Fleet ──▶ API server of tests/cluster
//!     │                                         writer ─▶ Gate ─▶ │
//!     └──── administrator ────────────────────────────────────────┘
//! ```
//! Nothing here is a double: pods are processes, the gateway is Envoy, rights and admission policy are the files that a
//! platform engineer applies. What cannot be started fails the tests; nothing is skipped. Start reading at [`World`].

mod api;
mod asked;
mod clock;
mod cluster;
mod course;
mod eks;
mod gate;
mod git;
mod gpus;
mod host;
mod identity;
mod jwt;
mod load;
mod log;
mod manifests;
mod process;
mod run;
mod sampler;
mod stage;
mod wait;
mod world;

pub use api::{Answer, Api};
pub use asked::{asked, asked_text};
pub use clock::{ShiftedClock, WallClock};
pub use cluster::{Cluster, GPUS_OF_A_NODE, Nodes, SIMULATOR, another, built, root, shared, shared_with};
pub use course::{effective_ms, failed_by_version_alone, first_step_in_effect, picture, replaced, rollout};
pub use eks::{EKS_CLUSTER, Eks, STRANGER, refusal};
pub use gate::{Fault, Gate, Held, Passed};
pub use git::{GitServer, commit_model};
pub use gpus::Exporter;
pub use host::Host;
pub use identity::{Identity, Role};
pub use jwt::{AUDIENCE, ISSUER, Signer, claims, federated, issuing, role, signed};
pub use load::{Load, Mix};
pub use log::raised_after_revert;
pub use process::{Process, Writer};
pub use run::{PLUGIN, ROLLOUT, Shape};
pub use sampler::{Carriers, Sample, Sampler, above_warm, backend, is_ready, lane, variant};
pub use stage::{REPLICAS, Stage, change_rules};
pub use wait::{eventually, soon};
pub use world::World;
