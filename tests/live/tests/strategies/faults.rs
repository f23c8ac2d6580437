//! An API server that is busy, fails, breaks connections before and after it has done what it was asked, and is away.

use std::time::Duration;

use serde_json::json;
use weir_live::{Fault, Gate, Stage, raised_after_revert, rollout};

/// One request of so many that read goes wrong, and of so many that write, which are few.
const READS: u64 = 9;
const WRITES: u64 = 4;
/// Time that the server is away: a few looks.
const AWAY: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_rollout_goes_there_and_back_through_every_fault_of_the_server() {
    let strategy = json!({"canary": {
        "steps": [{"weight": 10, "interval": 10_000}, {"weight": 50, "interval": 10_000}],
        "threshold": 0.95, "min_samples": 20,
    }});
    let stage = Stage::new("faults", strategy, 2).await;
    let gate = Gate::open(&stage.world.cluster.kubeconfig).await.unwrap();
    let stage = stage.by_way_of(&gate).await;
    gate.trouble_every(READS, WRITES, &Fault::ALL);
    let load = stage.first("v1").await;

    // There, and the server is away in the middle of a step.
    let good = stage.push("v2", json!({})).await;
    stage
        .until(&good, "the first step", |rollout| rollout.weight.percent() == 10)
        .await;
    gate.away_for(AWAY);
    let run = stage.ends(&good, "succeeded").await;
    assert_eq!(rollout(&run).shares(), [10, 50, 100]);
    stage.answers("v2").await;
    load.expect_nothing_lost("a good model through faults").await;

    // And back.
    let bad = stage
        .push("v3", json!({"error_ratio_above_rps": {"rps": 0.5, "ratio": 0.5}}))
        .await;
    let run = stage.ends(&bad, "rolled_back").await;
    assert_eq!(rollout(&run).weight.percent(), 0, "{}", run.status.words());
    stage.answers("v2").await;
    let log = stage.host.log(&bad).await;
    assert_eq!(
        raised_after_revert(&log),
        0,
        "a weight was raised after the revert"
    );

    for (fault, times) in gate.met() {
        eprintln!("{}: {times} times", fault.words());
        let least = if fault.is_of_writes() { 1 } else { 5 };
        assert!(times >= least, "{fault:?} {times} times");
    }
    drop(load);
    stage.clear().await;
}
