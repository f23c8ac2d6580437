//! What a node offers one replica, whatever the other replicas do.

use super::ask::Ask;
use super::reason::Reason;
use super::resources::{CPU, PODS, is_device};
use super::snapshot::{Effect, Node, Taint};

/// Taint that a drain or a person puts on a node with `cordon`.
const CORDON: &str = "node.kubernetes.io/unschedulable";
/// Taints that say in other words that a node is not ready.
const NOT_READY: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
/// Label of GPU feature discovery: MiB of each GPU, or of each slice where GPUs are cut.
const GPU_MEMORY: &str = "nvidia.com/gpu.memory";
/// Label of the device plugin: how GPUs are shared.
const SHARING: &str = "nvidia.com/gpu.sharing-strategy";

/// What is looked away from, to learn what would change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Waived {
    Taint(Taint),
    Cordon,
    NotReady,
    Selector(String, String),
    GpuMemory,
}

/// What is used on a node, in the order of the resources that the ask names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used {
    pub(crate) amounts: Vec<i64>,
    pub(crate) pods: i64,
    pub(crate) port: Option<u16>,
}

/// How many replicas a node takes by itself, at least one; or why none.
pub(crate) fn capacity(
    node: &Node,
    ask: &Ask,
    wants: &[(&str, i64)],
    used: &Used,
    waived: Option<&Waived>,
) -> Result<u32, Reason> {
    let waives = |what: &Waived| waived == Some(what);
    if !node.ready && !waives(&Waived::NotReady) {
        return Err(Reason::NotReady);
    }
    if node.cordoned && !ask.tolerates(&cordon()) && !waives(&Waived::Cordon) {
        return Err(Reason::Cordoned);
    }
    let implied = |taint: &&Taint| {
        let cordon = taint.key == CORDON && node.cordoned;
        let away = NOT_READY.contains(&taint.key.as_str()) && !node.ready;
        !cordon && !away
    };
    let taints: Vec<Taint> = node.taints.iter().filter(implied).cloned().collect();
    if let Some(taint) = ask
        .untolerated(&taints)
        .filter(|taint| !waives(&Waived::Taint((*taint).clone())))
    {
        return Err(Reason::Taint(taint.clone()));
    }
    selected(node, ask, waived)?;
    devices(node, ask, waived)?;
    let room = room(node, wants, used)?;
    if let Some(port) = used.port {
        return Err(Reason::HostPort(port));
    }
    // Two replicas want the same port.
    Ok(if ask.ports.is_empty() { room } else { room.min(1) })
}

fn cordon() -> Taint {
    Taint {
        key: CORDON.into(),
        value: String::new(),
        effect: Effect::NoSchedule,
    }
}

fn selected(node: &Node, ask: &Ask, waived: Option<&Waived>) -> Result<(), Reason> {
    for (key, value) in &ask.node_selector {
        let waives = waived == Some(&Waived::Selector(key.clone(), value.clone()));
        if node.labels.get(key) != Some(value) && !waives {
            return Err(Reason::NodeSelector(key.clone(), value.clone()));
        }
    }
    if let Some(terms) = &ask.node_affinity
        && !terms.iter().any(|term| term.matches(&node.name, &node.labels))
    {
        return Err(Reason::NodeAffinity);
    }
    let out_of_reach = |volume: &&super::snapshot::VolumeReach| {
        !volume
            .nodes
            .iter()
            .any(|term| term.matches(&node.name, &node.labels))
    };
    match ask.volumes.iter().find(out_of_reach) {
        Some(volume) => Err(Reason::Volume(volume.claim.clone())),
        None => Ok(()),
    }
}

/// What the scheduler does not know and the pod would find out on the node.
fn devices(node: &Node, ask: &Ask, waived: Option<&Waived>) -> Result<(), Reason> {
    let offered = ask.devices().find(|(name, _)| node.allocatable.get(name) > 0);
    let Some((name, count)) = offered else {
        return Ok(());
    };
    let memory = node.labels.get(GPU_MEMORY).and_then(|text| text.parse().ok());
    if let (Some(needs), Some(has)) = (ask.gpu_memory_mib, memory)
        && has < needs
        && waived != Some(&Waived::GpuMemory)
    {
        return Err(Reason::GpuMemory(has, needs));
    }
    if count > 1 && node.labels.get(SHARING).is_some_and(|how| how == "mps") {
        return Err(Reason::OneShareOnly(name.to_owned()));
    }
    Ok(())
}

fn room(node: &Node, wants: &[(&str, i64)], used: &Used) -> Result<u32, Reason> {
    let mut room = i64::MAX;
    for ((name, needed), taken) in wants.iter().zip(&used.amounts) {
        let of = node.allocatable.get(name);
        let free = of.saturating_sub(*taken);
        if free < *needed {
            let resource = (*name).to_owned();
            return Err(Reason::Short {
                resource,
                free,
                of,
                needed: *needed,
            });
        }
        room = room.min(free / needed);
    }
    let slots = node.allocatable.get(PODS);
    if used.pods >= slots {
        let (resource, free) = (PODS.to_owned(), slots - used.pods);
        return Err(Reason::Short {
            resource,
            free,
            of: slots,
            needed: 1,
        });
    }
    Ok(u32::try_from(room.min(slots - used.pods)).unwrap_or(u32::MAX))
}

/// How many replicas a node like this one would take if it were new: empty, ready and open.
pub(crate) fn empty_room(node: &Node, ask: &Ask) -> Option<u64> {
    let wants = wants(ask);
    let used = Used {
        amounts: vec![0; wants.len()],
        ..Used::default()
    };
    let new = Node {
        ready: true,
        cordoned: false,
        ..node.clone()
    };
    let of_its_state = |taint: &Taint| taint.key == CORDON || NOT_READY.contains(&taint.key.as_str());
    let new = Node {
        taints: new
            .taints
            .iter()
            .filter(|taint| !of_its_state(taint))
            .cloned()
            .collect(),
        ..new
    };
    capacity(&new, ask, &wants, &used, None).ok().map(u64::from)
}

/// What is asked for, GPUs first: they are the reason people look for.
pub(crate) fn wants(ask: &Ask) -> Vec<(&str, i64)> {
    let mut wants: Vec<(&str, i64)> = ask
        .requests
        .iter()
        .filter(|(name, amount)| *amount > 0 && *name != PODS)
        .collect();
    wants.sort_by_key(|(name, _)| (!is_device(name), *name != CPU));
    wants
}
