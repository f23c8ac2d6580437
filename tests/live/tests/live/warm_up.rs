//! A pod that generates before it is ready, by the probe that a definition gives it.

use serde_json::{Value, json};
use weir_app::Clusters;
use weir_domain::effect::Effect;
use weir_domain::ids::Fence;
use weir_domain::pipeline::{StageWork, StepWork};
use weir_domain::run::Run;
use weir_domain::seen::PodPhase;
use weir_live::{ROLLOUT, Role, Shape, World, change_rules, eventually};
use weir_spec::{ResourceFiles, Scope, SourceFile, Variables, load, resolve};

const DEFINITION: &str = "
service:
  name: chat
  spec:
    first_generation: {preset: vllm, timeout: 5s}
    containers: [{name: server, image: 'chat:1'}]
environments: [{name: Production, spec: {cluster: main}}]
pipeline:
  name: P
  stages:
    - stage: A
      steps:
        - step: {name: N, type: Kubernetes, spec: {namespace: production}}
";

/// The startup probe of the definition's pod.
fn probe() -> Value {
    let loaded = load(&[SourceFile::new("p.yaml", DEFINITION)], Scope::Whole);
    let resolved = resolve(
        &loaded.definition,
        "P",
        &Variables::default(),
        &ResourceFiles::default(),
    );
    let pipeline = resolved.unwrap_or_else(|said| panic!("{said:?}"));
    let StageWork::Steps { steps, .. } = &pipeline.stages[0].work else {
        panic!("the stage has steps");
    };
    let StepWork::Rollout(rule) = &steps[0].work else {
        panic!("the step is a rollout");
    };
    rule.workload.template["spec"]["containers"][0]["startupProbe"].clone()
}

/// A run whose candidate is asked for a first answer, made on the cluster.
async fn made(world: &World, version: &str, model: Value) -> Run {
    let mut shape = Shape::rollout(version, None);
    shape.model = model;
    let mut run = world.run(&shape);
    let mut startup = probe();
    startup["periodSeconds"] = json!(1);
    change_rules(std::sync::Arc::make_mut(&mut run.pipeline), |rule| {
        rule.workload.template["spec"]["containers"][0]["startupProbe"] = startup.clone();
    });
    let revision = run.rule(ROLLOUT).unwrap().workload.revision();
    let step = &mut run.stages[ROLLOUT.stage].steps[ROLLOUT.step];
    step.rollout.as_mut().unwrap().candidate = revision.clone();
    let ensure = Effect::EnsureRevision {
        step: ROLLOUT,
        revision,
        replicas: 1,
        fence: Fence(1),
    };
    world.perform(&run, &[ensure]).await;
    run
}

#[tokio::test]
async fn a_pod_is_ready_once_it_has_generated_and_one_that_cannot_says_what_its_server_said() {
    let world = World::new("warm-up").await;
    let fleet = world.fleet(Role::MetricCheck);
    let good = made(&world, "v1", json!({"load_seconds": 2.0})).await;
    eventually("it is warm", async || {
        let seen = fleet.scenery(&good, ROLLOUT).await?.candidate;
        let events = world.admin.get(&world.core("events")).await.ok();
        let said: Vec<String> = events["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|e| e["message"].to_string())
            .collect();
        if seen.warm == 1 {
            Ok(())
        } else {
            Err(format!("{} {said:?}", seen.words))
        }
    })
    .await;
    let pods = world.pods("").await;
    let name = pods[0]["metadata"]["name"].as_str().unwrap();
    let path = format!("{}/{name}:8000/proxy/metrics", world.core("pods"));
    let page = world.admin.get(&path).await.body;
    let generated = r#"http_requests_total{method="POST",code="200",path="/v1/completions"} 1"#;
    assert!(page.to_string().replace('\\', "").contains(generated), "{page}");
    world.clear().await;

    let bad = made(&world, "v2", json!({"error_ratio": 1.0})).await;
    let seen = eventually("it says what is wrong", async || {
        let seen = fleet.scenery(&bad, ROLLOUT).await?.candidate;
        match seen.phase {
            PodPhase::Warming => Ok(seen),
            _ => Err(seen.words),
        }
    })
    .await;
    assert!(
        seen.words.contains("does not answer its warm-up: ")
            && seen.words.contains("POST /v1/completions: HTTP 500"),
        "{}",
        seen.words
    );
    assert_eq!(seen.warm, 0);
    world.clear().await;
}
