//! A node loses its power in the middle of a step: nobody says so, and what runs there is gone in an instant.

use serde_json::{Value, json};
use weir_app::Clock;
use weir_domain::audit::{Action, Entry};
use weir_domain::rollout::Phase;
use weir_live::{Stage, WallClock, first_step_in_effect, rollout};

use crate::alone;
use crate::nodes::holding;

const REPLICAS: u32 = 4;

fn canary(weight: u8) -> Value {
    json!({"canary": {
        "steps": [{"weight": weight, "interval": 20_000}], "threshold": 0.95, "min_samples": 20,
    }})
}

#[tokio::test]
async fn a_node_without_power_is_not_the_versions_fault_and_nobody_waits_for_its_pods() {
    let _alone = alone().await;
    let stage = Stage::of("lost", canary(50), REPLICAS, 2).await;
    let load = stage.first("v1").await;
    let run = stage.push("v2", json!({})).await;
    let judged = stage
        .until(&run, "the step is in effect", first_step_in_effect)
        .await;
    let node = holding(&stage.world, &rollout(&judged).candidate, 0).await;
    let pulled = WallClock.now();
    stage.world.power(&node, false).await;

    // One of two replicas carries the breach. Its pod cannot leave, so another comes beside it once the node is known to be lost.
    stage
        .until(&run, "the old version drains", |rollout| {
            rollout.phase == Phase::Draining
        })
        .await;
    // What is left of the old version on that node leaves when the node is back; without that, after its deadline.
    stage.world.power(&node, true).await;
    let ended = stage.ends(&run, "succeeded").await;
    let log = stage.host.log(&run).await;
    let first = |action: Action, words: &str| -> &Entry {
        let found = log
            .iter()
            .find(|entry| entry.action == action && entry.detail.contains(words));
        found.unwrap_or_else(|| panic!("no {action:?} with {words:?}: {log:?}"))
    };
    let replaced = first(Action::ReplicaReplaced, &format!("on node {node}: "));
    let away = first(Action::WeightAccepted, "weight 0 % accepted");
    let silent = first(
        Action::Waiting,
        &format!("is not waited for: node {node} is not ready"),
    );
    let again = log
        .iter()
        .find(|entry| entry.action == Action::WeightAccepted && entry.at > silent.at)
        .expect("it has its share again");
    eprintln!(
        "power of one of its two nodes off: its replica blamed {} later, weight 0 accepted {}; the node known to be lost {}, \
         another replica asked for in the same look; its share again {}",
        replaced.at.since(pulled),
        away.at.since(pulled),
        silent.at.since(pulled),
        again.at.since(pulled),
    );
    assert_eq!(rollout(&ended).shares(), [50, 0, 50, 100]);
    let totals = load.totals().await;
    eprintln!("of users: {}", totals["total"]);
    stage.answers("v2").await;
    drop(load);
    stage.clear().await;
}
