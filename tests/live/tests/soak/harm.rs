//! What happens to a candidate's pods, again and again until it is noticed.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use weir_live::{World, is_ready};

use crate::cell::{At, Way};

/// Time between two harms: a process that was started again is met before its model is loaded.
const EVERY: Duration = Duration::from_millis(300);
/// Taint of a node that may lose its power.
const OWN: &str = "weir.test/own";

/// Does harm to the pods with these labels, without an end.
pub(crate) async fn harm(world: &World, labels: &str, way: Way, at: At) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for pod in world.pods(labels).await {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            if let Some(fault) = fault(way, at, is_ready(&pod)) {
                // A process that is not there yet, or ends by this, does not answer.
                let _ = world.spoil(name, &fault).await;
            }
        }
    }
}

/// Waits for something while a node has no power.
pub(crate) async fn without_power<T>(world: &World, node: &str, until: impl Future<Output = T>) -> T {
    world.power(node, false).await;
    let found = until.await;
    world.power(node, true).await;
    found
}

/// Puts pods on one node, which nobody else's pods go to.
pub(crate) fn keep_on(template: &mut Value, node: &str) {
    let spec = &mut template["spec"];
    spec["nodeSelector"] = json!({"kubernetes.io/hostname": node});
    if let Some(tolerations) = spec["tolerations"].as_array_mut() {
        tolerations.push(json!({"key": OWN, "operator": "Exists"}));
    }
}

/// Keeps a node for pods that are kept on it.
pub(crate) async fn keep_for_own(world: &World, node: &str) {
    let path = format!("/api/v1/nodes/{node}");
    let taint =
        json!([{"op": "add", "path": "/spec/taints/-", "value": {"key": OWN, "effect": "NoSchedule"}}]);
    world.admin.patch(&path, &taint).await.ok();
}

/// What is wrong with a pod. While a candidate that has traffic grows, those that are not ready yet never become so: the
/// step lasts until the others were noticed.
fn fault(way: Way, at: At, ready: bool) -> Option<Value> {
    let grows = matches!(at, At::Growing(step) if step > 0);
    match way {
        Way::Promotion | Way::Person | Way::NodeLost => None,
        _ if grows && !ready => Some(json!("unready")),
        Way::Unready if grows => None,
        Way::Unready => Some(json!("unready")),
        Way::Metric => Some(json!({"error_ratio": 0.7})),
        Way::Crash => Some(json!("crash")),
        Way::OutOfMemory => Some(json!("out_of_memory")),
    }
}
