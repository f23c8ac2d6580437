//! Variants that run already share the traffic of a service, and give it back.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_domain::experiment::{Experiment, Phase};
use weir_domain::ids::RunId;
use weir_domain::run::Run;
use weir_live::{Load, Shape, eventually};

use crate::stage::{REPLICAS, Stage};

const TWO: [(&str, u8); 2] = [("model-a", 50), ("model-b", 50)];
/// The shortest time that metrics are collected for.
const MINUTE_MS: u64 = 60_000;
/// Requests that a share is read off: half of 400 is within 160 and 240 with a chance of 0.99994.
const ASKED: u32 = 400;

/// Half of 40 requests a second for the 2 s between two looks here, and as long again.
const LOST_AT_MOST: u64 = 80;

async fn failed(load: &Load) -> u64 {
    load.totals().await["total"]["failed"].as_u64().unwrap()
}

/// How many of so many requests each version answered.
async fn answers(stage: &Stage) -> BTreeMap<String, u32> {
    let mut by_version = BTreeMap::new();
    for _ in 0..ASKED {
        let version = stage.world.ask().await.unwrap();
        *by_version.entry(version).or_insert(0) += 1;
    }
    by_version
}

async fn until(stage: &Stage, run: &RunId, what: &str, is: impl Fn(&Experiment) -> bool) -> Run {
    let is = |run: &Run| {
        let mut all = run.steps().filter_map(|(.., state)| state.experiment.as_deref());
        all.next().is_some_and(&is)
    };
    stage.host.until(what, run, is).await
}

async fn scale(stage: &Stage, version: &str, replicas: u32) {
    let path = stage.world.path("apps/v1", &format!("deployments/{version}"));
    let edit = json!([{"op": "replace", "path": "/spec/replicas", "value": replicas}]);
    stage.world.admin.patch(&path, &edit).await.ok();
}

async fn backends(stage: &Stage) -> usize {
    let route = stage.world.route().await;
    route["spec"]["rules"][1]["backendRefs"]
        .as_array()
        .map_or(0, Vec::len)
}

#[tokio::test]
async fn two_variants_share_by_halves_and_give_everything_back_and_no_request_is_lost() {
    let stage = Stage::new("variants", json!("rolling"), 3).await;
    let load = stage.first("v1").await;
    let before = backends(&stage).await;
    let deployments = stage.world.path("apps/v1", "deployments");
    for (version, _) in TWO {
        let made = Shape::rollout(version, None).deployment(version, REPLICAS);
        stage.world.admin.create(&deployments, &made).await.ok();
    }

    // Halves, as Envoy sends them; then the series reaches the commands of the next step, and everything is as it was.
    let check = "test \"$(wc -l < \"$WEIR_SERIES\")\" -eq 2 && head -1 \"$WEIR_SERIES\" | grep -q '^time,model-a.latency,model-b.latency$'";
    let run = stage.experiment("first", &TWO, MINUTE_MS, check).await;
    until(&stage, &run, "the shares", Experiment::in_effect).await;
    let shares = answers(&stage).await;
    eprintln!("of {ASKED} requests: {shares:?}");
    for (version, _) in TWO {
        let got = shares.get(version).copied().unwrap_or_default();
        assert!((160..=240).contains(&got), "{shares:?}");
    }
    assert_eq!(shares.values().sum::<u32>(), ASKED);
    assert_eq!(shares.get("v1"), None);
    let ended = stage.ends(&run, "succeeded").await;
    stage.tell_log(&run).await;
    assert_eq!(ended.steps().count(), 4);
    stage.answers("v1").await;
    load.expect_nothing_lost("halves and back").await;
    eventually("the variants' Services are gone", async || {
        match backends(&stage).await {
            now if now == before => Ok(()),
            now => Err(format!("{now} backends, {before} before")),
        }
    })
    .await;

    // A variant that loses its pods loses its share; a person then ends it.
    let run = stage.experiment("second", &TWO, 30 * MINUTE_MS, "true").await;
    until(&stage, &run, "the shares", Experiment::in_effect).await;
    scale(&stage, "model-b", 0).await;
    until(&stage, &run, "everything to model-a", |experiment| {
        experiment.split.iter().any(|(_, weight)| weight.percent() == 100) && experiment.in_effect()
    })
    .await;
    stage.answers("model-a").await;
    // Its pods leave all at once and nobody was asked: users may see that until the next look, and not after it.
    let lost = failed(&load).await;
    eprintln!("failed while a variant lost all its pods: {lost}");
    assert!(lost <= LOST_AT_MOST, "{lost}");
    scale(&stage, "model-b", REPLICAS).await;
    until(&stage, &run, "halves again", |experiment| {
        experiment.split.len() == 2
    })
    .await;
    stage.roll_back(&run).await;
    stage.ends(&run, "rolled_back").await;
    stage.answers("v1").await;
    let run = stage.host.run(&run).await;
    let experiment = run.steps().find_map(|(.., state)| state.experiment.as_deref());
    assert_eq!(experiment.map(|experiment| experiment.phase), Some(Phase::Over));
    assert_eq!(failed(&load).await, lost, "found again, and taken back");
    for (version, _) in TWO {
        let path = stage.world.path("apps/v1", &format!("deployments/{version}"));
        let deployment: Value = stage.world.admin.get(&path).await.ok();
        assert_eq!(deployment["spec"]["replicas"], REPLICAS);
        assert_eq!(
            deployment["metadata"]["annotations"]["weir.dev/fence"],
            Value::Null
        );
    }
}
