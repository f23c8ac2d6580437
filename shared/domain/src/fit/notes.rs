//! What is no reason against a node and may still go wrong on it.

use super::ask::Ask;
use super::snapshot::{Node, Snapshot};

const PRODUCT: &str = "nvidia.com/gpu.product";
const MEMORY: &str = "nvidia.com/gpu.memory";
const SHARING: &str = "nvidia.com/gpu.sharing-strategy";
const STRATEGY: &str = "nvidia.com/mig.strategy";

/// Notes about nodes that offer what is asked for.
pub fn notes(snapshot: &Snapshot, ask: &Ask) -> Vec<String> {
    let mut out = Vec::new();
    let Some((device, count)) = ask.devices().next() else {
        return out;
    };
    let offering = || {
        snapshot
            .nodes
            .iter()
            .filter(|node| node.allocatable.get(device) > 0)
    };
    let label = |node: &Node, key: &str| node.labels.get(key).cloned().unwrap_or_default();

    // With the single strategy a slice has the name of a whole GPU; only labels tell.
    let sliced = |node: &&Node| label(node, STRATEGY) == "single" && label(node, PRODUCT).contains("-MIG-");
    if let (Some(node), None) = (offering().find(sliced), ask.gpu_memory_mib) {
        let nodes = offering().filter(sliced).count();
        out.push(format!(
            "{device} is a MIG slice on {nodes} nodes ({} has {} with {} MiB): say weir.dev/gpu-memory to keep off them",
            node.name,
            label(node, PRODUCT),
            label(node, MEMORY),
        ));
    }
    let silent = |node: &&Node| label(node, MEMORY).parse::<u64>().is_err();
    if let Some(mib) = ask.gpu_memory_mib {
        let nodes = offering().filter(silent).count();
        if nodes > 0 {
            out.push(format!(
                "whether a GPU has {mib} MiB is not known of {nodes} nodes without the label {MEMORY}: they count as if it had"
            ));
        }
    }
    let sliced_in_time = |node: &&Node| label(node, SHARING) == "time-slicing";
    let shared = offering().filter(sliced_in_time).count();
    if shared > 0 {
        out.push(format!("{device} is shared in time on {shared} nodes: no memory or fault isolation, a crash takes all sharers"));
        if count > 1 {
            out.push(format!(
                "{count} {device} on a time-shared node are shares of the same GPUs, and may be refused there"
            ));
        }
    }
    let rivals = snapshot
        .waiting
        .iter()
        .filter(|pod| pod.requests.get(device) > 0)
        .count();
    if rivals > 0 {
        out.push(format!("{rivals} pods wait for {device} and may take it first"));
    }
    out
}
