//! The API server ends in the middle of a step, and another starts on what it has stored.

use serde_json::{Value, json};
use weir_app::Clock;
use weir_domain::audit::Action;
use weir_domain::rollout::Rollout;
use weir_live::{
    Carriers, Sampler, Stage, WallClock, World, above_warm, backend, eventually, first_step_in_effect,
    raised_after_revert, rollout,
};

use crate::alone;

#[tokio::test]
async fn a_rollout_goes_on_and_comes_back_although_the_api_server_ends_meanwhile() {
    let _alone = alone().await;
    let strategy = json!({"canary": {
        "steps": [{"weight": 50, "interval": 8_000}], "threshold": 0.95, "min_samples": 20,
    }});
    let stage = Stage::new("restarted", strategy, 2).await;
    let cluster = stage.world.cluster;
    let load = stage.first("v1").await;
    let sampler = Sampler::start(&stage.world);
    let is_away = |rollout: &Rollout| rollout.away.is_some();

    // There.
    let run = stage.push("v2", json!({})).await;
    stage
        .until(&run, "the step is in effect", first_step_in_effect)
        .await;
    cluster.end_api_server().unwrap();
    let ended = WallClock.now();
    stage.until(&run, "nobody answers", is_away).await;
    cluster.start_api_server().unwrap();
    eprintln!("away for {}", WallClock.now().since(ended));
    let over = stage.ends(&run, "succeeded").await;
    let went = rollout(&over);
    assert_eq!(went.shares(), [50, 100]);
    assert!(went.gpus_peak <= went.plan.gpu_peak, "{} GPUs", went.gpus_peak);
    stage.answers("v2").await;
    load.expect_nothing_lost("there").await;
    let samples = sampler.samples();
    let carriers = Carriers {
        new: vec![backend(&went.candidate)],
        stable: went.stable.as_ref().map(|stable| backend(&stable.revision)),
        needed: weir_live::REPLICAS,
    };
    assert_eq!(above_warm(&samples, &carriers), Vec::<String>::new());

    // And back: decided while nobody answers, done when somebody does.
    let run = stage.push("v3", json!({})).await;
    stage
        .until(&run, "the step is in effect", first_step_in_effect)
        .await;
    cluster.end_api_server().unwrap();
    stage.until(&run, "nobody answers", is_away).await;
    stage.roll_back(&run).await;
    cluster.start_api_server().unwrap();
    let answers = WallClock.now();
    stage.ends(&run, "rolled_back").await;
    let log = stage.host.log(&run).await;
    assert_eq!(
        raised_after_revert(&log),
        0,
        "a weight was raised after the revert"
    );
    let decided = log
        .iter()
        .find(|entry| entry.action == Action::RevertDecided)
        .unwrap();
    let accepted = log
        .iter()
        .rfind(|entry| entry.action == Action::WeightAccepted)
        .unwrap();
    assert!(decided.at < answers, "decided while nobody answered");
    assert!(accepted.detail.starts_with("weight 0 %"), "{}", accepted.detail);
    eprintln!(
        "decided {} before the API server was ready, weight 0 accepted {} after the decision",
        answers.since(decided.at),
        accepted.at.since(decided.at)
    );
    stage.answers("v2").await;
    load.expect_nothing_lost("and back").await;
    drop(load);
    stage.clear().await;
    until_routes_are_taken().await;
}

/// The gateway's controller takes its time to find the API server again; until then it knows no new namespace.
async fn until_routes_are_taken() {
    let world = World::new("restarted-after").await;
    eventually("the gateway takes a new route", async || {
        let route = world.admin.get(&world.route_path()).await.ok();
        let conditions = route["status"]["parents"][0]["conditions"].as_array();
        let accepted = |condition: &Value| condition["type"] == "Accepted" && condition["status"] == "True";
        match conditions.is_some_and(|all| all.iter().any(accepted)) {
            true => Ok(()),
            false => Err(route["status"].to_string()),
        }
    })
    .await;
    world.clear().await;
}
