//! A Deployment that serves by a Service and a route of somebody's own comes to Weir, leaves, comes again, and is gone back
//! to. Users ask all along.

use serde_json::{Value, json};
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::{Phase, Rollout};
use weir_live::{REPLICAS, Shape, Stage, World, eventually, rollout};

/// The Deployment.
pub(crate) const LEGACY: &str = "chat-legacy";

pub(crate) fn canary() -> Value {
    json!({"canary": {
        "steps": [{"weight": 10, "interval": 10_000}], "threshold": 0.95, "min_samples": 20,
    }})
}

/// Weir takes over what serves. Its own pods carry the label by which the user's Service selects.
pub(crate) fn adopts(rule: &mut RolloutRule) {
    rule.adopts = Some(LEGACY.to_owned());
    rule.workload.template["metadata"]["labels"]["app"] = json!("chat");
}

pub(crate) fn deployment(world: &World) -> String {
    world.path("apps/v1", &format!("deployments/{LEGACY}"))
}

/// Somebody runs it, without Weir.
pub(crate) async fn run_legacy(world: &World) {
    let mut object = Shape::rollout("v0", None).deployment("v0", REPLICAS);
    let labels = json!({"app": "chat"});
    object["metadata"]["name"] = json!(LEGACY);
    object["spec"]["selector"]["matchLabels"] = labels.clone();
    object["spec"]["template"]["metadata"]["labels"] = labels;
    let path = world.path("apps/v1", "deployments");
    world.admin.create(&path, &object).await.ok();
    eventually("it serves", async || {
        let object = world.admin.get(&deployment(world)).await.ok();
        match object["status"]["availableReplicas"] == REPLICAS {
            true => Ok(()),
            false => Err(object["status"].to_string()),
        }
    })
    .await;
}

/// Its pods: who each is, and how often a container of it was started again.
async fn pods(world: &World) -> Vec<(String, u64)> {
    let all = world.admin.get(&world.core("pods")).await.ok();
    let mut pods: Vec<(String, u64)> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|pod| pod["metadata"]["name"].as_str().unwrap().starts_with(LEGACY))
        .map(|pod| {
            let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
            let status = &pod["status"]["containerStatuses"][0];
            (uid, status["restartCount"].as_u64().unwrap())
        })
        .collect();
    pods.sort();
    pods
}

/// What the user's Service selects, and the backends of the route that have traffic.
async fn as_it_was(world: &World) -> (Value, Vec<Value>) {
    let service = world.admin.get(&world.core("services/chat")).await.ok();
    let route = world.route().await;
    let backends = route["spec"]["rules"][1]["backendRefs"].as_array().unwrap();
    let serving = backends.iter().filter(|backend| backend["weight"] != 0);
    let names = serving.map(|backend| backend["name"].clone()).collect();
    (service["spec"]["selector"].clone(), names)
}

fn has_its_share(rollout: &Rollout) -> bool {
    rollout.weight.percent() == 10
        && rollout
            .changes
            .last()
            .is_some_and(|change| change.effective.is_some())
}

#[tokio::test]
async fn what_serves_is_adopted_without_a_restart_and_no_request_is_lost() {
    let stage = Stage::new("adopt", canary(), 2).await.of_functions().await;
    let world = &stage.world;
    run_legacy(world).await;
    let load = stage.users("v0").await;
    let (before, template) = (pods(world).await, world.admin.get(&deployment(world)).await.ok());
    assert_eq!(before.len(), REPLICAS as usize);

    // The first try is taken back: the Service and the route are what they were, and so are the pods.
    let push = async |version| stage.push_changed(version, json!({}), canary(), adopts).await;
    let tried = push("v1").await;
    stage.until(&tried, "its share", has_its_share).await;
    let (selects, _) = as_it_was(world).await;
    assert_eq!(selects["app"], "chat");
    assert!(
        selects["pod-template-hash"].is_string(),
        "callers that bypass the route reach no candidate: {selects}"
    );
    stage.roll_back(&tried).await;
    stage.ends(&tried, "rolled_back").await;
    stage.answers("v0").await;
    stage
        .until(&tried, "the end of it", |rollout| rollout.phase == Phase::Removed)
        .await;
    assert_eq!(
        as_it_was(world).await,
        (json!({"app": "chat"}), vec![json!("chat")])
    );
    assert_eq!(pods(world).await, before);
    load.expect_nothing_lost("adopted, and given free").await;

    // The second is promoted; until then no pod of what was adopted has changed.
    let good = push("v2").await;
    stage
        .until(&good, "the bake", |rollout| rollout.phase == Phase::Baking)
        .await;
    assert_eq!(pods(world).await, before);
    let run = stage.ends(&good, "succeeded").await;
    let went = rollout(&run);
    assert_eq!((went.shares()[0], went.plan.gpu_peak), (10, 2 * REPLICAS));
    stage.answers("v2").await;
    let rests = world.admin.get(&deployment(world)).await.ok();
    assert_eq!(rests["spec"]["replicas"], 0);
    assert_eq!(rests["spec"]["template"], template["spec"]["template"]);
    load.expect_nothing_lost("promoted").await;

    // And it is what an undo goes back to.
    let undo = stage.host.undo(&good, "U1").await;
    stage.ends(&undo, "succeeded").await;
    stage.answers("v0").await;
    let serves = world.admin.get(&deployment(world)).await.ok();
    assert_eq!(serves["spec"]["replicas"], REPLICAS);
    assert_eq!(serves["spec"]["template"], template["spec"]["template"]);
    load.expect_nothing_lost("undone").await;
    drop(load);
    stage.clear().await;
}
