//! PodDisruptionBudgets as the API server has them, and what it says to an eviction.

use http::StatusCode;
use serde_json::{Value, json};
use weir_app::Clusters;
use weir_domain::budget::{Asks, Floor, Part, floor, problems};
use weir_domain::run::Run;
use weir_domain::seen::{Ground, GroundSeen};
use weir_live::{Host, ROLLOUT, Role, Shape, World, eventually};

use super::world;

/// A budget over the pods of all revisions of the service.
fn budget(name: &str, spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["selector"] = json!({"matchLabels": {"app.kubernetes.io/managed-by": "weir"}});
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec})
}

/// Lets somebody see nodes and pods of the whole cluster, and nothing else of it.
async fn see_nodes_and_pods(world: &World) {
    let name = format!("{}-half", world.namespace);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
        "rules": [{"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["list"]}],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": Role::StageExecutor.account(), "namespace": world.namespace}],
    });
    for (kind, object) in [("clusterroles", role), ("clusterrolebindings", binding)] {
        let path = format!("/apis/rbac.authorization.k8s.io/v1/{kind}");
        world.admin.create(&path, &object).await.ok();
    }
}

/// What the executor of steps sees, once it is as it should be.
async fn ground(world: &World, run: &Run, is: impl Fn(&Ground) -> bool) -> Box<Ground> {
    let executor = world.fleet(Role::StageExecutor);
    let stable = run.rollout(ROLLOUT).and_then(|rollout| rollout.stable.as_ref());
    eventually("the ground is seen", async || {
        match executor.ground(run, ROLLOUT, stable).await {
            GroundSeen::Known(ground) if is(&ground) => Ok(ground),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

/// What the API server says when one of the service's pods is to be evicted.
async fn evict(world: &World) -> (StatusCode, String) {
    let pods = world.pods("").await;
    let name = pods[0]["metadata"]["name"].as_str().unwrap();
    let path = format!("{}/{name}/eviction", world.core("pods"));
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
    let answer = world.admin.create(&path, &eviction).await;
    let message = answer.body["message"].as_str().unwrap_or_default();
    (answer.status, message.to_owned())
}

#[tokio::test]
async fn budgets_are_seen_as_the_cluster_counts_them_and_what_is_said_of_them_is_what_it_does() {
    let world = world("budgets").await;
    let host = Host::of_admin(&world);
    let shape = Shape {
        node: Some("gpu-4"),
        ..Shape::rollout("v1", None)
    };
    let first = host
        .start("v1", shape.canary(&world.namespace, &world.builds, 1))
        .await;
    let run = host.until("the first release", &first, Run::is_over).await;
    assert_eq!(run.status.word(), "succeeded", "{}", run.status.words());
    let next = world.run(&Shape {
        version: "v2".into(),
        stable: Some("v1".into()),
        ..shape.clone()
    });

    // Who may not see budgets says so.
    see_nodes_and_pods(&world).await;
    let half = ground(&world, &next, |_| true).await;
    let said = problems(&half.snapshot, &half.ask, "chat", 1, 1).join("; ");
    assert!(said.starts_with("PodDisruptionBudgets are not seen: "), "{said}");
    assert!(said.contains("apply infra/cluster/ground.yaml"), "{said}");

    // One that lets no pod go: the eviction is refused, and it is told beforehand.
    world.bind_everywhere("ground.yaml").await.unwrap();
    let budgets = world.path("policy/v1", "poddisruptionbudgets");
    let all = budget("all", &json!({"minAvailable": "100%"}));
    world.admin.create(&budgets, &all).await.ok();
    let counted = |ground: &Ground| ground.snapshot.budgets.iter().any(|seen| seen.allowed == Some(0));
    let seen = ground(&world, &next, counted).await;
    assert_eq!(seen.snapshot.budgets[0].asks, Asks::Available(Part::Percent(100)));
    let by = format!("PodDisruptionBudget {}/all (minAvailable 100 %)", world.namespace);
    assert_eq!(
        floor(&seen.snapshot, &seen.ask, 1),
        Floor {
            replicas: 1,
            by: by.clone()
        }
    );
    let said = problems(&seen.snapshot, &seen.ask, "chat", 1, 1);
    assert!(
        said[0].starts_with(&format!("{by} lets none of 1 pods go")),
        "{said:?}"
    );
    assert_eq!(said.len(), 1, "{said:?}");
    let (status, message) = evict(&world).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{message}");

    // Two of them: nothing is evicted, whatever they ask for.
    let two = budget("more", &json!({"maxUnavailable": 1}));
    world.admin.create(&budgets, &two).await.ok();
    let both = |ground: &Ground| ground.snapshot.budgets.len() == 2;
    let seen = ground(&world, &next, both).await;
    let said = problems(&seen.snapshot, &seen.ask, "chat", 1, 1);
    assert!(
        said.iter().any(|words| words.contains("select the same pods")),
        "{said:?}"
    );
    let (status, message) = evict(&world).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{message}");
    assert!(message.contains("more than one PodDisruptionBudget"), "{message}");
    world.clear().await;
}
