//! A HorizontalPodAutoscaler beside a rollout: the real controller, which enforces its bounds without any metric.

use serde_json::{Value, json};
use weir_cluster::names::revision_name;
use weir_domain::rollout::Phase;
use weir_live::{Stage, World, eventually, rollout};

use crate::adoption::{LEGACY, adopts, canary, deployment, run_legacy};

/// Replicas that it makes of the two that the definition and the Deployment ask for.
const SCALED: u32 = 3;

fn path(world: &World) -> String {
    world.path("autoscaling/v2", "horizontalpodautoscalers")
}

async fn scaler(world: &World) -> Value {
    world.admin.get(&format!("{}/chat", path(world))).await.ok()
}

/// The controller looks every 15 s.
async fn has_replicas(world: &World, deployment: &str, replicas: u32) {
    eventually("the autoscaler has set the replicas", async || {
        let path = world.path("apps/v1", &format!("deployments/{deployment}"));
        let object = world.admin.get(&path).await.ok();
        match object["status"]["availableReplicas"] == replicas {
            true => Ok(()),
            false => Err(object["status"].to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn an_autoscaler_is_held_while_traffic_moves_and_then_scales_what_serves() {
    let stage = Stage::new("scaled", canary(), SCALED).await.of_functions().await;
    let world = &stage.world;
    run_legacy(world).await;
    let bounds = json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": LEGACY},
        "minReplicas": SCALED, "maxReplicas": SCALED + 1,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}],
    });
    let object = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "chat"}, "spec": bounds,
    });
    world.admin.create(&path(world), &object).await.ok();
    has_replicas(world, LEGACY, SCALED).await;
    let load = stage.users("v0").await;

    let run = stage.push_changed("v1", json!({}), canary(), adopts).await;
    stage
        .until(&run, "the bake", |rollout| rollout.phase == Phase::Baking)
        .await;
    // It may not take stable down to its bounds, nor up: stable is the way back.
    let held = scaler(world).await;
    for direction in ["scaleUp", "scaleDown"] {
        assert_eq!(held["spec"]["behavior"][direction]["selectPolicy"], "Disabled");
    }
    assert_eq!(held["spec"]["minReplicas"], 1);
    let run = stage.ends(&run, "succeeded").await;
    let went = rollout(&run);
    assert_eq!((went.plan.gpu_peak, went.gpus_peak), (2 * SCALED, 2 * SCALED));
    stage.answers("v1").await;

    // Bounds as they were, another target, and the old Deployment is left alone.
    let lane = run
        .steps()
        .find_map(|(id, ..)| run.rule(id))
        .map(|rule| &rule.lane);
    let new = revision_name(lane.unwrap(), &went.candidate);
    let mut wanted = bounds.clone();
    wanted["scaleTargetRef"]["name"] = json!(new);
    assert_eq!(scaler(world).await["spec"], wanted);
    let more = json!({"spec": {"minReplicas": SCALED + 1}});
    world
        .admin
        .merge(&format!("{}/chat", path(world)), &more)
        .await
        .ok();
    has_replicas(world, &new, SCALED + 1).await;
    let rests = world.admin.get(&deployment(world)).await.ok();
    assert_eq!(rests["spec"]["replicas"], 0);
    load.expect_nothing_lost("scaled").await;
    drop(load);
    stage.clear().await;
}
