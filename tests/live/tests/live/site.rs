//! What a rollout needs beside its own objects, as the identity that moves traffic finds it.

use serde_json::{Value, json};
use weir_app::Clusters;
use weir_domain::pipeline::RolloutRule;
use weir_domain::run::Run;
use weir_domain::seen::SiteSeen;
use weir_domain::strategy::{Shadow, Strategy};
use weir_live::{ROLLOUT, Role, Shape, World, change_rules};

async fn problems(world: &World, run: &Run, role: Role) -> Vec<String> {
    match world.fleet(role).site(run, ROLLOUT).await {
        SiteSeen::Seen { problems, .. } => problems,
        away @ SiteSeen::Unreachable(_) => panic!("{away:?}"),
    }
}

/// The run with another target.
fn with(run: &Run, change: impl Fn(&mut RolloutRule)) -> Run {
    let mut run = run.clone();
    change_rules(std::sync::Arc::make_mut(&mut run.pipeline), change);
    run
}

#[tokio::test]
async fn what_is_missing_or_somebody_elses_is_told_by_name_with_the_fix() {
    let world = World::new("site").await;
    let run = world.run(&Shape::rollout("v1", None));
    assert_eq!(
        problems(&world, &run, Role::MetricCheck).await,
        Vec::<String>::new()
    );

    // Route and Service that are not there, both at once.
    let nowhere = with(&run, |rule| {
        rule.target.route = "nowhere".into();
        rule.target.service = "nobody".into();
    });
    let told = problems(&world, &nowhere, Role::MetricCheck).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("HTTPRoute live-site/nowhere does not exist; create an HTTPRoute `nowhere`"),
        "{told:?}"
    );
    assert!(
        told[1].contains("Service live-site/nobody does not exist: create it"),
        "{told:?}"
    );

    // A route without a rule for the Service.
    let unruled = with(&run, |rule| rule.target.service = "admin".into());
    assert_eq!(
        problems(&world, &unruled, Role::MetricCheck).await,
        Vec::<String>::new()
    );
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "lonely"}, "spec": {"ports": [{"port": 80}]}});
    world.admin.create(&world.core("services"), &service).await.ok();
    let unruled = with(&run, |rule| rule.target.service = "lonely".into());
    let told = problems(&world, &unruled, Role::MetricCheck).await;
    assert!(
        told[0].contains("HTTPRoute live-site/chat: no rule sends traffic to the Service `lonely`"),
        "{told:?}"
    );

    // A Deployment that is to be adopted and is not there; then one that a chart keeps as it wants it.
    let adopting = with(&run, |rule| rule.adopts = Some("legacy".into()));
    let told = problems(&world, &adopting, Role::MetricCheck).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0]
            .contains("Deployment live-site/legacy does not exist: name the one that serves under `adopt`"),
        "{told:?}"
    );
    let mut legacy = Shape::rollout("v0", None).deployment("v0", 0);
    legacy["metadata"] = json!({"name": "legacy", "labels": {"app.kubernetes.io/managed-by": "Helm"}});
    world
        .admin
        .create(&world.path("apps/v1", "deployments"), &legacy)
        .await
        .ok();
    let told = problems(&world, &adopting, Role::MetricCheck).await;
    let told = told.join("; ");
    assert!(
        told.contains("Deployment live-site/legacy belongs to Helm, so that two would write it"),
        "{told}"
    );
    assert!(
        told.contains("Service live-site/chat selects no pod of Deployment live-site/legacy"),
        "{told}"
    );

    // A route that is split for somebody else, with a backend of a stranger, that a controller makes.
    let taken: Value = json!({"metadata": {
        "annotations": {"weir.dev/lane": "other/Production"},
        "ownerReferences": [{
            "apiVersion": "example.com/v1", "kind": "InferenceService", "name": "chat", "uid": "1", "controller": true,
        }],
    }});
    world.admin.merge(&world.route_path(), &taken).await.ok();
    let told = problems(&world, &run, Role::MetricCheck).await;
    assert!(
        told[0].contains("split for `other/Production` already"),
        "{told:?}"
    );
    assert!(told[1].contains("belongs to InferenceService chat"), "{told:?}");

    // Somebody without the rights.
    let told = problems(&world, &run, Role::StageExecutor).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("get/create/patch/delete deployments")
            && told[0].contains("infra/cluster/namespace.yaml"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_gateway_that_does_not_say_that_it_copies_requests_gets_no_shadow() {
    let world = World::new("class").await;
    let shadow = with(&world.run(&Shape::rollout("v1", None)), |rule| {
        rule.strategy = Strategy::Shadow(Shadow::default());
    });
    let told = problems(&world, &shadow, Role::MetricCheck).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("apply infra/cluster/classes.yaml"), "{told:?}");
    world.bind_everywhere("classes.yaml").await.unwrap();
    // Envoy Gateway copies, and says nothing of what it can do.
    assert_eq!(
        problems(&world, &shadow, Role::MetricCheck).await,
        Vec::<String>::new()
    );

    let elsewhere = with(&shadow, |rule| rule.target.gateway = Some("other".into()));
    let told = problems(&world, &elsewhere, Role::MetricCheck).await;
    assert_eq!(
        told,
        ["Gateway live-class/other does not exist: create it, or name another"]
    );
    let listener = json!({"name": "http", "port": 80, "protocol": "HTTP"});
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "other"},
        "spec": {"gatewayClassName": "live-class", "listeners": [listener]},
    });
    let gateways = world.path("gateway.networking.k8s.io/v1", "gateways");
    world.admin.create(&gateways, &gateway).await.ok();
    let class = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "live-class"},
        "spec": {"controllerName": "example.com/other"},
    });
    let classes = "/apis/gateway.networking.k8s.io/v1/gatewayclasses";
    world.admin.create(classes, &class).await.ok();
    let told = problems(&world, &elsewhere, Role::MetricCheck).await;
    assert!(
        told[0].contains("GatewayClass live-class (example.com/other) does not say what it supports"),
        "{told:?}"
    );
    let mirror = json!({"name": "HTTPRouteRequestMirror"});
    let conditions = json!([{
        "type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]);
    let can = json!({"status": {"conditions": conditions, "supportedFeatures": [mirror]}});
    world
        .admin
        .merge(&format!("{classes}/live-class/status"), &can)
        .await
        .ok();
    let told = problems(&world, &elsewhere, Role::MetricCheck).await;
    assert!(
        told[0].contains("GatewayClass live-class does not support HTTPRouteRequestPercentageMirror"),
        "{told:?}"
    );
}
