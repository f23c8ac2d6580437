//! What scales a Deployment when that is not Weir: found, held, and set to scale whoever serves.
//!
//! A `HorizontalPodAutoscaler` is held by the policy `Disabled` in both directions and a lower bound of 1: its bounds alone would
//! still move replicas. A `ScaledObject` is held by KEDA's own annotation. What stood there before is kept in an annotation.

use serde_json::{Value, json};
use weir_app::EffectError;
use weir_domain::ids::Fence;
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::{Autoscaler, AutoscalerKind};

use crate::adopt::owned;
use crate::api::Api;
use crate::fault::Fault;
use crate::names;
use crate::revision::deployment_path;
use crate::split::{Change, annotation_path, fence_of, forget, guarded};
use crate::traffic::{Failure, write};

/// What stood there before it was held, as JSON.
const HELD: &str = "weir.dev/held";
/// KEDA's word for a ScaledObject that is not to scale.
const PAUSED: &str = "autoscaling.keda.sh/paused";

/// What scales a Deployment: nothing, one, or what is in the way.
pub(crate) async fn find(
    api: &Api,
    rule: &RolloutRule,
    deployment: &str,
) -> Result<Result<Option<Autoscaler>, Vec<String>>, String> {
    let mut found = Vec::new();
    for kind in [AutoscalerKind::Horizontal, AutoscalerKind::ScaledObject] {
        match api.list_all(&collection(rule, kind), "").await {
            Ok(all) => found.extend(all.into_iter().map(|object| (kind, object))),
            // The cluster does not have the kind.
            Err(Fault::Missing(_)) => {}
            Err(Fault::Away(why)) => return Err(why),
            Err(fault) => {
                return Ok(Err(vec![format!(
                    "{} in namespace {} cannot be listed, so that it is not known what scales {deployment}: {fault}; apply \
                     infra/cluster/rbac.yaml",
                    kind.as_str(),
                    rule.target.namespace
                )]));
            }
        }
    }
    let target = match api.find(&deployment_path(rule, deployment)).await {
        Ok(target) => target.unwrap_or_default(),
        Err(Fault::Away(why)) => return Err(why),
        // It is told of by who looks at it for itself.
        Err(_) => return Ok(Ok(None)),
    };
    Ok(judge(rule, deployment, &target, &found))
}

fn judge(
    rule: &RolloutRule,
    deployment: &str,
    target: &Value,
    found: &[(AutoscalerKind, Value)],
) -> Result<Option<Autoscaler>, Vec<String>> {
    let scales = |(_, object): &&(AutoscalerKind, Value)| {
        let reference = &object["spec"]["scaleTargetRef"];
        // KEDA means a Deployment where nothing is said.
        reference["name"] == deployment && reference["kind"].as_str().unwrap_or("Deployment") == "Deployment"
    };
    let own: Vec<&(AutoscalerKind, Value)> =
        found.iter().filter(scales).filter(|(_, o)| !of_keda(o)).collect();
    let named = |(kind, object): &(AutoscalerKind, Value)| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        format!("{} {}/{name}", kind.as_str(), rule.target.namespace)
    };
    let problems: Vec<String> = own
        .iter()
        .filter_map(|one| owned(&named(one), &one.1, &rule.lane))
        .collect();
    match own.as_slice() {
        _ if !problems.is_empty() => Err(problems),
        [] => Ok(None),
        [(kind, object)] => Ok(Some(Autoscaler {
            kind: *kind,
            name: object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            replicas: replicas(target),
        })),
        [first, second, ..] => Err(vec![format!(
            "{} and {} both scale Deployment {deployment}: leave it to one of them",
            named(first),
            named(second)
        )]),
    }
}

/// Replicas that are asked for; at least 1, because what serves nobody is not stable.
fn replicas(deployment: &Value) -> u32 {
    let asked = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    u32::try_from(asked).unwrap_or(u32::MAX).max(1)
}

/// Whether KEDA made it for a ScaledObject, which is what somebody wrote.
fn of_keda(object: &Value) -> bool {
    let owners = object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten();
    owners
        .into_iter()
        .any(|owner| owner["kind"] == AutoscalerKind::ScaledObject.as_str())
}

/// Whether it is held: nobody but Weir sets replicas of what serves.
pub(crate) async fn is_held(api: &Api, rule: &RolloutRule, by: &Autoscaler) -> Result<bool, Fault> {
    let object = api.find(&path(rule, by)).await?;
    // One that somebody removed scales nothing.
    let held = object.is_none_or(|object| stands(&object, by.kind));
    if by.kind == AutoscalerKind::Horizontal || !held {
        return Ok(held);
    }
    // KEDA takes away what it made when it has seen that it is to rest.
    let made = api
        .list_all(&collection(rule, AutoscalerKind::Horizontal), "")
        .await?;
    let its = |object: &Value| {
        let owners = object["metadata"]["ownerReferences"]
            .as_array()
            .into_iter()
            .flatten();
        owners
            .into_iter()
            .any(|owner| owner["kind"] == by.kind.as_str() && owner["name"] == by.name)
    };
    Ok(!made.iter().any(its))
}

fn stands(object: &Value, kind: AutoscalerKind) -> bool {
    match kind {
        AutoscalerKind::Horizontal => {
            let behavior = &object["spec"]["behavior"];
            let off = |direction: &str| behavior[direction]["selectPolicy"] == "Disabled";
            off("scaleUp") && off("scaleDown") && object["spec"]["minReplicas"].as_u64().unwrap_or(1) == 1
        }
        AutoscalerKind::ScaledObject => object["metadata"]["annotations"][PAUSED] == "true",
    }
}

/// Holds it.
pub(crate) async fn hold(
    api: &Api,
    rule: &RolloutRule,
    by: &Autoscaler,
    fence: Fence,
) -> Result<(), EffectError> {
    let decide = |object: &Value| {
        let found = fence_of(object).map_err(|unfit| unfit.to_string())?;
        if found > fence {
            return Ok(Change::Overtaken);
        }
        if stands(object, by.kind) && found == fence {
            return Ok(Change::Nothing);
        }
        Ok(Change::Patch(held(object, by.kind, rule, fence)))
    };
    done(write(api, &path(rule, by), decide).await, "hold", rule, by)
}

fn held(object: &Value, kind: AutoscalerKind, rule: &RolloutRule, fence: Fence) -> Vec<Value> {
    let (spec, annotations) = (&object["spec"], &object["metadata"]["annotations"]);
    // What it was before the first of several holds.
    let before = annotations[HELD].as_str().map_or_else(
        || match kind {
            AutoscalerKind::Horizontal => {
                json!({"minReplicas": spec["minReplicas"], "behavior": spec["behavior"]}).to_string()
            }
            AutoscalerKind::ScaledObject => json!({"paused": annotations[PAUSED]}).to_string(),
        },
        str::to_owned,
    );
    let mut notes = vec![
        (names::FENCE, fence.to_string()),
        (names::LANE, names::lane_key(&rule.lane)),
        (HELD, before),
    ];
    let mut edits = Vec::new();
    match kind {
        AutoscalerKind::Horizontal => {
            let off = json!({"selectPolicy": "Disabled"});
            edits.push(json!({"op": "add", "path": "/spec/minReplicas", "value": 1}));
            edits.push(
                json!({"op": "add", "path": "/spec/behavior", "value": {"scaleUp": off, "scaleDown": off}}),
            );
        }
        AutoscalerKind::ScaledObject => notes.push((PAUSED, "true".to_owned())),
    }
    guarded(object, edits, &notes)
}

/// Lets it scale this Deployment, within the bounds that it had.
pub(crate) async fn free(
    api: &Api,
    rule: &RolloutRule,
    by: &Autoscaler,
    target: &str,
    fence: Fence,
) -> Result<(), EffectError> {
    let decide = |object: &Value| {
        let found = fence_of(object).map_err(|unfit| unfit.to_string())?;
        match object["metadata"]["annotations"][HELD].as_str() {
            _ if found > fence => Ok(Change::Overtaken),
            None if object["spec"]["scaleTargetRef"]["name"] == target => Ok(Change::Nothing),
            None => Err(format!(
                "its annotation `{HELD}` is gone: let it scale Deployment {target}"
            )),
            Some(before) => freed(object, before, by.kind, target, fence),
        }
    };
    done(write(api, &path(rule, by), decide).await, "free", rule, by)
}

fn freed(
    object: &Value,
    before: &str,
    kind: AutoscalerKind,
    target: &str,
    fence: Fence,
) -> Result<Change, String> {
    let before: Value = serde_json::from_str(before)
        .map_err(|error| format!("its annotation `{HELD}` is not what Weir wrote: {error}"))?;
    let mut edits = vec![json!({"op": "add", "path": "/spec/scaleTargetRef/name", "value": target})];
    let mut put_back = |path: &str, present: &Value, value: &Value| match (present.is_null(), value.is_null())
    {
        (_, false) => edits.push(json!({"op": "add", "path": path, "value": value})),
        (false, true) => edits.push(json!({"op": "remove", "path": path})),
        (true, true) => {}
    };
    match kind {
        AutoscalerKind::Horizontal => {
            put_back(
                "/spec/minReplicas",
                &object["spec"]["minReplicas"],
                &before["minReplicas"],
            );
            put_back("/spec/behavior", &object["spec"]["behavior"], &before["behavior"]);
        }
        AutoscalerKind::ScaledObject => {
            put_back(
                &annotation_path(PAUSED),
                &object["metadata"]["annotations"][PAUSED],
                &before["paused"],
            );
        }
    }
    for annotation in [HELD, names::LANE] {
        if !object["metadata"]["annotations"][annotation].is_null() {
            edits.push(forget(annotation));
        }
    }
    Ok(Change::Patch(guarded(
        object,
        edits,
        &[(names::FENCE, fence.to_string())],
    )))
}

fn done(
    result: Result<(), Failure>,
    operation: &'static str,
    rule: &RolloutRule,
    by: &Autoscaler,
) -> Result<(), EffectError> {
    let object = format!("{} {}/{}", by.kind.as_str(), rule.target.namespace, by.name);
    match result {
        // Whoever removed it wants nothing scaled.
        Ok(()) | Err(Failure::Fault(Fault::Missing(_))) => Ok(()),
        Err(failure) => Err(failure.on(operation, object)),
    }
}

fn collection(rule: &RolloutRule, kind: AutoscalerKind) -> String {
    let namespace = &rule.target.namespace;
    match kind {
        AutoscalerKind::Horizontal => {
            format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers")
        }
        AutoscalerKind::ScaledObject => {
            format!("/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects")
        }
    }
}

fn path(rule: &RolloutRule, by: &Autoscaler) -> String {
    format!("{}/{}", collection(rule, by.kind), by.name)
}

#[cfg(test)]
mod tests;
