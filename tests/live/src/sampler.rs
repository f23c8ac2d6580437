//! Who looks on from outside: route and pods, as the API server shows them, all along.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use weir_cluster::names::revision_name;
use weir_domain::experiment::variant_revision;
use weir_domain::ids::{EnvironmentName, LaneKey, RevisionId, ServiceName};

use crate::api::Api;
use crate::world::World;

/// Time between two samples.
const EVERY: Duration = Duration::from_millis(250);
/// A write rests on what was seen at a look: within this time before it, at the pace of the tests' looks.
const SEEN_WITHIN: Duration = Duration::from_secs(3);
/// A share that warm replicas do not carry any more is corrected within a check interval and 2 s; samples have gaps.
const CORRECTED_WITHIN: Duration = Duration::from_secs(5);

/// What there was at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was taken.
    pub at: Instant,
    /// GPUs that pods on nodes hold.
    pub gpus: u32,
    /// Percent of each backend of the route, copies too.
    shares: BTreeMap<String, u32>,
    /// Ready pods of each.
    warm: BTreeMap<String, u32>,
}

/// Whoever has shares that pods must carry.
#[derive(Clone, Debug)]
pub struct Carriers {
    /// Backends that are new.
    pub new: Vec<String>,
    /// The one that serves; none where the new ones carry everything among them.
    pub stable: Option<String>,
    /// Replicas that carry everything; of an experiment one, because what a variant cannot carry goes to the others.
    pub needed: u32,
}

/// Samples of one service, oldest first, until it is dropped.
pub struct Sampler {
    samples: Arc<Mutex<Vec<Sample>>>,
    taken: watch::Receiver<Option<Instant>>,
    task: JoinHandle<()>,
}

/// The lane of all services here.
pub fn lane() -> LaneKey {
    LaneKey {
        service: ServiceName::new("chat"),
        environment: EnvironmentName::new("Production"),
    }
}

/// The backend of a revision.
pub fn backend(revision: &RevisionId) -> String {
    revision_name(&lane(), revision)
}

/// The backend of a variant.
pub fn variant(version: &str) -> String {
    backend(&variant_revision(&lane(), version))
}

impl Sampler {
    /// Looks on from now on.
    pub fn start(world: &World) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let (admin, route, pods) = (world.admin.clone(), world.route_path(), world.core("pods"));
        let into = samples.clone();
        let (told, taken) = watch::channel(None);
        let task = tokio::spawn(async move {
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                // Nothing is seen while nobody answers.
                if let Ok(sample) = sample(&admin, &route, &pods).await {
                    told.send_replace(Some(sample.at));
                    locked(&into).push(sample);
                }
            }
        });
        Self { samples, taken, task }
    }

    /// Forgets what was seen.
    pub fn restart(&self) {
        locked(&self.samples).clear();
    }

    /// Waits for a sample that began after this.
    ///
    /// # Panics
    /// Never: it looks on until it is dropped.
    pub async fn next(&self) {
        let now = Instant::now();
        let later = |at: &Option<Instant>| at.is_some_and(|at| at > now);
        let mut taken = self.taken.clone();
        taken
            .wait_for(later)
            .await
            .expect("it looks on until it is dropped");
    }

    /// What was seen.
    pub fn samples(&self) -> Vec<Sample> {
        locked(&self.samples).clone()
    }
}

fn locked(samples: &Mutex<Vec<Sample>>) -> MutexGuard<'_, Vec<Sample>> {
    // Nothing in here panics half-way.
    samples.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The route first: a replica that becomes warm after the write was warm at it, or the write was too early.
async fn sample(admin: &Api, route: &str, pods: &str) -> Result<Sample> {
    let at = Instant::now();
    let route = admin.read(route).await?;
    let pods = admin.read(pods).await?;
    let mut sample = Sample {
        at,
        gpus: 0,
        shares: shares(&route["spec"]["rules"][1]),
        warm: BTreeMap::new(),
    };
    for pod in pods["items"].as_array().into_iter().flatten() {
        let over = matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"));
        if !over && pod["spec"]["nodeName"].is_string() {
            let gpus = pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"].as_str();
            sample.gpus += gpus.and_then(|gpus| gpus.parse::<u32>().ok()).unwrap_or(0);
        }
        let labels = &pod["metadata"]["labels"];
        let of_revision = labels["weir.dev/revision"].as_str().map(RevisionId::new);
        let backend = match (&of_revision, labels["version"].as_str()) {
            (Some(revision), _) => backend(revision),
            (None, Some(version)) => variant(version),
            (None, None) => continue,
        };
        *sample.warm.entry(backend).or_insert(0) += u32::from(is_ready(pod));
    }
    Ok(sample)
}

/// Whether a pod is ready, and stays.
pub fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let ready = conditions.is_some_and(|all| {
        all.iter()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    });
    ready && pod["metadata"]["deletionTimestamp"].is_null()
}

/// Percent of each backend of a rule, copies too.
fn shares(rule: &Value) -> BTreeMap<String, u32> {
    let weight = |backend: &Value| backend["weight"].as_u64().unwrap_or(1);
    let backends = rule["backendRefs"].as_array().cloned().unwrap_or_default();
    let all: u64 = backends.iter().map(weight).sum();
    let name = |backend: &Value| backend["name"].as_str().unwrap_or_default().to_owned();
    let percent = |of: u64| u32::try_from(of).unwrap_or(u32::MAX);
    let mut shares: BTreeMap<String, u32> = backends
        .iter()
        .map(|backend| {
            (
                name(backend),
                percent((weight(backend) * 100).div_ceil(all.max(1))),
            )
        })
        .collect();
    for filter in rule["filters"].as_array().into_iter().flatten() {
        let mirror = &filter["requestMirror"];
        if mirror.is_object() {
            let copied = mirror["percent"].as_u64().unwrap_or(100);
            shares.insert(name(&mirror["backendRef"]), percent(copied));
        }
    }
    shares
}

/// Moments at which a new backend had more than its warm replicas carry, in words: written so, or left so for too long.
pub fn above_warm(samples: &[Sample], carriers: &Carriers) -> Vec<String> {
    let mut found = Vec::new();
    for (i, sample) in samples.iter().enumerate() {
        for new in &carriers.new {
            let share = sample.shares.get(new).copied().unwrap_or(0);
            let before = i
                .checked_sub(1)
                .and_then(|before| samples[before].shares.get(new));
            let written = share > before.copied().unwrap_or(0);
            let within = if written { SEEN_WITHIN } else { CORRECTED_WITHIN };
            let carried = carried(&samples[..=i], new, carriers, within);
            if share > carried {
                let how = if written { "written" } else { "left" };
                found.push(format!("{share} % {how} for what carries {carried} %"));
            }
        }
    }
    found
}

/// The most that a backend was to have at any of the last samples. What stable could not carry is the candidate's.
fn carried(samples: &[Sample], new: &str, carriers: &Carriers, within: Duration) -> u32 {
    let Some(last) = samples.last() else { return 0 };
    let percent = |warm: u32| (100 * warm / carriers.needed).min(100);
    let of = |sample: &Sample, backend: &str| percent(sample.warm.get(backend).copied().unwrap_or(0));
    let recent = samples
        .iter()
        .rev()
        .take_while(|sample| last.at - sample.at <= within);
    let may = recent.map(|sample| {
        let rest = carriers
            .stable
            .as_ref()
            .map_or(0, |stable| 100 - of(sample, stable));
        of(sample, new).max(rest)
    });
    may.max().unwrap_or(0)
}
