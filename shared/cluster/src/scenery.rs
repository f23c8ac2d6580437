//! A look at a rollout.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_app::{Placed, PodRef, Scenery};
use weir_domain::ids::{Namespace, RevisionId};
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::Rollout;
use weir_domain::seen::{RevisionSeen, RouteSeen};

use crate::api::Api;
use crate::fault::Fault;
use crate::names;
use crate::pods::revision_seen;
use crate::render::selector_query;
use crate::route::route_seen;
use crate::traffic::{no_route, route_path};

/// Where Envoy Gateway puts its data plane unless it is told otherwise; the Gateway's own namespace is tried next.
const GATEWAY_NAMESPACE: &str = "envoy-gateway-system";
/// Labels of its pods.
const GATEWAY_NAME_LABEL: &str = "gateway.envoyproxy.io/owning-gateway-name";
const GATEWAY_NAMESPACE_LABEL: &str = "gateway.envoyproxy.io/owning-gateway-namespace";

/// What is read of one revision.
struct Side {
    seen: RevisionSeen,
    pods: Vec<PodRef>,
}

/// Looks at both revisions and the route.
pub(crate) async fn look(api: &Api, rule: &RolloutRule, rollout: &Rollout) -> Result<Scenery, String> {
    let stable = rollout.stable.as_ref().map(|stable| &stable.revision);
    let second = async {
        match stable {
            Some(revision) => side(api, rule, revision).await.map(Some),
            None => Ok(None),
        }
    };
    let (candidate, stable_side, route) =
        tokio::join!(side(api, rule, &rollout.candidate), second, find_route(api, rule));
    let (candidate, stable_side, route) = (candidate?, stable_side?, route?);
    let revisions: Vec<RevisionId> = [Some(&rollout.candidate), stable]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let (route, gateway) = match route {
        Some(route) => (
            route_seen(&route, &rule.lane, &revisions),
            gateway_pods(api, rule, &route).await?,
        ),
        None => (
            RouteSeen {
                problem: Some(no_route(rule, "it does not exist")),
                ..RouteSeen::default()
            },
            Vec::new(),
        ),
    };
    let mut pods = BTreeMap::from([(rollout.candidate.clone(), candidate.pods)]);
    let stable_seen = match (stable, stable_side) {
        (Some(revision), Some(side)) => {
            pods.insert(revision.clone(), side.pods);
            Some(side.seen)
        }
        _ => None,
    };
    Ok(Scenery {
        candidate: candidate.seen,
        stable: stable_seen,
        route,
        placed: Placed { pods, gateway },
    })
}

async fn side(api: &Api, rule: &RolloutRule, revision: &RevisionId) -> Result<Side, String> {
    let namespace = &rule.target.namespace;
    let name = names::revision_name(&rule.lane, revision);
    let pods_path = format!("/api/v1/namespaces/{namespace}/pods");
    let deployment_path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
    let query = selector_query(&rule.lane, revision);
    let (pods, deployment) = tokio::join!(api.list(&pods_path, &query), api.find(&deployment_path));
    let pods = pods.map_err(|fault| failed("list pods", namespace, &fault))?;
    let deployment = deployment.map_err(|fault| failed("read a Deployment", namespace, &fault))?;
    let all: Vec<&Value> = pods.iter().collect();
    Ok(Side {
        seen: revision_seen(&all, deployment.as_ref(), &rule.workload.gpu_resource),
        pods: running(&pods),
    })
}

async fn find_route(api: &Api, rule: &RolloutRule) -> Result<Option<Value>, String> {
    api.find(&route_path(rule))
        .await
        .map_err(|fault| failed("read the HTTPRoute", &rule.target.namespace, &fault))
}

fn failed(what: &str, namespace: &Namespace, fault: &Fault) -> String {
    format!("cannot {what} in namespace {namespace}: {fault}")
}

/// Pods that have not ended, with their addresses.
fn running(pods: &[Value]) -> Vec<PodRef> {
    let alive = pods
        .iter()
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
async fn gateway_pods(api: &Api, rule: &RolloutRule, route: &Value) -> Result<Vec<PodRef>, String> {
    let own = rule.target.namespace.as_str();
    let mut pods = Vec::new();
    for (namespace, name) in gateways(rule, route) {
        let labels = format!("{GATEWAY_NAME_LABEL}={name},{GATEWAY_NAMESPACE_LABEL}={namespace}");
        for place in [GATEWAY_NAMESPACE, namespace.as_str()] {
            let found = match api
                .list(&format!("/api/v1/namespaces/{place}/pods"), &labels)
                .await
            {
                Ok(found) => running(&found),
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
fn gateways(rule: &RolloutRule, route: &Value) -> Vec<(String, String)> {
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
