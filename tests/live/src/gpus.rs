//! What DCGM's exporter says of the GPUs of pods, as a server that speaks Prometheus's language has it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use weir_emulators::{Heard, Played};
use weir_metrics::provider::{Authorization, Prometheus};

/// Counters by pod and by the name of the series.
type Said = BTreeMap<String, BTreeMap<&'static str, u64>>;

/// The server. A pod that it never heard of has no GPU.
pub struct Exporter {
    played: Played,
    said: Arc<Mutex<Said>>,
}

impl Exporter {
    /// Serves, and knows no pod yet.
    pub async fn serve() -> Self {
        let said = Arc::<Mutex<Said>>::default();
        let known = said.clone();
        let played = Played::serve(move |heard| (200, answer(&locked(&known), heard).to_string())).await;
        Self { played, said }
    }

    /// From now on a series of a pod's GPU stands at this.
    pub fn say(&self, pod: &str, series: &'static str, value: u64) {
        let mut said = locked(&self.said);
        said.entry(pod.to_owned()).or_default().insert(series, value);
    }

    /// The source that asks it.
    ///
    /// # Panics
    /// Never: its address may be called.
    pub fn source(&self) -> Prometheus {
        Prometheus::new(&self.played.url, Authorization::None).expect("this machine may be called")
    }

    /// The queries that it was asked so far.
    pub fn queries(&self) -> Vec<String> {
        let all = self.played.heard();
        all.iter().map(query).collect()
    }
}

fn locked(said: &Mutex<Said>) -> MutexGuard<'_, Said> {
    // Nothing in here panics half-way.
    said.lock().unwrap_or_else(PoisonError::into_inner)
}

fn query(heard: &Heard) -> String {
    heard.form().remove("query").unwrap_or_default()
}

/// The series that a query selects by `__name__` and `pod`, as Prometheus answers one moment.
fn answer(said: &Said, heard: &Heard) -> Value {
    let query = query(heard);
    let of_pod = |pod: &str| {
        let asked = query.split("pod=~\"").skip(1);
        let mut names = asked.filter_map(|rest| rest.split(".*\"").next());
        names.any(|name| pod.starts_with(name))
    };
    let series = said.iter().filter(|(pod, _)| of_pod(pod)).flat_map(|(pod, all)| {
        let asked = all.iter().filter(|(name, _)| {
            let short = name.strip_prefix("DCGM_FI_DEV_").unwrap_or(name);
            query.contains(short)
        });
        asked.map(move |(name, value)| {
            json!({
                "metric": {
                    "__name__": name, "pod": pod, "container": "server", "UUID": format!("GPU-of-{pod}"), "gpu": "0",
                    "device": "nvidia0", "modelName": "NVIDIA L40S",
                },
                "value": [1_764_072_000.0, value.to_string()],
            })
        })
    });
    let result: Vec<Value> = series.collect();
    json!({"status": "success", "data": {"resultType": "vector", "result": result}})
}
