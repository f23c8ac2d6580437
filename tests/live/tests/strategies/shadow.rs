//! Shadow: Envoy copies a part of the requests to a candidate, and users notice nothing of it, good or bad.

use serde_json::{Value, json};
use weir_domain::audit::Action;
use weir_domain::condition::Condition;
use weir_domain::ids::RunId;
use weir_domain::rollout::Rollout;
use weir_live::{Stage, eventually, rollout};

/// Of a hundred requests, so many are copied. One of two replicas carries them.
const COPIED: u8 = 25;
/// Copies after which their part is read: half of those that come in 40 s. Of the 800 requests behind 200 copies, a quarter
/// is within 17 and 33 % with a chance of 0.9999998.
const READ_AT: u64 = 200;

fn strategy(interval_ms: u64) -> Value {
    json!({"shadow": {"copied": {
        "steps": [{"weight": COPIED, "interval": interval_ms}], "threshold": 0.95, "min_samples": 50,
    }}})
}

async fn filters(stage: &Stage) -> Value {
    stage.world.route().await["spec"]["rules"][1]["filters"].clone()
}

/// Requests since the present part was set: copies that the gateway sent, those that the pods timed, and what stable got.
fn counted(rollout: &Rollout) -> (u64, u64, u64) {
    let stable = rollout.stable.as_ref().map(|stable| &stable.revision);
    let since = |counts: &std::collections::BTreeMap<_, weir_domain::seen::Counts>| {
        stable
            .and_then(|stable| counts.get(stable))
            .map_or(0, |counts| counts.started)
    };
    let copies = rollout.candidate_counts();
    let asked = since(&rollout.counted) - since(&rollout.counted_from);
    (copies.started, copies.timed, asked)
}

#[tokio::test]
async fn a_part_of_the_requests_is_copied_and_users_notice_nothing() {
    let stage = Stage::new("shadow", strategy(40_000), 2).await;
    let load = {
        let run = stage.push_with("v1", json!({}), json!("rolling")).await;
        stage.ends(&run, "succeeded").await;
        stage.users("v1").await
    };
    let before = filters(&stage).await;

    // A good one: as many copies as were asked for, and then nothing of it is left.
    let good = stage.push("v2", json!({})).await;
    let run = stage
        .until(&good, "copies", |rollout| counted(rollout).0 >= READ_AT)
        .await;
    let (copies, timed, asked) = counted(rollout(&run));
    let part = copies as f64 / asked as f64;
    eprintln!("{copies} copies of {asked} requests, {part:.3}; its pods timed {timed}");
    assert!((0.17..=0.33).contains(&part), "{copies} of {asked}");
    assert!(timed > 0, "the pods themselves saw none");
    assert_eq!(filters(&stage).await.as_array().map(Vec::len), Some(2));
    stage.answers("v1").await;
    let ended = stage.ends(&good, "succeeded").await;
    let went = rollout(&ended);
    assert_eq!(went.shares(), [COPIED, 0]);
    assert_eq!((went.plan.gpu_peak, went.gpus_peak), (3, 3));
    assert_eq!(filters(&stage).await, before);
    stage.tell_log(&good).await;
    load.expect_nothing_lost("copied").await;
    let title = "Shadow, a quarter of the requests copied";
    stage.draw("shadow.svg", title, &good, &load).await;
    let lane = ended
        .steps()
        .find_map(|(id, ..)| ended.rule(id))
        .map(|rule| &rule.lane);
    let name = weir_cluster::names::revision_name(lane.unwrap(), &went.candidate);
    let path = stage.world.path("apps/v1", &format!("deployments/{name}"));
    stage.until(&good, "nothing is left", Rollout::is_over).await;
    eventually("its Deployment is gone", async || {
        match stage.world.admin.get(&path).await.status.as_u16() {
            404 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;

    // What somebody else takes out is put in again, and a person ends it.
    let run = stage.push_with("v3", json!({}), strategy(600_000)).await;
    stage
        .until(&run, "copies", |rollout| counted(rollout).0 > 0)
        .await;
    let out = json!([{"op": "replace", "path": "/spec/rules/1/filters", "value": before}]);
    stage
        .world
        .admin
        .patch(&stage.world.route_path(), &out)
        .await
        .ok();
    stage
        .until(&run, "copies again", |rollout| rollout.changes.len() > 1)
        .await;
    eventually("copies again", async || match filters(&stage).await {
        now if now == before => Err("none".to_owned()),
        _ => Ok(()),
    })
    .await;
    stage.roll_back(&run).await;
    stage.ends(&run, "rolled_back").await;
    assert_eq!(filters(&stage).await, before);
    load.expect_nothing_lost("taken out, and ended").await;

    // Two that are bad: what they failed reached nobody.
    let errs = json!({"error_ratio_above_rps": {"rps": 1.0, "ratio": 0.4}});
    for (version, model, why) in [
        ("v4", errs, "error_rate"),
        ("v5", json!({"crash_after_requests": 60}), "crashed"),
    ] {
        let run = stage.push(version, model).await;
        let ended = stage.ends(&run, "rolled_back").await;
        let said = ended.status.words();
        assert!(said.contains(why), "{said}");
        assert_eq!(rollout(&ended).shares(), [COPIED, 0], "{said}");
        assert_eq!(filters(&stage).await, before);
        load.expect_nothing_lost(version).await;
    }
    stage.answers("v1").await;
    drop(load);
    stage.clear().await;
}

/// What is compared of the answers to one question, and more than 5 % may not differ.
async fn asking(stage: &Stage, version: &str, compare: &str) -> RunId {
    let mut strategy = strategy(40_000);
    strategy["shadow"]["answers"] = json!([{
        "path": "/v1/completions", "body": {"prompt": "2 + 2 =", "max_tokens": 4}, "compare": compare,
    }]);
    let differ: Condition = serde_json::from_value(json!({"compare": {
        "metric": "answers_differ", "op": ">", "line": {"value": 0.05, "dimension": "ratio", "written": "5%"},
    }}))
    .unwrap();
    stage
        .push_changed(version, json!({}), strategy, |rule| {
            let own = rule.rollback.take();
            rule.rollback = Some(Condition::Or(own.into_iter().chain([differ.clone()]).collect()));
        })
        .await
}

#[tokio::test]
async fn answers_are_held_against_stables_and_users_notice_nothing() {
    let stage = Stage::new("answers", strategy(20_000), 2).await;
    let run = stage.push_with("v1", json!({}), json!("rolling")).await;
    stage.ends(&run, "succeeded").await;
    let load = stage.users("v1").await;
    let before = filters(&stage).await;

    // What both say the same: counted, told, and no harm.
    let run = asking(&stage, "v2", "/object").await;
    let ended = stage.ends(&run, "succeeded").await;
    assert_eq!(rollout(&ended).candidate_counts().differing, 0);
    let told = stage.told(&run, Action::StepPassed).await;
    let says = |told: &String| told.contains("; 0 of ") && told.contains("answers differ from stable's");
    assert!(told.iter().any(says), "{told:?}");
    eprintln!("the same: {told:?}");

    // A simulated model never says the same twice: it is not worse than itself, and nothing is shown by that.
    let run = asking(&stage, "v3", "/choices/0/text").await;
    let waits = |rollout: &Rollout| rollout.waits_for.contains("stable differs from itself in");
    let held = stage.until(&run, "nothing can be shown", waits).await;
    eprintln!("never the same: {}", rollout(&held).waits_for);
    stage.roll_back(&run).await;
    stage.ends(&run, "rolled_back").await;

    // Each version says its own name, and so often that the copies end.
    let run = asking(&stage, "v4", "/version").await;
    let ended = stage.ends(&run, "rolled_back").await;
    let said = ended.status.words();
    assert!(
        said.contains("answers_differ 100.0 % of") && said.contains("limit 5%"),
        "{said}"
    );
    eprintln!("another version's name: {said}");

    // What is not there is told before anything moves.
    let run = asking(&stage, "v5", "/nothing").await;
    let ended = stage.ends(&run, "failed").await;
    let said = ended.status.words();
    assert!(said.contains("its answer has no `/nothing`"), "{said}");
    assert_eq!(filters(&stage).await, before);
    stage.answers("v1").await;
    load.expect_nothing_lost("answers compared").await;
    drop(load);
    stage.clear().await;
}
