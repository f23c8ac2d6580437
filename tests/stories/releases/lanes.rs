//! Releases and the lanes that they share with others.

use weir_domain::ids::{PipelineName, RunId};
use weir_domain::pipeline::{OnNewPush, Pipeline};
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_tests::{World, commit, release, replay, with_rules};

use super::{WAVES, expect_back, good_release_serves, has_traffic, is_held, push, rollout};

/// Another pipeline, which is no release, has traffic in one of the lanes.
async fn america_moves(world: &World) -> RunId {
    let mut other = with_rules(release(&commit(2), &[&["US"]]), |rule| rule.release = None);
    other.name = PipelineName::new("America");
    let run = push(world, 2, other).await;
    world.run_until_run(&run, |run| has_traffic(run, "US")).await;
    run
}

#[test]
fn nothing_moves_before_every_lane_of_the_release_is_its_own() {
    replay(async |world| {
        good_release_serves(&world, WAVES).await;
        let first = america_moves(&world).await;
        let run = push(&world, 3, release(&commit(3), WAVES)).await;
        world.pass(Span::minutes(1)).await;
        let eu = rollout(&world.run(&run).await, "EU").map(|eu| eu.waits_for.clone());
        assert_eq!(eu, Some(format!("llm in US is moved by {first}")));
        assert!(!world.run(&first).await.is_over());
        world.run_until_run(&run, Run::is_over).await;
        for run in [&first, &run] {
            world.expect_status(run, "succeeded").await;
        }
        world
    });
}

#[test]
fn two_releases_that_cross_take_their_turns() {
    replay(async |world| {
        good_release_serves(&world, WAVES).await;
        let mut other = release(&commit(3), &[&["US"], &["EU"]]);
        other.name = PipelineName::new("The Other Way Round");
        let first = push(&world, 2, release(&commit(2), WAVES)).await;
        let second = push(&world, 3, other).await;
        world
            .run_until_run(&second, |run| has_traffic(run, "US") || run.is_over())
            .await;
        assert!(is_over_but_for_draining(&world.run(&first).await));
        world.run_until_run(&second, Run::is_over).await;
        for run in [&first, &second] {
            world.expect_status(run, "succeeded").await;
        }
        expect_back(&world, &world.revision(&second).await).await;
        world
    });
}

/// A lane is free once its old revision has drained; the last status may come after the next run's first write.
fn is_over_but_for_draining(run: &Run) -> bool {
    let mut rollouts = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
    rollouts.all(|rollout| rollout.is_over())
}

fn superseding(n: u32) -> Pipeline {
    Pipeline {
        on_new_push: OnNewPush::Supersede,
        ..release(&commit(n), WAVES)
    }
}

#[test]
fn a_newer_push_that_supersedes_sends_all_clusters_back_first() {
    replay(async |world| {
        good_release_serves(&world, WAVES).await;
        let first = push(&world, 2, superseding(2)).await;
        world.run_until_run(&first, |run| has_traffic(run, "US")).await;
        let second = push(&world, 3, superseding(3)).await;
        world.run_until_run(&second, Run::is_over).await;
        world.expect_status(&first, "superseded").await;
        world.expect_status(&second, "succeeded").await;
        expect_back(&world, &world.revision(&second).await).await;
        world
    });
}

#[test]
fn a_newer_push_waits_for_all_waves_and_ends_their_watch() {
    replay(async |world| {
        good_release_serves(&world, WAVES).await;
        let watched = |n| with_rules(release(&commit(n), WAVES), |rule| rule.watch = Span::hours(48));
        let first = push(&world, 2, watched(2)).await;
        world.run_until_run(&first, |run| is_held(run, "EU")).await;
        let second = push(&world, 3, release(&commit(3), WAVES)).await;
        world.run_until_run(&first, |run| has_traffic(run, "US")).await;
        assert!(
            is_held(&world.run(&first).await, "EU"),
            "its watch goes on while the other cluster is under way"
        );
        world.run_until_run(&second, Run::is_over).await;
        for run in [&first, &second] {
            world.expect_status(run, "succeeded").await;
        }
        let first = world.run(&first).await;
        let took = first.ended.map(|at| at.since(first.began));
        assert!(took.is_some_and(|took| took < Span::hours(2)), "{took:?}");
        expect_back(&world, &world.revision(&second).await).await;
        world
    });
}

#[test]
fn of_three_pushes_the_one_that_waits_with_some_of_its_lanes_makes_way() {
    replay(async |world| {
        good_release_serves(&world, WAVES).await;
        let first = america_moves(&world).await;
        let second = push(&world, 3, release(&commit(3), WAVES)).await;
        world
            .run_until_run(&second, |run| rollout(run, "EU").is_some())
            .await;
        let third = push(&world, 4, release(&commit(4), WAVES)).await;
        world.run_until_run(&third, Run::is_over).await;
        world.expect_status(&second, "superseded").await;
        for run in [&first, &third] {
            world.expect_status(run, "succeeded").await;
        }
        world
    });
}
