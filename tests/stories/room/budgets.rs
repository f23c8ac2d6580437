//! Rollouts of a service whose owners want so many of its pods ready at any time.

use std::cell::Cell;

use weir_domain::budget::{Asks, Part};
use weir_domain::run::Run;
use weir_tests::{Behaviour, World, replay};

use super::{expect_within_plan, full_pool, push};

const FOUR: Asks = Asks::Available(Part::Count(4));

/// Replicas of both sides that are ready, once the candidate has been planned.
fn ready(run: &Run) -> Option<u32> {
    let rollout = run.steps().find_map(|(.., state)| state.rollout.as_deref())?;
    let planned = !rollout.plan.steps.is_empty() && rollout.stable_seen.desired > 0;
    planned.then(|| rollout.stable_seen.warm + rollout.candidate_seen.warm)
}

/// Rolls a good model out, and says how many replicas were ready when the fewest were.
async fn fewest_ready(world: &World) -> u32 {
    let run = push(world, Behaviour::default()).await;
    let fewest = Cell::new(u32::MAX);
    let over = |run: &Run| {
        fewest.set(ready(run).map_or(fewest.get(), |ready| ready.min(fewest.get())));
        run.is_over()
    };
    world.run_until_run(&run, over).await;
    world.expect_status(&run, "succeeded").await;
    assert_eq!(world.rollout(&run).await.shares(), [5, 33, 66, 100]);
    expect_within_plan(world, &run).await;
    world.expect_serving("Production", &world.revision(&run).await);
    fewest.get()
}

#[test]
fn four_that_must_stay_ready_do_and_without_a_budget_one_is_missing() {
    for (gpus, asks, fewest) in [(4, None, 3), (5, None, 3), (5, Some(FOUR), 4)] {
        replay(async |world| {
            world.cluster.set_pool(gpus);
            world.good_model_serves().await;
            world.cluster.set_budget(asks);
            assert_eq!(fewest_ready(&world).await, fewest, "{gpus} GPUs, {asks:?}");
            world
        });
    }
}

#[test]
fn where_no_replica_may_be_missing_and_no_gpu_is_free_it_is_refused_with_who_asks() {
    replay(async |world| {
        let good = full_pool(&world).await;
        world.cluster.set_budget(Some(FOUR));
        let writes = world.cluster.route_writes("Production");
        let run = push(&world, Behaviour::default()).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "failed").await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("borrow: 1 of the candidate would leave 3 of stable, and PodDisruptionBudget "),
            "{why}"
        );
        assert!(why.contains("(minAvailable 4) asks for 4"), "{why}");
        assert_eq!(world.cluster.route_writes("Production"), writes);
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_budget_that_lets_no_pod_go_is_told_with_the_plan() {
    replay(async |world| {
        world.cluster.set_pool(8);
        world.good_model_serves().await;
        world.cluster.set_budget(Some(Asks::Unavailable(Part::Count(0))));
        let run = push(&world, Behaviour::default()).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let log = world.log(&run).await;
        let told = |words: &str| log.iter().any(|entry| entry.detail.contains(words));
        assert!(told("(maxUnavailable 0) lets none of 4 pods go: draining a node"));
        world
    });
}
