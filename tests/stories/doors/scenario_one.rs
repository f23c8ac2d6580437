//! The article's first scenario, from a push to 100 %.

use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_tests::{Behaviour, World, commit, once, push_of, replay, slack_press, with_one_older};

use super::{asks, holds_the_article, people, sample_commits, waits_for_ml_team};

/// Ben approves what waits, and the run goes on to its end.
async fn approved_to_its_end(world: &World, run: &weir_domain::ids::RunId) {
    let token = world.approval(run).await;
    let (answer, _) = world.press(&slack_press("approve", "U0BEN", &token)).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    world.run_until_run(run, Run::is_over).await;
}

#[test]
fn the_first_push_is_checked_built_tested_tried_approved_and_released() {
    replay(async |world| {
        let run = waits_for_ml_team(&world).await;
        approved_to_its_end(&world, &run).await;
        world.expect_status(&run, "succeeded").await;
        let run = world.run(&run).await;
        assert_eq!(
            run.cause.reason.split(';').next(),
            Some("branch main matches branches: main")
        );
        assert_eq!(run.cause.actor.to_string(), "ada");
        assert_eq!(run.cause.headline, "Update the model to 2026-11 (Ada Example)");
        world
    });
}

#[test]
fn the_next_push_takes_5_percent_for_ten_minutes_and_then_everything() {
    once(async |world| {
        let first = waits_for_ml_team(&world).await;
        approved_to_its_end(&world, &first).await;
        let (_, serving) = sample_commits();
        holds_the_article(&world, &commit(2));
        let run = world.deliver_push_that_runs(&push_of(&serving, &commit(2))).await;
        world.run_until_run(&run, asks).await;
        let began = world.now();
        approved_to_its_end(&world, &run).await;
        world.expect_status(&run, "succeeded").await;
        let run = world.run(&run).await;
        let (.., state) = run.steps().last().expect("the canary is the last step");
        let rollout = state.rollout.as_deref().expect("it rolls out");
        let weights = rollout.shares();
        assert_eq!(weights, [5, 20, 40, 80, 100]);
        assert!(world.now().since(began) >= Span::minutes(20), "interval and bake");
        assert_eq!(
            world.cluster.shares("Production"),
            [(rollout.candidate.clone(), 100)]
        );
        world
    });
}

#[test]
fn a_model_that_errs_comes_back_by_itself() {
    once(async |world| {
        let first = waits_for_ml_team(&world).await;
        approved_to_its_end(&world, &first).await;
        let (_, serving) = sample_commits();
        holds_the_article(&world, &commit(2));
        let errs = Behaviour {
            errors_per_mille: 200.0,
            ..Behaviour::default()
        };
        let run = world.deliver_push_that_runs(&push_of(&serving, &commit(2))).await;
        world.run_until_run(&run, asks).await;
        // Staging has no condition of its own; the model errs under the load of production.
        world.cluster.behave(&commit(2), errs);
        approved_to_its_end(&world, &run).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("error_rate"), "{why}");
        let messages = world.people.messages.lock().unwrap().clone();
        let told: Vec<&String> = messages
            .values()
            .filter(|words| words.contains("rolled back"))
            .collect();
        assert_eq!(
            told,
            ["approved, and rolled back"],
            "whoever approved sees what came of it"
        );
        world
    });
}

#[test]
fn the_articles_own_file_goes_the_same_way() {
    let Some(files) = weir_article::files() else {
        return;
    };
    let verbatim = &files[3].1;
    assert!(files[3].0.starts_with("04-"), "{}", files[3].0);
    once(async |world| {
        let (before, after) = sample_commits();
        let people = people();
        let files = [
            (".weir/04.yaml", verbatim.as_str()),
            (".weir/world.yaml", &people),
        ];
        world.source.commit(&after, &files);
        let run = world.deliver_push_that_runs(&push_of(&before, &after)).await;
        world.run_until_run(&run, asks).await;
        approved_to_its_end(&world, &run).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}

/// A fleet is updated one function after the other, and a rollout moves meanwhile.
#[test]
fn each_function_in_turn_may_be_of_the_version_before() {
    with_one_older(async |world, older| {
        let first = waits_for_ml_team(&world).await;
        approved_to_its_end(&world, &first).await;
        let (_, serving) = sample_commits();
        holds_the_article(&world, &commit(2));
        let run = world.deliver_push_that_runs(&push_of(&serving, &commit(2))).await;
        world.run_until_run(&run, asks).await;
        approved_to_its_end(&world, &run).await;
        for run in [&first, &run] {
            world.expect_status(run, "succeeded").await;
            let (by_older, by_newer) = world.writes(run);
            assert!(
                by_older > 0 && by_newer > 0,
                "{older:?}: {by_older} and {by_newer}"
            );
        }
        world
    });
}
