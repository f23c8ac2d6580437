//! A workload as what is to be placed: a Pod, anything with a pod template, or a bare template.

use serde_json::{Map, Value, json};
use weir_domain::fit::{Ask, NodeTerm, Resources, Selector, VolumeReach};

use super::pod::{host_ports, limits, namespace, new_labels, requests};
use super::quantity::amount;
use super::terms::{items, labels, node_terms, pod_terms, selector, spread, text, tolerations};
use super::{Context, MAX_REPLICAS, SnapshotError};

/// What a GPU's memory must be at least, where the workload says it: `weir.dev/gpu-memory: 40Gi`.
const GPU_MEMORY: &str = "weir.dev/gpu-memory";

/// A workload, and how many replicas its own object asks for.
pub struct WorkloadFile {
    /// One replica.
    pub ask: Ask,
    /// `spec.replicas`.
    pub replicas: Option<u64>,
    /// Its pod template, as a Deployment of Weir would have it.
    pub template: Value,
}

/// Reads a workload that is to be placed into a cluster.
pub(super) fn read(
    object: &Value,
    wanted_in: Option<&str>,
    context: &Context<'_>,
) -> Result<WorkloadFile, SnapshotError> {
    let object = match object["kind"].as_str() {
        Some("List") => one_of(object)?,
        _ => object,
    };
    let controlled = object["spec"]["template"]["spec"].is_object();
    let template = match () {
        () if controlled => &object["spec"]["template"],
        // A `PodTemplate`.
        () if object["template"]["spec"].is_object() => &object["template"],
        () => object,
    };
    if template["spec"]["containers"]
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        let kind = object["kind"]
            .as_str()
            .unwrap_or("an object without kind")
            .to_owned();
        return Err(SnapshotError::Workload { kind });
    }
    let space = wanted_in.map_or_else(|| namespace(&object["metadata"]), str::to_owned);
    let mut name = text(&object["metadata"]["name"]);
    if name.is_empty() {
        "workload".clone_into(&mut name);
    }
    let mut pod = defaulted(template, &space, context);
    let meta = map(&mut pod["metadata"]);
    let labels = serde_json::to_value(new_labels(template, controlled)).unwrap_or_default();
    meta.insert("labels".into(), labels);
    meta.insert("namespace".into(), json!(space));
    meta.insert("name".into(), json!(name));
    let requests = requests(&pod["spec"], &Value::Null, &format!("workload {name}"))?;
    let mut ask = ask_of_pod(&pod, requests, context)?;
    ask.stable = match selector(&object["spec"]["selector"])? {
        Some(own) if controlled && !own.0.is_empty() => Some(own),
        _ => own_labels(template),
    };
    Ok(WorkloadFile {
        replicas: replicas(&object["spec"]["replicas"], &ask.name)?,
        ask,
        template: template.clone(),
    })
}

fn replicas(written: &Value, name: &str) -> Result<Option<u64>, SnapshotError> {
    let found = written.as_u64().filter(|replicas| *replicas <= MAX_REPLICAS);
    match (written, found) {
        (Value::Null, _) => Ok(None),
        (_, Some(found)) => Ok(Some(found)),
        _ => Err(SnapshotError::Replicas {
            of: format!("workload {name}"),
            found: written.to_string(),
        }),
    }
}

fn one_of(list: &Value) -> Result<&Value, SnapshotError> {
    let holds = |object: &&Value| !object["spec"]["template"].is_null() || object["kind"] == "Pod";
    let mut found = items(&list["items"]).filter(holds);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(SnapshotError::Workload {
            kind: "a List without one".into(),
        }),
        _ => Err(SnapshotError::Workload {
            kind: "a List of several".into(),
        }),
    }
}

fn own_labels(template: &Value) -> Option<Selector> {
    let own = &template["metadata"]["labels"];
    let any = own.as_object().is_some_and(|map| !map.is_empty());
    selector(&json!({ "matchLabels": own }))
        .ok()
        .flatten()
        .filter(|_| any)
}

/// A pod as the API server would make it from a template: what the namespace and the classes add.
fn defaulted(template: &Value, space: &str, context: &Context<'_>) -> Value {
    let mut pod = template.clone();
    let spec = &mut pod["spec"];
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            context.apply_limit_ranges(space, container);
        }
    }
    if let Some(class) = context.runtime_class(&spec["runtimeClassName"]) {
        spec["overhead"] = class["overhead"]["podFixed"].clone();
        for (key, value) in class["scheduling"]["nodeSelector"]
            .as_object()
            .into_iter()
            .flatten()
        {
            map(&mut spec["nodeSelector"]).insert(key.clone(), value.clone());
        }
        let more: Vec<Value> = items(&class["scheduling"]["tolerations"]).cloned().collect();
        let all: Vec<Value> = items(&spec["tolerations"]).cloned().chain(more).collect();
        spec["tolerations"] = Value::Array(all);
    }
    let (class, priority) = context.priority(&spec["priorityClassName"]);
    spec["priorityClassName"] = json!(class);
    if spec["priority"].is_null() {
        spec["priority"] = json!(priority);
    }
    pod
}

/// What a pod would ask for if it were placed now.
pub(super) fn ask_of_pod(
    pod: &Value,
    requests: Resources,
    context: &Context<'_>,
) -> Result<Ask, SnapshotError> {
    let (meta, spec) = (&pod["metadata"], &pod["spec"]);
    let (space, name) = (namespace(meta), text(&meta["name"]));
    let own = labels(&meta["labels"]);
    let affinity = &spec["affinity"];
    let required = &affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let mut requests = requests;
    let mut blocked: Vec<String> = items(&spec["schedulingGates"])
        .map(|gate| format!("held back by scheduling gate {}", text(&gate["name"])))
        .collect();
    match context.devices.wanted(spec, &space) {
        Ok(devices) => requests.add(&devices),
        Err(why) => blocked.push(why),
    }
    let volumes = context.volumes(spec, &space)?;
    Ok(Ask {
        limits: limits(spec, &format!("pod {space}/{name}"))?,
        tolerations: tolerations(&spec["tolerations"]),
        node_selector: labels(&spec["nodeSelector"]),
        node_affinity: (!required.is_null()).then(|| node_terms(required)).transpose()?,
        affinity: pod_terms(&affinity["podAffinity"], &space, &own)?,
        anti_affinity: pod_terms(&affinity["podAntiAffinity"], &space, &own)?,
        spread: spread(&spec["topologySpreadConstraints"], &own)?,
        ports: host_ports(spec),
        priority: spec["priority"]
            .as_i64()
            .and_then(|n| i32::try_from(n).ok())
            .unwrap_or(0),
        priority_class: text(&spec["priorityClassName"]),
        deadline: !spec["activeDeadlineSeconds"].is_null(),
        volumes,
        gpu_memory_mib: gpu_memory(meta),
        blocked,
        stable: None,
        labels: own,
        namespace: space,
        name,
        requests,
    })
}

fn gpu_memory(meta: &Value) -> Option<u64> {
    let bytes = amount("memory", &meta["annotations"][GPU_MEMORY])?;
    u64::try_from(bytes / (1 << 20)).ok()
}

impl Context<'_> {
    /// Where the bound volumes of a pod can be reached from. A claim that is not bound yet follows the pod.
    fn volumes(&self, spec: &Value, space: &str) -> Result<Vec<VolumeReach>, SnapshotError> {
        let mut out = Vec::new();
        for volume in items(&spec["volumes"]) {
            let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() else {
                continue;
            };
            let Some(object) = self.named("PersistentVolumeClaim", Some(space), claim) else {
                // Without any claim in the snapshot nothing can be said; with some, a missing one keeps the pod waiting.
                if self.has("PersistentVolumeClaim") {
                    out.push(VolumeReach {
                        claim: claim.to_owned(),
                        nodes: Vec::new(),
                    });
                }
                continue;
            };
            let bound = object["spec"]["volumeName"].as_str();
            let volume = bound.and_then(|name| self.named("PersistentVolume", None, name));
            let reach = volume.map(|volume| &volume["spec"]["nodeAffinity"]["required"]);
            if let Some(required) = reach.filter(|required| !required.is_null()) {
                let nodes: Vec<NodeTerm> = node_terms(required)?;
                out.push(VolumeReach {
                    claim: claim.to_owned(),
                    nodes,
                });
            }
        }
        Ok(out)
    }

    fn runtime_class(&self, name: &Value) -> Option<&Value> {
        self.named("RuntimeClass", None, name.as_str()?)
    }

    /// Name and value of a priority class; the built-in ones are known without being given.
    fn priority(&self, name: &Value) -> (String, i64) {
        let class = match name.as_str().filter(|name| !name.is_empty()) {
            Some("system-cluster-critical") => return ("system-cluster-critical".into(), 2_000_000_000),
            Some("system-node-critical") => return ("system-node-critical".into(), 2_000_001_000),
            Some(name) => match self.named("PriorityClass", None, name) {
                Some(class) => Some(class),
                None => return (name.to_owned(), 0),
            },
            None => self
                .of_kind("PriorityClass")
                .find(|class| class["globalDefault"] == true),
        };
        class.map_or_else(Default::default, |class| {
            (
                text(&class["metadata"]["name"]),
                class["value"].as_i64().unwrap_or(0),
            )
        })
    }

    /// Fills in the requests and limits that the namespace gives to containers without.
    fn apply_limit_ranges(&self, space: &str, container: &mut Value) {
        let ranges = self
            .of_kind("LimitRange")
            .filter(|range| range["metadata"]["namespace"] == space);
        let limits = ranges.flat_map(|range| items(&range["spec"]["limits"]));
        for limit in limits.filter(|limit| limit["type"] == "Container") {
            let resources = map(map(container).entry("resources").or_insert(Value::Null));
            // A limit of its own is a request before the namespace is asked.
            let own = resources.get("limits").cloned().unwrap_or_default();
            fill(resources, "requests", &own);
            fill(resources, "limits", &limit["default"]);
            fill(resources, "requests", &limit["defaultRequest"]);
        }
    }
}

/// Adds the entries that are not there yet to a list of resources.
fn fill(resources: &mut Map<String, Value>, list: &str, with: &Value) {
    let list = map(resources.entry(list).or_insert(Value::Null));
    for (name, value) in with.as_object().into_iter().flatten() {
        let entry = list.entry(name.clone()).or_insert(Value::Null);
        if entry.is_null() {
            *entry = value.clone();
        }
    }
}

/// A value as the mapping that Kubernetes has there; what is none counts as nothing.
fn map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was made one")
}
