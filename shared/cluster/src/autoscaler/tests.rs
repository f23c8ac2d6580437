use serde_json::{Value, json};

use super::*;
use crate::testing;

fn horizontal(name: &str, target: &str) -> Value {
    json!({
        "metadata": {"name": name, "resourceVersion": "7"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": target}, "minReplicas": 2, "maxReplicas": 9},
    })
}

fn judged(found: &[(AutoscalerKind, Value)]) -> Result<Option<Autoscaler>, Vec<String>> {
    let run = testing::run();
    let rule = run.rule(testing::ROLLOUT).unwrap();
    judge(rule, "chat", &json!({"spec": {"replicas": 5}}), found)
}

#[test]
fn what_scales_a_deployment_is_found_with_the_replicas_that_it_has_set() {
    let others = (AutoscalerKind::Horizontal, horizontal("b", "other"));
    let own = (AutoscalerKind::Horizontal, horizontal("a", "chat"));
    let found = judged(&[others.clone(), own]).unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.replicas), ("a", 5));
    assert_eq!(judged(&[others]), Ok(None));
}

#[test]
fn of_keda_the_scaled_object_counts_and_not_what_it_makes() {
    let mut made = horizontal("keda-hpa-s", "chat");
    made["metadata"]["ownerReferences"] = json!([{"kind": "ScaledObject", "name": "s", "controller": true}]);
    let scaled = json!({"metadata": {"name": "s"}, "spec": {"scaleTargetRef": {"name": "chat"}}});
    let both = [
        (AutoscalerKind::Horizontal, made),
        (AutoscalerKind::ScaledObject, scaled),
    ];
    let found = judged(&both).unwrap().unwrap();
    assert_eq!(
        (found.kind, found.name.as_str()),
        (AutoscalerKind::ScaledObject, "s")
    );
}

#[test]
fn two_that_scale_one_deployment_and_one_that_a_chart_keeps_are_refused_by_name() {
    let two = [horizontal("a", "chat"), horizontal("b", "chat")].map(|one| (AutoscalerKind::Horizontal, one));
    let said = judged(&two).unwrap_err();
    assert!(
        said[0].contains("HorizontalPodAutoscaler prod/a and HorizontalPodAutoscaler prod/b both scale"),
        "{said:?}"
    );
    let mut kept = horizontal("a", "chat");
    kept["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"});
    let said = judged(&[(AutoscalerKind::Horizontal, kept)]).unwrap_err();
    assert!(
        said[0].contains("HorizontalPodAutoscaler prod/a belongs to Helm"),
        "{said:?}"
    );
}

/// An object after a patch, as far as these tests need: members are set and removed.
fn patched(object: &Value, patch: &[Value]) -> Value {
    let mut object = object.clone();
    for operation in patch {
        let path = operation["path"].as_str().unwrap();
        let (parent, key) = path.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/");
        let parent = object.pointer_mut(parent).unwrap();
        match operation["op"].as_str().unwrap() {
            "test" => assert_eq!(parent[key], operation["value"]),
            "remove" => assert!(parent.as_object_mut().unwrap().remove(&key).is_some()),
            _ => parent[key] = operation["value"].clone(),
        }
    }
    object
}

#[test]
fn what_was_held_scales_another_within_the_bounds_that_it_had() {
    let run = testing::run();
    let rule = run.rule(testing::ROLLOUT).unwrap();
    let mut scaled = horizontal("s", "chat");
    scaled["metadata"]["annotations"] = json!({"team": "ml"});
    for (kind, object) in [
        (AutoscalerKind::Horizontal, horizontal("a", "chat")),
        (AutoscalerKind::ScaledObject, scaled),
    ] {
        assert!(!stands(&object, kind));
        let once = patched(&object, &held(&object, kind, rule, Fence(4)));
        assert!(stands(&once, kind), "{once}");
        // Held again by a later rollout: what it was is what it was at first.
        let twice = patched(&once, &held(&once, kind, rule, Fence(6)));
        let before = twice["metadata"]["annotations"][HELD]
            .as_str()
            .unwrap()
            .to_owned();
        let Change::Patch(patch) = freed(&twice, &before, kind, "w-new", Fence(7)).unwrap() else {
            panic!("it is written")
        };
        let free = patched(&twice, &patch);
        let mut expected = object.clone();
        expected["spec"]["scaleTargetRef"]["name"] = json!("w-new");
        expected["metadata"]["annotations"][names::FENCE] = json!("7");
        assert_eq!(free, expected);
    }
}
