//! One bad replica is not a bad version.

use weir_domain::audit::Action;
use weir_domain::ids::RunId;
use weir_domain::pipeline::{RolloutRule, Strategy};
use weir_domain::units::Weight;
use weir_tests::{Behaviour, World, canary_with, commit, replay};

/// A version of which the replicas with these numbers, in the order in which they are made, fail 300 of 1000 requests.
async fn pushed(world: &World, sick: &[u64], share: u8) -> RunId {
    let behaviour = Behaviour {
        sick: sick.to_vec(),
        sick_per_mille: 300.0,
        ..Behaviour::default()
    };
    let wide = |rule: &mut RolloutRule| {
        if let Strategy::Canary(canary) = &mut rule.strategy {
            canary.steps[0].weight = Weight::new(share).expect("stories write percentages");
        }
    };
    let run = world
        .push(&commit(2), behaviour, canary_with(&commit(2), wide))
        .await;
    world.run_until_run(&run, |run| run.is_over()).await;
    run
}

/// What was said of replicas that were replaced.
async fn replaced(world: &World, run: &RunId) -> Vec<String> {
    let log = world.log(run).await;
    let entries = log.iter().filter(|entry| entry.action == Action::ReplicaReplaced);
    entries.map(|entry| entry.detail.clone()).collect()
}

async fn shares(world: &World, run: &RunId) -> Vec<u8> {
    let rollout = world.rollout(run).await;
    assert!(
        rollout.gpus_peak <= rollout.plan.gpu_peak,
        "{}",
        rollout.gpus_peak
    );
    let mut shares = rollout.shares();
    shares.dedup();
    shares
}

#[test]
fn one_bad_replica_of_three_is_replaced_and_the_rollout_goes_on() {
    replay(async |world| {
        world.good_model_serves().await;
        let run = pushed(&world, &[2], 75).await;
        world.expect_status(&run, "succeeded").await;
        let told = replaced(&world, &run).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("one replica and not the version: pod pod-2 on node gpu-0: "),
            "{told:?}"
        );
        // Nobody waits for the other replica with the bad one.
        assert_eq!(shares(&world, &run).await, [75, 0, 75, 100]);
        world
    });
}

#[test]
fn one_bad_replica_of_two_is_replaced_once_and_a_second_breach_is_the_versions() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let run = pushed(&world, &[1, 3], 50).await;
        world.expect_status(&run, "rolled_back").await;
        let told = replaced(&world, &run).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("one of two replicas, so that it may still be the version: pod pod-1"),
            "{told:?}"
        );
        let why = world.run(&run).await.status.words();
        assert!(why.contains("pod pod-1 was replaced before"), "{why}");
        assert_eq!(shares(&world, &run).await, [50, 0, 50, 0]);
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn two_bad_replicas_of_three_are_a_bad_version() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let run = pushed(&world, &[1, 2], 75).await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(replaced(&world, &run).await, Vec::<String>::new());
        assert_eq!(shares(&world, &run).await, [75, 0]);
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_single_bad_replica_is_the_version_because_nothing_tells_them_apart() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let run = pushed(&world, &[1], 5).await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(replaced(&world, &run).await, Vec::<String>::new());
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}
