//! Pods: what they ask for, and how they hold it.

use serde_json::Value;
use weir_domain::fit::{Hold, HostPort, Labels, Pod, Resources, Waiting, is_device};

use super::ask::ask_of_pod;
use super::quantity::resources;
use super::terms::{items, labels, pod_terms, text};
use super::{Context, SnapshotError};

/// A pod of the snapshot.
pub(super) enum Seen {
    /// It holds a node's resources.
    Holds(Box<Pod>),
    /// It waits for a node.
    Waits(Waiting),
    /// It has ended.
    Ended,
}

/// Reads a pod.
pub(super) fn read(pod: &Value, context: &Context<'_>) -> Result<Seen, SnapshotError> {
    let meta = &pod["metadata"];
    let (namespace, name) = (namespace(meta), text(&meta["name"]));
    if matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
        return Ok(Seen::Ended);
    }
    let spec = &pod["spec"];
    let of = format!("pod {namespace}/{name}");
    let mut requests = requests(spec, &pod["status"], &of)?;
    requests.add(&context.devices.held_by(&namespace, &name));
    let bound = text(&spec["nodeName"]);
    let promised = text(&pod["status"]["nominatedNodeName"]);
    let (node, hold) = match (bound.is_empty(), promised.is_empty()) {
        (true, true) => {
            return Ok(Seen::Waits(Waiting {
                name: format!("{namespace}/{name}"),
                requests,
            }));
        }
        (true, false) => (promised, Hold::Nominated),
        (false, _) => match meta["deletionTimestamp"].as_str() {
            Some(by) => (bound, Hold::Terminating { by: by.to_owned() }),
            None => (bound, Hold::Bound),
        },
    };
    let own = labels(&meta["labels"]);
    let holds_device = requests
        .iter()
        .any(|(name, amount)| is_device(name) && amount > 0);
    let owner = owner(meta);
    let moves = holds_device
        && hold == Hold::Bound
        && owner
            .as_ref()
            .is_some_and(|(kind, _)| kind != "DaemonSet" && kind != "Node");
    Ok(Seen::Holds(Box::new(Pod {
        anti_affinity: pod_terms(&spec["affinity"]["podAntiAffinity"], &namespace, &own)?,
        priority: spec["priority"]
            .as_i64()
            .and_then(|n| i32::try_from(n).ok())
            .unwrap_or(0),
        ports: host_ports(spec),
        owner: owner.map(|(kind, name)| format!("{kind} {name}")),
        movable: if moves {
            Some(Box::new(ask_of_pod(pod, requests.clone(), context)?))
        } else {
            None
        },
        labels: own,
        namespace,
        name,
        node,
        hold,
        requests,
    })))
}

/// The namespace that an object is in.
pub(crate) fn namespace(meta: &Value) -> String {
    let name = text(&meta["namespace"]);
    if name.is_empty() { "default".into() } else { name }
}

fn owner(meta: &Value) -> Option<(String, String)> {
    let owners = || items(&meta["ownerReferences"]);
    let owner = owners()
        .find(|owner| owner["controller"] == true)
        .or_else(|| owners().next())?;
    Some((text(&owner["kind"]), text(&owner["name"])))
}

/// What a pod asks for, as the scheduler counts it: containers and sidecars together, or the step of initialization
/// that needs most, and the overhead. While a resize is under way the larger amount counts.
pub(super) fn requests(spec: &Value, status: &Value, of: &str) -> Result<Resources, SnapshotError> {
    let of_container = |container: &Value, list: &str| {
        let wanted = container_requests(container, of)?;
        resized(wanted, &status[list], container, of)
    };
    let mut sum = Resources::default();
    for container in items(&spec["containers"]) {
        sum.add(&of_container(container, "containerStatuses")?);
    }
    let mut sidecars = Resources::default();
    let mut most = Resources::default();
    for container in items(&spec["initContainers"]) {
        let mut step = of_container(container, "initContainerStatuses")?;
        if container["restartPolicy"] == "Always" {
            sum.add(&step);
            sidecars.add(&step);
            step = sidecars.clone();
        } else {
            step.add(&sidecars);
        }
        most.raise_to(&step);
    }
    sum.raise_to(&most);
    for (name, amount) in resources(&spec["resources"]["requests"], of)?.iter() {
        if matches!(name, "cpu" | "memory") || name.starts_with("hugepages-") {
            sum.set(name, amount);
        }
    }
    sum.add(&resources(&spec["overhead"], of)?);
    Ok(sum)
}

/// Requests of a container; a limit alone is a request too.
fn container_requests(container: &Value, of: &str) -> Result<Resources, SnapshotError> {
    let mut all = resources(&container["resources"]["limits"], of)?;
    for (name, amount) in resources(&container["resources"]["requests"], of)?.iter() {
        all.set(name, amount);
    }
    Ok(all)
}

fn resized(
    mut wanted: Resources,
    statuses: &Value,
    container: &Value,
    of: &str,
) -> Result<Resources, SnapshotError> {
    let own = items(statuses).find(|status| status["name"] == container["name"]);
    if let Some(status) = own.filter(|status| !status["resources"].is_null()) {
        for list in [&status["resources"]["requests"], &status["allocatedResources"]] {
            wanted.raise_to(&resources(list, of)?);
        }
    }
    Ok(wanted)
}

/// Limits of a pod, for quotas.
pub(super) fn limits(spec: &Value, of: &str) -> Result<Resources, SnapshotError> {
    let mut sum = Resources::default();
    for container in items(&spec["containers"]) {
        sum.add(&resources(&container["resources"]["limits"], of)?);
    }
    Ok(sum)
}

/// Ports of the node that a pod takes.
pub(super) fn host_ports(spec: &Value) -> Vec<HostPort> {
    let on_host = spec["hostNetwork"] == true;
    let stays = items(&spec["initContainers"]).filter(|container| container["restartPolicy"] == "Always");
    let ports = stays
        .chain(items(&spec["containers"]))
        .flat_map(|container| items(&container["ports"]));
    let read = |port: &Value| {
        let own = if on_host {
            &port["containerPort"]
        } else {
            &Value::Null
        };
        let number = port["hostPort"]
            .as_u64()
            .filter(|n| *n > 0)
            .or_else(|| own.as_u64())?;
        let or = |value: &Value, default: &str| {
            value
                .as_str()
                .filter(|t| !t.is_empty())
                .unwrap_or(default)
                .to_owned()
        };
        Some(HostPort {
            ip: or(&port["hostIP"], "0.0.0.0"),
            protocol: or(&port["protocol"], "TCP"),
            port: u16::try_from(number).ok()?,
        })
    };
    ports.filter_map(read).collect()
}

/// Labels of a pod as its controller would make it: with a revision hash that no pod has yet.
pub(super) fn new_labels(template: &Value, controlled: bool) -> Labels {
    let mut own = labels(&template["metadata"]["labels"]);
    if controlled {
        own.entry("pod-template-hash".into())
            .or_insert_with(|| "weir-candidate".into());
    }
    own
}
