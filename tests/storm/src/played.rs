//! Counters that are read and not believed: what a look costs is real, and what it finds is played.
//!
//! The gateway's counters come from the gateway, through the API server. Pods are pretended, so a page of theirs is too. What
//! was read goes through the direct source as always; in its place stand counts by which every candidate is as good as
//! stable, until it breaches: then every request to it fails.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Value, json};
use weir_app::{Clock, Counting, Placed, PodRef, Proxy, ProxyError, SystemClock, Traffic};
use weir_cluster::Fleet;
use weir_domain::ids::{ClusterName, RevisionId, RunId, StepId};
use weir_domain::run::Run;
use weir_domain::seen::{Counts, TrafficSeen};
use weir_domain::time::Timestamp;
use weir_metrics::Direct;

/// Requests of a service between two looks.
const REQUESTS: u64 = 1_000;
/// Where pods of the services tell their metrics; the gateway's tell them elsewhere.
const POD_PORT: u16 = 8000;
/// Edges of the histogram of a pod, in tenths of a second: as many as vLLM's has.
const EDGES: u64 = 22;

/// The source. What it counted stands in the scrape, as that of a real one does.
pub(crate) struct Played {
    direct: Direct,
    /// Runs whose candidates fail, and when the source said so first.
    breached: Mutex<BTreeMap<RunId, Option<Timestamp>>>,
}

impl Played {
    /// Reads the gateway with the rights of this fleet.
    pub(crate) fn new(fleet: Arc<Fleet>) -> Self {
        Self {
            direct: Direct::new(Arc::new(Pages { fleet, pod: page() })),
            breached: Mutex::default(),
        }
    }

    /// From now on the candidates of these runs fail.
    pub(crate) fn breach(&self, runs: &[RunId]) {
        let runs = runs.iter().map(|run| (run.clone(), None));
        self.breached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(runs);
    }

    /// When the source first said that a run's candidate fails.
    pub(crate) fn told(&self, run: &RunId) -> Option<Timestamp> {
        let breached = self.breached.lock().unwrap_or_else(PoisonError::into_inner);
        *breached.get(run)?
    }

    fn play(&self, run: &Run, step: StepId, counts: &mut BTreeMap<RevisionId, Counts>) {
        let Some(rollout) = run.rollout(step) else { return };
        let weight = u64::from(rollout.weight.percent());
        let mut breached = self.breached.lock().unwrap_or_else(PoisonError::into_inner);
        let told = breached.get_mut(&run.id);
        let failed = u64::from(told.is_some());
        if let Some(told) = told {
            told.get_or_insert_with(|| SystemClock.now());
        }
        if let Some(stable) = &rollout.stable {
            add(counts, &stable.revision, REQUESTS / 100 * (100 - weight), 0);
        }
        add(counts, &rollout.candidate, REQUESTS / 100 * weight, failed);
    }
}

#[async_trait]
impl Traffic for Played {
    async fn count(&self, run: &Run, step: StepId, placed: &Placed, before: Option<&Value>) -> Counting {
        let of = |key: &str| before.and_then(|before| before.get(key));
        let read = self.direct.count(run, step, placed, of("read")).await;
        if let TrafficSeen::SourceError(_) = read.seen {
            return Counting {
                scrape: before.cloned(),
                ..read
            };
        }
        let counts = of("played").and_then(|value| serde_json::from_value(value.clone()).ok());
        let mut counts = counts.unwrap_or_default();
        self.play(run, step, &mut counts);
        Counting {
            scrape: Some(json!({"read": read.scrape, "played": counts})),
            seen: TrafficSeen::Counts(counts),
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

/// Pages of the gateway as they are, and of pretended pods.
struct Pages {
    fleet: Arc<Fleet>,
    pod: String,
}

#[async_trait]
impl Proxy for Pages {
    async fn get(
        &self,
        cluster: &ClusterName,
        pod: &PodRef,
        port: u16,
        path: &str,
        limit: usize,
    ) -> Result<String, ProxyError> {
        if port == POD_PORT {
            return Ok(self.pod.clone());
        }
        self.fleet.get(cluster, pod, port, path, limit).await
    }
}

/// What a server that has answered nothing yet says.
fn page() -> String {
    let mut page = String::from("# TYPE vllm:time_to_first_token_seconds histogram\n");
    for edge in 1..=EDGES {
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "vllm:time_to_first_token_seconds_bucket{{engine=\"0\",le=\"{}.{}\",model_name=\"model\"}} 0.0",
            edge / 10,
            edge % 10
        );
    }
    page.push_str("vllm:time_to_first_token_seconds_count{engine=\"0\",model_name=\"model\"} 0.0\n");
    page
}
