//! What every pod template is given, whether it was written as a service or as a manifest.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weir_domain::workload::{MetricsEndpoint, Workload};

use super::rules::{gpus, items};
use super::template::Origin;
use crate::definition::{Definition, EnvironmentDef, IsolationDef};

/// The port that inference servers serve on when nobody says otherwise.
pub(super) const DEFAULT_PORT: u16 = 8_000;
/// Where they tell their counters.
pub(super) const DEFAULT_METRICS_PATH: &str = "/metrics";
/// What GPUs are asked by when nobody asks for any.
pub(super) const GPU_RESOURCE: &str = "nvidia.com/gpu";

/// What an environment sets in every pod.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) replicas: Option<u32>,
    pull_policy: Option<String>,
    variables: Vec<(String, String)>,
}

impl Settings {
    pub(super) fn of(definition: &Definition, environment: &EnvironmentDef) -> Self {
        let block = isolation(definition, environment);
        let variables = environment.variables.iter();
        Self {
            replicas: block.and_then(|block| block.replicas),
            pull_policy: block.and_then(|block| block.pull_policy.clone()),
            variables: variables
                .map(|(name, value)| (name.clone(), value.value.clone()))
                .collect(),
        }
    }

    /// Adds variables and pull policy to containers that have none of their own, and the GPU toleration.
    pub(super) fn apply(&self, template: &mut Value) {
        for list in ["containers", "initContainers"] {
            let containers = template["spec"].get_mut(list).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                self.apply_to(container);
            }
        }
        if let (_, Some(resource)) = gpus(template) {
            tolerate(template, &resource);
        }
    }

    fn apply_to(&self, container: &mut Value) {
        if let Some(policy) = &self.pull_policy
            && container["imagePullPolicy"].is_null()
        {
            container["imagePullPolicy"] = json!(policy);
        }
        let own: BTreeSet<String> = items(&container["env"])
            .filter_map(|variable| variable["name"].as_str().map(str::to_owned))
            .collect();
        let added = self.variables.iter().filter(|(name, _)| !own.contains(name));
        let mut all: Vec<Value> = added
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        all.extend(items(&container["env"]).cloned());
        if !all.is_empty() {
            container["env"] = Value::Array(all);
        }
    }
}

/// The isolation block of an environment: by its name, else its name in lower case, else its namespace.
pub(super) fn isolation<'a>(
    definition: &'a Definition,
    environment: &EnvironmentDef,
) -> Option<&'a IsolationDef> {
    let name = environment.name.value.as_str();
    let by = |wanted: &str| {
        definition
            .isolation
            .iter()
            .find(|block| block.name.value == wanted)
    };
    by(name)
        .or_else(|| by(&name.to_ascii_lowercase()))
        .or_else(|| by(&environment.namespace()))
}

/// GPU nodes are usually tainted with the name of what they offer.
fn tolerate(template: &mut Value, resource: &str) {
    let toleration = json!({"key": resource, "operator": "Exists", "effect": "NoSchedule"});
    let known = items(&template["spec"]["tolerations"])
        .any(|t| t["key"] == resource || t == &json!({"operator": "Exists"}));
    if !known {
        let mut all: Vec<Value> = items(&template["spec"]["tolerations"]).cloned().collect();
        all.push(toleration);
        template["spec"]["tolerations"] = Value::Array(all);
    }
}

pub(super) fn workload(
    template: Value,
    config: Vec<Value>,
    replicas: u32,
    port: u16,
    metrics: MetricsEndpoint,
    origin: &Origin<'_>,
) -> Workload {
    let (count, resource) = gpus(&template);
    Workload {
        not_exact: not_exact(&template, origin),
        template,
        config,
        replicas,
        gpus: count,
        gpu_resource: resource.unwrap_or_else(|| GPU_RESOURCE.into()),
        port,
        metrics,
        adopted: None,
    }
}

/// What two revisions may share, so that going back may not bring back what was.
fn not_exact(template: &Value, origin: &Origin<'_>) -> Vec<String> {
    let spec = &template["spec"];
    let mut out = Vec::new();
    let shared: Vec<&str> = items(&spec["volumes"])
        .filter(|volume| {
            ["persistentVolumeClaim", "nfs", "csi"]
                .iter()
                .any(|kind| !volume[kind].is_null())
        })
        .filter_map(|volume| volume["name"].as_str())
        .collect();
    out.extend(
        shared
            .iter()
            .map(|name| format!("volume {name} is shared by revisions")),
    );
    for container in items(&spec["containers"]).chain(items(&spec["initContainers"])) {
        if let Some(image) = container["image"].as_str().filter(|image| !origin.pins(image)) {
            out.push(format!(
                "image {image} has no digest and its tag does not name the commit"
            ));
        }
        for variable in items(&container["env"]) {
            let (Some(name), Some(value)) = (variable["name"].as_str(), variable["value"].as_str()) else {
                continue;
            };
            if name.contains("MODEL") && value.contains("://") && !origin.names_version(value) {
                out.push(format!("model {value} has no digest"));
            }
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}
