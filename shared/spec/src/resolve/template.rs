//! A service as Kubernetes' pod template.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use weir_domain::time::Span;
use weir_domain::workload::{MetricsEndpoint, Workload};

use super::manifest::complaint;
use super::pod::{self, Settings};
use super::rollout::DEFAULT_WARM;
use super::rules::refusals;
use super::warm_up;
use crate::definition::{ContainerDef, Definition, EnvironmentDef, HealthDef, RolloutDef, ServiceDef};
use crate::diagnostic::{Diagnostic, Sink};
use crate::render::short;
use crate::source::{Located, Place};
use crate::variables::{Names, Use, Variables};

/// A pod that is told to stop may finish its requests for this long.
const DEFAULT_GRACE: Span = Span::seconds(60);
/// What a pod needs to leave beside its longest answer: 5 s in which it is still asked, and time for its process to end.
const BESIDE_GENERATION: Span = Span::seconds(15);
/// Time between two probes when nobody says otherwise; Kubernetes' own default.
const DEFAULT_INTERVAL: Span = Span::seconds(10);
/// A probe has failed after this time; Kubernetes' own default.
const DEFAULT_TIMEOUT: Span = Span::seconds(1);
/// While a pod starts it is asked at least this often, so that readiness is seen soon after the model is loaded.
const STARTUP_PERIOD_S: u64 = 5;

/// What a template is made from.
pub(super) struct Origin<'a> {
    pub(super) run: &'a BTreeMap<String, String>,
    pub(super) commit: &'a str,
    pub(super) outputs: &'a BTreeMap<String, Vec<String>>,
}

impl Origin<'_> {
    /// Whether an image is named by its digest, by the commit, or by the tag that the commit carries.
    pub(super) fn pins(&self, image: &str) -> bool {
        image.contains("@sha256:") || image.contains("${steps.") || self.names_version(image)
    }

    /// Whether a text holds the commit, its tag or a digest.
    pub(super) fn names_version(&self, text: &str) -> bool {
        let version = self.run.get("VERSION").map_or(self.commit, String::as_str);
        let holds = |part: &str| part.len() >= 2 && text.contains(part);
        text.contains("sha256:") || holds(self.commit) || holds(version)
    }

    pub(super) fn workload(
        &self,
        definition: &Definition,
        service: &ServiceDef,
        environment: Option<&EnvironmentDef>,
        rollout: &RolloutDef,
        warm_within: Span,
        sink: &mut Sink,
    ) -> Option<Workload> {
        let start = sink.len();
        let settings = environment
            .map(|e| Settings::of(definition, e))
            .unwrap_or_default();
        let incomplete = environment.is_none();
        let template = self.template(service, environment, &settings, warm_within, incomplete, sink);
        if sink.failed_since(start) {
            return None;
        }
        let port = serving_port(service);
        let metrics = MetricsEndpoint {
            port: service.metrics_port.unwrap_or(port),
            path: service
                .metrics_path
                .clone()
                .unwrap_or_else(|| pod::DEFAULT_METRICS_PATH.into()),
        };
        let replicas = rollout
            .replicas
            .or(settings.replicas)
            .or(service.replicas)
            .unwrap_or(1);
        Some(pod::workload(template, Vec::new(), replicas, port, metrics, self))
    }

    fn template(
        &self,
        service: &ServiceDef,
        environment: Option<&EnvironmentDef>,
        settings: &Settings,
        warm_within: Span,
        incomplete: bool,
        sink: &mut Sink,
    ) -> Value {
        let one = |(index, container)| {
            self.container(
                service,
                index,
                container,
                environment,
                warm_within,
                incomplete,
                sink,
            )
        };
        let containers: Vec<Value> = service.containers.iter().enumerate().map(one).collect();
        let grace = grace(service, sink);
        let mut spec = Map::new();
        spec.insert("containers".into(), Value::Array(containers));
        spec.insert("terminationGracePeriodSeconds".into(), json!(seconds(grace)));
        if !service.node_selector.is_empty() {
            let labels = service
                .node_selector
                .iter()
                .map(|(key, value)| (key.clone(), json!(value)));
            spec.insert("nodeSelector".into(), Value::Object(labels.collect()));
        }
        if !service.tolerations.is_empty() {
            spec.insert("tolerations".into(), json!(service.tolerations));
        }
        if !service.volumes.is_empty() {
            spec.insert("volumes".into(), raw(&service.volumes));
        }
        let labels = json!({"app.kubernetes.io/name": service.name.value});
        let mut template = json!({"metadata": {"labels": labels}, "spec": spec});
        for refused in refusals(&template) {
            let place = place_in_service(service, &refused.path);
            sink.push(complaint(&place, refused));
        }
        settings.apply(&mut template);
        template
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one call, with what the service and the environment say"
    )]
    fn container(
        &self,
        service: &ServiceDef,
        index: usize,
        container: &ContainerDef,
        environment: Option<&EnvironmentDef>,
        warm_within: Span,
        incomplete: bool,
        sink: &mut Sink,
    ) -> Value {
        let names = |own| Names {
            run: self.run,
            environment,
            outputs: self.outputs,
            own,
            incomplete,
        };
        let field = names(Vec::new());
        let mut put = |text: &Located<String>| field.put(text, Use::Field, sink);
        let mut out = Map::new();
        out.insert("name".into(), json!(container.name.value));
        out.insert("image".into(), json!(put(&container.image)));
        let env: Vec<Value> = container
            .env
            .iter()
            .map(|(name, value)| json!({"name": name, "value": put(value)}))
            .collect();
        let shell = names(container.env.iter().map(|(name, _)| name.as_str()).collect());
        for (key, words) in [("command", &container.command), ("args", &container.args)] {
            if !words.is_empty() {
                let words: Vec<String> = words
                    .iter()
                    .map(|word| shell.put(word, Use::Shell, sink))
                    .collect();
                out.insert(key.into(), json!(words));
            }
        }
        if !env.is_empty() {
            out.insert("env".into(), Value::Array(env));
        }
        let port = if index == 0 {
            Some(serving_port(service))
        } else {
            container.port
        };
        if let Some(port) = port {
            out.insert("ports".into(), json!([{"containerPort": port}]));
        }
        if let Some(resources) = resources(container) {
            out.insert("resources".into(), resources);
        }
        if let Some(policy) = &container.pull_policy {
            out.insert("imagePullPolicy".into(), json!(policy));
        }
        if !container.volume_mounts.is_empty() {
            out.insert("volumeMounts".into(), raw(&container.volume_mounts));
        }
        probes(
            &mut out,
            container,
            port.unwrap_or(pod::DEFAULT_PORT),
            warm_within,
            sink,
        );
        let asked = service.first_generation.as_ref().filter(|_| index == 0);
        if let Some(asked) = asked {
            let mut put =
                |text: &Option<Located<String>>| text.as_ref().map(|text| field.put(text, Use::Field, sink));
            let written = [put(&asked.path), put(&asked.body)];
            if let Some(mut probe) = warm_up::probe(asked, serving_port(service), written, sink) {
                let interval = container.health.first().and_then(|health| health.interval);
                patient(&mut probe, interval, warm_within);
                out.insert("startupProbe".into(), probe);
            }
        }
        if index == 0 && container.health.is_empty() && asked.is_none() {
            let found = format!("container `{}` has no healthChecks", short(&container.name.value));
            let help = "without one, a pod counts as warm as soon as its process runs";
            sink.push(Diagnostic::warning(&container.name.place, found).help(help));
        }
        Value::Object(out)
    }
}

/// Checks every service for every environment, or without one where none is declared.
pub(super) fn rehearse_services(definition: &Definition, sink: &mut Sink) {
    let variables = Variables::sample();
    let run = variables.all(definition.builds.registry.as_deref());
    // Which steps a service's outputs come from is known where a pipeline uses it.
    let pipelined = !definition.pipelines.is_empty();
    let outputs = BTreeMap::new();
    let origin = Origin {
        run: &run,
        commit: &variables.git_commit,
        outputs: &outputs,
    };
    for service in definition
        .services
        .iter()
        .filter(|service| !pipelined || !uses_outputs(service))
    {
        let environments: Vec<Option<&EnvironmentDef>> = match definition.environments.as_slice() {
            [] => vec![None],
            all => all.iter().map(Some).collect(),
        };
        // One environment with a missing variable is enough to say so; the same complaint is kept once.
        for environment in environments {
            let settings = environment
                .map(|e| Settings::of(definition, e))
                .unwrap_or_default();
            origin.template(
                service,
                environment,
                &settings,
                DEFAULT_WARM,
                environment.is_none(),
                sink,
            );
        }
    }
}

fn uses_outputs(service: &ServiceDef) -> bool {
    let texts = service.containers.iter().flat_map(|c| {
        let env = c.env.iter().map(|(_, value)| value);
        std::iter::once(&c.image)
            .chain(env)
            .chain(&c.command)
            .chain(&c.args)
    });
    texts.into_iter().any(|text| text.value.contains("${steps."))
}

pub(super) fn serving_port(service: &ServiceDef) -> u16 {
    let first = service.containers.first().and_then(|container| container.port);
    first.or(service.port).unwrap_or(pod::DEFAULT_PORT)
}

/// Requests and limits as text: `nvidia.com/gpu: 1` and `"1"` are the same to Kubernetes.
fn resources(container: &ContainerDef) -> Option<Value> {
    let amounts = |list: &[(String, Located<String>)]| -> Value {
        Value::Object(
            list.iter()
                .map(|(name, amount)| (name.clone(), json!(amount.value)))
                .collect(),
        )
    };
    let mut out = Map::new();
    if !container.requests.is_empty() {
        out.insert("requests".into(), amounts(&container.requests));
    }
    if !container.limits.is_empty() {
        out.insert("limits".into(), amounts(&container.limits));
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

/// Readiness as written; startup with the same question, often, and patient for as long as the rollout is. So a pod
/// that is Ready is warm, without Weir.
fn probes(
    out: &mut Map<String, Value>,
    container: &ContainerDef,
    port: u16,
    warm_within: Span,
    sink: &mut Sink,
) {
    let Some(health) = container.health.first() else {
        return;
    };
    if let Some(second) = container.health.get(1) {
        let found = "a second health check has no effect yet";
        sink.push(Diagnostic::warning(&second.path.place, found));
    }
    if !health.path.value.starts_with('/') {
        let found = format!("path `{}`", short(&health.path.value));
        sink.push(Diagnostic::error(&health.path.place, found).expected("one that begins with `/`"));
    }
    let (mut startup, mut ready) = (probe(health, port), probe(health, port));
    patient(&mut startup, health.interval, warm_within);
    ready["periodSeconds"] = json!(seconds(health.interval.unwrap_or(DEFAULT_INTERVAL)));
    out.insert("startupProbe".into(), startup);
    out.insert("readinessProbe".into(), ready);
}

fn probe(health: &HealthDef, port: u16) -> Value {
    json!({
        "httpGet": {"path": health.path.value, "port": health.port.unwrap_or(port)},
        "timeoutSeconds": seconds(health.timeout.unwrap_or(DEFAULT_TIMEOUT)),
    })
}

/// Asks often, and for as long as the rollout waits.
fn patient(startup: &mut Value, interval: Option<Span>, warm_within: Span) {
    let often = seconds(interval.unwrap_or(DEFAULT_INTERVAL)).min(STARTUP_PERIOD_S);
    let patience = seconds(warm_within.max(DEFAULT_WARM));
    startup["periodSeconds"] = json!(often);
    startup["failureThreshold"] = json!(patience.div_ceil(often));
}

/// How long a pod may finish its requests: as written, else for its longest answer.
fn grace(service: &ServiceDef, sink: &mut Sink) -> Span {
    let needed = service
        .longest_generation
        .map(|longest| longest + BESIDE_GENERATION);
    let Some(written) = service.termination_grace else {
        return needed.unwrap_or(DEFAULT_GRACE);
    };
    if let Some(needed) = needed.filter(|needed| written < *needed) {
        let name = short(&service.name.value);
        let found =
            format!("service `{name}` gives a pod {written} to end, and its longest answer needs {needed}");
        let help = "a drain cuts answers that take longer; leave `termination_grace` out, so that it follows from `longest_generation`";
        sink.push(Diagnostic::warning(&service.name.place, found).help(help));
    }
    written
}

/// Whole seconds as Kubernetes takes them, at least one.
fn seconds(span: Span) -> u64 {
    span.0.div_ceil(1_000).max(1)
}

fn raw(items: &[Located<Value>]) -> Value {
    items.iter().map(|item| item.value.clone()).collect()
}

/// Where in the service something of its template was written.
fn place_in_service(service: &ServiceDef, path: &[String]) -> Place {
    let index = path.get(2).and_then(|part| part.parse::<usize>().ok());
    let container = index.and_then(|i| service.containers.get(i));
    let found = match (path.get(1).map(String::as_str), path.get(3).map(String::as_str)) {
        (Some("volumes"), _) => index
            .and_then(|i| service.volumes.get(i))
            .map(|volume| &volume.place),
        (Some("containers"), Some("resources")) => container.and_then(|container| {
            let name = path.get(5)?;
            let list = if path.get(4)? == "limits" {
                &container.limits
            } else {
                &container.requests
            };
            list.iter()
                .find(|(key, _)| key == name)
                .map(|(_, amount)| &amount.place)
        }),
        (Some("containers"), _) => container.map(|container| &container.name.place),
        _ => None,
    };
    found.unwrap_or(&service.name.place).clone()
}
