//! What somebody sees who watches the cluster beside the story: Kubernetes Jobs of runs, and what becomes of pods.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use futures::TryStreamExt;
use http::Request;
use kube::Client;
use kube::core::WatchEvent;
use serde_json::Value;
use weir_cluster::names;

use crate::clock::now_ms;
use crate::cluster::BUILDS;

/// What was seen so far.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// When the first Job of each run was seen; milliseconds since 1970.
    jobs: BTreeMap<String, i64>,
    /// Pods of Jobs, by run.
    steps: BTreeMap<String, Steps>,
    /// Production's pods, by unique id.
    pods: BTreeMap<String, Pod>,
}

/// The pods that run the commands of a run.
#[derive(Default)]
struct Steps {
    /// Those that run, by unique id.
    run: BTreeSet<String>,
    /// Most that ran together.
    at_once: usize,
}

/// One of production's pods.
struct Pod {
    revision: String,
    /// It ended, or one of its containers was started again.
    disturbed: bool,
}

impl Seen {
    /// Watches until the cluster ends.
    pub fn follow(&self, client: &Client) {
        let (jobs, steps, pods) = (self.clone(), self.clone(), self.clone());
        let batch = format!("/apis/batch/v1/namespaces/{BUILDS}/jobs");
        let builds = format!("/api/v1/namespaces/{BUILDS}/pods");
        let production = "/api/v1/namespaces/production/pods".to_owned();
        tokio::spawn(watch(client.clone(), batch, move |event| jobs.job(&event)));
        tokio::spawn(watch(client.clone(), builds, move |event| steps.step(&event)));
        tokio::spawn(watch(client.clone(), production, move |event| pods.pod(&event)));
    }

    /// When the first Kubernetes Job of a run was seen; milliseconds since 1970.
    pub fn first_job(&self, run: &str) -> Option<i64> {
        self.known().jobs.get(run).copied()
    }

    /// Most steps of a run whose commands ran at one time.
    pub fn steps_at_once(&self, run: &str) -> usize {
        self.known().steps.get(run).map_or(0, |steps| steps.at_once)
    }

    /// Pods of a revision in production that were seen, and how many of them ended or were started again.
    pub fn pods_disturbed(&self, revision: &str) -> (usize, usize) {
        let known = self.known();
        let of_it = known.pods.values().filter(|pod| pod.revision == revision);
        let disturbed = of_it.clone().filter(|pod| pod.disturbed);
        (of_it.count(), disturbed.count())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().expect("nobody panics while holding it")
    }

    fn job(&self, event: &WatchEvent<Value>) {
        if let WatchEvent::Added(job) = event
            && let Some(run) = job["metadata"]["labels"][names::RUN].as_str()
        {
            self.known().jobs.entry(run.to_owned()).or_insert_with(now_ms);
        }
    }

    fn step(&self, event: &WatchEvent<Value>) {
        let (WatchEvent::Added(pod) | WatchEvent::Modified(pod) | WatchEvent::Deleted(pod)) = event else {
            return;
        };
        let metadata = &pod["metadata"];
        let (Some(run), Some(id)) = (metadata["labels"][names::RUN].as_str(), metadata["uid"].as_str())
        else {
            return;
        };
        let runs = pod["status"]["phase"] == "Running" && !matches!(event, WatchEvent::Deleted(_));
        let mut known = self.known();
        let steps = known.steps.entry(run.to_owned()).or_default();
        match runs {
            true => steps.run.insert(id.to_owned()),
            false => steps.run.remove(id),
        };
        steps.at_once = steps.at_once.max(steps.run.len());
    }

    fn pod(&self, event: &WatchEvent<Value>) {
        let (WatchEvent::Added(pod) | WatchEvent::Modified(pod) | WatchEvent::Deleted(pod)) = event else {
            return;
        };
        let metadata = &pod["metadata"];
        let (Some(id), Some(revision)) = (
            metadata["uid"].as_str(),
            metadata["labels"][names::REVISION].as_str(),
        ) else {
            return;
        };
        let containers = pod["status"]["containerStatuses"]
            .as_array()
            .into_iter()
            .flatten();
        let restarts: u64 = containers
            .filter_map(|container| container["restartCount"].as_u64())
            .sum();
        let leaves = !metadata["deletionTimestamp"].is_null() || matches!(event, WatchEvent::Deleted(_));
        let mut known = self.known();
        let seen = known.pods.entry(id.to_owned()).or_insert_with(|| Pod {
            revision: revision.to_owned(),
            disturbed: false,
        });
        seen.disturbed |= restarts > 0 || leaves;
    }
}

/// Follows a list of objects.
async fn watch(client: Client, path: String, seen: impl Fn(WatchEvent<Value>)) {
    let Ok(request) = Request::get(format!("{path}?watch=1&timeoutSeconds=3600")).body(Vec::new()) else {
        return;
    };
    let Ok(events) = client.request_events::<Value>(request).await else {
        return;
    };
    let mut events = std::pin::pin!(events);
    while let Ok(Some(event)) = events.try_next().await {
        seen(event);
    }
}
