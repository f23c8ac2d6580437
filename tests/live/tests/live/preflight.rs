//! Bad input, to the end of a run: found before anything moves, with the object's name and the fix.

use serde_json::{Value, json};
use weir_app::Clusters;
use weir_domain::pipeline::{Pipeline, RolloutRule};
use weir_domain::run::Run;
use weir_domain::seen::SiteSeen;
use weir_live::{Host, ROLLOUT, Role, Shape, World, change_rules, eventually};

const BINDINGS: &str = "rbac.authorization.k8s.io/v1";

/// A pipeline of one rollout, with another rule.
fn with(world: &World, change: impl Fn(&mut RolloutRule)) -> Pipeline {
    let shape = Shape::rollout("v1", None);
    let mut pipeline = shape.canary(&world.namespace, &world.builds, 1);
    change_rules(&mut pipeline, change);
    pipeline
}

/// Runs to the end, which comes before anything was made or written; in its words.
async fn refused(world: &World, host: &Host, commit: &str, pipeline: Pipeline) -> String {
    let asked = world.asked().await;
    let run = host.start(commit, pipeline).await;
    let run = host.until("it is over", &run, Run::is_over).await;
    assert_eq!(run.status.word(), "failed");
    assert_eq!(world.asked().await, asked, "no weight moved");
    for made in [
        world.path("apps/v1", "deployments"),
        world.core("pods"),
        world.core("configmaps?labelSelector=weir.dev/lane"),
    ] {
        assert_eq!(world.admin.get(&made).await.ok()["items"], json!([]), "{made}");
    }
    let services = world.admin.get(&world.core("services")).await.ok();
    assert_eq!(
        services["items"].as_array().map(Vec::len),
        Some(2),
        "chat and admin"
    );
    let why = run.status.words();
    assert!(why.contains("nothing was moved: "), "{why}");
    why
}

#[tokio::test]
async fn a_run_without_its_route_or_its_service_or_with_somebody_elses_ends_before_anything_moves() {
    let world = World::new("preflight").await;
    let host = Host::of_admin(&world);

    let routeless = with(&world, |rule| rule.target.route = "nowhere".into());
    let why = refused(&world, &host, "c1", routeless).await;
    assert!(
        why.contains("HTTPRoute live-preflight/nowhere does not exist; create an HTTPRoute `nowhere`"),
        "{why}"
    );

    let serviceless = with(&world, |rule| rule.target.service = "nobody".into());
    let why = refused(&world, &host, "c2", serviceless).await;
    assert!(
        why.contains("Service live-preflight/nobody does not exist: create it"),
        "{why}"
    );

    let owner = json!({
        "apiVersion": "example.com/v1", "kind": "InferenceService", "name": "chat", "uid": "1", "controller": true,
    });
    let taken = json!({"metadata": {"ownerReferences": [owner]}});
    world.admin.merge(&world.route_path(), &taken).await.ok();
    let why = refused(&world, &host, "c3", with(&world, |_| {})).await;
    assert!(
        why.contains("HTTPRoute live-preflight/chat belongs to InferenceService chat")
            && why.contains("give the service one of its own"),
        "{why}"
    );

    let split =
        json!({"metadata": {"ownerReferences": null, "annotations": {"weir.dev/lane": "other/Production"}}});
    world.admin.merge(&world.route_path(), &split).await.ok();
    let why = refused(&world, &host, "c4", with(&world, |_| {})).await;
    assert!(
        why.contains("HTTPRoute live-preflight/chat: ")
            && why.contains("split for `other/Production` already"),
        "{why}"
    );
}

/// Whoever moves traffic gets all that `weir-traffic` grants, without the verb `patch` on routes.
async fn may_not_patch_routes(world: &World) {
    let shipped = format!("/apis/{BINDINGS}/clusterroles/weir-traffic");
    let mut rules = world.admin.get(&shipped).await.ok()["rules"].take();
    for rule in rules.as_array_mut().into_iter().flatten() {
        if rule["resources"] == json!(["httproutes"]) {
            rule["verbs"] = json!(["get"]);
        }
    }
    let almost =
        json!({"apiVersion": BINDINGS, "kind": "Role", "metadata": {"name": "almost"}, "rules": rules});
    world
        .admin
        .create(&world.path(BINDINGS, "roles"), &almost)
        .await
        .ok();
    let account = Role::MetricCheck.account();
    let binding = json!({
        "apiVersion": BINDINGS, "kind": "RoleBinding", "metadata": {"name": "almost"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "almost"},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": world.namespace}],
    });
    world
        .admin
        .create(&world.path(BINDINGS, "rolebindings"), &binding)
        .await
        .ok();
    let whole = world.path(BINDINGS, "rolebindings/weir-traffic");
    world.admin.delete(&whole).await.ok();
}

#[tokio::test]
async fn a_run_whose_identity_lacks_a_right_ends_before_anything_moves_and_says_which() {
    let world = World::new("lacking").await;
    may_not_patch_routes(&world).await;
    let told = format!(
        "Weir may not patch httproutes in namespace `{0}`: apply infra/cluster/rbac.yaml, and infra/cluster/namespace.yaml with \
         `-n {0}`",
        world.namespace
    );
    let run = world.run(&Shape::rollout("v1", None));
    eventually("the right is gone", async || {
        match world.fleet(Role::MetricCheck).site(&run, ROLLOUT).await {
            SiteSeen::Seen { problems, .. } if problems == [told.as_str()] => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let host = Host::of_two(world.fleet(Role::StageExecutor), world.fleet(Role::MetricCheck));
    let why = refused(&world, &host, "c1", with(&world, |_| {})).await;
    assert!(why.contains(&told), "{why}");
    let route: Value = world.route().await;
    assert_eq!(
        route["metadata"]["annotations"],
        json!({"team": "ml"}),
        "nothing of Weir stands on it"
    );
}
