//! A cluster as `kubectl get -o json` prints it, in the domain's words.
//!
//! Nodes and pods are what a snapshot needs; Namespaces, ResourceQuotas, PodDisruptionBudgets, PriorityClasses, LimitRanges, RuntimeClasses,
//! volumes and claims, and the objects of device claims are used where they are present. Other kinds are ignored.

mod ask;
mod budget;
mod devices;
mod pod;
mod quantity;
mod terms;

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use weir_domain::fit::{Node, Quota, QuotaScope, Snapshot, Test};

pub use ask::WorkloadFile;
use devices::Devices;
use pod::Seen;
use quantity::amount;
pub(crate) use terms::items;
use terms::{labels, taints, text};

/// Why a snapshot or a workload cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is no list of objects.
    #[error("found {found}, expected a List of objects as `kubectl get nodes,pods -A -o json` prints it")]
    Shape {
        /// What it is instead.
        found: String,
    },
    /// There is no node in it.
    #[error("no Node among {objects} objects; give the output of `kubectl get nodes,pods -A -o json`")]
    NoNodes {
        /// How many objects there are.
        objects: usize,
    },
    /// An amount that is none.
    #[error("cannot read {text} as an amount of {resource} of {of}: expected {expected}")]
    Quantity {
        /// The resource.
        resource: String,
        /// Whose.
        of: String,
        /// What is written.
        text: String,
        /// What was expected.
        expected: &'static str,
    },
    /// Replicas that nobody can have.
    #[error("{of} asks for {found} replicas: expected 0 to {MAX_REPLICAS}")]
    Replicas {
        /// Whose.
        of: String,
        /// What is written.
        found: String,
    },
    /// A node that cannot be told from others.
    #[error("a Node without a name among the objects")]
    Unnamed,
    /// Two different objects that are the same one.
    #[error("{kind} {name} stands twice, and not alike; give one output of `kubectl get` alone")]
    Twice {
        /// What it is.
        kind: &'static str,
        /// Its name, with its namespace.
        name: String,
    },
    /// A requirement that is none.
    #[error(
        "cannot read the requirement `{key} {operator} {values:?}`; expected In, NotIn, Exists, DoesNotExist, or Gt or Lt with one whole number"
    )]
    Operator {
        /// The label.
        key: String,
        /// The operator as written.
        operator: String,
        /// Its values.
        values: Vec<String>,
    },
    /// No pod can be made of it.
    #[error("found {kind}, expected a Pod, a pod template, or an object with one, such as a Deployment")]
    Workload {
        /// What it is.
        kind: String,
    },
}

/// Replicas of a workload at most; a cluster has fewer pods.
pub const MAX_REPLICAS: u64 = 100_000;

/// Objects of a snapshot that explain others.
pub struct ClusterFile {
    /// Nodes and what holds them.
    pub snapshot: Snapshot,
    objects: Objects,
}

/// Reads a List, or several concatenated ones given as an array.
///
/// # Errors
/// The first thing that cannot be read.
pub fn read_cluster(list: &Value) -> Result<ClusterFile, SnapshotError> {
    let objects = Objects::gather(list)?;
    let context = Context::new(&objects);
    let mut snapshot = Snapshot {
        namespaces: context
            .of_kind("Namespace")
            .map(|space| {
                let name = text(&space["metadata"]["name"]);
                let mut own = labels(&space["metadata"]["labels"]);
                // The API server puts it on every namespace.
                own.insert("kubernetes.io/metadata.name".into(), name.clone());
                (name, own)
            })
            .collect(),
        quotas: context
            .of_kind("ResourceQuota")
            .map(quota)
            .collect::<Result<_, _>>()?,
        budgets: context
            .of_kind("PodDisruptionBudget")
            .map(budget::budget)
            .collect::<Result<_, _>>()?,
        unknown: context.devices.unknown.iter().cloned().collect(),
        ..Snapshot::default()
    };
    for object in context.once("Node")? {
        snapshot.nodes.push(node(object, &context)?);
    }
    if snapshot.nodes.is_empty() {
        return Err(SnapshotError::NoNodes {
            objects: objects.all.len(),
        });
    }
    for object in context.once("Pod")? {
        match pod::read(object, &context)? {
            Seen::Holds(pod) => snapshot.pods.push(*pod),
            Seen::Waits(waiting) => snapshot.waiting.push(waiting),
            Seen::Ended => {}
        }
    }
    Ok(ClusterFile { snapshot, objects })
}

impl ClusterFile {
    /// Reads a workload that is to be placed here, in the namespace that is given or else its own.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn workload(&self, object: &Value, namespace: Option<&str>) -> Result<WorkloadFile, SnapshotError> {
        ask::read(object, namespace, &Context::new(&self.objects))
    }
}

/// Reads an amount that is not of CPU, for example `40Gi`.
pub fn read_quantity(text: &str) -> Option<i64> {
    amount("memory", &Value::from(text))
}

/// Objects by kind.
struct Objects {
    all: Vec<Value>,
    by_kind: HashMap<String, Vec<usize>>,
}

impl Objects {
    fn gather(list: &Value) -> Result<Self, SnapshotError> {
        let mut all = Vec::new();
        match list {
            Value::Array(lists) => lists.iter().for_each(|one| flatten(one, &mut all)),
            Value::Object(map) if map.get("items").is_some_and(Value::is_array) => flatten(list, &mut all),
            other => {
                let found = match other {
                    Value::Object(map) => map
                        .get("kind")
                        .and_then(Value::as_str)
                        .unwrap_or("an object without items"),
                    _ => "no object",
                };
                return Err(SnapshotError::Shape {
                    found: found.to_owned(),
                });
            }
        }
        let mut by_kind: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, object) in all.iter().enumerate() {
            by_kind.entry(text(&object["kind"])).or_default().push(number);
        }
        Ok(Self { all, by_kind })
    }
}

/// Objects of a list. The items of a `NodeList`, as the API server answers it, do not say their kind.
fn flatten(object: &Value, into: &mut Vec<Value>) {
    let Some(list) = object["items"].as_array() else {
        into.push(object.clone());
        return;
    };
    let kind = object["kind"]
        .as_str()
        .and_then(|kind| kind.strip_suffix("List"))
        .filter(|kind| !kind.is_empty());
    for item in list {
        let mut item = item.clone();
        if let (true, Some(kind), Some(map)) = (item["kind"].is_null(), kind, item.as_object_mut()) {
            map.insert("kind".into(), kind.into());
        }
        flatten(&item, into);
    }
}

/// What else the snapshot knows while one of its objects is read.
struct Context<'a> {
    objects: &'a Objects,
    devices: Devices,
}

impl<'a> Context<'a> {
    fn new(objects: &'a Objects) -> Self {
        let mut context = Self {
            objects,
            devices: Devices::default(),
        };
        context.devices = Devices::read(&context);
        context
    }

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &'a Value> {
        let numbers = self
            .objects
            .by_kind
            .get(kind)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let all: &'a [Value] = &self.objects.all;
        numbers
            .iter()
            .map(|number| &all[*number])
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Objects of a kind, each once: several outputs may hold the same.
    fn once(&self, kind: &'static str) -> Result<Vec<&'a Value>, SnapshotError> {
        let mut seen: HashMap<(String, String), &Value> = HashMap::new();
        let mut out = Vec::new();
        for object in self.of_kind(kind) {
            let meta = &object["metadata"];
            let (space, name) = (text(&meta["namespace"]), text(&meta["name"]));
            match seen.insert((space.clone(), name.clone()), object) {
                Some(before) if before == object && !name.is_empty() => {}
                Some(_) if !name.is_empty() => {
                    let name = format!("{space}/{name}").trim_start_matches('/').to_owned();
                    return Err(SnapshotError::Twice { kind, name });
                }
                _ => out.push(object),
            }
        }
        Ok(out)
    }

    fn has(&self, kind: &str) -> bool {
        self.objects.by_kind.contains_key(kind)
    }

    fn named(&self, kind: &str, namespace: Option<&str>, name: &str) -> Option<&'a Value> {
        let here = |object: &&Value| {
            let meta = &object["metadata"];
            meta["name"] == name && namespace.is_none_or(|wanted| pod::namespace(meta) == wanted)
        };
        self.of_kind(kind).find(here)
    }
}

fn node(object: &Value, context: &Context<'_>) -> Result<Node, SnapshotError> {
    let name = text(&object["metadata"]["name"]);
    if name.is_empty() {
        return Err(SnapshotError::Unnamed);
    }
    let mut allocatable = quantity::resources(&object["status"]["allocatable"], &format!("node {name}"))?;
    for (resource, count) in context.devices.offered_by(&name).iter() {
        if !allocatable.names(resource) {
            allocatable.set(resource, count);
        }
    }
    let ready = items(&object["status"]["conditions"]).find(|condition| condition["type"] == "Ready");
    Ok(Node {
        labels: labels(&object["metadata"]["labels"]),
        taints: taints(&object["spec"]["taints"]),
        // A node that says nothing is taken as the scheduler takes it.
        ready: ready.is_none_or(|condition| condition["status"] == "True"),
        cordoned: object["spec"]["unschedulable"] == true,
        allocatable,
        name,
    })
}

fn quota(object: &Value) -> Result<Quota, SnapshotError> {
    let meta = &object["metadata"];
    let name = text(&meta["name"]);
    let status = &object["status"];
    let hard = if status["hard"].is_object() {
        &status["hard"]
    } else {
        &object["spec"]["hard"]
    };
    let read = |limit: &str, value: &Value| {
        amount(limit, value).ok_or_else(|| SnapshotError::Quantity {
            resource: limit.to_owned(),
            of: format!("quota {name}"),
            text: value.to_string(),
            expected: quantity::EXPECTED,
        })
    };
    let mut limits = BTreeMap::new();
    for (limit, value) in hard.as_object().into_iter().flatten() {
        let used = &status["used"][limit];
        let used = if used.is_null() { 0 } else { read(limit, used)? };
        limits.insert(limit.clone(), (read(limit, value)?, used));
    }
    Ok(Quota {
        namespace: pod::namespace(meta),
        limits,
        scope: scope(&object["spec"]),
        name,
    })
}

fn scope(spec: &Value) -> QuotaScope {
    let mut scope = QuotaScope::default();
    let plain = items(&spec["scopes"]).map(|name| (name, "Exists", Vec::new()));
    let selected = items(&spec["scopeSelector"]["matchExpressions"]).map(|expression| {
        let values = items(&expression["values"]).map(text).collect();
        (
            &expression["scopeName"],
            expression["operator"].as_str().unwrap_or("Exists"),
            values,
        )
    });
    for (name, operator, values) in plain.chain(selected) {
        match name.as_str() {
            Some("Terminating") => scope.deadline = Some(true),
            Some("NotTerminating") => scope.deadline = Some(false),
            Some("BestEffort") => scope.best_effort = Some(true),
            Some("NotBestEffort") => scope.best_effort = Some(false),
            Some("CrossNamespacePodAffinity") => scope.cross_namespace = true,
            Some("PriorityClass") => scope.priority_class.push(match operator {
                "In" => Test::In(values),
                "NotIn" => Test::NotIn(values),
                "DoesNotExist" => Test::DoesNotExist,
                _ => Test::Exists,
            }),
            _ => {}
        }
    }
    scope
}

#[cfg(test)]
mod tests;
