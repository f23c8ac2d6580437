//! Variants that run already share the traffic of a service, and give it back.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_domain::experiment::{Experiment, Phase};
use weir_domain::ids::RunId;
use weir_domain::run::Run;
use weir_domain::strategy::Sticky;
use weir_live::{Load, REPLICAS, Shape, Stage, eventually};

const TWO: [(&str, u8); 2] = [("model-a", 50), ("model-b", 50)];
/// The shortest time that metrics are collected for.
const MINUTE_MS: u64 = 60_000;
/// Requests that a share is read off: half of 400 is within 160 and 240 with a chance of 0.99994.
const ASKED: u32 = 400;

/// Half of 40 requests a second for the 2 s between two looks here, and as long again.
const LOST_AT_MOST: u64 = 80;

/// A quarter of a second of them. Envoy Gateway 1.8 gives the clusters of a rule other names once its backends have filters, as
/// those that give cookies, and Envoy drops the old ones before it has the route that names the new: a 503 in between.
const RENAMED_AT_MOST: u64 = 10;

async fn failed(load: &Load) -> u64 {
    load.totals().await["total"]["failed"].as_u64().unwrap()
}

/// Expects that no more requests failed than did before.
async fn no_further(load: &Load, before: u64, what: &str) {
    let totals = load.totals().await;
    assert_eq!(totals["total"]["failed"], before, "{what}: {totals}");
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

/// Requests of a caller who stays: enough that halves would be seen.
const OF_A_CALLER: usize = 40;

/// Every request with this header is answered by one version.
async fn stays(stage: &Stage, header: (&str, &str), version: &str) {
    for _ in 0..OF_A_CALLER {
        let (answered, given) = stage.world.ask_as(Some(header)).await.unwrap();
        assert_eq!(answered, version, "{header:?}");
        assert_eq!(given, None, "who has a cookie gets no other");
    }
}

#[tokio::test]
async fn callers_stay_with_their_variant_by_a_cookie_or_a_header_and_rules_of_others_survive() {
    let stage = Stage::new("sticky", json!("rolling"), 3).await;
    let load = stage.first("v1").await;
    let before = stage.world.route().await["spec"]["rules"].clone();
    let deployments = stage.world.path("apps/v1", "deployments");
    for (version, _) in TWO {
        let made = Shape::rollout(version, None).deployment(version, REPLICAS);
        stage.world.admin.create(&deployments, &made).await.ok();
    }

    // A caller is given a cookie by the shares, and stays; so does a cookie among others.
    let by = Some(Sticky::Cookie("model".into()));
    let run = stage
        .sticky_experiment("cookies", &TWO, 30 * MINUTE_MS, "true", by)
        .await;
    until(&stage, &run, "the shares", Experiment::in_effect).await;
    let mut given: BTreeMap<String, String> = BTreeMap::new();
    for _ in 0..OF_A_CALLER {
        let (version, cookie) = stage.world.ask_as(None).await.unwrap();
        let cookie = cookie.expect("who has no cookie gets one");
        let pair = cookie.split(';').next().unwrap_or_default().to_owned();
        assert_eq!(pair, format!("model={version}"));
        given.insert(version, pair);
    }
    assert_eq!(given.len(), 2, "{given:?}");
    for (version, cookie) in &given {
        stays(&stage, ("cookie", cookie), version).await;
        stays(&stage, ("cookie", &format!("a=b; {cookie}; c=d")), version).await;
    }
    stage
        .world
        .ask_as(Some(("cookie", "model=model-z")))
        .await
        .unwrap();

    // A concurrent editor of the rule: its timeout holds for callers that stay too.
    let path = stage.world.route_path();
    let edit = json!([{"op": "replace", "path": "/spec/rules/1/timeouts/request", "value": "25s"}]);
    stage.world.admin.patch(&path, &edit).await.ok();
    until(&stage, &run, "the edit is taken over", |experiment| {
        experiment.changes.len() == 2 && experiment.in_effect()
    })
    .await;
    eventually("the timeout is everywhere", async || {
        let route = stage.world.route().await;
        let rules = route["spec"]["rules"].as_array().cloned().unwrap_or_default();
        let timeouts = rules.iter().filter(|rule| rule["timeouts"]["request"] == "25s");
        match timeouts.count() {
            3 => Ok(()),
            other => Err(format!("{other} of {} rules", rules.len())),
        }
    })
    .await;

    // A variant that loses its pods loses its callers, who find it again.
    let (b, cookie) = given.iter().next_back().expect("two were given");
    scale(&stage, b, 0).await;
    until(&stage, &run, "everything to the other", |experiment| {
        experiment.split.iter().any(|(_, weight)| weight.percent() == 100) && experiment.in_effect()
    })
    .await;
    eventually("its callers are answered by the other", async || {
        match stage.world.ask_as(Some(("cookie", cookie))).await {
            Ok((version, _)) if version != *b => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    scale(&stage, b, REPLICAS).await;
    until(&stage, &run, "halves again", |experiment| {
        experiment.split.len() == 2
    })
    .await;
    eventually("its callers are back", async || {
        match stage.world.ask_as(Some(("cookie", cookie))).await {
            Ok((version, _)) if version == *b => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let lost = failed(&load).await;
    assert!(lost <= LOST_AT_MOST, "{lost}");
    stage.roll_back(&run).await;
    stage.ends(&run, "rolled_back").await;
    stage.answers("v1").await;
    let renamed = failed(&load).await - lost;
    eprintln!(
        "failed while a variant lost all its pods: {lost}; while cookies were given no more: {renamed}"
    );
    assert!(renamed <= RENAMED_AT_MOST, "{}", load.totals().await);
    let lost = lost + renamed;

    // By a header, three to one.
    let by = Some(Sticky::Header("x-model".into()));
    let shares = [("model-a", 75), ("model-b", 25)];
    let run = stage
        .sticky_experiment("headers", &shares, 30 * MINUTE_MS, "true", by)
        .await;
    until(&stage, &run, "the shares", Experiment::in_effect).await;
    for (version, _) in shares {
        stays(&stage, ("x-model", version), version).await;
    }
    stage.roll_back(&run).await;
    stage.ends(&run, "rolled_back").await;
    stage.tell_log(&run).await;
    stage.answers("v1").await;
    eventually("the route is as it was", async || {
        let mut now = stage.world.route().await["spec"]["rules"].clone();
        now[1]["timeouts"] = before[1]["timeouts"].clone();
        match now == before {
            true => Ok(()),
            false => Err(now.to_string()),
        }
    })
    .await;
    no_further(&load, lost, "planned moves lose nothing").await;
    stage.clear().await;
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
    let title = "A/B: halves, model-b loses its pods and has them again, and back";
    stage.draw("variants.svg", title, &run, &load).await;
    let run = stage.host.run(&run).await;
    let experiment = run.steps().find_map(|(.., state)| state.experiment.as_deref());
    assert_eq!(experiment.map(|experiment| experiment.phase), Some(Phase::Over));
    no_further(&load, lost, "found again, and taken back").await;
    for (version, _) in TWO {
        let path = stage.world.path("apps/v1", &format!("deployments/{version}"));
        let deployment: Value = stage.world.admin.get(&path).await.ok();
        assert_eq!(deployment["spec"]["replicas"], REPLICAS);
        assert_eq!(
            deployment["metadata"]["annotations"]["weir.dev/fence"],
            Value::Null
        );
    }
    stage.clear().await;
}
