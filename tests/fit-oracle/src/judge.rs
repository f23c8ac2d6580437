//! What we said, what the scheduler did.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::{Value, json};
use weir_cluster::snapshot::read_cluster;
use weir_domain::fit::{Fit, Fits, fit};

use crate::generate::Case;

/// One case, played.
pub struct Outcome {
    /// What it was made from.
    pub seed: u64,
    /// Replicas that were asked for.
    pub replicas: u64,
    /// Our verdict.
    pub fit: Fit,
    /// Pods that the scheduler, or the quota before it, let through.
    pub placed: u64,
    /// The objects as they were read back, for a look at a disagreement.
    pub list: Value,
    /// The workload.
    pub workload: Value,
}

/// Our verdict on objects that were read back from the cluster.
///
/// # Errors
/// They cannot be read: that is a bug of the reader.
pub fn judge(case: &Case, objects: &[Value]) -> Result<Fit> {
    let cluster = read_cluster(&json!({"kind": "List", "items": objects}))?;
    let workload = cluster.workload(&case.workload, Some(&case.space))?;
    Ok(fit(&cluster.snapshot, &workload.ask, case.replicas))
}

impl Outcome {
    /// A yes that did not place everything.
    pub fn wrong_yes(&self) -> bool {
        self.fit.fits == Fits::Yes && self.placed < self.replicas
    }

    /// A no that placed everything.
    pub fn wrong_no(&self) -> bool {
        self.fit.fits == Fits::No && self.placed >= self.replicas
    }

    /// More or fewer than could be placed at all: it says that a rule is wrong even where the verdict is right.
    pub fn wrong_count(&self) -> bool {
        let (least, most) = (
            self.fit.sure_replicas.min(self.replicas),
            self.fit.max_replicas.min(self.replicas),
        );
        !(least..=most).contains(&self.placed)
    }

    /// Whether the question lay within one replica of the edge.
    pub fn at_the_edge(&self) -> bool {
        self.replicas.abs_diff(self.fit.max_replicas) <= 1
    }

    /// The reasons that any of its nodes had.
    pub fn reasons(&self) -> BTreeSet<&'static str> {
        self.fit
            .reasons
            .iter()
            .map(|counted| counted.reason.code())
            .collect()
    }
}
