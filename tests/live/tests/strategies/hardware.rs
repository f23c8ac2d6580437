//! The GPU of a candidate's only replica is at fault and says so: the replica is replaced, and the version is not to blame.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use weir_domain::audit::Action;
use weir_domain::pipeline::{Measure, RolloutRule};
use weir_live::{Exporter, Stage, failed_by_version_alone, first_step_in_effect, replaced, rollout};
use weir_metrics::provider::{Provider, Servers};
use weir_spec::{Scope, SourceFile, load};

/// Replicas of the service: nothing but its GPU tells a single bad one from a bad version.
const REPLICAS: u32 = 1;
/// The candidate's share of the first step.
const SHARE: u8 = 25;
/// What users write who have DCGM's exporter.
const METRICS: &str = "metrics: {gpus: {source: prom, preset: dcgm}}";
/// What the exporter says of a good GPU.
const GOOD: [&str; 3] = [
    "DCGM_FI_DEV_XID_ERRORS",
    "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
    "DCGM_FI_DEV_THERMAL_VIOLATION",
];

#[tokio::test]
async fn a_replica_whose_gpu_says_that_it_is_at_fault_is_replaced_and_the_version_is_promoted() {
    // Nanoseconds.
    let heat = 2_000_000_000;
    let memory = "4 new memory errors that could not be corrected";
    // Each waits most of its time.
    tokio::join!(
        is_replaced("xid", "DCGM_FI_DEV_XID_ERRORS", 79, "XID 79"),
        is_replaced("memory", "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", 4, memory),
        is_replaced(
            "heat",
            "DCGM_FI_DEV_THERMAL_VIOLATION",
            heat,
            "slowed down because it is too hot"
        ),
    );
}

/// A replica fails half of its requests while its GPU says this: that costs its users what it failed itself, and nobody more.
async fn is_replaced(name: &str, series: &'static str, value: u64, told: &str) {
    let exporter = Exporter::serve().await;
    let source: Arc<dyn Provider> = Arc::new(exporter.source());
    let strategy = json!({"canary": {
        "steps": [{"weight": SHARE, "interval": 10_000}], "threshold": 0.95, "min_samples": 20,
    }});
    let stage = Stage::of(name, strategy.clone(), REPLICAS, 2).await;
    let stage = stage.asking(Servers::from([("prom".to_owned(), source)]));
    let load = stage.first("v1").await;

    let asks = |rule: &mut RolloutRule| rule.measures = measures();
    let run = stage.push_changed("v2", json!({}), strategy, asks).await;
    let judged = stage
        .until(&run, "the step is in effect", first_step_in_effect)
        .await;
    load.expect_nothing_lost("a good GPU").await;
    let candidate = rollout(&judged).candidate.clone();
    for pod in stage.pods(&candidate).await {
        GOOD.iter().for_each(|series| exporter.say(&pod, series, 0));
    }
    // A look at the good ones, so that what comes is new.
    let asked = exporter.queries().len();
    stage
        .until(&run, "the GPU is asked", |_| exporter.queries().len() > asked)
        .await;
    let bad = stage.spoil_one(&candidate).await;
    exporter.say(&bad, series, value);

    // Its users are sent back before anything else; from then on nothing more fails.
    stage.until(&run, "another replica is asked for", replaced).await;
    let before = load.totals().await;
    let ended = stage.ends(&run, "succeeded").await;
    let failed = failed_by_version_alone("v2", &before, &load.totals().await);

    let went = rollout(&ended);
    assert_eq!(went.shares(), [SHARE, 0, SHARE, 100]);
    assert!(went.gpus_peak <= went.plan.gpu_peak, "{} GPUs", went.gpus_peak);
    let said = stage.told(&run, Action::ReplicaReplaced).await;
    eprintln!("{failed} requests failed; {said:?}");
    let begins = format!("a GPU and not the version: pod {bad} on node ");
    let names = format!(": GPU-of-{bad}: {told}; ");
    let [said] = said.as_slice() else {
        panic!("replaced once: {said:?}")
    };
    assert!(said.starts_with(&begins) && said.contains(&names), "{said}");
    assert!(!stage.pods(&candidate).await.contains(&bad));
    stage.answers("v2").await;
    drop(load);
    stage.clear().await;
}

/// What the definition asks, as it is read from a file.
fn measures() -> BTreeMap<String, Measure> {
    let file = SourceFile::new("metrics.yaml", METRICS);
    load(&[file], Scope::OneFile).definition.measures
}
