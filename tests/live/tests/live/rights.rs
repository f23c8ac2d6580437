//! What each identity may do, and what it may not, whatever its code says.

use serde_json::{Value, json};
use weir_app::{Classified, Clusters, Retry};
use weir_domain::effect::Effect;
use weir_domain::ids::RevisionId;
use weir_domain::units::Weight;
use weir_live::{Api, Role, Shape, World};

/// A route at 95 to 5, with the plain Service at 0 before them.
async fn split(world: &World) -> (weir_domain::run::Run, RevisionId, RevisionId) {
    let shape = Shape::rollout("v2", Some("v1"));
    let run = world.run(&shape);
    let (old, new) = (shape.revision("v1"), shape.revision("v2"));
    world
        .perform(&run, &[world.weights(&[(&old, 95), (&new, 5)], 4)])
        .await;
    (run, old, new)
}

fn weight(backend: usize, value: u8) -> Value {
    json!({"op": "replace", "path": format!("/spec/rules/1/backendRefs/{backend}/weight"), "value": value})
}

fn set(path: &str, value: Value) -> Value {
    json!({"op": "add", "path": path, "value": value})
}

/// Patches that give somebody more, each in its own way. Backends: 0 plain, 1 stable, 2 candidate.
fn raises(stable: &Value, candidate: &Value) -> Vec<(&'static str, Value)> {
    let mut twice = candidate.clone();
    twice["weight"] = json!(5);
    let mut elsewhere = candidate.clone();
    elsewhere["namespace"] = json!("gateway");
    let mut elsewhere_stable = stable.clone();
    elsewhere_stable["namespace"] = json!("gateway");
    let mut renamed = candidate.clone();
    renamed["name"] = json!("w-0123456789ab");
    let backends = "/spec/rules/1/backendRefs";
    vec![
        ("a larger weight", json!([weight(2, 6)])),
        ("everything", json!([weight(1, 0), weight(2, 100)])),
        ("a smaller weight of the stable one", json!([weight(1, 5)])),
        (
            "only the stable one taken out",
            json!([{"op": "remove", "path": format!("{backends}/1")}]),
        ),
        (
            "the plain service, which is not the stable one",
            json!([weight(0, 1)]),
        ),
        (
            "the candidate twice",
            json!([set(&format!("{backends}/-"), twice)]),
        ),
        (
            "a namespace of others",
            json!([set(&format!("{backends}/2"), elsewhere)]),
        ),
        (
            "a backend that nobody knows",
            json!([set(&format!("{backends}/-"), renamed)]),
        ),
        (
            "a namesake of the stable one in a namespace of others",
            json!([set(&format!("{backends}/-"), elsewhere_stable)]),
        ),
        (
            "a rule of others",
            json!([set("/spec/rules/2/backendRefs", json!([stable]))]),
        ),
        (
            "another port of the stable one",
            json!([set(&format!("{backends}/1/port"), json!(81))]),
        ),
        ("traffic to nobody", json!([weight(1, 0), weight(2, 0)])),
        (
            "another one called stable",
            json!([set(
                "/metadata/annotations/weir.dev~1stable",
                candidate["name"].clone()
            )]),
        ),
        (
            "nobody called stable",
            json!([{"op": "remove", "path": "/metadata/annotations/weir.dev~1stable"}]),
        ),
        (
            "another host name",
            json!([set("/spec/hostnames", json!(["x.example"]))]),
        ),
        ("other matches", json!([set("/spec/rules/1/matches", json!([]))])),
        ("a filter", json!([set("/spec/rules/1/filters", json!([]))])),
        (
            "no timeout",
            json!([{"op": "remove", "path": "/spec/rules/1/timeouts"}]),
        ),
        (
            "one rule less",
            json!([{"op": "remove", "path": "/spec/rules/0"}]),
        ),
        (
            "another gateway",
            json!([set("/spec/parentRefs/0/name", json!("other"))]),
        ),
    ]
}

async fn only_sends_back(world: &World, api: &Api) {
    let before = world.asked().await;
    let backends = world.route().await["spec"]["rules"][1]["backendRefs"].clone();
    for (what, patch) in raises(&backends[1], &backends[2]) {
        let answer = api.patch(&world.route_path(), &patch).await;
        assert_eq!(answer.status, 403, "{what}: {}", answer.body);
        let said = answer.denied();
        assert!(
            said.contains("this identity may only send traffic back"),
            "{what}: {said}"
        );
    }
    assert_eq!(world.asked().await, before);
    let less = json!([weight(1, 97), weight(2, 3)]);
    api.patch(&world.route_path(), &less).await.ok();
    let gone = json!([weight(1, 100), {"op": "remove", "path": "/spec/rules/1/backendRefs/2"}]);
    api.patch(&world.route_path(), &gone).await.ok();
}

#[tokio::test]
async fn webhook_intake_may_send_traffic_back_and_nothing_else() {
    let world = World::new("back").await;
    let (run, old, new) = split(&world).await;
    let raise = world.weights(&[(&old, 94), (&new, 6)], 5);
    let error = world
        .fleet(Role::WebhookIntake)
        .perform(&run, &raise)
        .await
        .unwrap_err();
    assert_eq!(error.retry(), Retry::Never, "{error}");
    assert!(error.to_string().contains("would get a larger weight"), "{error}");
    only_sends_back(&world, &world.identity(Role::WebhookIntake).api).await;
    for path in ["services/chat", "configmaps", "pods", "secrets"] {
        world
            .identity(Role::WebhookIntake)
            .api
            .get(&world.core(path))
            .await
            .denied();
    }
}

#[tokio::test]
async fn a_cloud_identity_mapped_to_the_group_is_held_to_the_same() {
    let world = World::new("group").await;
    split(&world).await;
    only_sends_back(&world, &world.of_group(Role::WebhookIntake).await.unwrap().api).await;
}

#[tokio::test]
async fn a_first_release_is_sent_back_to_the_plain_service() {
    let world = World::new("first").await;
    let shape = Shape::rollout("v1", None);
    let (run, new) = (world.run(&shape), shape.revision("v1"));
    let fleet = world.fleet(Role::WebhookIntake);
    let begin = world.weights(&[(&new, 100)], 1);
    let error = fleet.perform(&run, &begin).await.unwrap_err();
    assert!(
        error.to_string().contains("may only send traffic back"),
        "{error}"
    );
    world.perform(&run, &[begin]).await;
    fleet.perform(&run, &world.weights(&[], 2)).await.unwrap();
    let route = world.route().await;
    let backends = route["spec"]["rules"][1]["backendRefs"].as_array().unwrap();
    assert_eq!(backends.len(), 1, "{backends:?}");
    assert_eq!(
        (&backends[0]["name"], &backends[0]["weight"]),
        (&json!("chat"), &json!(1))
    );
}

/// A route on which requests are copied to a candidate that answers nobody.
async fn copied(world: &World, percent: u8) -> (weir_domain::run::Run, Effect, Effect) {
    let shape = Shape::rollout("v2", Some("v1"));
    let (old, new) = (shape.revision("v1"), shape.revision("v2"));
    let order = |fence: u64, percent: Option<u8>| {
        let mut order = world.weights(&[(&old, 100), (&new, 0)], fence);
        if let Effect::SetWeights { mirror, .. } = &mut order {
            *mirror = percent.map(|percent| (new.clone(), Weight::new(percent).unwrap()));
        }
        order
    };
    let run = world.run(&shape);
    world.perform(&run, &[order(4, Some(percent))]).await;
    (run, order(5, Some(percent + 1)), order(5, None))
}

#[tokio::test]
async fn copies_may_be_ended_and_neither_begun_nor_raised() {
    let world = World::new("copies").await;
    let (run, more, none) = copied(&world, 10).await;
    let fleet = world.fleet(Role::WebhookIntake);
    let error = fleet.perform(&run, &more).await.unwrap_err();
    assert!(
        error.to_string().contains("may only send traffic back"),
        "{error}"
    );

    let before = world.route().await["spec"]["rules"][1]["filters"].clone();
    let filters = before.as_array().unwrap();
    let (own, mirror) = (&filters[..filters.len() - 1], filters.last().unwrap());
    let mut other = mirror.clone();
    other["requestMirror"]["backendRef"]["name"] = json!("w-0123456789ab");
    let mut all = mirror.clone();
    all["requestMirror"].as_object_mut().unwrap().remove("percent");
    let api = &world.identity(Role::WebhookIntake).api;
    let with = |more: &[&Value]| {
        let more = more.iter().map(|one| (*one).clone());
        json!([set(
            "/spec/rules/1/filters",
            own.iter().cloned().chain(more).collect()
        )])
    };
    for (what, patch) in [
        ("twice", with(&[mirror, mirror])),
        ("somebody else too", with(&[mirror, &other])),
        ("somebody else", with(&[&other])),
        ("all of them", with(&[&all])),
        (
            "a filter of others too",
            json!([set("/spec/rules/1/filters", json!([mirror]))]),
        ),
    ] {
        let answer = api.patch(&world.route_path(), &patch).await;
        assert_eq!(answer.status, 403, "{what}: {}", answer.body);
    }
    fleet.perform(&run, &none).await.unwrap();
    let after = world.route().await["spec"]["rules"][1]["filters"].clone();
    assert_eq!(after.as_array().unwrap(), own);
    let error = fleet.perform(&run, &more).await.unwrap_err();
    assert!(
        error.to_string().contains("may only send traffic back"),
        "{error}"
    );
}

#[tokio::test]
async fn as_many_copies_as_the_api_takes_can_be_ended() {
    let world = World::new("mirrors").await;
    let mirror = |n: u8| json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": format!("w-00000000000{n:x}"), "port": 80}}});
    let backends = json!([{"name": "chat", "port": 80, "weight": 100}, {"name": "w-111111111111", "port": 80, "weight": 0}]);
    let rule = |mirrors: u8| json!({"backendRefs": backends, "filters": (0..mirrors).map(mirror).collect::<Vec<_>>()});
    let rules = |mirrors: u8| json!({"spec": {"rules": vec![rule(mirrors); 16]}});
    let mark = json!({"metadata": {"annotations": {"weir.dev/fence": "1", "weir.dev/stable": "chat"}}});
    world.admin.merge(&world.route_path(), &mark).await.ok();
    world.admin.merge(&world.route_path(), &rules(15)).await.ok();
    let api = &world.identity(Role::WebhookIntake).api;
    api.merge(&world.route_path(), &rules(16)).await.denied();
    api.merge(&world.route_path(), &rules(14)).await.ok();
    api.merge(&world.route_path(), &rules(0)).await.ok();
}

/// The policy has a budget, and what exceeds it is refused: a revert must not be.
#[tokio::test]
async fn the_largest_route_that_the_api_takes_can_be_sent_back() {
    let world = World::new("largest").await;
    let backend = |name: String, weight: u8| json!({"name": name, "port": 80, "weight": weight});
    let rule = |stable: u8| {
        let others = (1..15).map(|n| backend(format!("w-00000000000{n:x}"), 1));
        let all = [backend("chat".to_owned(), stable)].into_iter().chain(others);
        json!({"backendRefs": all.chain([backend("w-111111111111".to_owned(), 100 - stable)]).collect::<Vec<_>>()})
    };
    let rules = |stable: u8| json!({"spec": {"rules": vec![rule(stable); 16]}});
    let mark = json!({"metadata": {"annotations": {"weir.dev/fence": "1", "weir.dev/stable": "chat"}}});
    world.admin.merge(&world.route_path(), &mark).await.ok();
    world.admin.merge(&world.route_path(), &rules(50)).await.ok();
    let api = &world.identity(Role::WebhookIntake).api;
    api.merge(&world.route_path(), &rules(49)).await.denied();
    api.merge(&world.route_path(), &rules(100)).await.ok();
}

#[tokio::test]
async fn a_promoted_revision_can_be_what_the_next_revert_goes_back_to() {
    let world = World::new("next").await;
    let (run, old, new) = split(&world).await;
    world
        .perform(&run, &[world.weights(&[(&old, 0), (&new, 100)], 5)])
        .await;
    // The next rollout is called back before metric-check has written anything of it.
    let shape = Shape::rollout("v3", Some("v2"));
    let back = world.weights(&[(&new, 100), (&shape.revision("v3"), 0)], 6);
    let next = world.run(&shape);
    world
        .fleet(Role::WebhookIntake)
        .perform(&next, &back)
        .await
        .unwrap();
    let stable = world.route().await["metadata"]["annotations"]["weir.dev/stable"].clone();
    let lane = &next.rule(weir_live::ROLLOUT).unwrap().lane;
    assert_eq!(stable, weir_cluster::names::revision_name(lane, &new));
}

#[tokio::test]
async fn stage_executor_moves_no_traffic_and_reads_no_secret() {
    let world = World::new("executor").await;
    let (run, old, new) = split(&world).await;
    let fleet = world.fleet(Role::StageExecutor);
    let back = world.weights(&[(&old, 100), (&new, 0)], 5);
    let error = fleet.perform(&run, &back).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Never);
    assert!(
        error.to_string().contains("cannot get resource \"httproutes\""),
        "{error}"
    );
    assert!(error.to_string().contains("infra/cluster/rbac.yaml"), "{error}");
    let api = &world.identity(Role::StageExecutor).api;
    api.patch(&world.route_path(), &json!([weight(1, 100)]))
        .await
        .denied();
    api.get(&format!("/api/v1/namespaces/{}/secrets", world.builds))
        .await
        .denied();
    api.get(&world.path("batch/v1", "jobs")).await.denied();
}

#[tokio::test]
async fn metric_check_reads_no_secret_and_starts_nothing_beside_revisions() {
    let world = World::new("traffic").await;
    let api = &world.identity(Role::MetricCheck).api;
    api.get(&world.core("secrets")).await.denied();
    api.get(&world.core("secrets/any")).await.denied();
    api.create(
        &world.core("pods"),
        &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}),
    )
    .await
    .denied();
    let jobs = format!("/apis/batch/v1/namespaces/{}/jobs", world.builds);
    api.create(
        &jobs,
        &json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}}),
    )
    .await
    .denied();
}
