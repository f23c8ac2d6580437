use super::*;

pub(crate) fn backend(name: &str, weight: u8) -> Value {
    json!({"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight})
}

pub(crate) fn route(rules: Value, annotations: Value) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "prod", "resourceVersion": "77", "annotations": annotations},
        "spec": {"rules": rules},
    })
}

pub(crate) fn plain_route() -> Value {
    route(
        json!([
            {"matches": [{"path": {"value": "/admin"}}], "backendRefs": [backend("admin", 1)]},
            {
                "name": "main",
                "matches": [{"path": {"value": "/"}}],
                "filters": [{"type": "RequestHeaderModifier"}],
                "timeouts": {"request": "30s"},
                "backendRefs": [backend("web", 1)],
            },
        ]),
        json!({"team": "ml"}),
    )
}

pub(crate) fn wanted(split: &[(&str, u8)], fence: u64) -> Wanted {
    let share = |(name, weight): &(&str, u8)| Share {
        backend: (*name).to_owned(),
        revision: format!("r-{name}"),
        weight: *weight,
    };
    Wanted {
        back: None,
        mirror: None,
        keep: Vec::new(),
        namespace: "prod".into(),
        plain: "web".into(),
        lane: "web/Production".into(),
        run: "run-1".into(),
        split: split.iter().map(share).collect(),
        fence: Fence(fence),
    }
}

/// What a patch makes of a route. The few operations that are used, applied by hand.
pub(crate) fn applied(route: &Value, change: Change) -> Value {
    let Change::Patch(operations) = change else {
        panic!("a patch is expected, not {change:?}");
    };
    let mut route = route.clone();
    for operation in operations {
        let path = operation["path"].as_str().unwrap();
        match operation["op"].as_str().unwrap() {
            "test" => assert_eq!(route.pointer(path), Some(&operation["value"]), "{path}"),
            "replace" => *route.pointer_mut(path).unwrap() = operation["value"].clone(),
            "remove" => {
                let (parent, key) = path.rsplit_once('/').unwrap();
                let key = key.replace("~1", "/").replace("~0", "~");
                match route.pointer_mut(parent).unwrap() {
                    Value::Array(parent) => drop(parent.remove(key.parse().unwrap())),
                    parent => assert!(parent.as_object_mut().unwrap().remove(&key).is_some(), "{path}"),
                }
            }
            _ => {
                let (parent, key) = path.rsplit_once('/').unwrap();
                let key = key.replace("~1", "/").replace("~0", "~");
                match route.pointer_mut(parent).unwrap() {
                    Value::Array(parent) => parent.push(operation["value"].clone()),
                    parent => parent[key] = operation["value"].clone(),
                }
            }
        }
    }
    route
}

pub(crate) fn names_and_weights(route: &Value, rule: usize) -> Vec<(String, u64)> {
    let backends = route["spec"]["rules"][rule]["backendRefs"].as_array().unwrap();
    let pair = |b: &Value| {
        (
            b["name"].as_str().unwrap().to_owned(),
            b["weight"].as_u64().unwrap(),
        )
    };
    backends.iter().map(pair).collect()
}

#[test]
fn the_rule_of_the_plain_service_is_split_and_all_else_survives() {
    let before = plain_route();
    let after = applied(
        &before,
        change(&before, &wanted(&[("w-1", 95), ("w-2", 5)], 3)).unwrap(),
    );
    assert_eq!(
        names_and_weights(&after, 1),
        [("web".into(), 0), ("w-1".into(), 95), ("w-2".into(), 5)]
    );
    assert_eq!(after["spec"]["rules"][0], before["spec"]["rules"][0]);
    for key in ["name", "matches", "filters", "timeouts"] {
        assert_eq!(after["spec"]["rules"][1][key], before["spec"]["rules"][1][key]);
    }
    assert_eq!(after["metadata"]["annotations"]["team"], "ml");
    assert_eq!(after["metadata"]["annotations"]["weir.dev/fence"], "3");
    assert_eq!(after["metadata"]["annotations"]["weir.dev/stable"], "w-1");
    assert_eq!(known_backends(&after)["w-2"], "r-w-2");
}

#[test]
fn a_repeat_writes_nothing() {
    let wanted = wanted(&[("w-1", 95), ("w-2", 5)], 3);
    let before = plain_route();
    let after = applied(&before, change(&before, &wanted).unwrap());
    assert_eq!(change(&after, &wanted).unwrap(), Change::Nothing);
}

#[test]
fn a_lower_fence_is_dropped_and_a_higher_one_is_written_even_if_the_weights_stand() {
    let before = plain_route();
    let at_five = applied(
        &before,
        change(&before, &wanted(&[("w-1", 0), ("w-2", 100)], 5)).unwrap(),
    );
    assert_eq!(
        change(&at_five, &wanted(&[("w-1", 100), ("w-2", 0)], 4)).unwrap(),
        Change::Overtaken
    );
    let at_six = applied(
        &at_five,
        change(&at_five, &wanted(&[("w-1", 0), ("w-2", 100)], 6)).unwrap(),
    );
    assert_eq!(at_six["spec"], at_five["spec"]);
    assert_eq!(fence_of(&at_six).unwrap(), Fence(6));
}

#[test]
fn an_empty_split_goes_back_to_the_plain_service() {
    let before = plain_route();
    let first = applied(&before, change(&before, &wanted(&[("w-1", 100)], 1)).unwrap());
    assert_eq!(first["metadata"]["annotations"]["weir.dev/stable"], "web");
    let back = applied(&first, change(&first, &wanted(&[], 2)).unwrap());
    assert_eq!(back["spec"], before["spec"]);
}

#[test]
fn revisions_of_earlier_rollouts_leave_the_route() {
    let before = plain_route();
    let first = applied(
        &before,
        change(&before, &wanted(&[("w-1", 0), ("w-2", 100)], 1)).unwrap(),
    );
    let second = applied(
        &first,
        change(&first, &wanted(&[("w-2", 90), ("w-3", 10)], 2)).unwrap(),
    );
    assert_eq!(
        names_and_weights(&second, 1),
        [("web".into(), 0), ("w-2".into(), 90), ("w-3".into(), 10)]
    );
}

#[test]
fn the_patch_applies_only_to_what_was_read() {
    let Change::Patch(operations) = change(&plain_route(), &wanted(&[("w-1", 100)], 1)).unwrap() else {
        panic!("a patch is expected");
    };
    assert_eq!(
        operations[0],
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": "77"})
    );
    assert_eq!(
        operations[1],
        json!({"op": "test", "path": "/spec/rules/1/name", "value": "main"})
    );
    assert_eq!(operations[2]["op"], "test");
}

#[test]
fn a_route_that_cannot_be_split_says_how_it_could() {
    let foreign = route(
        json!([{"backendRefs": [backend("web", 9), backend("other", 1)]}]),
        Value::Null,
    );
    let elsewhere = route(
        json!([{"backendRefs": [{"name": "web", "namespace": "else"}]}]),
        json!({}),
    );
    let taken = route(
        json!([{"backendRefs": [backend("web", 1)]}]),
        json!({"weir.dev/lane": "b/Production"}),
    );
    let odd = route(
        json!([{"backendRefs": [backend("web", 1)]}]),
        json!({"weir.dev/fence": "x"}),
    );
    let table = [
        (foreign, Unfit::Foreign("other".into(), "web".into())),
        (elsewhere, Unfit::NoRule("web".into())),
        (taken, Unfit::OtherLane("b/Production".into())),
        (odd, Unfit::Fence("x".into())),
        (route(Value::Null, Value::Null), Unfit::NoRule("web".into())),
    ];
    for (route, unfit) in table {
        assert_eq!(change(&route, &wanted(&[("w-1", 100)], 1)), Err(unfit));
    }
    assert_eq!(
        change(&plain_route(), &wanted(&[("w-1", 60)], 1)),
        Err(Unfit::Sum(60))
    );
}

#[test]
fn a_foreign_backend_without_a_share_stays() {
    let before = route(
        json!([{"backendRefs": [backend("web", 1), backend("mirror", 0)]}]),
        Value::Null,
    );
    let after = applied(&before, change(&before, &wanted(&[("w-1", 100)], 1)).unwrap());
    assert_eq!(
        names_and_weights(&after, 0),
        [("web".into(), 0), ("mirror".into(), 0), ("w-1".into(), 100)]
    );
}

#[test]
fn a_backend_filter_of_the_user_is_kept_for_every_revision() {
    let mut plain = backend("web", 1);
    plain["filters"] = json!([{"type": "RequestHeaderModifier"}]);
    let before = route(json!([{"backendRefs": [plain.clone()]}]), Value::Null);
    let after = applied(&before, change(&before, &wanted(&[("w-1", 100)], 1)).unwrap());
    assert_eq!(
        after["spec"]["rules"][0]["backendRefs"][1]["filters"],
        plain["filters"]
    );
}

/// A route after a promotion: `r1` was stable, `r2` has everything.
fn promoted() -> Value {
    let rules = json!([{"backendRefs": [backend("web", 0), backend("w-1", 0), backend("w-2", 100)]}]);
    let backends = json!({"w-1": "r1", "w-2": "r2"}).to_string();
    let annotations = json!({names::FENCE: "5", names::STABLE: "w-1", names::BACKENDS: backends});
    route(rules, annotations)
}

#[test]
fn a_removed_revision_is_nowhere_in_the_route_and_traffic_goes_back_to_what_serves() {
    let before = promoted();
    let after = applied(&before, without(&before, "w-1", "prod", Fence(6)).unwrap());
    assert_eq!(
        names_and_weights(&after, 0),
        [("web".to_owned(), 0), ("w-2".to_owned(), 100)]
    );
    let annotations = &after["metadata"]["annotations"];
    assert_eq!(annotations[names::STABLE], "w-2");
    assert_eq!(annotations[names::BACKENDS], r#"{"w-2":"r2"}"#);
    assert_eq!(annotations[names::FENCE], "6");
    assert_eq!(without(&after, "w-1", "prod", Fence(6)), Ok(Change::Nothing));
}

#[test]
fn a_removed_candidate_leaves_the_stable_one_stable_and_the_higher_fence() {
    let mut before = promoted();
    before["metadata"]["annotations"][names::STABLE] = json!("w-2");
    let after = applied(&before, without(&before, "w-1", "prod", Fence(4)).unwrap());
    assert_eq!(after["metadata"]["annotations"][names::STABLE], "w-2");
    assert_eq!(after["metadata"]["annotations"][names::FENCE], "5");
    assert!(
        without(&before, "w-2", "prod", Fence(6)).is_err(),
        "it has traffic"
    );
}

/// Copies of so many requests of a hundred to `w-2`, which answers nobody.
fn copying(percent: u8, fence: u64) -> Wanted {
    let share = Share {
        backend: "w-2".into(),
        revision: "r-w-2".into(),
        weight: percent,
    };
    Wanted {
        mirror: Some(share),
        ..wanted(&[("w-1", 100), ("w-2", 0)], fence)
    }
}

/// The route once a write that names no copies has come.
fn ended(route: &Value, fence: u64) -> Value {
    let order = wanted(&[("w-1", 100), ("w-2", 0)], fence);
    applied(route, change(route, &order).unwrap())
}

#[test]
fn copies_come_and_go_and_filters_of_others_survive() {
    let before = plain_route();
    let copied = applied(&before, change(&before, &copying(10, 3)).unwrap());
    let filters = copied["spec"]["rules"][1]["filters"].as_array().unwrap();
    let backend = json!({"group": "", "kind": "Service", "name": "w-2", "port": 80});
    assert_eq!(filters[0], before["spec"]["rules"][1]["filters"][0]);
    assert_eq!(
        filters[1],
        json!({"type": "RequestMirror", "requestMirror": {"backendRef": backend, "percent": 10}})
    );
    assert_eq!(copied["spec"]["rules"][0], before["spec"]["rules"][0]);
    assert_eq!(
        names_and_weights(&copied, 1)[1..],
        [("w-1".into(), 100), ("w-2".into(), 0)]
    );
    assert_eq!(change(&copied, &copying(10, 3)).unwrap(), Change::Nothing);

    // Another part replaces the filter, and does not stand beside it.
    let more = applied(&copied, change(&copied, &copying(25, 4)).unwrap());
    let filters = more["spec"]["rules"][1]["filters"].as_array().unwrap();
    assert_eq!(
        (filters.len(), &filters[1]["requestMirror"]["percent"]),
        (2, &json!(25))
    );

    // Whatever is decided next takes it out, a later rollout as well as the end of this one.
    let back = ended(&more, 5);
    assert_eq!(
        back["spec"]["rules"][1]["filters"],
        before["spec"]["rules"][1]["filters"]
    );
}

#[test]
fn a_rule_without_filters_is_left_without_them() {
    let before = route(json!([{"backendRefs": [backend("web", 1)]}]), Value::Null);
    let copied = applied(&before, change(&before, &copying(100, 3)).unwrap());
    let mirror = &copied["spec"]["rules"][0]["filters"][0]["requestMirror"];
    assert_eq!(
        mirror["percent"],
        Value::Null,
        "all is what a mirror copies by itself"
    );
    let back = ended(&copied, 4);
    assert!(back["spec"]["rules"][0].get("filters").is_none(), "{back}");
}

#[test]
fn copies_for_somebody_else_are_not_weirs() {
    let mut before = plain_route();
    let foreign =
        json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "spy", "port": 80}}});
    let to_plain =
        json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "web", "port": 80}}});
    before["spec"]["rules"][1]["filters"] = json!([foreign, to_plain]);
    let copied = applied(&before, change(&before, &copying(10, 3)).unwrap());
    let back = ended(&copied, 4);
    assert_eq!(
        back["spec"]["rules"][1]["filters"],
        before["spec"]["rules"][1]["filters"]
    );
}

#[test]
fn a_removed_revision_takes_copies_for_it_along() {
    let before = plain_route();
    let copied = applied(&before, change(&before, &copying(10, 3)).unwrap());
    let after = applied(&copied, without(&copied, "w-2", "prod", Fence(4)).unwrap());
    assert_eq!(
        after["spec"]["rules"][1]["filters"],
        before["spec"]["rules"][1]["filters"]
    );
    assert_eq!(
        names_and_weights(&after, 1),
        [("web".into(), 0), ("w-1".into(), 100)]
    );
}
