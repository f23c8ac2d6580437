//! The objects of a revision: one Deployment, one Service, copies of its ConfigMaps.

use serde_json::{Map, Value, json};
use weir_domain::digest::{canonical_json, sha256_hex};
use weir_domain::ids::{Fence, LaneKey, Namespace, RevisionId, RunId};
use weir_domain::workload::Workload;

use crate::names;
use crate::outputs::{NoOutput, Outputs, put_everywhere};

/// Port of every revision's Service, whatever port its container serves on: backends of a route need not change with it.
pub const SERVICE_PORT: u16 = 80;
/// What Kubernetes gives a pod that names no grace period.
const DEFAULT_GRACE_S: u64 = 30;
/// A gateway has heard of a pod's end within a second or two; on a busy machine Envoy was seen to need 3 s.
const LEAVE_S: u64 = 5;
/// Kubernetes' own deadline only writes a condition; the rollout has its own. A day.
const PROGRESS_DEADLINE_S: u32 = 86_400;

/// What is rendered, and for whom.
pub(crate) struct Subject<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) lane: &'a LaneKey,
    pub(crate) revision: &'a RevisionId,
    pub(crate) run: &'a RunId,
    pub(crate) fence: Fence,
}

/// The objects of a revision, in the order in which they are made: nothing refers to what is not there yet.
pub(crate) struct Objects {
    pub(crate) config: Vec<Value>,
    pub(crate) service: Value,
    pub(crate) deployment: Value,
    /// Digest of what they were made from.
    pub(crate) content: String,
}

/// Renders a revision.
pub(crate) fn revision(
    subject: &Subject<'_>,
    workload: &Workload,
    outputs: &Outputs,
    replicas: u32,
) -> Result<Objects, NoOutput> {
    let mut template = put_everywhere(&workload.template, outputs)?;
    let config = put_everywhere(&Value::Array(workload.config.clone()), outputs)?;
    let content = sha256_hex(canonical_json(&json!([template, config])).as_bytes());
    let mut copies = Vec::new();
    for original in config.as_array().into_iter().flatten() {
        let copy = subject.config_copy(original);
        let (from, to) = (&original["metadata"]["name"], &copy["metadata"]["name"]);
        if let (Some(from), Some(to)) = (from.as_str(), to.as_str()) {
            rename_config(&mut template["spec"], from, to);
        }
        copies.push(copy);
    }
    let deployment = subject.deployment(template, replicas, &content);
    Ok(Objects {
        config: copies,
        service: subject.service(workload.port),
        deployment,
        content,
    })
}

/// Labels by which the pods of a revision are selected; nobody else's pod has them.
pub(crate) fn selector(lane: &LaneKey, revision: &RevisionId) -> Value {
    json!({names::LANE: names::lane_label(lane), names::REVISION: names::label_value(revision.as_str())})
}

/// The same as a query, for any of some revisions.
pub(crate) fn selector_query(lane: &LaneKey, revisions: &[&RevisionId]) -> String {
    let values = revisions
        .iter()
        .map(|revision| names::label_value(revision.as_str()));
    format!(
        "{}={},{} in ({})",
        names::LANE,
        names::lane_label(lane),
        names::REVISION,
        values.collect::<Vec<_>>().join(",")
    )
}

/// What the pods of a revision carry beside their template's own labels. The run is not among it: pods must not differ because
/// another run asks for the same revision.
pub fn pod_labels(lane: &LaneKey, revision: &RevisionId) -> Map<String, Value> {
    let all = [
        ("app.kubernetes.io/managed-by", "weir".to_owned()),
        (names::LANE, names::lane_label(lane)),
        (names::REVISION, names::label_value(revision.as_str())),
        (names::SERVICE, names::label_value(lane.service.as_str())),
        (names::ENVIRONMENT, names::label_value(lane.environment.as_str())),
    ];
    let owned = all.map(|(key, value)| (key.to_owned(), json!(value)));
    owned.into_iter().collect()
}

impl Subject<'_> {
    fn labels(&self) -> Map<String, Value> {
        let mut labels = pod_labels(self.lane, self.revision);
        labels.insert(names::RUN.into(), json!(names::label_value(self.run.as_str())));
        labels
    }

    fn metadata(&self, name: &str) -> Value {
        json!({
            "name": name,
            "namespace": self.namespace,
            "labels": self.labels(),
            "annotations": {
                names::KEY: names::revision_key(self.lane, self.revision),
                names::RUN: self.run,
                names::FENCE: self.fence.to_string(),
            },
        })
    }

    fn name(&self) -> String {
        names::revision_name(self.lane, self.revision)
    }

    fn deployment(&self, mut template: Value, replicas: u32, content: &str) -> Value {
        let labels = &mut template["metadata"]["labels"];
        if !labels.is_object() {
            *labels = json!({});
        }
        for (key, value) in pod_labels(self.lane, self.revision) {
            labels[key] = value;
        }
        leave_slowly(&mut template["spec"]);
        let mut metadata = self.metadata(&self.name());
        metadata["annotations"][names::CONTENT] = json!(content);
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": replicas,
                "revisionHistoryLimit": 0,
                "progressDeadlineSeconds": PROGRESS_DEADLINE_S,
                "strategy": {"type": "RollingUpdate"},
                "selector": {"matchLabels": selector(self.lane, self.revision)},
                "template": template,
            },
        })
    }

    fn service(&self, port: u16) -> Value {
        self.service_of(&selector(self.lane, self.revision), &json!(port))
    }

    /// A Service over pods that carry these labels.
    pub(crate) fn service_of(&self, selector: &Value, port: &Value) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self.metadata(&self.name()),
            "spec": {
                "type": "ClusterIP",
                "selector": selector,
                "ports": [{"name": "http", "port": SERVICE_PORT, "targetPort": port, "protocol": "TCP"}],
            },
        })
    }

    /// An immutable copy that belongs to this revision alone, so that it leaves with it.
    fn config_copy(&self, original: &Value) -> Value {
        let content = json!([self.revision, original["data"], original["binaryData"]]);
        let digest = sha256_hex(canonical_json(&content).as_bytes());
        let name = original["metadata"]["name"].as_str().unwrap_or("config");
        let mut copy = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": self.metadata(&format!("{name}-{}", &digest[..10])),
            "immutable": true,
        });
        for part in ["data", "binaryData"] {
            if !original[part].is_null() {
                copy[part] = original[part].clone();
            }
        }
        copy
    }
}

/// The grace period of a pod spec, in seconds.
pub(crate) fn grace_of(spec: &Value) -> u64 {
    let grace = spec["terminationGracePeriodSeconds"].as_u64();
    grace.unwrap_or(DEFAULT_GRACE_S)
}

/// Seconds of a grace period in which a pod that leaves is still asked.
pub(crate) fn leave_after(grace: u64) -> u64 {
    LEAVE_S.min(grace / 3)
}

/// Lets every container that says nothing about its end wait before it is told: meanwhile gateways stop sending to it. The
/// wait is part of the grace period, most of which belongs to requests that are under way.
fn leave_slowly(spec: &mut Value) {
    let seconds = leave_after(grace_of(spec));
    if seconds == 0 {
        return;
    }
    for container in items(spec, "containers").filter(|container| container["lifecycle"]["preStop"].is_null())
    {
        container["lifecycle"]["preStop"] = json!({"sleep": {"seconds": seconds}});
    }
}

/// Lets a pod spec refer to a ConfigMap by its new name, in volumes and in environments.
fn rename_config(spec: &mut Value, from: &str, to: &str) {
    let rename = |reference: Option<&mut Value>| {
        if let Some(name) = reference.and_then(|reference| reference.get_mut("name"))
            && name == from
        {
            *name = json!(to);
        }
    };
    for volume in items(spec, "volumes") {
        rename(volume.get_mut("configMap"));
        if let Some(projected) = volume.get_mut("projected") {
            items(projected, "sources").for_each(|source| rename(source.get_mut("configMap")));
        }
    }
    for list in ["initContainers", "containers"] {
        for container in items(spec, list) {
            items(container, "envFrom").for_each(|source| rename(source.get_mut("configMapRef")));
            items(container, "env")
                .filter_map(|variable| variable.get_mut("valueFrom"))
                .for_each(|source| rename(source.get_mut("configMapKeyRef")));
        }
    }
}

fn items<'a>(value: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    value
        .get_mut(list)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_domain::ids::{EnvironmentName, ServiceName};
    use weir_domain::workload::MetricsEndpoint;

    fn workload() -> Workload {
        let template = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "sentiment"}},
            "spec": {
                "containers": [{
                    "name": "server",
                    "image": "registry/sentiment:${steps.build.TAG}",
                    "envFrom": [{"configMapRef": {"name": "settings"}}, {"configMapRef": {"name": "of-others"}}],
                    "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}],
                }],
                "volumes": [
                    {"name": "v", "configMap": {"name": "settings"}},
                    {"name": "p", "projected": {"sources": [{"configMap": {"name": "settings"}}]}},
                ],
            },
        });
        Workload {
            template,
            config: vec![json!({"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}})],
            replicas: 3,
            gpus: 1,
            gpu_resource: "nvidia.com/gpu".into(),
            port: 8000,
            metrics: MetricsEndpoint {
                port: 8000,
                path: "/metrics".into(),
            },
            not_exact: Vec::new(),
            adopted: None,
        }
    }

    fn render(tag: &str) -> Objects {
        let lane = LaneKey {
            service: ServiceName::new("sentiment model"),
            environment: EnvironmentName::new("Production"),
        };
        let subject = Subject {
            namespace: &Namespace::new("prod"),
            lane: &lane,
            revision: &RevisionId::new("r0123456789"),
            run: &RunId::new("run-7"),
            fence: Fence(4),
        };
        let outputs = [("build".to_owned(), [("TAG".to_owned(), tag.to_owned())].into())].into();
        revision(&subject, &workload(), &outputs, 2).unwrap()
    }

    #[test]
    fn a_revision_is_a_deployment_a_service_and_immutable_config() {
        let objects = render("v7");
        let all = json!([objects.config, objects.service, objects.deployment]);
        insta::assert_snapshot!(serde_json::to_string_pretty(&all).unwrap());
    }

    #[test]
    fn other_outputs_are_other_content() {
        assert_ne!(render("v7").content, render("v8").content);
        assert_eq!(render("v7").content, render("v7").content);
    }
}
