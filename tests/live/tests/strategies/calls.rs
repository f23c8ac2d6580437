//! What a rollout asks of the API server, step by step.

use serde_json::json;
use weir_live::{Gate, Passed, Stage, rollout};

#[tokio::test]
async fn a_rollout_writes_nothing_that_changes_nothing() {
    let strategy = json!({"canary": {
        "steps": [{"weight": 10, "interval": 20_000}, {"weight": 50, "interval": 20_000}],
        "threshold": 0.95, "min_samples": 20,
    }});
    let stage = Stage::new("calls", strategy, 2).await;
    let gate = Gate::open(&stage.world.cluster.kubeconfig).await.unwrap();
    let stage = stage.by_way_of(&gate).await;
    let load = stage.first("v1").await;
    let before = gate.calls().len();
    let run = stage.push("v2", json!({})).await;
    let run = stage.ends(&run, "succeeded").await;
    let rollout = rollout(&run);
    assert_eq!(rollout.shares(), [10, 50, 100]);
    load.expect_nothing_lost("a good model").await;

    let calls = gate.calls().split_off(before);
    let idle: Vec<&Passed> = calls.iter().filter(|call| call.idle).collect();
    assert!(idle.is_empty(), "{idle:?}");
    let moved = calls
        .iter()
        .filter(|call| call.writes() && call.kind == "httproutes");
    let moved = moved.filter(|call| call.status.is_success()).count();
    assert_eq!(
        moved,
        rollout.changes.len(),
        "one write of the route for each change of weights"
    );

    for (words, part) in parts(&calls) {
        let of = |writes: bool| part.iter().filter(|call| call.writes() == writes).count();
        eprintln!("{words}: {} reads, {} writes", of(false), of(true));
    }
    stage.clear().await;
}

/// The calls before the first write of the route, and from each to the next.
fn parts(calls: &[Passed]) -> Vec<(String, Vec<Passed>)> {
    let mut parts = vec![("before".to_owned(), Vec::new())];
    for call in calls {
        if call.writes() && call.kind == "httproutes" {
            parts.push((format!("change {}", parts.len()), Vec::new()));
        }
        if let Some((_, part)) = parts.last_mut() {
            part.push(call.clone());
        }
    }
    parts
}
