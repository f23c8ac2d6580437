//! What was adopted is given free: Service and route are what they were.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_app::EffectError;
use weir_domain::ids::Fence;
use weir_domain::pipeline::RolloutRule;
use weir_domain::run::Run;
use weir_domain::workload::Adopted;

use super::{SELECTED, plain_path};
use crate::api::Api;
use crate::names;
use crate::revision::deployment_path;
use crate::split::{Change, Wanted, change, fence_of, forget, guarded};
use crate::traffic::{route_path, write};

/// Puts back what the adoption and the weights changed. Its own Service stays: the gateway may still ask it, and the next
/// adoption finds it.
pub(crate) async fn release(
    api: &Api,
    run: &Run,
    rule: &RolloutRule,
    adopted: &Adopted,
    fence: Fence,
) -> Result<(), EffectError> {
    let namespace = &rule.target.namespace;
    let service = format!("Service {namespace}/{}", rule.target.service);
    let widened = write(api, &plain_path(rule), |plain| widen(plain, fence)).await;
    widened.map_err(|failure| failure.on("put back", service))?;
    let wanted = Wanted {
        keep: Vec::new(),
        namespace: namespace.to_string(),
        plain: rule.target.service.clone(),
        lane: names::lane_key(&rule.lane),
        run: run.id.to_string(),
        split: Vec::new(),
        mirror: None,
        back: None,
        fence,
    };
    let back = |route: &Value| match route["metadata"]["annotations"][names::LANE].is_null() {
        // No weight was ever written.
        true => Ok(Change::Nothing),
        false => change(route, &wanted).map_err(|unfit| unfit.to_string()),
    };
    let route = format!("HTTPRoute {namespace}/{}", rule.target.route);
    let given_back = write(api, &route_path(rule), back).await;
    given_back.map_err(|failure| failure.on("put back", route))?;
    let deployment = format!("Deployment {namespace}/{}", adopted.deployment);
    let path = deployment_path(rule, &adopted.deployment);
    let freed = write(api, &path, |deployment| free(deployment, rule, fence)).await;
    freed.map_err(|failure| failure.on("give free", deployment))
}

/// The plain Service selects again what it did.
fn widen(plain: &Value, fence: Fence) -> Result<Change, String> {
    let found = fence_of(plain).map_err(|unfit| unfit.to_string())?;
    let Some(kept) = plain["metadata"]["annotations"][SELECTED].as_str() else {
        return Ok(Change::Nothing);
    };
    if found > fence {
        return Ok(Change::Overtaken);
    }
    let selector: BTreeMap<String, String> = serde_json::from_str(kept)
        .map_err(|error| format!("its annotation `{SELECTED}` is no selector: {error}"))?;
    let edits = vec![
        json!({"op": "add", "path": "/spec/selector", "value": selector}),
        forget(SELECTED),
    ];
    Ok(Change::Patch(guarded(
        plain,
        edits,
        &[(names::FENCE, fence.to_string())],
    )))
}

/// Whoever wants the Deployment may have it. Its fence stays: a late order must not pass.
fn free(deployment: &Value, rule: &RolloutRule, fence: Fence) -> Result<Change, String> {
    let found = fence_of(deployment).map_err(|unfit| unfit.to_string())?;
    let ours = deployment["metadata"]["annotations"][names::LANE] == names::lane_key(&rule.lane);
    Ok(match ours {
        _ if found > fence => Change::Overtaken,
        true => {
            let notes = [(names::FENCE, fence.to_string())];
            Change::Patch(guarded(deployment, vec![forget(names::LANE)], &notes))
        }
        false => Change::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_service_selects_again_what_it_did() {
        let narrowed = json!({
            "metadata": {"resourceVersion": "5", "annotations": {"weir.dev/fence": "3", SELECTED: "{\"app\":\"chat\"}"}},
            "spec": {"selector": {"app": "chat", "pod-template-hash": "7"}},
        });
        let Change::Patch(patch) = widen(&narrowed, Fence(4)).unwrap() else {
            panic!("it is written")
        };
        assert_eq!(
            json!(patch),
            json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": "5"},
                {"op": "add", "path": "/spec/selector", "value": {"app": "chat"}},
                {"op": "remove", "path": "/metadata/annotations/weir.dev~1selector"},
                {"op": "add", "path": "/metadata/annotations/weir.dev~1fence", "value": "4"},
            ])
        );
        assert_eq!(
            widen(&narrowed, Fence(2)),
            Ok(Change::Overtaken),
            "a later rollout adopts it"
        );
        let untouched = json!({"metadata": {}, "spec": {"selector": {"app": "chat"}}});
        assert_eq!(widen(&untouched, Fence(4)), Ok(Change::Nothing));
    }

    #[test]
    fn a_deployment_is_free_without_the_mark_and_keeps_its_fence() {
        let run = testing::run();
        let rule = run.rule(testing::ROLLOUT).unwrap();
        let marked = |lane: &str| json!({"metadata": {"resourceVersion": "5", "annotations": {names::LANE: lane, "weir.dev/fence": "3"}}});
        let own = marked(&names::lane_key(&rule.lane));
        assert!(matches!(free(&own, rule, Fence(4)), Ok(Change::Patch(_))));
        assert_eq!(free(&own, rule, Fence(2)), Ok(Change::Overtaken));
        assert_eq!(free(&marked("other/Test"), rule, Fence(4)), Ok(Change::Nothing));
    }
}
