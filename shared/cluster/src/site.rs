//! What a rollout needs beside its own objects, looked at by whoever will write them, before anything moves.
//!
//! Every problem is a sentence that names the object and the fix, and all are told at once: a person who mends one should
//! not find the next by trying.

use serde_json::{Value, json};
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::{Autoscaler, Rollout};
use weir_domain::seen::SiteSeen;
use weir_domain::strategy::Sticky;
use weir_domain::workload::Workload;

use crate::api::Api;
use crate::class::Needs;
use crate::fault::Fault;
use crate::rights::{Right, TO_ADOPT, TRAFFIC};
use crate::route::route_seen;
use crate::split::{Wanted, change, fence_of};
use crate::traffic::{no_route, route_path};
use crate::{adopt, autoscaler, class, grace, names, sticky};

/// The group of routes.
const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// Looks at the route, the plain Service, the Deployment that is to be adopted, what scales the one that serves, and the rights. `rollout`: none for a variant.
/// `variants`: of the experiment that the rule begins.
pub(crate) async fn look(
    api: &Api,
    rule: &RolloutRule,
    rollout: Option<&Rollout>,
    variants: usize,
) -> SiteSeen {
    let (mut problems, mut advice, mut adopts, mut scaled) = (Vec::new(), Vec::new(), None, None);
    let adopted = to_adopt(rule, rollout);
    let sees_endpoints = adopted.is_some() || rule.target.is_by_replicas();
    let more = if sees_endpoints { &TO_ADOPT[..] } else { &[] };
    match rights(api, rule, more).await {
        Ok(missing) => problems.extend(missing),
        Err(away) => return SiteSeen::Unreachable(away),
    }
    // Without rights, what is read says nothing.
    if problems.is_empty() {
        let adoption = adoption(api, rule, rollout, adopted);
        let (route, service, adoption, scales) = tokio::join!(
            route(api, rule, variants, &mut advice),
            service(api, rule),
            adoption,
            scales(api, rule, rollout)
        );
        let scales = scales.map(|found| match found {
            Ok(by) => {
                scaled = by;
                Vec::new()
            }
            Err(problems) => problems,
        });
        let adoption = adoption.map(|found| match found {
            Ok(workload) => {
                adopts = workload.map(Box::new);
                Vec::new()
            }
            Err(problems) => problems,
        });
        for found in [route, service, adoption, scales] {
            match found {
                Ok(found) => problems.extend(found),
                Err(away) => return SiteSeen::Unreachable(away),
            }
        }
    }
    SiteSeen::Seen {
        problems,
        advice,
        adopts,
        scaled,
    }
}

/// The Deployment of somebody else's that is stable, or is to be: what serves already is not adopted again.
fn to_adopt<'a>(rule: &'a RolloutRule, rollout: Option<&'a Rollout>) -> Option<&'a str> {
    match &rollout?.stable {
        None => rule.adopts.as_deref(),
        Some(stable) => stable.adopted.as_ref().map(|adopted| adopted.deployment.as_str()),
    }
}

/// What scales the Deployment that serves, if that is not Weir.
async fn scales(
    api: &Api,
    rule: &RolloutRule,
    rollout: Option<&Rollout>,
) -> Result<Result<Option<Autoscaler>, Vec<String>>, String> {
    let stable = rollout.and_then(|rollout| rollout.stable.as_ref());
    let made = stable.map(|stable| names::revision_name(&rule.lane, &stable.revision));
    match to_adopt(rule, rollout).map(str::to_owned).or(made) {
        Some(deployment) => autoscaler::find(api, rule, &deployment).await,
        None => Ok(Ok(None)),
    }
}

/// What is to be adopted. What was adopted must still be what it was: another template is another revision.
async fn adoption(
    api: &Api,
    rule: &RolloutRule,
    rollout: Option<&Rollout>,
    name: Option<&str>,
) -> Result<Result<Option<Workload>, Vec<String>>, String> {
    let Some(name) = name else { return Ok(Ok(None)) };
    let stable = rollout.and_then(|rollout| rollout.stable.as_ref());
    let found = adopt::look(api, rule, name).await?;
    Ok(found.and_then(|workload| match stable {
        None => Ok(Some(workload)),
        Some(stable) if stable.revision == workload.revision() => Ok(None),
        Some(stable) => Err(vec![format!(
            "Deployment {}/{name} was adopted as {} and is {} now: put its template back (`kubectl rollout undo`)",
            rule.target.namespace,
            stable.revision,
            workload.revision()
        )]),
    }))
}

/// Asks the API server what this identity may do, in one request.
async fn rights(api: &Api, rule: &RolloutRule, more: &[Right]) -> Result<Option<String>, String> {
    let namespace = rule.target.namespace.as_str();
    let question = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace},
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let answer = match api.ask(path, &question).await {
        Ok(answer) => answer,
        Err(Fault::Away(why)) => return Err(why),
        // Who may not even ask is told so by the first write.
        Err(_) => return Ok(None),
    };
    if answer["status"]["incomplete"] == true {
        // An authorizer that does not list its rules may grant what is not listed.
        return Ok(None);
    }
    let mut missing = missing_rights(&answer["status"]["resourceRules"], more);
    if rule.target.is_by_replicas() {
        missing.retain(|right| !right.ends_with(" httproutes"));
    }
    Ok((!missing.is_empty()).then(|| {
        format!(
            "Weir may not {} in namespace `{namespace}`: apply infra/cluster/rbac.yaml, and infra/cluster/namespace.yaml with \
             `-n {namespace}`",
            missing.join(", ")
        )
    }))
}

/// What no rule grants: `patch httproutes`.
fn missing_rights(rules: &Value, more: &[Right]) -> Vec<String> {
    let holds = |list: &Value, wanted: &str| {
        let items = list.as_array().into_iter().flatten();
        let mut items = items.filter_map(Value::as_str);
        items.any(|item| item == wanted || item == "*")
    };
    let granted = |group: &str, resource: &str, verb: &str| {
        rules.as_array().into_iter().flatten().any(|rule| {
            // A rule for some names only does not grant what is not made yet.
            rule["resourceNames"].as_array().is_none_or(Vec::is_empty)
                && holds(&rule["apiGroups"], group)
                && holds(&rule["resources"], resource)
                && holds(&rule["verbs"], verb)
        })
    };
    let mut missing = Vec::new();
    for (group, resource, verbs) in TRAFFIC.iter().chain(more) {
        let lacks: Vec<&str> = verbs
            .iter()
            .copied()
            .filter(|verb| !granted(group, resource, verb))
            .collect();
        if !lacks.is_empty() {
            missing.push(format!("{} {resource}", lacks.join("/")));
        }
    }
    missing
}

/// What is wrong with the route, if anything; `advice`: what is not in the way.
async fn route(
    api: &Api,
    rule: &RolloutRule,
    variants: usize,
    advice: &mut Vec<String>,
) -> Result<Vec<String>, String> {
    if rule.target.is_by_replicas() {
        return Ok(Vec::new());
    }
    let object = format!("HTTPRoute {}/{}", rule.target.namespace, rule.target.route);
    match api.find(&route_path(rule)).await {
        Ok(Some(route)) => {
            let mut problems = route_problems(&object, &route, rule);
            advice.extend(grace::too_short(&route, rule));
            if let Some(shadow) = rule.strategy.mirrored() {
                let needs = Needs::Copies(shadow.percent(&rule.workload));
                problems.extend(class::problems(api, rule, &route, needs).await?);
            }
            if let Some(by) = rule.strategy.sticky() {
                let wanted = all_back(&route, rule);
                let found = sticky::problems(&route, by, variants, |one| wanted.splits(&route, one));
                problems.extend(found.into_iter().map(|problem| format!("{object}: {problem}")));
            }
            if let Some(Sticky::Cookie(_)) = rule.strategy.sticky() {
                problems.extend(class::problems(api, rule, &route, Needs::Cookies).await?);
            }
            Ok(problems)
        }
        Ok(None) => Ok(vec![no_route(rule, &format!("{object} does not exist"))]),
        // Not the object, but its kind.
        Err(Fault::Missing(_)) => Ok(vec![format!(
            "the cluster has no {GATEWAY_API}/v1: install the Gateway API's CRDs and a gateway that serves them"
        )]),
        Err(fault) => told(&object, fault),
    }
}

/// What would be written if everything went back: it fits, or says why no write of this route would.
fn all_back(route: &Value, rule: &RolloutRule) -> Wanted {
    Wanted {
        keep: Vec::new(),
        back: None,
        mirror: None,
        namespace: rule.target.namespace.to_string(),
        plain: rule.target.service.clone(),
        lane: names::lane_key(&rule.lane),
        run: String::new(),
        split: Vec::new(),
        fence: fence_of(route).unwrap_or_default(),
    }
}

fn route_problems(object: &str, route: &Value, rule: &RolloutRule) -> Vec<String> {
    let mut problems = Vec::new();
    if let Err(unfit) = change(route, &all_back(route, rule)) {
        problems.push(format!("{object}: {unfit}"));
    }
    if let Some(problem) = route_seen(route, &rule.lane, &[]).problem {
        problems.push(format!("{object}: {problem}"));
    }
    problems.extend(controlled(object, route));
    problems.dedup();
    problems
}

/// What is wrong with the plain Service, if anything.
async fn service(api: &Api, rule: &RolloutRule) -> Result<Vec<String>, String> {
    let (namespace, name) = (&rule.target.namespace, &rule.target.service);
    let object = format!("Service {namespace}/{name}");
    match api
        .find(&format!("/api/v1/namespaces/{namespace}/services/{name}"))
        .await
    {
        Ok(Some(service)) => Ok(service_problems(&object, &service)),
        Ok(None) => Ok(vec![format!(
            "{object} does not exist: create it; a promotion points it at the new revision, for callers that bypass the route"
        )]),
        Err(fault) => told(&object, fault),
    }
}

fn service_problems(object: &str, service: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if let Err(unfit) = fence_of(service) {
        problems.push(format!("{object}: {unfit}"));
    }
    if service["spec"]["type"] == "ExternalName" {
        problems.push(format!(
            "{object} is an ExternalName, which selects no pods: make it a ClusterIP"
        ));
    }
    problems.extend(controlled(object, service));
    problems
}

/// An object that a controller makes is written again by it.
fn controlled(object: &str, value: &Value) -> Option<String> {
    let owners = value["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten();
    let owner = owners.into_iter().find(|owner| owner["controller"] == true)?;
    let text = |key: &str| owner[key].as_str().unwrap_or_default();
    Some(format!(
        "{object} belongs to {} {}, which would write it again: give the service one of its own",
        text("kind"),
        text("name")
    ))
}

/// A fault is a problem of its own, unless the cluster is away.
fn told(object: &str, fault: Fault) -> Result<Vec<String>, String> {
    match fault {
        Fault::Away(why) => Err(why),
        fault => Ok(vec![format!("{object} cannot be read: {fault}")]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(resources: &[(&str, &str)]) -> Value {
        let rule = |(group, resource): &(&str, &str)| json!({"apiGroups": [group], "resources": [resource], "verbs": ["*"]});
        resources.iter().map(rule).collect()
    }

    #[test]
    fn rights_that_no_rule_grants_are_named() {
        assert_eq!(
            missing_rights(&rules(&[("*", "*")]), &TO_ADOPT),
            Vec::<String>::new()
        );
        let all_but_routes = rules(&[
            ("apps", "deployments"),
            ("", "services"),
            ("", "configmaps"),
            ("", "pods"),
            ("autoscaling", "horizontalpodautoscalers"),
            ("keda.sh", "scaledobjects"),
        ]);
        assert_eq!(missing_rights(&all_but_routes, &[]), ["get/patch httproutes"]);
        let adopting = missing_rights(&all_but_routes, &TO_ADOPT);
        assert_eq!(adopting, ["get/patch httproutes", "list endpointslices"]);
        let named =
            json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"], "resourceNames": ["one"]}]);
        assert_eq!(missing_rights(&named, &[]).len(), TRAFFIC.len());
        assert_eq!(missing_rights(&Value::Null, &[]).len(), TRAFFIC.len());
    }

    #[test]
    fn a_service_that_cannot_be_pointed_at_a_revision_is_told() {
        let told = |service: Value| service_problems("Service prod/web", &service);
        assert_eq!(
            told(json!({"metadata": {}, "spec": {"selector": {"app": "web"}}})),
            Vec::<String>::new()
        );
        assert!(told(json!({"spec": {"type": "ExternalName"}}))[0].contains("make it a ClusterIP"));
        let owned =
            json!({"metadata": {"ownerReferences": [{"kind": "Route", "name": "web", "controller": true}]}});
        assert!(told(owned)[0].contains("belongs to Route web"));
        let fence = json!({"metadata": {"annotations": {"weir.dev/fence": "x"}}});
        assert!(told(fence)[0].contains("not a number"));
    }
}
