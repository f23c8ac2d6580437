//! A node is drained in the middle of a step: it is closed, and its pods are evicted.

use serde_json::{Value, json};
use weir_app::Clock;
use weir_domain::audit::Action;
use weir_domain::time::Span;
use weir_live::{Carriers, Sampler, Stage, WallClock, above_warm, backend, first_step_in_effect, rollout};

use crate::alone;
use crate::nodes::{drain, holding, open_all};

const REPLICAS: u32 = 4;
/// Seconds that a model loads: looks see that a replica is missing.
const LOADS_S: f64 = 5.0;

fn canary(weight: u8) -> Value {
    json!({"canary": {
        "steps": [{"weight": weight, "interval": 8_000}], "threshold": 0.95, "min_samples": 20,
    }})
}

#[tokio::test]
async fn a_drained_node_takes_its_share_along_and_the_rollout_goes_on() {
    let _alone = alone().await;
    let stage = Stage::of("drained", canary(50), REPLICAS, 2).await;
    let load = stage.first("v1").await;
    let sampler = Sampler::start(&stage.world);
    let model = json!({"load_seconds": LOADS_S});

    // One of two replicas: the share is halved until another is warm.
    let run = stage.push("v2", model.clone()).await;
    let judged = stage
        .until(&run, "the step is in effect", first_step_in_effect)
        .await;
    let node = holding(&stage.world, &rollout(&judged).candidate, 1).await;
    let began = WallClock.now();
    let evicted = drain(&stage.world, &node).await;
    let ended = stage.ends(&run, "succeeded").await;
    let went = rollout(&ended);
    let halved = &went.changes[1];
    eprintln!(
        "a share that the rest carries: decided {} after the drain began, accepted {} after it",
        halved.decided.since(began),
        halved.accepted.map_or(Span::ZERO, |at| at.since(began)),
    );
    assert_eq!(went.shares(), [50, 25, 50, 100]);
    stage.answers("v2").await;
    load.expect_nothing_lost("one of two replicas drained").await;
    let samples = sampler.samples();
    let carriers = Carriers {
        new: vec![backend(&went.candidate)],
        stable: went.stable.as_ref().map(|stable| backend(&stable.revision)),
        needed: REPLICAS,
    };
    assert_eq!(above_warm(&samples, &carriers), Vec::<String>::new());
    let peak = samples.iter().map(|sample| sample.gpus).max().unwrap_or(0);
    eprintln!(
        "{evicted} pods evicted; {peak} GPUs at most, {} by the plan; {} samples",
        went.plan.gpu_peak,
        samples.len()
    );
    // Who evicts holds a GPU twice while a pod leaves; Weir asks for none beside its plan.
    assert!(peak <= went.plan.gpu_peak + evicted, "{peak} GPUs");
    open_all(&stage.world).await;

    // The only replica: nobody is to blame, and the step begins again.
    let run = stage.push_with("v3", model, canary(25)).await;
    let judged = stage
        .until(&run, "the step is in effect", first_step_in_effect)
        .await;
    let node = holding(&stage.world, &rollout(&judged).candidate, 0).await;
    let began = WallClock.now();
    drain(&stage.world, &node).await;
    let ended = stage.ends(&run, "succeeded").await;
    let went = rollout(&ended);
    assert_eq!(went.shares(), [25, 0, 25, 50, 100]);
    let told = stage.told(&run, Action::ReplicaReplaced).await;
    assert!(
        told.len() == 1
            && told[0].starts_with(&format!("a node and not the version: node {node} is drained")),
        "{told:?}"
    );
    let taken = &went.changes[1];
    eprintln!(
        "its share is taken back {} after the drain began",
        taken.decided.since(began)
    );
    let after = load.totals().await;
    eprintln!("the only replica drained: {}", after["total"]);
    stage.answers("v3").await;
    drop(load);
    open_all(&stage.world).await;
    stage.clear().await;
}
