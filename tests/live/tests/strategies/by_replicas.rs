//! A canary without a gateway: the user's Service has pods of both revisions, and Weir writes no route. What brings requests
//! to the Service here is a gateway that Weir does not know of.

use serde_json::{Value, json};
use weir_domain::ids::{RevisionId, RunId};
use weir_domain::pipeline::{RolloutRule, SplitBy};
use weir_domain::rollout::Rollout;
use weir_live::{REPLICAS, Stage, effective_ms, eventually, first_step_in_effect, rollout};

fn canary() -> Value {
    json!({"canary": {"steps": [{"weight": 5, "interval": 10_000}], "threshold": 0.95, "min_samples": 20}})
}

/// The same, long enough for a look at it.
fn slow() -> Value {
    json!({"canary": {"steps": [{"weight": 5, "interval": 600_000}], "threshold": 0.95, "min_samples": 20}})
}

fn without_gateway(rule: &mut RolloutRule) {
    rule.target.split = SplitBy::Replicas;
}

async fn push(stage: &Stage, version: &str, model: Value, strategy: Value) -> RunId {
    stage
        .push_changed(version, model, strategy, without_gateway)
        .await
}

/// Pods of a revision that the Service's endpoints have.
async fn serving(stage: &Stage, revision: &RevisionId) -> usize {
    let own = stage.pods(revision).await;
    let slices = stage.world.path("discovery.k8s.io/v1", "endpointslices");
    let path = format!("{slices}?labelSelector=kubernetes.io/service-name=chat");
    let found = stage.world.admin.get(&path).await.ok();
    let slices = found["items"].as_array().into_iter().flatten();
    let endpoints = slices.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true);
    let names = ready.filter_map(|endpoint| endpoint["targetRef"]["name"].as_str());
    names.filter(|name| own.iter().any(|pod| pod == name)).count()
}

/// Lets the rollout go on until the Service has so many pods of each.
async fn until_serving(stage: &Stage, run: &Rollout, stable: usize, candidate: usize) {
    let old = run.stable.as_ref().expect("it has one").revision.clone();
    let has = eventually("the Service has so many pods of each", async || {
        let found = (serving(stage, &old).await, serving(stage, &run.candidate).await);
        match found == (stable, candidate) {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    });
    tokio::select! {
        () = has => {}
        () = stage.host.go_on() => {}
    }
}

#[tokio::test]
async fn shares_are_counts_of_pods_and_no_request_is_lost() {
    let stage = Stage::new("by-replicas", canary(), 2).await.of_functions().await;
    let before = stage.world.asked().await;
    let run = push(&stage, "v1", json!({}), canary()).await;
    stage.ends(&run, "succeeded").await;
    let load = stage.users("v1").await;

    // One of three is the least that can be had beside two.
    let run = push(&stage, "v2", json!({}), canary()).await;
    let at_first = stage.until(&run, "the first share", first_step_in_effect).await;
    until_serving(&stage, rollout(&at_first), 2, 1).await;
    let ended = stage.ends(&run, "succeeded").await;
    let went = rollout(&ended);
    assert_eq!(went.shares(), [34, 50, 100]);
    assert!(went.gpus_peak <= 2 * REPLICAS, "{} GPUs", went.gpus_peak);
    stage.answers("v2").await;
    load.expect_nothing_lost("a canary by replicas").await;

    // A person takes one back: one write of the Service, and the candidate's pods are out of it.
    let run = push(&stage, "v3", json!({}), slow()).await;
    let at_first = stage.until(&run, "the first share", first_step_in_effect).await;
    until_serving(&stage, rollout(&at_first), 2, 1).await;
    // A pod of stable that is made again has its part at the next look.
    let old = rollout(&at_first).stable.clone().expect("it has one").revision;
    let pod = stage.pods(&old).await.swap_remove(0);
    let path = format!("{}/{pod}", stage.world.core("pods"));
    stage.world.admin.delete(&path).await.ok();
    eventually("the pod is gone", async || {
        match stage.pods(&old).await.contains(&pod) {
            false => Ok(()),
            true => Err(pod.clone()),
        }
    })
    .await;
    until_serving(&stage, rollout(&at_first), 2, 1).await;
    stage.roll_back(&run).await;
    let ended = stage.ends(&run, "rolled_back").await;
    until_serving(&stage, rollout(&ended), 2, 0).await;
    eprintln!(
        "taken back: effective {:?} ms after the decision",
        effective_ms(rollout(&ended))
    );
    stage.answers("v2").await;
    load.expect_nothing_lost("taken back").await;

    // One that fails goes back by what its own pod counted.
    let model = json!({"error_ratio_above_rps": {"rps": 1.0, "ratio": 0.4}});
    let run = push(&stage, "v4", model, slow()).await;
    let ended = stage.ends(&run, "rolled_back").await;
    let words = ended.status.words();
    assert!(words.contains("error_rate"), "{words}");
    until_serving(&stage, rollout(&ended), 2, 0).await;
    stage.answers("v2").await;
    assert_eq!(
        stage.world.asked().await,
        before,
        "the route is none of Weir's business"
    );
    drop(load);
    stage.clear().await;
}
