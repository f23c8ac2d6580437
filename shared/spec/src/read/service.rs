//! The `service` section.

use super::{count, env, plain, raw, span, text, texts};
use crate::definition::{ContainerDef, HealthDef, ServiceDef, WarmUpDef};
use crate::yaml::{Node, to_json};

pub(crate) fn service(node: &Node) -> Option<ServiceDef> {
    let spec = node.get("spec")?;
    let list = |key| spec.get(key).map(Node::items).unwrap_or_default();
    let metrics = spec.get("metrics");
    let selector = spec.get("node_selector").map(Node::entries).unwrap_or_default();
    Some(ServiceDef {
        name: text(node, "name")?,
        containers: list("containers")
            .iter()
            .filter_map(|item| container(item))
            .collect(),
        replicas: count(spec, "replicas"),
        port: count(spec, "port"),
        metrics_port: metrics.and_then(|node| count(node, "port")),
        metrics_path: metrics.and_then(|node| plain(node, "path")),
        node_selector: selector
            .iter()
            .filter_map(|entry| Some((entry.key.clone(), entry.value.text()?.to_owned())))
            .collect(),
        tolerations: list("tolerations").iter().map(|item| to_json(item)).collect(),
        termination_grace: span(spec, "termination_grace"),
        longest_generation: span(spec, "longest_generation"),
        first_generation: spec.get("first_generation").map(warm_up),
        volumes: raw(spec, "volumes"),
    })
}

fn warm_up(node: &Node) -> WarmUpDef {
    WarmUpDef {
        place: node.place.clone(),
        preset: plain(node, "preset"),
        path: text(node, "path"),
        body: text(node, "body"),
        timeout: span(node, "timeout"),
        tool: plain(node, "tool"),
    }
}

fn container(node: &Node) -> Option<ContainerDef> {
    let resources = node.get("resources");
    let amounts = |key| resources.map(|node| env(node, key)).unwrap_or_default();
    let probes = node.get("healthChecks").map(Node::items).unwrap_or_default();
    Some(ContainerDef {
        name: text(node, "name")?,
        image: text(node, "image")?,
        command: texts(node, "command"),
        args: texts(node, "args"),
        port: count(node, "port"),
        requests: amounts("requests"),
        limits: amounts("limits"),
        env: env(node, "env"),
        health: probes.iter().filter_map(|item| health(item)).collect(),
        pull_policy: plain(node, "image_pull_policy"),
        volume_mounts: raw(node, "volume_mounts"),
    })
}

fn health(node: &Node) -> Option<HealthDef> {
    Some(HealthDef {
        path: text(node, "path")?,
        port: count(node, "port"),
        interval: span(node, "interval"),
        timeout: span(node, "timeout"),
    })
}
