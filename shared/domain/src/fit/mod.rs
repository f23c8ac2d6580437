//! Whether replicas of a workload fit into a cluster, before anything is asked of it.
//!
//! Each node is taken as the scheduler takes it: what it offers minus everything that holds resources, pods that are
//! leaving and pods that it is promised to included; taints, selectors, affinity in all directions, spread, ports, quota.
//! Replicas are placed one after another, and where the order can matter that is said. Nothing is evicted.
//!
//! ```text
//!   Snapshot + Ask ──▶ Scene (offers a node, rules between pods) ──▶ orders ──▶ Fit { verdict, placements, reasons }
//! ```
//! Not considered, because only the node itself knows: NUMA topology, the health of a device, whether it can be opened.

mod ask;
mod node;
mod notes;
mod orders;
mod parity;
mod quota;
mod reason;
mod resources;
mod scene;
mod selector;
mod snapshot;
mod verdict;

pub use ask::{Ask, Spread, Toleration};
pub(crate) use node::{Waived, empty_room};
pub use notes::notes;
pub use parity::{Hardware, other_hardware};
pub use reason::Reason;
pub(crate) use resources::Amount;
pub use resources::{CPU, EPHEMERAL, MEMORY, PODS, Resources, is_device};
pub(crate) use scene::What;
pub use selector::{Labels, NodeTerm, PodTerm, Requirement, Selector, Test};
pub use snapshot::{
    Effect, Hold, HostPort, Node, Pod, Quota, QuotaScope, Snapshot, Taint, VolumeReach, Waiting, stable_pods,
};
pub use verdict::{Counted, Fit, Fits, Placement, fit};
pub(crate) use verdict::{fit_if, most_if};

#[cfg(test)]
mod tests;
