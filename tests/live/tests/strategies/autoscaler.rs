//! What scales beside a rollout: a HorizontalPodAutoscaler with the real controller, which enforces its bounds without any
//! metric, and a ScaledObject as KEDA defines it, with the HorizontalPodAutoscaler that KEDA makes of it and takes away.

use serde_json::{Value, json};
use weir_cluster::names::revision_name;
use weir_domain::rollout::{Phase, Rollout};
use weir_domain::run::Run;
use weir_live::{REPLICAS, Stage, World, eventually, rollout};

use crate::adoption::{LEGACY, adopts, canary, deployment, run_legacy};

/// Replicas that it makes of the two that the definition and the Deployment ask for.
const SCALED: u32 = 3;

fn path(world: &World) -> String {
    world.path("autoscaling/v2", "horizontalpodautoscalers")
}

fn horizontal(metadata: &Value, spec: &Value) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": metadata, "spec": spec,
    })
}

/// So many replicas of what serves, or one more.
fn bounds(replicas: u32) -> Value {
    json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": LEGACY},
        "minReplicas": replicas, "maxReplicas": replicas + 1,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}],
    })
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

/// The Deployment of what a run has brought.
fn serves(run: &Run) -> String {
    let rule = run.steps().find_map(|(id, ..)| run.rule(id));
    revision_name(&rule.unwrap().lane, &rollout(run).candidate)
}

#[tokio::test]
async fn an_autoscaler_is_held_while_traffic_moves_and_then_scales_what_serves() {
    let stage = Stage::new("scaled", canary(), SCALED).await.of_functions().await;
    let world = &stage.world;
    run_legacy(world).await;
    let bounds = bounds(SCALED);
    let object = horizontal(&json!({"name": "chat"}), &bounds);
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
    let new = serves(&run);
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

/// KEDA's word for one that is not to scale.
const PAUSED: &str = "autoscaling.keda.sh/paused";

fn scaled_object(world: &World) -> String {
    world.path("keda.sh/v1alpha1", "scaledobjects/chat")
}

/// Says that it rests, and what it scales.
async fn rests(world: &World) -> (bool, Value) {
    let object = world.admin.get(&scaled_object(world)).await.ok();
    let paused = &object["metadata"]["annotations"][PAUSED];
    (
        *paused == "true",
        object["spec"]["scaleTargetRef"]["name"].clone(),
    )
}

/// Somebody scales by events. KEDA makes a HorizontalPodAutoscaler of it; the path of that.
async fn scale_by_events(world: &World) -> String {
    world.know_scaled_objects().await;
    let object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "chat"},
        "spec": {
            "scaleTargetRef": {"name": LEGACY}, "minReplicaCount": REPLICAS, "maxReplicaCount": REPLICAS + 1,
            "triggers": [{"type": "prometheus", "metadata": {
                "serverAddress": "http://prometheus:9090", "query": "queue", "threshold": "10",
            }}],
        },
    });
    let objects = world.path("keda.sh/v1alpha1", "scaledobjects");
    let made = world.admin.create(&objects, &object).await.ok();
    let owner = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "chat", "uid": made["metadata"]["uid"],
        "controller": true,
    });
    let of_keda = horizontal(
        &json!({"name": "keda-hpa-chat", "ownerReferences": [owner]}),
        &bounds(REPLICAS),
    );
    world.admin.create(&path(world), &of_keda).await.ok();
    format!("{}/keda-hpa-chat", path(world))
}

#[tokio::test]
async fn a_scaled_object_rests_while_traffic_moves_and_then_scales_what_serves() {
    let stage = Stage::new("keda", canary(), 2).await.of_functions().await;
    let world = &stage.world;
    run_legacy(world).await;
    let made = scale_by_events(world).await;
    let before = world.admin.get(&scaled_object(world)).await.ok()["spec"].clone();
    let load = stage.users("v0").await;

    // There is no candidate before KEDA has taken away what it made.
    let push = async |version| stage.push_changed(version, json!({}), canary(), adopts).await;
    let back = push("v1").await;
    let waits = |rollout: &Rollout| rollout.waits_for.contains("ScaledObject");
    let run = stage.until(&back, "it is to rest", waits).await;
    assert_eq!(rests(world).await, (true, json!(LEGACY)));
    assert_eq!(rollout(&run).candidate_asked, 0);
    world.admin.delete(&made).await.ok();
    stage
        .until(&back, "its share", |rollout| rollout.weight.percent() == 10)
        .await;
    assert_eq!(rests(world).await, (true, json!(LEGACY)));
    stage.roll_back(&back).await;
    stage.ends(&back, "rolled_back").await;
    stage.until(&back, "the end of it", Rollout::is_over).await;
    assert_eq!(world.admin.get(&scaled_object(world)).await.ok()["spec"], before);
    assert_eq!(rests(world).await, (false, json!(LEGACY)));
    load.expect_nothing_lost("taken back").await;

    // What is promoted is what it scales, and what an undo brings back.
    let good = push("v2").await;
    stage
        .until(&good, "the bake", |rollout| rollout.phase == Phase::Baking)
        .await;
    assert_eq!(rests(world).await, (true, json!(LEGACY)));
    let run = stage.ends(&good, "succeeded").await;
    let mut wanted = before.clone();
    wanted["scaleTargetRef"]["name"] = json!(serves(&run));
    let now = world.admin.get(&scaled_object(world)).await.ok();
    assert_eq!(now["spec"], wanted);
    assert_eq!(now["metadata"]["annotations"]["weir.dev/held"], Value::Null);
    assert!(!rests(world).await.0);
    stage.answers("v2").await;
    let undo = stage.host.undo(&good, "U1").await;
    stage.ends(&undo, "succeeded").await;
    stage.answers("v0").await;
    assert_eq!(world.admin.get(&scaled_object(world)).await.ok()["spec"], before);
    load.expect_nothing_lost("promoted and undone").await;
    drop(load);
    stage.clear().await;
}
