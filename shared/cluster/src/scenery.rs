//! A look at a rollout.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use weir_app::{Placed, PodRef, Scenery};
use weir_domain::ids::{LaneKey, Namespace, RevisionId, StepId};
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::Rollout;
use weir_domain::run::Run;
use weir_domain::seen::{RevisionSeen, RouteSeen};
use weir_domain::workload::Adopted;

use crate::api::Api;
use crate::fault::Fault;
use crate::pods::{is_over, is_terminating, revision_seen};
use crate::revision::deployment_path;
use crate::route::route_seen;
use crate::traffic::{no_route, route_path};
use crate::warm_up::{self, Said};
use crate::{adopt, autoscaler, landing, names, ratio};

/// Where Envoy Gateway puts its data plane unless it is told otherwise; the Gateway's own namespace is tried next.
const GATEWAY_NAMESPACE: &str = "envoy-gateway-system";
/// Labels of its pods.
const GATEWAY_NAME_LABEL: &str = "gateway.envoyproxy.io/owning-gateway-name";
const GATEWAY_NAMESPACE_LABEL: &str = "gateway.envoyproxy.io/owning-gateway-namespace";

/// One of the two revisions of a rollout.
struct Side<'a> {
    revision: &'a RevisionId,
    /// The Deployment behind it, if somebody else made that.
    adopted: Option<&'a Adopted>,
    /// Replicas that were asked for.
    asked: u32,
}

/// Looks at both revisions and the route. Pods come from one list, so that what they hold together is what they held at
/// one moment: a GPU that one revision leaves and the other takes is counted once.
pub(crate) async fn look(
    api: &Api,
    run: &Run,
    step: StepId,
    rule: &RolloutRule,
    rollout: &Rollout,
) -> Result<Scenery, String> {
    let side = |revision, asked| Side {
        revision,
        adopted: run.adopted(step, revision),
        asked,
    };
    let candidate = side(&rollout.candidate, rollout.candidate_asked);
    let stable = rollout.stable.as_ref().map(|stable| {
        let asked = rollout.stable_asked.unwrap_or(stable.replicas);
        side(&stable.revision, asked)
    });
    let sides: Vec<&Side<'_>> = std::iter::once(&candidate).chain(&stable).collect();
    let of_gateway = async {
        match rule.target.is_by_replicas() {
            true => Ok(None),
            false => find_route(api, rule).await,
        }
    };
    let (all, route) = tokio::join!(list_pods(api, rule, &sides), of_gateway);
    let (all, route) = (all?, route?);
    let revisions: Vec<RevisionId> = sides.iter().map(|side| side.revision.clone()).collect();
    let of_route = async {
        match route {
            _ if rule.target.is_by_replicas() => {
                Ok((ratio::seen(api, rule, rollout, &all).await?, Vec::new()))
            }
            Some(route) => Ok((
                route_seen(&route, &rule.lane, &revisions),
                gateway_pods(api, rule, &route).await?,
            )),
            None => Ok((
                RouteSeen {
                    problem: Some(no_route(rule, "it does not exist")),
                    ..RouteSeen::default()
                },
                Vec::new(),
            )),
        }
    };
    let of_stable = async {
        match &stable {
            Some(stable) => seen(api, rule, &all, stable).await.map(Some),
            None => Ok(None),
        }
    };
    let of_candidate = seen(api, rule, &all, &candidate);
    let (route, of_candidate, of_stable): (Result<_, String>, _, _) =
        tokio::join!(of_route, of_candidate, of_stable);
    let ((route, gateway), of_stable) = (route?, of_stable?);
    let of_side = |side: &Side<'_>| pods_of(&all, &rule.lane, side);
    let pods = of_side(&candidate);
    let serving = stable.as_ref().map(of_side).unwrap_or_default();
    let landing = landing::look(api, rule, rollout, &pods, &serving).await?;
    let placed = |side: &&Side<'_>| (side.revision.clone(), running(of_side(side)));
    Ok(Scenery {
        candidate: of_candidate?,
        unprepared: match rollout.preparing {
            true => unprepared(api, rule, rollout, of_stable.as_ref()).await?,
            false => None,
        },
        stable: of_stable,
        route,
        placed: Placed {
            pods: sides.iter().map(placed).collect(),
            gateway,
        },
        replicas: staying(&pods),
        landing,
    })
}

/// A revision as its pods show it. Its Deployment says what else there is to say, where they are not as many as were asked for
/// or not all warm: a pod that cannot be made is none.
async fn seen(api: &Api, rule: &RolloutRule, all: &[Value], side: &Side<'_>) -> Result<RevisionSeen, String> {
    let (pods, resource) = (pods_of(all, &rule.lane, side), &rule.workload.gpu_resource);
    let seen = revision_seen(&pods, None, resource, &Said::new());
    let asked = side.asked;
    if asked > 0 && (seen.pods, seen.warm, seen.terminating) == (asked, asked, 0) {
        return Ok(RevisionSeen {
            desired: asked,
            ..seen
        });
    }
    let (deployment, said) = tokio::join!(
        find_deployment(api, rule, side),
        warm_up::listen(api, rule, &pods)
    );
    Ok(revision_seen(&pods, deployment?.as_ref(), resource, &said?))
}

/// What was ordered before there is a candidate, and does not stand yet.
async fn unprepared(
    api: &Api,
    rule: &RolloutRule,
    rollout: &Rollout,
    stable: Option<&RevisionSeen>,
) -> Result<Option<String>, String> {
    let adoption = rollout.adoption.as_ref();
    let adopted = adoption.and_then(|adoption| adoption.workload.adopted.as_ref());
    if let Some(adopted) = adopted {
        let warm = stable.map_or(0, |stable| stable.warm);
        if let Some(lacks) = adopt::lacks(api, rule, adopted, warm).await? {
            return Ok(Some(lacks));
        }
    }
    let Some(scaled) = &rollout.scaled else {
        return Ok(None);
    };
    let held = autoscaler::is_held(api, rule, &scaled.by).await;
    let held = held.map_err(|fault| failed("see what scales stable", &rule.target.namespace, &fault))?;
    let (kind, name) = (scaled.by.kind.as_str(), &scaled.by.name);
    Ok((!held).then(|| format!("{kind} {name} is to be held")))
}

/// Names of pods that were not told to leave, with their nodes.
fn staying(pods: &[&Value]) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let staying = pods.iter().filter(|pod| !is_terminating(pod) && !is_over(pod));
    staying
        .map(|pod| (text(&pod["metadata"]["name"]), text(&pod["spec"]["nodeName"])))
        .collect()
}

/// The pods of both revisions, and those of others that are looked at in the same moment. Those that somebody else's
/// Deployment made have no labels of Weir's: then it is all of the namespace.
async fn list_pods(api: &Api, rule: &RolloutRule, sides: &[&Side<'_>]) -> Result<Arc<Vec<Value>>, String> {
    let namespace = &rule.target.namespace;
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let pods = if sides.iter().any(|side| side.adopted.is_some()) {
        api.list_all(&path, "").await.map(Arc::new)
    } else {
        let labels = sides
            .iter()
            .map(|side| names::label_value(side.revision.as_str()));
        api.pods_together(&path, names::lane_label(&rule.lane), labels.collect())
            .await
    };
    pods.map_err(|fault| failed("list pods", namespace, &fault))
}

fn pods_of<'a>(all: &'a [Value], lane: &LaneKey, side: &Side<'_>) -> Vec<&'a Value> {
    let (lane, revision) = (
        names::lane_label(lane),
        names::label_value(side.revision.as_str()),
    );
    let its = |pod: &&Value| {
        let labels = &pod["metadata"]["labels"];
        match side.adopted {
            Some(adopted) => adopted.selector.iter().all(|(key, value)| labels[key] == *value),
            None => labels[names::LANE] == *lane && labels[names::REVISION] == *revision,
        }
    };
    all.iter().filter(its).collect()
}

async fn find_deployment(api: &Api, rule: &RolloutRule, side: &Side<'_>) -> Result<Option<Value>, String> {
    let name = names::deployment_name(&rule.lane, side.revision, side.adopted);
    let found = api.find(&deployment_path(rule, &name)).await;
    found.map_err(|fault| failed("read a Deployment", &rule.target.namespace, &fault))
}

pub(crate) async fn find_route(api: &Api, rule: &RolloutRule) -> Result<Option<Value>, String> {
    let path = route_path(rule);
    let found = api.find(&path).await;
    if let Ok(Some(route)) = &found {
        api.remember(&path, route);
    }
    found.map_err(|fault| failed("read the HTTPRoute", &rule.target.namespace, &fault))
}

pub(crate) fn failed(what: &str, namespace: &Namespace, fault: &Fault) -> String {
    format!("cannot {what} in namespace {namespace}: {fault}")
}

/// Pods that have not ended, with their addresses.
pub(crate) fn running<'a>(pods: impl IntoIterator<Item = &'a Value>) -> Vec<PodRef> {
    let alive = pods
        .into_iter()
        .filter(|pod| !matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded")));
    alive
        .filter_map(|pod| {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            Some(PodRef {
                namespace: Namespace::new(text(&pod["metadata"]["namespace"])?),
                name: text(&pod["metadata"]["name"])?,
                ip: text(&pod["status"]["podIP"]),
            })
        })
        .collect()
}

/// Pods of the Gateways that carry the route. Without the right to see them there are none: traffic is then counted by
/// the revisions' own pods.
pub(crate) async fn gateway_pods(
    api: &Api,
    rule: &RolloutRule,
    route: &Value,
) -> Result<Vec<PodRef>, String> {
    let own = rule.target.namespace.as_str();
    let mut pods = Vec::new();
    for (namespace, name) in gateways(rule, route) {
        let labels = format!("{GATEWAY_NAME_LABEL}={name},{GATEWAY_NAMESPACE_LABEL}={namespace}");
        for place in [GATEWAY_NAMESPACE, namespace.as_str()] {
            let found = match api
                .list_together(&format!("/api/v1/namespaces/{place}/pods"), &labels)
                .await
            {
                Ok(found) => running(found.iter()),
                Err(Fault::Denied(why)) => {
                    tracing::warn!(namespace = place, why, "pods of the gateway cannot be seen");
                    Vec::new()
                }
                Err(fault) => return Err(failed("list pods of the gateway", &Namespace::new(own), &fault)),
            };
            if !found.is_empty() {
                pods.extend(found);
                break;
            }
        }
    }
    Ok(pods)
}

/// Namespace and name of the Gateways: the one that the environment names, else the route's own parents.
pub(crate) fn gateways(rule: &RolloutRule, route: &Value) -> Vec<(String, String)> {
    let own = rule.target.namespace.as_str();
    if let Some(named) = &rule.target.gateway {
        let (namespace, name) = named.split_once('/').unwrap_or((own, named));
        return vec![(namespace.to_owned(), name.to_owned())];
    }
    let parents = route["spec"]["parentRefs"].as_array().into_iter().flatten();
    let mut out: Vec<(String, String)> = parents
        .filter(|parent| parent["kind"].as_str().unwrap_or("Gateway") == "Gateway")
        .filter_map(|parent| {
            let namespace = parent["namespace"].as_str().unwrap_or(own);
            Some((namespace.to_owned(), parent["name"].as_str()?.to_owned()))
        })
        .collect();
    out.sort();
    out.dedup();
    out
}
