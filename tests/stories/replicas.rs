//! One bad replica is not a bad version.

use weir_domain::audit::Action;
use weir_domain::ids::RunId;
use weir_domain::pipeline::{CanaryStep, RolloutRule, Strategy};
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_domain::units::Weight;
use weir_tests::{Behaviour, World, canary_to_production, canary_with, commit, replay};

/// A version of which the replicas with these numbers, in the order in which they are made, fail 300 of 1000 requests.
async fn pushed(world: &World, sick: &[u64], share: u8) -> RunId {
    pushed_with(world, sick, &[], share).await
}

/// The same where GPUs of replicas say something: number of the replica, and the driver's error.
async fn pushed_with(world: &World, sick: &[u64], xids: &[(u64, u64)], share: u8) -> RunId {
    let behaviour = Behaviour {
        sick: sick.to_vec(),
        sick_per_mille: 300.0,
        xids: xids.iter().copied().collect(),
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
            told[0].starts_with(
                "one of two replicas (not_separable), so that it may still be the version: pod pod-1"
            ),
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
fn a_single_replica_that_is_bad_in_its_first_step_is_the_version_because_nothing_tells_them_apart() {
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

/// A version that is judged at 5 and then at 20 % with one replica, and of which the replicas with these numbers turn sick
/// three minutes after the first step.
async fn turns_sick_later(world: &World, sick: &[u64]) -> RunId {
    let behaviour = Behaviour {
        healthy_for: Span::minutes(13),
        sick: sick.to_vec(),
        sick_per_mille: 300.0,
        ..Behaviour::default()
    };
    let two_steps = |rule: &mut RolloutRule| {
        if let Strategy::Canary(canary) = &mut rule.strategy {
            let weight = Weight::new(20).expect("stories write percentages");
            canary.steps.push(CanaryStep::new(weight, Span::minutes(10)));
        }
    };
    let run = world
        .push(&commit(2), behaviour, canary_with(&commit(2), two_steps))
        .await;
    world.run_until_run(&run, |run| run.is_over()).await;
    run
}

#[test]
fn a_single_replica_that_passed_a_step_and_turns_bad_in_a_later_one_is_replaced_and_the_rollout_goes_on() {
    replay(async |world| {
        world.good_model_serves().await;
        let run = turns_sick_later(&world, &[1]).await;
        world.expect_status(&run, "succeeded").await;
        let told = replaced(&world, &run).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with(
                "the only replica (not_separable), which passed a step before, so that it may not be the version: pod pod-1 on \
                 node gpu-0: "
            ) && told[0].contains("error_rate")
                && told[0].ends_with("; it is replaced once"),
            "{told:?}"
        );
        assert_eq!(shares(&world, &run).await, [5, 20, 0, 20, 25, 50, 100]);
        world
    });
}

#[test]
fn two_single_replicas_that_turn_bad_in_a_later_step_are_the_version() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let run = turns_sick_later(&world, &[1, 2]).await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(replaced(&world, &run).await.len(), 1);
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("error_rate") && why.contains("pod pod-1 was replaced before"),
            "{why}"
        );
        assert_eq!(shares(&world, &run).await, [5, 20, 0, 20, 0]);
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

/// The GPU has fallen off the bus.
const OFF_THE_BUS: u64 = 79;
/// A page fault, which a program causes.
const PAGE_FAULT: u64 = 31;

#[test]
fn a_single_replica_whose_gpu_says_that_it_is_at_fault_is_replaced_and_the_rollout_goes_on() {
    replay(async |world| {
        world.good_model_serves().await;
        let run = pushed_with(&world, &[1], &[(1, OFF_THE_BUS)], 5).await;
        world.expect_status(&run, "succeeded").await;
        let told = replaced(&world, &run).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("a GPU and not the version: pod pod-1 on node gpu-0: GPU-0: XID 79; "),
            "{told:?}"
        );
        assert_eq!(shares(&world, &run).await, [5, 0, 5, 25, 50, 100]);
        world
    });
}

#[test]
fn an_error_that_a_program_causes_does_not_clear_the_version() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let run = pushed_with(&world, &[1], &[(1, PAGE_FAULT)], 5).await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(replaced(&world, &run).await, Vec::<String>::new());
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_gpu_that_says_something_while_its_replica_is_well_changes_nothing() {
    replay(async |world| {
        world.good_model_serves().await;
        let run = pushed_with(&world, &[], &[(1, OFF_THE_BUS)], 5).await;
        world.expect_status(&run, "succeeded").await;
        assert_eq!(replaced(&world, &run).await, Vec::<String>::new());
        assert_eq!(shares(&world, &run).await, [5, 25, 50, 100]);
        world
    });
}

#[test]
fn a_bad_version_whose_gpus_all_fail_is_replaced_three_times_and_then_sent_back() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let all: Vec<u64> = (1..=9).collect();
        let xids: Vec<(u64, u64)> = all.iter().map(|number| (*number, OFF_THE_BUS)).collect();
        let run = pushed_with(&world, &all, &xids, 5).await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(replaced(&world, &run).await.len(), 3);
        assert_eq!(shares(&world, &run).await, [5, 0, 5, 0, 5, 0, 5, 0]);
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

/// A canary whose only replica loses its node as often as that, each time as soon as it has its share: on the nodes in their order.
async fn loses_its_node(world: &World, times: usize) -> RunId {
    world.cluster.set_pool(12);
    world.good_model_serves().await;
    let run = world
        .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
        .await;
    let has_its_share = |run: &Run| {
        let mut steps = run.steps();
        steps.any(|(.., state)| state.rollout.as_deref().is_some_and(|r| r.weight.percent() == 5))
    };
    for node in (4..).take(times) {
        world.run_until_run(&run, has_its_share).await;
        world.cluster.lose_node(node);
        world.run_until_run(&run, |run| !has_its_share(run)).await;
    }
    world.run_until_run(&run, Run::is_over).await;
    run
}

#[test]
fn a_lost_node_takes_the_share_at_once_and_is_not_the_versions_fault() {
    replay(async |world| {
        let run = loses_its_node(&world, 1).await;
        world.expect_status(&run, "succeeded").await;
        let told = replaced(&world, &run).await;
        assert_eq!(
            told,
            [
                "a node and not the version: node gpu-4 is gone; no replica answers: 0 of 1 warm; \
              the step begins again with another replica"
            ]
        );
        assert_eq!(shares(&world, &run).await, [5, 0, 5, 25, 50, 100]);
        world
    });
}

#[test]
fn a_candidate_that_loses_its_node_again_and_again_is_sent_back() {
    replay(async |world| {
        let run = loses_its_node(&world, 4).await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(replaced(&world, &run).await.len(), 3);
        let why = world.run(&run).await.status.words();
        assert!(why.contains("no replica answers"), "{why}");
        assert_eq!(shares(&world, &run).await, [5, 0, 5, 0, 5, 0, 5, 0]);
        world
    });
}
