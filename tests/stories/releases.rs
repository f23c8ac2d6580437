//! One release over several clusters: waves, one verdict, one way back for all.

mod approvals;
mod back;
mod held;
mod lanes;

use weir_domain::audit::{Action, Entry};
use weir_domain::ids::{EnvironmentName, RevisionId, RunId};
use weir_domain::pipeline::Pipeline;
use weir_domain::rollout::{Phase, Rollout};
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_tests::{Behaviour, World, commit, once, release, replay, with_rules};

const WAVES: &[&[&str]] = &[&["EU"], &["US"]];

/// The rollout of a run in an environment, once it began.
fn rollout<'a>(run: &'a Run, environment: &str) -> Option<&'a Rollout> {
    let here = EnvironmentName::new(environment);
    run.steps().find_map(|(id, _, state)| {
        let rule = run.rule(id)?;
        state.rollout.as_deref().filter(|_| rule.lane.environment == here)
    })
}

fn phase(run: &Run, environment: &str) -> Option<Phase> {
    rollout(run, environment).map(|rollout| rollout.phase.clone())
}

fn is_held(run: &Run, environment: &str) -> bool {
    rollout(run, environment).is_some_and(Rollout::is_held)
}

/// Whether its candidate has a share of the traffic.
fn has_traffic(run: &Run, environment: &str) -> bool {
    rollout(run, environment).is_some_and(|rollout| !rollout.changes.is_empty())
}

/// The first release of all, which is a release too; what serves then.
async fn good_release_serves(world: &World, waves: &[&[&str]]) -> RevisionId {
    let run = push(world, 1, release(&commit(1), waves)).await;
    world.run_until_run(&run, Run::is_over).await;
    world.expect_status(&run, "succeeded").await;
    world.run_until_idle().await;
    let revision = world.revision(&run).await;
    for environment in waves.iter().flat_map(|wave| wave.iter()) {
        world.expect_serving(environment, &revision);
    }
    revision
}

/// A commit whose revisions are good, where the story does not say otherwise.
async fn push(world: &World, n: u32, pipeline: Pipeline) -> RunId {
    world.push(&commit(n), Behaviour::default(), pipeline).await
}

/// A commit whose revisions err in one environment, once they have answered for so long.
async fn push_bad_in(world: &World, environment: &str, healthy_for: Span) -> RunId {
    push_bad(world, environment, healthy_for, release(&commit(2), WAVES)).await
}

async fn push_bad(world: &World, environment: &str, healthy_for: Span, pipeline: Pipeline) -> RunId {
    let bad = Behaviour {
        errors_per_mille: 200.0,
        healthy_for,
        ..Behaviour::default()
    };
    world.cluster.behave_in(environment, &commit(2), bad);
    push(world, 2, pipeline).await
}

async fn entries(world: &World, run: &RunId, action: Action) -> Vec<Entry> {
    let log = world.log(run).await;
    log.into_iter().filter(|entry| entry.action == action).collect()
}

/// Nothing of the release is left: both clusters serve what they did.
async fn expect_back(world: &World, good: &RevisionId) {
    world.run_until_idle().await;
    for environment in ["EU", "US"] {
        world.expect_serving(environment, good);
    }
}

#[test]
fn waves_are_held_one_after_another_and_promoted_in_one_decision() {
    replay(async |world| {
        good_release_serves(&world, WAVES).await;
        let run = push(&world, 2, release(&commit(2), WAVES)).await;
        world
            .run_until_run(&run, |run| phase(run, "US") == Some(Phase::Baking))
            .await;
        let now = world.run(&run).await;
        assert!(is_held(&now, "EU"), "{:?}", phase(&now, "EU"));
        assert_eq!(world.cluster.replicas("EU").len(), 2, "the old one stays warm");
        let words: Vec<&str> = now.steps().map(|(.., step)| step.waits_for.as_str()).collect();
        assert_eq!(
            words[0],
            "through its bake; waits for the other clusters of release worldwide: llm in US"
        );
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let promoted = entries(&world, &run, Action::Promoted).await;
        assert_eq!(promoted.len(), 2);
        assert_eq!(promoted[0].n + 1, promoted[1].n, "nothing stands between them");
        assert_eq!(promoted[0].at, promoted[1].at);
        world.run_until_idle().await;
        for environment in ["EU", "US"] {
            world.expect_serving(environment, &world.revision(&run).await);
        }
        world
    });
}

#[test]
fn a_wave_of_several_clusters_moves_them_at_once() {
    replay(async |world| {
        let waves: &[&[&str]] = &[&["Asia", "EU"], &["US"]];
        good_release_serves(&world, waves).await;
        let run = push(&world, 2, release(&commit(2), waves)).await;
        world.run_until_run(&run, |run| is_held(run, "EU")).await;
        let now = world.run(&run).await;
        assert!(has_traffic(&now, "Asia"));
        assert!(!has_traffic(&now, "US"));
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let promoted = entries(&world, &run, Action::Promoted).await;
        let at: Vec<_> = promoted.iter().map(|entry| entry.at).collect();
        assert_eq!((at.len(), at[0]), (3, at[2]));
        world
    });
}

#[test]
fn the_watch_is_the_releases_and_ends_for_all_at_once() {
    replay(async |world| {
        good_release_serves(&world, WAVES).await;
        let watched = with_rules(release(&commit(2), WAVES), |rule| rule.watch = Span::hours(6));
        let run = push(&world, 2, watched).await;
        world
            .run_until_run(&run, |run| is_held(run, "EU") && is_held(run, "US"))
            .await;
        let held = world.now();
        world.pass(Span::hours(5)).await;
        let now = world.run(&run).await;
        assert!(is_held(&now, "EU") && is_held(&now, "US"), "the watch goes on");
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        assert!(world.now().since(held) >= Span::hours(6));
        world
    });
}

#[test]
fn an_undo_of_a_release_brings_all_clusters_back_together() {
    replay(async |world| {
        let good = good_release_serves(&world, WAVES).await;
        let run = push(&world, 2, release(&commit(2), WAVES)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.run_until_idle().await;
        let undo = world.undo(&run, "UANA").await.expect("it serves");
        world.run_until_run(&undo, Run::is_over).await;
        world.expect_status(&undo, "succeeded").await;
        let promoted = entries(&world, &undo, Action::Promoted).await;
        assert_eq!((promoted.len(), promoted[0].at), (2, promoted[1].at));
        expect_back(&world, &good).await;
        world
    });
}

#[test]
fn a_candidate_that_serves_in_one_cluster_already_is_no_reason_to_wait_there() {
    once(async |world| {
        let alone = with_rules(release(&commit(1), &[&["EU"]]), |rule| rule.release = None);
        let first = push(&world, 1, alone).await;
        world.run_until_run(&first, Run::is_over).await;
        let run = world
            .push(&commit(2), Behaviour::default(), release(&commit(1), WAVES))
            .await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        world.run_until_idle().await;
        for environment in ["EU", "US"] {
            world.expect_serving(environment, &world.revision(&first).await);
        }
        world
    });
}
