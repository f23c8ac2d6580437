//! Variants of an experiment: pods that somebody else runs, selected by a Service of their own.

use serde_json::{Map, Value, json};
use weir_app::{EffectError, Placed, VariantScenery};
use weir_domain::experiment::Experiment;
use weir_domain::ids::{Fence, RevisionId};
use weir_domain::pipeline::RolloutRule;
use weir_domain::run::Run;
use weir_domain::seen::{RevisionSeen, RouteSeen};

use crate::api::Api;
use crate::fault::Fault;
use crate::ledger;
use crate::names;
use crate::pods::revision_seen;
use crate::render::Subject;
use crate::route::route_seen;
use crate::scenery::{failed, find_route, gateway_pods, running};
use crate::split::is_service;
use crate::traffic::{no_route, route_path};
use crate::warm_up::Said;

/// The label that tells variants apart.
const VERSION: &str = "version";
/// Keys of this domain are Weir's own: a plain Service that was promoted selects a revision by them.
const OWN: &str = "weir.dev/";

/// Makes the Service of a variant, if it is missing. Nothing else is written: the pods are somebody else's.
pub(crate) async fn ensure(
    api: &Api,
    run: &Run,
    rule: &RolloutRule,
    version: &str,
    revision: &RevisionId,
    fence: Fence,
) -> Result<(), EffectError> {
    const OPERATION: &str = "create";
    let namespace = &rule.target.namespace;
    let object = format!("Service of the variant {version} in namespace {namespace}");
    if ledger::fence(api, rule).await? > fence {
        tracing::info!(
            version,
            "the experiment ended by a later decision; its Service is not made again"
        );
        return Ok(());
    }
    let failed = |fault: Fault| fault.on("read", object.clone());
    let services = format!("/api/v1/namespaces/{namespace}/services");
    let plain = &rule.target.service;
    let Some(service) = api.find(&format!("{services}/{plain}")).await.map_err(failed)? else {
        let why =
            format!("there is no Service `{plain}`: create the plain Service that the variants are part of");
        return Err(EffectError::never(OPERATION, object, why));
    };
    let route = api.find(&route_path(rule)).await.map_err(failed)?;
    let Some(port) = target_port(&service, route.as_ref(), rule) else {
        let why = format!("the Service `{plain}` has no port: give it the one that the variants serve on");
        return Err(EffectError::never(OPERATION, object, why));
    };
    let subject = Subject {
        namespace,
        lane: &rule.lane,
        revision,
        run: &run.id,
        fence,
    };
    let own = subject.service_of(&selector(&service, version), &port);
    match api.create(&services, &own).await {
        Ok(()) | Err(Fault::Exists) => Ok(()),
        Err(fault) => Err(fault.on(OPERATION, object)),
    }
}

/// What the plain Service selects, narrowed to one version. Where it selects a revision of Weir's, the version alone.
fn selector(plain: &Value, version: &str) -> Value {
    let labels = plain["spec"]["selector"].as_object();
    let theirs = labels.filter(|labels| !labels.keys().any(|key| key.starts_with(OWN)));
    let mut selector: Map<String, Value> = theirs.cloned().unwrap_or_default();
    selector.insert(VERSION.into(), json!(version));
    Value::Object(selector)
}

/// The port of the pods behind the port of the plain Service that the route uses, or its first.
pub(crate) fn target_port(plain: &Value, route: Option<&Value>, rule: &RolloutRule) -> Option<Value> {
    let namespace = rule.target.namespace.as_str();
    let rules = route.and_then(|route| route["spec"]["rules"].as_array());
    let mut backends = rules
        .into_iter()
        .flatten()
        .flat_map(|rule| rule["backendRefs"].as_array().into_iter().flatten());
    let used = backends.find(|backend| is_service(backend, &rule.target.service, namespace));
    let used = used.map(|backend| backend["port"].clone());
    let ports = plain["spec"]["ports"].as_array()?;
    let chosen = ports.iter().find(|port| Some(&port["port"]) == used.as_ref());
    let port = chosen.or(ports.first())?;
    let target = &port["targetPort"];
    Some(if target.is_null() {
        port["port"].clone()
    } else {
        target.clone()
    })
}

/// Looks at the pods of each variant and at the route.
pub(crate) async fn look(
    api: &Api,
    rule: &RolloutRule,
    experiment: &Experiment,
) -> Result<VariantScenery, String> {
    let revisions: Vec<RevisionId> = experiment
        .sides
        .iter()
        .map(|side| side.revision.clone())
        .chain(experiment.back.clone())
        .collect();
    let mut variants = std::collections::BTreeMap::new();
    let mut placed = Placed::default();
    for side in &experiment.sides {
        let pods = pods(api, rule, &side.revision).await?;
        let seen = match &pods {
            Some(pods) => {
                let pods: Vec<&Value> = pods.iter().collect();
                revision_seen(&pods, None, &rule.workload.gpu_resource, &Said::new())
            }
            None => RevisionSeen {
                words: "its Service is being made".into(),
                ..RevisionSeen::default()
            },
        };
        placed
            .pods
            .insert(side.revision.clone(), running(pods.iter().flatten()));
        variants.insert(side.revision.clone(), seen);
    }
    let route = match find_route(api, rule).await? {
        Some(route) => {
            placed.gateway = gateway_pods(api, rule, &route).await?;
            route_seen(&route, &rule.lane, &revisions)
        }
        None => RouteSeen {
            problem: Some(no_route(rule, "it does not exist")),
            ..RouteSeen::default()
        },
    };
    Ok(VariantScenery {
        variants,
        route,
        placed,
    })
}

/// The pods that the Service of a variant selects; `None`: there is no such Service yet.
async fn pods(api: &Api, rule: &RolloutRule, revision: &RevisionId) -> Result<Option<Vec<Value>>, String> {
    let namespace = &rule.target.namespace;
    let name = names::revision_name(&rule.lane, revision);
    let service = api
        .find(&format!("/api/v1/namespaces/{namespace}/services/{name}"))
        .await;
    let service = service.map_err(|fault| failed("read the Service of a variant", namespace, &fault))?;
    let Some(service) = service else { return Ok(None) };
    let labels = service["spec"]["selector"].as_object().into_iter().flatten();
    let labels = labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    let query = labels.collect::<Vec<_>>().join(",");
    let pods = api
        .list(&format!("/api/v1/namespaces/{namespace}/pods"), &query)
        .await;
    pods.map(Some)
        .map_err(|fault| failed("list the pods of a variant", namespace, &fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_what_the_plain_service_selects_narrowed_to_its_version() {
        let plain = json!({"spec": {"selector": {"app": "chat", "version": "model-z"}}});
        assert_eq!(
            selector(&plain, "model-a"),
            json!({"app": "chat", "version": "model-a"})
        );
        let promoted = json!({"spec": {"selector": {"weir.dev/lane": "x", "weir.dev/revision": "r1"}}});
        assert_eq!(selector(&promoted, "model-a"), json!({"version": "model-a"}));
        assert_eq!(
            selector(&json!({"spec": {}}), "model-a"),
            json!({"version": "model-a"})
        );
    }
}
