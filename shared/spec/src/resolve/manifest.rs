//! Kubernetes manifests of the commit: one Deployment, and ConfigMaps.

use std::sync::Arc;

use serde_json::Value;
use weir_domain::workload::{MetricsEndpoint, Workload};

use super::Resolver;
use super::pod::{self, Settings};
use super::rules::{Refused, items, refusals};
use super::template::Origin;
use crate::definition::{EnvironmentDef, RolloutDef};
use crate::diagnostic::{Diagnostic, Sink};
use crate::render::short;
use crate::source::{Located, Place, SourceFile};
use crate::variables::{Names, Use};
use crate::yaml::{self, Kind, Node, to_json};

/// What a step's manifests hold.
pub(super) struct Manifests {
    /// Name of the Deployment.
    pub(super) name: String,
    deployment: Arc<Node>,
    config: Vec<Arc<Node>>,
}

/// Reads the manifests of one step.
pub(super) fn read(
    at: &Place,
    texts: &[(String, String)],
    namespace: Option<&str>,
    sink: &mut Sink,
) -> Option<Manifests> {
    let start = sink.len();
    let mut deployments = Vec::new();
    let mut config = Vec::new();
    for (path, text) in texts {
        let Some(documents) = yaml::documents(&SourceFile::new(path, text), sink) else {
            continue;
        };
        for document in documents {
            check_manifest(&document, namespace, sink);
            match document.get("kind").and_then(Node::text) {
                Some("Deployment") => deployments.push(document),
                Some("ConfigMap") => config.push(document),
                _ => {}
            }
        }
    }
    if sink.failed_since(start) {
        return None;
    }
    if deployments.len() != 1 {
        let found = format!("{} Deployments in the step's `resources`", deployments.len());
        sink.push(Diagnostic::error(at, found).expected("one"));
        return None;
    }
    let deployment = deployments.pop()?;
    let name = deployment.get("metadata")?.get("name")?.text()?.to_owned();
    Some(Manifests {
        name,
        deployment,
        config,
    })
}

/// Complains about what Weir does not create: other kinds, other namespaces, pods that reach their node.
pub(crate) fn check_manifest(document: &Node, namespace: Option<&str>, sink: &mut Sink) {
    let kind = document.get("kind").and_then(Node::text);
    let api = document
        .get("apiVersion")
        .and_then(Node::text)
        .unwrap_or_default();
    let place = document.get("kind").map_or(&document.place, |node| &node.place);
    match (kind, api) {
        (Some("Deployment"), "apps/v1") | (Some("ConfigMap"), "v1") => {}
        (Some("Service"), "v1") => {
            let found =
                "a Service has no effect: Weir makes one for each revision, and the plain one is yours";
            sink.push(Diagnostic::warning(place, found));
            return;
        }
        (Some(kind), _) => {
            let found = format!("`{}` of {}", short(kind), short(api));
            sink.push(
                Diagnostic::error(place, found).expected("a Deployment of apps/v1 or a ConfigMap of v1"),
            );
            return;
        }
        (None, _) => {
            sink.push(Diagnostic::error(place, "a manifest without `kind`"));
            return;
        }
    }
    let metadata = document.get("metadata");
    if metadata
        .and_then(|node| node.get("name"))
        .and_then(Node::text)
        .is_none()
    {
        sink.push(Diagnostic::error(
            &document.place,
            "a manifest without `metadata.name`",
        ));
    }
    if let Some(written) = metadata.and_then(|node| node.get("namespace"))
        && let Some(own) = namespace
        && written.text() != Some(own)
    {
        let found = format!("namespace {}", written.what());
        let expected = format!("`{own}`, that of the step's environment, or none");
        sink.push(Diagnostic::error(&written.place, found).expected(expected));
    }
    if kind == Some("Deployment") {
        check_deployment(document, sink);
    }
}

fn check_deployment(document: &Node, sink: &mut Sink) {
    let template = document.get("spec").and_then(|spec| spec.get("template"));
    let Some(template) = template else {
        return sink.push(Diagnostic::error(
            &document.place,
            "a Deployment without `spec.template`",
        ));
    };
    let json = to_json(template);
    if items(&json["spec"]["containers"]).next().is_none() {
        sink.push(Diagnostic::error(
            &template.place,
            "a pod template without containers",
        ));
    }
    for refused in refusals(&json) {
        let place = place_of(template, &refused.path).clone();
        sink.push(complaint(&place, refused));
    }
}

pub(super) fn complaint(place: &Place, refused: Refused) -> Diagnostic {
    Diagnostic::error(place, format!("{} in a pod template", refused.found)).expected(refused.expected)
}

/// The place of a value by its path, or of the nearest one around it.
fn place_of<'a>(node: &'a Node, path: &[String]) -> &'a Place {
    let mut place = &node.place;
    let mut at = node;
    for part in path {
        let next = match &at.kind {
            Kind::Map(_) => at.entry(part).map(|entry| (&entry.key_place, &*entry.value)),
            Kind::List(items) => part
                .parse::<usize>()
                .ok()
                .and_then(|index| items.get(index))
                .map(|item| (&item.place, &**item)),
            Kind::Scalar { .. } => None,
        };
        match next {
            Some((here, value)) => (place, at) = (here, value),
            None => break,
        }
    }
    place
}

impl Resolver<'_> {
    pub(super) fn workload_of_manifests(
        &mut self,
        manifests: &Manifests,
        environment: &EnvironmentDef,
        rollout: &RolloutDef,
    ) -> Option<Workload> {
        let start = self.sink.len();
        let spec = manifests.deployment.get("spec")?;
        let names = Names {
            run: &self.run,
            environment: Some(environment),
            outputs: &self.outputs,
            own: Vec::new(),
            incomplete: false,
        };
        let mut template = put_everywhere(spec.get("template")?, &names, self.sink);
        let config = manifests
            .config
            .iter()
            .map(|node| put_everywhere(node, &names, self.sink))
            .collect();
        let settings = Settings::of(self.definition, environment);
        settings.apply(&mut template);
        let written = spec
            .get("replicas")
            .and_then(Node::integer)
            .and_then(|n| u32::try_from(n).ok());
        let replicas = rollout.replicas.or(settings.replicas).or(written).unwrap_or(1);
        let port = first_port(&template).unwrap_or(pod::DEFAULT_PORT);
        if self.sink.failed_since(start) {
            return None;
        }
        let origin = Origin {
            run: &self.run,
            commit: self.commit,
            outputs: &self.outputs,
        };
        Some(pod::workload(
            template,
            config,
            replicas,
            port,
            annotated_metrics(spec, port),
            &origin,
        ))
    }
}

/// The node as JSON with `${NAME}` in its texts resolved. Names that a container sets in its `env` are left to it.
fn put_everywhere(node: &Node, names: &Names<'_>, sink: &mut Sink) -> Value {
    match &node.kind {
        Kind::Scalar { text, .. } if text.contains("${") => {
            Value::String(names.put(&Located::new(text.clone(), node.place.clone()), Use::Field, sink))
        }
        Kind::Scalar { .. } => to_json(node),
        Kind::List(items) => items
            .iter()
            .map(|item| put_everywhere(item, names, sink))
            .collect(),
        Kind::Map(entries) => {
            let set = node.get("env").map(Node::items).unwrap_or_default();
            let set = set
                .iter()
                .filter_map(|item| item.get("name").and_then(Node::text));
            let names = Names {
                run: names.run,
                environment: names.environment,
                outputs: names.outputs,
                own: names.own.iter().copied().chain(set).collect(),
                incomplete: names.incomplete,
            };
            let pairs = entries
                .iter()
                .map(|e| (e.key.clone(), put_everywhere(&e.value, &names, sink)));
            Value::Object(pairs.collect())
        }
    }
}

fn first_port(template: &Value) -> Option<u16> {
    let port = &template["spec"]["containers"][0]["ports"][0]["containerPort"];
    port.as_u64().and_then(|port| u16::try_from(port).ok())
}

/// The customary annotations that say where a pod tells its counters.
fn annotated_metrics(spec: &Node, port: u16) -> MetricsEndpoint {
    let metadata = spec.get("template").and_then(|node| node.get("metadata"));
    let annotation = |key| metadata.and_then(|node| node.get("annotations")?.get(key)?.text());
    MetricsEndpoint {
        port: annotation("prometheus.io/port")
            .and_then(|text| text.parse().ok())
            .unwrap_or(port),
        path: annotation("prometheus.io/path")
            .unwrap_or(pod::DEFAULT_METRICS_PATH)
            .to_owned(),
    }
}
