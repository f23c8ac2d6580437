//! Invariant 8: a writer that was stopped cannot undo what was decided since.

use http::Method;
use serde_json::{Value, json};
use weir_domain::ids::RevisionId;
use weir_live::{Gate, Role, Shape, World, Writer, eventually};

/// Weights by backend of the rule that Weir splits.
fn weights(route: &Value) -> Vec<(String, u64)> {
    let backends = route["spec"]["rules"][1]["backendRefs"].as_array().unwrap();
    let pair = |backend: &Value| {
        (
            backend["name"].as_str().unwrap().to_owned(),
            backend["weight"].as_u64().unwrap(),
        )
    };
    backends.iter().map(pair).collect()
}

fn fence(route: &Value) -> &Value {
    &route["metadata"]["annotations"]["weir.dev/fence"]
}

fn weight_of(route: &Value, revision: &RevisionId) -> u64 {
    let known: Value = serde_json::from_str(
        route["metadata"]["annotations"]["weir.dev/backends"]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    let all = weights(route);
    let (_, weight) = all
        .iter()
        .find(|(name, _)| known[name] == revision.as_str())
        .unwrap();
    *weight
}

#[tokio::test]
async fn a_writer_stopped_between_its_read_and_its_write_cannot_undo_a_revert() {
    let world = World::new("stopped").await;
    let shape = Shape::rollout("v2", Some("v1"));
    let run = world.run(&shape);
    let (old, new) = (shape.revision("v1"), shape.revision("v2"));
    world
        .perform(&run, &[world.weights(&[(&old, 95), (&new, 5)], 4)])
        .await;

    // The writer reads; it is stopped after the server has answered, and before it can have written.
    let gate = Gate::open(&world.cluster.kubeconfig).await.unwrap();
    let kubeconfig = world.directory("writer").join("kubeconfig");
    let metric_check = world.identity(Role::MetricCheck);
    metric_check.by_way_of(gate.address, &kubeconfig).unwrap();
    let mut read = gate.hold(Method::GET);
    let raise = world.weights(&[(&old, 50), (&new, 50)], 5);
    let program = env!("CARGO_BIN_EXE_weir-live-writer");
    let writer = Writer::start(program, &kubeconfig, &run, &raise).await.unwrap();
    read.caught().await;
    writer.stop().await;
    read.release();

    // Meanwhile traffic goes back, by an identity that may do nothing else.
    let back = world.weights(&[(&old, 100), (&new, 0)], 6);
    weir_app::Clusters::perform(&world.fleet(Role::WebhookIntake), &run, &back)
        .await
        .unwrap();
    assert_eq!(weight_of(&world.route().await, &new), 0);
    let reverted = world.asked().await;

    writer.go_on().await;
    assert!(
        writer.ended().await.unwrap().success(),
        "a dropped write counts as done"
    );
    let passed = gate.passed();
    assert_eq!(
        passed.len(),
        3,
        "it reads, is refused, and reads again: {passed:?}"
    );
    assert_eq!((passed[0].as_str(), passed[2].as_str()), ("GET 200", "GET 200"));
    assert!(
        ["PATCH 409", "PATCH 422"].contains(&passed[1].as_str()),
        "{passed:?}"
    );
    assert_eq!(world.asked().await, reverted, "nothing at all was written");
    assert_eq!(fence(&world.route().await), "6");
}

#[tokio::test]
async fn the_api_server_itself_refuses_a_fence_that_falls() {
    let world = World::new("falls").await;
    let shape = Shape::rollout("v2", Some("v1"));
    let run = world.run(&shape);
    let (old, new) = (shape.revision("v1"), shape.revision("v2"));
    world
        .perform(&run, &[world.weights(&[(&old, 100), (&new, 0)], 6)])
        .await;
    let before = world.asked().await;
    let api = &world.identity(Role::MetricCheck).api;

    // A writer without the adapter's own check, and without a resourceVersion.
    let late = json!([
        {"op": "replace", "path": "/spec/rules/1/backendRefs/2/weight", "value": 50},
        {"op": "replace", "path": "/metadata/annotations/weir.dev~1fence", "value": "5"},
    ]);
    let said = api.patch(&world.route_path(), &late).await.denied();
    assert!(
        said.contains("weir.dev/fence is 6 and this write carries 5: a later decision was written already"),
        "{said}"
    );
    for odd in [
        json!("six"),
        json!("-7"),
        json!("1e9"),
        json!("99999999999999999999"),
    ] {
        let patch = json!({"metadata": {"annotations": {"weir.dev/fence": odd}}});
        api.merge(&world.route_path(), &patch).await.denied();
    }
    let removal = json!({"metadata": {"annotations": {"weir.dev/fence": null}}});
    let said = api.merge(&world.route_path(), &removal).await.denied();
    assert!(
        said.contains("may only be removed together with everything of Weir"),
        "{said}"
    );
    world.admin.merge(&world.route_path(), &removal).await.denied();
    assert_eq!(world.asked().await, before);

    // Weir can be taken off as a whole.
    eventually("the plain route is written", async || {
        let mut plain = world.route().await;
        let annotations = plain["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.retain(|key, _| !key.starts_with("weir.dev/"));
        plain["spec"]["rules"][1]["backendRefs"] = json!([{"name": "chat", "port": 80}]);
        match world.admin.replace(&world.route_path(), &plain).await {
            answer if answer.status.is_success() => Ok(()),
            answer => Err(answer.body.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn the_fence_of_a_deployment_and_of_a_plain_service_hold_too() {
    let world = World::new("objects").await;
    let shape = Shape::rollout("v1", None);
    let (run, revision) = (world.run(&shape), shape.revision("v1"));
    let (step, fence) = (weir_live::ROLLOUT, weir_domain::ids::Fence(7));
    let ensure = weir_domain::effect::Effect::EnsureRevision {
        step,
        revision: revision.clone(),
        replicas: 0,
        fence,
    };
    let retarget = weir_domain::effect::Effect::RetargetService {
        step,
        revision: revision.clone(),
        fence,
    };
    world.perform(&run, &[ensure, retarget]).await;
    let lane = &run.rule(step).unwrap().lane;
    let deployment = format!(
        "deployments/{}",
        weir_cluster::names::revision_name(lane, &revision)
    );
    let lower = json!({"metadata": {"annotations": {"weir.dev/fence": "6"}}});
    let gone = json!({"metadata": {"annotations": {"weir.dev/fence": null}}});
    for path in [world.path("apps/v1", &deployment), world.core("services/chat")] {
        for patch in [&lower, &gone] {
            world.admin.merge(&path, patch).await.denied();
        }
        let other = json!({"metadata": {"annotations": {"team": "ml"}}});
        world.admin.merge(&path, &other).await.ok();
    }
}
