//! What served before a rollout began.

use serde::{Deserialize, Serialize};

use crate::ids::RevisionId;
use crate::lane::Served;
use crate::workload::Adopted;

/// The revision that served before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StableSide {
    /// Which.
    pub revision: RevisionId,
    /// Its replicas when the rollout began: what it has again after a revert.
    pub replicas: u32,
    /// The Deployment that runs it, if Weir did not make that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Adopted>,
}

impl StableSide {
    /// What serves a lane.
    pub fn of(served: &Served) -> Self {
        Self {
            revision: served.revision.clone(),
            replicas: served.workload.replicas,
            adopted: served.workload.adopted.clone(),
        }
    }
}
