//! A Deployment that somebody else made, as the stable revision: looked at, taken over, given free.
//!
//! Nothing that makes or ends a pod is written: of the Deployment annotations and, once it is stable, replicas; never its
//! template or its selector. It is told from the candidate's pods by the hash of its template, which its pods carry.

mod judge;
mod owner;
mod release;

use serde_json::{Value, json};
use weir_app::EffectError;
use weir_domain::ids::Fence;
use weir_domain::pipeline::RolloutRule;
use weir_domain::run::Run;
use weir_domain::workload::{Adopted, Workload};

use crate::api::Api;
use crate::fault::Fault;
use crate::names;
use crate::render::Subject;
use crate::revision::{core_path, deployment_path};
use crate::scenery::{failed, find_route};
use crate::split::{Change, fence_of, guarded};
use crate::traffic::write;
use crate::variant::target_port;

use judge::selects;
pub(crate) use owner::owned;
pub(crate) use release::release;

/// What the plain Service selected before it was held to the adopted pods, as JSON.
pub(crate) const SELECTED: &str = "weir.dev/selector";

/// Looks at a Deployment that is to be adopted: as the revision that it is, or what is in the way.
pub(crate) async fn look(
    api: &Api,
    rule: &RolloutRule,
    name: &str,
) -> Result<Result<Workload, Vec<String>>, String> {
    let namespace = &rule.target.namespace;
    let object = format!("Deployment {namespace}/{name}");
    let (own, plain) = (deployment_path(rule, name), plain_path(rule));
    let (deployment, plain, route) = tokio::join!(api.find(&own), api.find(&plain), find_route(api, rule));
    let problem = |fault: Fault| match fault {
        Fault::Away(why) => Err(why),
        fault => Ok(Err(vec![format!("{object} cannot be read: {fault}")])),
    };
    let deployment = match deployment {
        Ok(Some(deployment)) => deployment,
        Ok(None) => {
            return Ok(Err(vec![format!(
                "{object} does not exist: name the one that serves under `adopt` of the environment, or take it out"
            )]));
        }
        Err(fault) => return problem(fault),
    };
    // Route and Service are told of by who looks at them for every rollout.
    let (Ok(Some(plain)), Ok(route)) = (plain, route) else {
        return Ok(Err(Vec::new()));
    };
    let pods = match api
        .list(&core_path(rule, "pods"), &query(&plain["spec"]["selector"]))
        .await
    {
        Ok(pods) => pods,
        Err(fault) => return problem(fault),
    };
    Ok(judge::judge(&judge::Found {
        rule,
        port: target_port(&plain, route.as_ref(), rule),
        deployment: &deployment,
        plain: &plain,
        pods: &pods,
    }))
}

/// What keeps an adopted Deployment from having the traffic by its own Service, if anything does.
pub(crate) async fn lacks(
    api: &Api,
    rule: &RolloutRule,
    adopted: &Adopted,
    warm: u32,
) -> Result<Option<String>, String> {
    let service = names::revision_name(&rule.lane, &adopted.revision());
    let path = format!(
        "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
        rule.target.namespace
    );
    let (plain, slices) = (plain_path(rule), format!("kubernetes.io/service-name={service}"));
    let (plain, slices) = tokio::join!(api.find(&plain), api.list(&path, &slices));
    let told = |fault: Fault| failed("see what is adopted", &rule.target.namespace, &fault);
    let (plain, slices) = (plain.map_err(told)?, slices.map_err(told)?);
    let narrowed = plain.is_some_and(|plain| !overlaps(&plain, rule));
    let ready = u32::try_from(slices.iter().flat_map(ready).count()).unwrap_or(u32::MAX);
    Ok(match (narrowed, ready) {
        (false, _) => Some(format!(
            "Service {} is to select nothing but what is adopted",
            rule.target.service
        )),
        (true, ready) if ready == 0 || ready < warm => {
            Some(format!("its Service {service} has {ready} of {warm} endpoints"))
        }
        (true, _) => None,
    })
}

/// Endpoints that get traffic.
pub(crate) fn ready(slice: &Value) -> impl Iterator<Item = &Value> {
    let endpoints = slice["endpoints"].as_array().into_iter().flatten();
    endpoints.filter(|endpoint| endpoint["conditions"]["ready"] != false)
}

/// Whether the plain Service selects the candidate's pods too: they would be asked before they may be.
fn overlaps(plain: &Value, rule: &RolloutRule) -> bool {
    let selector = &plain["spec"]["selector"];
    selector.as_object().is_some_and(|labels| !labels.is_empty())
        && selects(selector, &rule.workload.template["metadata"]["labels"])
}

/// Gives it a Service of its own, marks it, and holds the plain Service to its pods.
pub(crate) async fn take_over(
    api: &Api,
    run: &Run,
    rule: &RolloutRule,
    workload: &Workload,
    fence: Fence,
) -> Result<(), EffectError> {
    let Some(adopted) = &workload.adopted else {
        return Ok(());
    };
    mark(api, run, rule, adopted, fence).await?;
    ensure_service(api, run, rule, workload, adopted, fence).await?;
    let (namespace, service) = (&rule.target.namespace, &rule.target.service);
    let object = format!("Service {namespace}/{service}");
    let decide = |plain: &Value| {
        let selector = &plain["spec"]["selector"];
        let found = fence_of(plain).map_err(|unfit| unfit.to_string())?;
        if found > fence {
            return Ok(Change::Overtaken);
        }
        if !overlaps(plain, rule) {
            return Ok(Change::Nothing);
        }
        let kept = plain["metadata"]["annotations"][SELECTED].as_str();
        let notes = [
            (names::FENCE, fence.to_string()),
            (SELECTED, kept.map_or_else(|| selector.to_string(), str::to_owned)),
        ];
        let edit = json!({"op": "replace", "path": "/spec/selector", "value": adopted.selector});
        Ok(Change::Patch(guarded(plain, vec![edit], &notes)))
    };
    let narrowed = write(api, &plain_path(rule), decide).await;
    narrowed.map_err(|failure| failure.on("hold to what is adopted", object))
}

/// Notes on the Deployment whose it is, so that nobody else adopts it, and the fence.
async fn mark(
    api: &Api,
    run: &Run,
    rule: &RolloutRule,
    adopted: &Adopted,
    fence: Fence,
) -> Result<(), EffectError> {
    let object = format!("Deployment {}/{}", rule.target.namespace, adopted.deployment);
    let decide = |deployment: &Value| {
        let found = fence_of(deployment).map_err(|unfit| unfit.to_string())?;
        let notes = [
            (names::FENCE, fence.to_string()),
            (names::LANE, names::lane_key(&rule.lane)),
            (names::KEY, names::revision_key(&rule.lane, &adopted.revision())),
            (names::RUN, run.id.to_string()),
        ];
        let stand = notes
            .iter()
            .all(|(key, value)| deployment["metadata"]["annotations"][key] == *value);
        Ok(match found {
            found if found > fence => Change::Overtaken,
            _ if stand => Change::Nothing,
            _ => Change::Patch(guarded(deployment, Vec::new(), &notes)),
        })
    };
    let path = deployment_path(rule, &adopted.deployment);
    let marked = write(api, &path, decide).await;
    marked.map_err(|failure| failure.on("adopt", object))
}

/// Makes its own Service, if that is missing.
pub(crate) async fn ensure_service(
    api: &Api,
    run: &Run,
    rule: &RolloutRule,
    workload: &Workload,
    adopted: &Adopted,
    fence: Fence,
) -> Result<(), EffectError> {
    let revision = adopted.revision();
    let subject = Subject {
        namespace: &rule.target.namespace,
        lane: &rule.lane,
        revision: &revision,
        run: &run.id,
        fence,
    };
    let service = subject.service_of(&json!(adopted.selector), &json!(workload.port));
    match api.create(&core_path(rule, "services"), &service).await {
        Ok(()) | Err(Fault::Exists) => Ok(()),
        Err(fault) => {
            let name = service["metadata"]["name"].as_str().unwrap_or_default();
            Err(fault.on("create", format!("Service {}/{name}", rule.target.namespace)))
        }
    }
}

pub(crate) fn plain_path(rule: &RolloutRule) -> String {
    format!("{}/{}", core_path(rule, "services"), rule.target.service)
}

/// A selector as a query.
fn query(selector: &Value) -> String {
    let labels = selector.as_object().into_iter().flatten();
    let labels = labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    labels.collect::<Vec<_>>().join(",")
}
