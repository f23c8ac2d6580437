//! Nodes that are closed and drained as `kubectl drain` does it, and pods of strangers.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_domain::ids::RevisionId;
use weir_live::{Shape, World, eventually, is_ready};

/// Names of the nodes with GPUs.
pub(crate) async fn with_gpus(world: &World) -> Vec<String> {
    let nodes = world.admin.get("/api/v1/nodes").await.ok();
    let all = nodes["items"].as_array().unwrap().iter();
    let gpus = |node: &&Value| {
        let count = node["status"]["allocatable"]["nvidia.com/gpu"].as_str();
        count.is_some_and(|count| count != "0")
    };
    let name = |node: &Value| node["metadata"]["name"].as_str().unwrap().to_owned();
    all.filter(gpus).map(name).collect()
}

/// Closes a node to new pods, or opens it.
pub(crate) async fn close(world: &World, node: &str, closed: bool) {
    let spec = json!({"spec": {"unschedulable": closed}});
    world
        .admin
        .merge(&format!("/api/v1/nodes/{node}"), &spec)
        .await
        .ok();
}

/// Leaves one node with GPUs open.
pub(crate) async fn shrink_pool(world: &World) {
    for node in with_gpus(world).await.iter().skip(1) {
        close(world, node, true).await;
    }
}

/// Opens all nodes again.
pub(crate) async fn open_all(world: &World) {
    for node in with_gpus(world).await {
        close(world, &node, false).await;
    }
}

/// A node on which exactly one pod of the candidate runs, and so many of stable at least.
pub(crate) async fn holding(world: &World, candidate: &RevisionId, least: u32) -> String {
    let mut held = BTreeMap::<String, (u32, u32)>::new();
    let pods = world.pods("weir.dev/revision").await;
    for pod in pods.iter().filter(|pod| is_ready(pod)) {
        let node = pod["spec"]["nodeName"].as_str().unwrap().to_owned();
        let (stable, own) = held.entry(node).or_default();
        match pod["metadata"]["labels"]["weir.dev/revision"] == candidate.as_str() {
            true => *own += 1,
            false => *stable += 1,
        }
    }
    let found = held
        .iter()
        .find(|(_, (stable, own))| *own == 1 && *stable >= least);
    let (node, _) = found.unwrap_or_else(|| panic!("no node holds them: {held:?}"));
    node.clone()
}

/// Closes a node, and asks by the eviction API for all of the service's pods on it to leave; how many there are.
pub(crate) async fn drain(world: &World, node: &str) -> u32 {
    close(world, node, true).await;
    let mut evicted = 0;
    for pod in world.pods("").await {
        if pod["spec"]["nodeName"] != node || !pod["metadata"]["deletionTimestamp"].is_null() {
            continue;
        }
        let name = pod["metadata"]["name"].as_str().unwrap();
        let eviction = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": name, "namespace": world.namespace},
        });
        let path = format!("{}/{name}/eviction", world.core("pods"));
        world.admin.create(&path, &eviction).await.ok();
        evicted += 1;
    }
    evicted
}

/// A stranger's pod that holds a GPU, before all others that wait for one; it takes none away.
pub(crate) async fn foreign(world: &World, name: &str) {
    let class = json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
        "value": 1000, "preemptionPolicy": "Never",
    });
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    world.admin.create(classes, &class).await.ok();
    let mut deployment = Shape::rollout("v0", None).deployment("v0", 1);
    let mut spec = deployment["spec"]["template"]["spec"].take();
    spec["priorityClassName"] = json!(name);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "spec": spec,
        "metadata": {"name": name, "labels": {"team": "strangers"}},
    });
    world.admin.create(&world.core("pods"), &pod).await.ok();
}

/// Waits until a stranger's pod has its GPU.
pub(crate) async fn holds(world: &World, name: &str) {
    let path = format!("{}/{name}", world.core("pods"));
    eventually("the stranger's pod has a node", async || {
        let pod = world.admin.get(&path).await.ok();
        match pod["spec"]["nodeName"].is_string() {
            true => Ok(()),
            false => Err(pod["status"].to_string()),
        }
    })
    .await;
}

/// It leaves.
pub(crate) async fn leaves(world: &World, name: &str) {
    let path = format!("{}/{name}", world.core("pods"));
    world.admin.delete(&path).await.ok();
}
