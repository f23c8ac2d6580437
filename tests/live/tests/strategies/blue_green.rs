//! Blue-green: two whole colours, a switch at once, and the way back.

use serde_json::{Value, json};
use weir_domain::rollout::Phase;
use weir_live::{REPLICAS, Stage, effective_ms, rollout};

/// Three seconds of preview, checks by these commands, ten seconds judged.
fn strategy(command: &str) -> Value {
    json!({"blue-green": {
        "preview": 3_000,
        "checks": {
            "image": "python:3.12",
            "commands": ["test -f model.txt", "test -n \"$WEIR_PREVIEW\"", command],
            "timeout": 120_000,
        },
        "switch": {"steps": [{"weight": 100, "interval": 10_000}], "threshold": 0.95, "min_samples": 20},
    }})
}

#[tokio::test]
async fn two_colours_switch_at_once_and_back_and_no_request_is_lost() {
    let stage = Stage::new("colours", strategy("true"), 2).await;
    let load = stage.first("v1").await;

    // The new colour is whole, and neither route nor users have seen anything of it.
    let before = stage.world.asked().await;
    let good = stage.push("v2", json!({})).await;
    let in_preview = |rollout: &weir_domain::rollout::Rollout| rollout.phase == Phase::Watching { step: 0 };
    stage.until(&good, "the preview", in_preview).await;
    assert_eq!(stage.world.asked().await, before);
    assert_eq!(stage.world.ask().await.as_deref(), Ok("v1"));
    let run = stage.ends(&good, "succeeded").await;
    let went = rollout(&run);
    assert_eq!(went.shares(), [100]);
    assert_eq!((went.plan.gpu_peak, went.gpus_peak), (2 * REPLICAS, 2 * REPLICAS));
    eprintln!("switched, effective after {:?} ms", effective_ms(went));
    stage.answers("v2").await;
    load.expect_nothing_lost("switched").await;
    stage.draw("blue-green.svg", "Blue-green", &good, &load).await;

    // A person takes the next one back after its switch.
    let taken_back = stage.push("v3", json!({})).await;
    stage
        .until(&taken_back, "the switch", |rollout| {
            rollout.weight.percent() == 100
                && rollout
                    .changes
                    .last()
                    .is_some_and(|change| change.effective.is_some())
        })
        .await;
    stage.roll_back(&taken_back).await;
    let run = stage.ends(&taken_back, "rolled_back").await;
    eprintln!(
        "switched back, effective after {:?} ms",
        effective_ms(rollout(&run))
    );
    stage.answers("v2").await;
    load.expect_nothing_lost("switched back").await;

    // What the checks refuse, what crashes in the preview, and what never becomes warm have no traffic at any time.
    let refused = stage
        .push_with("v4", json!({}), strategy("echo not good enough >&2; exit 22"))
        .await;
    let run = stage.ends(&refused, "rolled_back").await;
    assert!(
        run.status
            .words()
            .contains("checks failed before it had any traffic: exit code 22"),
        "{}",
        run.status.words()
    );
    assert_eq!(rollout(&run).shares(), Vec::<u8>::new());
    let mut patient = strategy("true");
    patient["blue-green"]["preview"] = json!(60_000);
    let crashes = stage
        .push_with("v5", json!({"crash_after_seconds_serving": 8.0}), patient)
        .await;
    let run = stage.ends(&crashes, "rolled_back").await;
    assert!(
        run.status.words().contains("crashed before it had any traffic"),
        "{}",
        run.status.words()
    );
    assert_eq!(rollout(&run).shares(), Vec::<u8>::new());
    load.expect_nothing_lost("never switched").await;

    // Two that are found bad after the switch. What they failed is theirs; afterwards nothing fails.
    let errs = stage
        .push("v6", json!({"error_ratio_above_rps": {"rps": 1.0, "ratio": 0.4}}))
        .await;
    let run = stage.ends(&errs, "rolled_back").await;
    assert!(
        run.status.words().contains("error_rate"),
        "{}",
        run.status.words()
    );
    stage.answers("v2").await;
    let title = "Blue-green, a version that fails";
    stage.draw("blue-green-back.svg", title, &errs, &load).await;
    let crashes = stage.push("v7", json!({"crash_after_requests": 60})).await;
    let run = stage.ends(&crashes, "rolled_back").await;
    assert_eq!(rollout(&run).shares(), [100, 0], "{}", run.status.words());
    stage.answers("v2").await;
    stage.tell_log(&crashes).await;
    drop(load);
    stage.clear().await;
}
