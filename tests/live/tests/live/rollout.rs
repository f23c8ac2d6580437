//! A rollout from the first release to the removal of the old revision, with real pods behind a real gateway.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weir_app::{Clusters, Proxy, ProxyError, Scenery};
use weir_cluster::names::revision_name;
use weir_domain::effect::Effect;
use weir_domain::ids::{ClusterName, Fence, RevisionId};
use weir_domain::run::Run;
use weir_domain::seen::PodPhase;
use weir_live::{Gate, ROLLOUT, Role, Shape, World, eventually};

const STEP: weir_domain::ids::StepId = ROLLOUT;

fn ensure(revision: &RevisionId, replicas: u32, fence: u64) -> Effect {
    Effect::EnsureRevision {
        step: STEP,
        revision: revision.clone(),
        replicas,
        fence: Fence(fence),
    }
}

/// Performs effects, and again: the repeat reads and writes nothing.
async fn perform_twice(world: &World, run: &Run, effects: &[Effect]) {
    world.perform(run, effects).await;
    let gate = Gate::open(&world.cluster.kubeconfig).await.unwrap();
    let fleet = world.fleet_by_way_of(&gate, Role::MetricCheck);
    for effect in effects {
        fleet.perform(run, effect).await.unwrap();
    }
    let passed = gate.passed();
    assert!(!passed.is_empty());
    let writes: Vec<&String> = passed.iter().filter(|words| !words.starts_with("GET ")).collect();
    assert!(
        writes.is_empty(),
        "a repeat of {effects:?} writes nothing: {passed:?}"
    );
}

async fn see(world: &World, run: &Run, what: &str, is: impl Fn(&Scenery) -> bool) -> Scenery {
    let fleet = world.fleet(Role::MetricCheck);
    eventually(what, async || {
        let scenery = fleet.scenery(run, STEP).await?;
        if is(&scenery) {
            Ok(scenery)
        } else {
            Err(format!("{scenery:?}"))
        }
    })
    .await
}

fn shares(scenery: &Scenery) -> Vec<(String, u8)> {
    let weights = scenery.route.weights.iter();
    weights
        .map(|(revision, weight)| (revision.to_string(), weight.percent()))
        .collect()
}

/// What people wrote in their route is there as before.
fn assert_foreign_parts_survive(route: &Value) {
    let rules = &route["spec"]["rules"];
    assert_eq!(
        rules[0]["filters"][0]["requestRedirect"]["hostname"],
        "new.example"
    );
    assert_eq!(
        rules[1]["filters"][0]["requestHeaderModifier"]["set"][0]["value"],
        "ml"
    );
    assert_eq!(rules[1]["timeouts"]["request"], "30s");
    assert_eq!(rules[1]["name"], "main");
    assert_eq!(route["metadata"]["annotations"]["team"], "ml");
}

#[tokio::test]
async fn a_rollout_from_first_release_to_the_removal_of_the_old_revision() {
    let world = World::new("rollout").await;
    let first = Shape::rollout("v1", None);
    let second = Shape::rollout("v2", Some("v1"));
    let (one, two) = (first.revision("v1"), first.revision("v2"));
    let run = world.run(&first);
    perform_twice(&world, &run, &[ensure(&one, 2, 1)]).await;
    let warm = see(&world, &run, "the first revision is warm", |scenery| {
        scenery.candidate.warm == 2
    })
    .await;
    assert_eq!(
        (warm.candidate.phase, warm.candidate.gpus),
        (PodPhase::Serving, 2)
    );
    assert_eq!(warm.candidate.crashes, 0);
    perform_twice(&world, &run, &[world.weights(&[(&one, 100)], 2)]).await;
    let seen = see(&world, &run, "the gateway has taken it up", |scenery| {
        scenery.route.observed
    })
    .await;
    assert_eq!(shares(&seen), [(one.to_string(), 100)]);
    assert_eq!((seen.route.fence, seen.route.problem), (Fence(2), None));

    let run = world.run(&second);
    perform_twice(
        &world,
        &run,
        &[ensure(&two, 1, 3), world.weights(&[(&one, 80), (&two, 20)], 4)],
    )
    .await;
    let seen = see(&world, &run, "both serve", |scenery| {
        scenery.candidate.warm == 1 && scenery.route.observed
    })
    .await;
    let mut expected = [(one.to_string(), 80), (two.to_string(), 20)];
    expected.sort();
    assert_eq!(shares(&seen), expected);
    assert_eq!(seen.stable.map(|stable| (stable.warm, stable.gpus)), Some((2, 2)));
    assert_eq!(seen.placed.pods[&two].len(), 1);
    assert_foreign_parts_survive(&world.route().await);
    the_gateway_sends_requests_to(&world, &["v1", "v2"]).await;
    the_gateways_pods_are_found_once_that_is_granted(&world, &run).await;
    metrics_are_read_through_the_api_server_once_that_is_granted(&world, &seen.placed.pods[&two][0]).await;

    let scale = Effect::ScaleRevision {
        leaving: Vec::new(),
        step: STEP,
        revision: two.clone(),
        replicas: 2,
        fence: Fence(5),
    };
    let retarget = Effect::RetargetService {
        step: STEP,
        revision: two.clone(),
        fence: Fence(7),
    };
    perform_twice(
        &world,
        &run,
        &[scale, world.weights(&[(&one, 0), (&two, 100)], 6), retarget],
    )
    .await;
    the_gateway_sends_requests_to(&world, &["v2"]).await;
    let plain = world.admin.get(&world.core("services/chat")).await.ok();
    assert_eq!(plain["spec"]["selector"]["weir.dev/revision"], two.as_str());
    let remove = |fence| Effect::RemoveRevision {
        step: STEP,
        revision: one.clone(),
        fence: Fence(fence),
    };
    perform_twice(&world, &run, &[remove(8)]).await;
    the_old_revision_is_gone(&world, &run, &one).await;
    // What traffic goes back to is never what is gone.
    let stable = world.route().await["metadata"]["annotations"]["weir.dev/stable"].clone();
    assert_eq!(stable, revision_name(&run.rule(STEP).unwrap().lane, &two));
    // A late order of an earlier decision does not bring it back, and a later removal finds nothing to do.
    world.perform(&run, &[ensure(&one, 2, 3), remove(9)]).await;
    the_old_revision_is_gone(&world, &run, &one).await;
    let seen = see(&world, &run, "the new one serves alone", |scenery| {
        scenery.candidate.warm == 2 && scenery.route.observed
    })
    .await;
    assert_eq!(shares(&seen), [(two.to_string(), 100)]);
    assert_foreign_parts_survive(&world.route().await);
}

/// Requests of which all are answered, by just these versions. At 20 percent, 60 requests that all go to the other
/// version come once in 650,000 looks, and the next look sees both.
async fn the_gateway_sends_requests_to(world: &World, versions: &[&str]) {
    eventually("the shares are effective", async || {
        let mut seen = BTreeSet::new();
        for _ in 0..60 {
            seen.insert(world.ask().await?);
        }
        if seen.iter().eq(versions) {
            Ok(())
        } else {
            Err(format!("{seen:?} answer"))
        }
    })
    .await;
}

async fn the_gateways_pods_are_found_once_that_is_granted(world: &World, run: &Run) {
    let fleet = world.fleet(Role::MetricCheck);
    assert_eq!(fleet.scenery(run, STEP).await.unwrap().placed.gateway, []);
    world.bind("gateway.yaml", "envoy-gateway-system").await.unwrap();
    let seen = see(world, run, "the gateway's pod is found", |scenery| {
        !scenery.placed.gateway.is_empty()
    })
    .await;
    assert_eq!(seen.placed.gateway.len(), 1);
}

async fn the_old_revision_is_gone(world: &World, run: &Run, revision: &RevisionId) {
    let name = revision_name(&run.rule(STEP).unwrap().lane, revision);
    let route = world.route().await;
    assert!(!route["spec"].to_string().contains(&name), "{}", route["spec"]);
    let query = format!("labelSelector=weir.dev/revision={revision}");
    for list in [
        world.path("apps/v1", "deployments"),
        world.core("services"),
        world.core("configmaps"),
    ] {
        let left = world.admin.get(&format!("{list}?{query}")).await.ok();
        assert_eq!(left["items"], json!([]), "{list}");
    }
}

async fn metrics_are_read_through_the_api_server_once_that_is_granted(world: &World, pod: &weir_app::PodRef) {
    let fleet = world.fleet(Role::MetricCheck);
    let scrape = async |path: &str, port, limit| {
        let cluster = ClusterName::new("main");
        fleet.get(&cluster, pod, port, path, limit).await
    };
    let denied = scrape("/metrics", 8000, 1 << 20).await;
    assert!(matches!(denied, Err(ProxyError::Denied(_))), "{denied:?}");
    world.bind("pod-proxy.yaml", &world.namespace).await.unwrap();
    let text = eventually("the right is granted", async || {
        scrape("/metrics", 8000, 1 << 20)
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    assert!(text.contains("vllm:"), "{text}");
    assert_eq!(scrape("/metrics", 8000, 10).await, Err(ProxyError::TooLarge(10)));
    let wrong_port = scrape("/metrics", 8001, 1 << 20).await;
    assert!(matches!(wrong_port, Err(ProxyError::Pod(_))), "{wrong_port:?}");

    // Who may read may not ask for all that.
    let ask = async || {
        let cluster = ClusterName::new("main");
        let body = json!({"prompt": "2 + 2 =", "max_tokens": 1}).to_string();
        fleet
            .post(&cluster, pod, 8000, "/v1/completions", body, 1 << 20)
            .await
    };
    let denied = ask().await;
    assert!(matches!(denied, Err(ProxyError::Denied(_))), "{denied:?}");
    world.bind("answers.yaml", &world.namespace).await.unwrap();
    let answer = eventually("the right to ask is granted", async || {
        ask().await.map_err(|error| error.to_string())
    })
    .await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["object"], "text_completion");
}
