//! Rolling: within so many GPUs more and fewer, with a stop for a person, and undone.

use serde_json::{Value, json};
use weir_domain::rollout::Rollout;
use weir_live::{REPLICAS, Stage, rollout};

/// At most one GPU more, and a stop at the half.
fn one_more() -> Value {
    json!({"rolling": {"surge": 1, "pause": {"at": 50, "within": 600_000}}})
}

/// None more, one fewer.
fn swap() -> Value {
    json!({"rolling": {"surge": 0, "unavailable": 1}})
}

#[tokio::test]
async fn replicas_are_replaced_within_the_limits_and_no_request_is_lost() {
    let stage = Stage::new("rolling", one_more(), 2).await;
    let load = stage.first("v1").await;

    // One more at a time; a person lets it go on from the half.
    let run = stage.push("v2", json!({})).await;
    stage.until(&run, "the pause", Rollout::is_paused).await;
    stage.go_on(&run).await;
    let ended = stage.ends(&run, "succeeded").await;
    let went = rollout(&ended);
    assert_eq!(went.shares(), [50, 100]);
    assert_eq!(went.plan.gpu_peak, REPLICAS + 1);
    assert!(went.gpus_peak <= REPLICAS + 1, "{} GPUs", went.gpus_peak);
    stage.answers("v2").await;
    load.expect_nothing_lost("replica by replica").await;
    let title = "Rolling, one GPU more, a stop at the half";
    stage.draw("rolling.svg", title, &run, &load).await;

    // A person takes the next one back from there.
    let run = stage.push("v3", json!({})).await;
    stage.until(&run, "the pause", Rollout::is_paused).await;
    stage.roll_back(&run).await;
    let ended = stage.ends(&run, "rolled_back").await;
    let went = rollout(&ended);
    assert_eq!((went.weight.percent(), went.stable_seen.warm), (0, REPLICAS));
    stage.answers("v2").await;
    load.expect_nothing_lost("taken back").await;

    // None more: a swap, and back to exactly what served before.
    let run = stage.push_with("v4", json!({}), swap()).await;
    let ended = stage.ends(&run, "succeeded").await;
    let went = rollout(&ended);
    assert_eq!((went.plan.gpu_peak, went.plan.rung.as_str()), (REPLICAS, "swap"));
    assert!(went.gpus_peak <= REPLICAS, "{} GPUs", went.gpus_peak);
    stage.answers("v4").await;
    load.expect_nothing_lost("swapped").await;
    stage
        .draw("rolling-swap.svg", "Rolling, no GPU more", &run, &load)
        .await;
    let before = went.stable.clone().map(|stable| stable.revision);
    let undo = stage.host.undo(&run, "U1").await;
    let ended = stage.ends(&undo, "succeeded").await;
    assert_eq!(Some(&rollout(&ended).candidate), before.as_ref());
    stage.answers("v2").await;
    load.expect_nothing_lost("undone").await;

    // One that crashes while it serves goes back by itself.
    let run = stage.push("v5", json!({"crash_after_requests": 60})).await;
    let ended = stage.ends(&run, "rolled_back").await;
    assert_eq!(
        rollout(&ended).stable_seen.warm,
        REPLICAS,
        "{}",
        ended.status.words()
    );
    stage.answers("v2").await;
    // And one that fails, by what was measured.
    let model = json!({"error_ratio_above_rps": {"rps": 1.0, "ratio": 0.4}});
    let run = stage.push("v6", model).await;
    let ended = stage.ends(&run, "rolled_back").await;
    assert!(
        ended.status.words().contains("error_rate"),
        "{}",
        ended.status.words()
    );
    stage.answers("v2").await;
    stage
        .draw("rolling-back.svg", "Rolling, a version that fails", &run, &load)
        .await;
    drop(load);
    stage.clear().await;
}
