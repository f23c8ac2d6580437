//! One replica of three turns bad while the version has traffic: the replica is replaced, and the version is not to blame.

use serde_json::{Value, json};
use weir_domain::audit::Action;
use weir_domain::ids::RevisionId;
use weir_domain::rollout::{Phase, Rollout};
use weir_live::{Stage, rollout};

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
        .until(&run, "the step is in effect", |rollout| {
            let effective = rollout
                .changes
                .last()
                .is_some_and(|change| change.effective.is_some());
            rollout.phase == Phase::Watching { step: 0 } && effective
        })
        .await;
    load.expect_nothing_lost("three good replicas").await;
    let bad = spoil_one(&stage, &rollout(&judged).candidate).await;

    // Its users are sent back before anything else; from then on nothing more fails.
    stage.until(&run, "another replica is asked for", replaced).await;
    let before = load.totals().await;
    let ended = stage.ends(&run, "succeeded").await;
    let after = load.totals().await;
    let lost = |totals: &Value| (totals["total"]["failed"].clone(), totals["total"]["cut"].clone());
    assert_eq!(lost(&after), lost(&before), "{after}");
    // What failed before was answered by the bad replica, and cut by nobody.
    assert_eq!(after["total"]["cut"], 0, "{after}");
    let failed = after["total"]["failed"].as_u64().unwrap();
    assert_eq!(after["total"]["by_version"]["v2"]["failed"], failed, "{after}");

    let went = rollout(&ended);
    assert_eq!(went.shares(), [SHARE, 0, SHARE, 100]);
    assert!(went.gpus_peak <= went.plan.gpu_peak, "{} GPUs", went.gpus_peak);
    let log = stage.host.log(&run).await;
    let told: Vec<&str> = log
        .iter()
        .filter(|entry| entry.action == Action::ReplicaReplaced)
        .map(|entry| entry.detail.as_str())
        .collect();
    eprintln!("{failed} requests failed; {told:?}");
    let expected = format!("one replica and not the version: pod {bad} on node ");
    assert!(told.len() == 1 && told[0].starts_with(&expected), "{told:?}");
    assert!(!pods(&stage, &went.candidate).await.contains(&bad));
    stage.answers("v2").await;
    drop(load);
    stage.clear().await;
}

fn replaced(rollout: &Rollout) -> bool {
    rollout.replaced.as_ref().is_some_and(|replaced| replaced.gone)
}

/// Lets half of the requests to one pod of a revision fail, whatever its model is; its name.
async fn spoil_one(stage: &Stage, revision: &RevisionId) -> String {
    let pod = pods(stage, revision).await.swap_remove(0);
    let fault = json!({"error_ratio": 0.5});
    assert_eq!(stage.world.spoil(&pod, &fault).await.ok(), fault);
    pod
}

/// Names of the pods of a revision.
async fn pods(stage: &Stage, revision: &RevisionId) -> Vec<String> {
    let found = stage.world.pods(&format!("weir.dev/revision={revision}")).await;
    let name = |pod: &Value| Some(pod["metadata"]["name"].as_str()?.to_owned());
    found.iter().filter_map(name).collect()
}
