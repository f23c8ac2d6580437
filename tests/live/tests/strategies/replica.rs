//! One replica of three turns bad while the version has traffic: the replica is replaced, and the version is not to blame.

use serde_json::{Value, json};
use weir_domain::audit::Action;

use weir_live::{Stage, failed_by_version_alone, first_step_in_effect, replaced, rollout};

/// Replicas of the service.
const REPLICAS: u32 = 3;
/// The candidate's share of the first step: all its replicas are needed for it.
const SHARE: u8 = 75;

fn canary() -> Value {
    json!({"canary": {
        "steps": [{"weight": SHARE, "interval": 30_000}], "threshold": 0.95, "min_samples": 20,
    }})
}

#[tokio::test]
async fn one_bad_replica_of_three_is_replaced_and_the_version_is_promoted() {
    let stage = Stage::of("replica", canary(), REPLICAS, 2).await;
    let load = stage.first("v1").await;

    let run = stage.push("v2", json!({})).await;
    let judged = stage
        .until(&run, "the step is in effect", first_step_in_effect)
        .await;
    load.expect_nothing_lost("three good replicas").await;
    let bad = stage.spoil_one(&rollout(&judged).candidate).await;

    // Its users are sent back before anything else; from then on nothing more fails.
    stage.until(&run, "another replica is asked for", replaced).await;
    let before = load.totals().await;
    let ended = stage.ends(&run, "succeeded").await;
    let after = load.totals().await;
    let failed = failed_by_version_alone("v2", &before, &after);

    let went = rollout(&ended);
    assert_eq!(went.shares(), [SHARE, 0, SHARE, 100]);
    assert!(went.gpus_peak <= went.plan.gpu_peak, "{} GPUs", went.gpus_peak);
    let told = stage.told(&run, Action::ReplicaReplaced).await;
    eprintln!("{failed} requests failed; {told:?}");
    let expected = format!("one replica and not the version: pod {bad} on node ");
    assert!(told.len() == 1 && told[0].starts_with(&expected), "{told:?}");
    assert!(!stage.pods(&went.candidate).await.contains(&bad));
    stage.answers("v2").await;
    drop(load);
    stage.clear().await;
}
