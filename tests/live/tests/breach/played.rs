//! Metrics that are played: every candidate is as good as stable until all of them fail every request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use weir_app::{Counting, Placed, Traffic};
use weir_domain::ids::{RevisionId, StepId};
use weir_domain::run::Run;
use weir_domain::seen::{Counts, TrafficSeen};

/// Requests of a service between two looks.
const REQUESTS: u64 = 1_000;

/// The source. What it counted stands in the scrape, as that of a real one does.
#[derive(Default)]
pub(crate) struct Played {
    breached: AtomicBool,
}

impl Played {
    /// From now on every candidate fails.
    pub(crate) fn breach(&self) {
        self.breached.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Traffic for Played {
    async fn count(&self, run: &Run, step: StepId, _: &Placed, before: Option<&Value>) -> Counting {
        let mut counts: BTreeMap<RevisionId, Counts> = before
            .and_then(|value| serde_json::from_value(value.clone()).ok())
            .unwrap_or_default();
        if let Some(rollout) = run.rollout(step) {
            let weight = u64::from(rollout.weight.percent());
            let failed = if self.breached.load(Ordering::Relaxed) {
                1
            } else {
                0
            };
            if let Some(stable) = &rollout.stable {
                add(&mut counts, &stable.revision, REQUESTS / 100 * (100 - weight), 0);
            }
            add(&mut counts, &rollout.candidate, REQUESTS / 100 * weight, failed);
        }
        let scrape = Some(json!(counts));
        let seen = TrafficSeen::Counts(counts);
        Counting {
            seen,
            scrape,
            replicas: BTreeMap::new(),
        }
    }
}

fn add(counts: &mut BTreeMap<RevisionId, Counts>, revision: &RevisionId, requests: u64, failed: u64) {
    let own = counts.entry(revision.clone()).or_default();
    own.started += requests;
    own.requests += requests;
    own.bad += requests * failed;
}
