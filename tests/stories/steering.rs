//! People hold a rollout where it is, let it go on, or take it to its end.

use weir_app::Handled;
use weir_domain::Reply;
use weir_domain::event::Event;
use weir_domain::ids::RunId;
use weir_domain::people::Identity;
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_tests::{Behaviour, World, canary_to_production, commit, once, replay};

/// Fails often enough to be seen at 5 %, after ten minutes.
fn bad_after_ten_minutes() -> Behaviour {
    Behaviour {
        errors_per_mille: 200.0,
        healthy_for: Span::minutes(10),
        ..Behaviour::default()
    }
}

/// A canary at its first share, two minutes into the ten that it is watched.
async fn two_minutes_in(world: &World, behaviour: Behaviour) -> RunId {
    world.good_model_serves().await;
    let run = world
        .push(&commit(2), behaviour, canary_to_production(&commit(2)))
        .await;
    world.run_until_run(&run, |run| share(run) == 5).await;
    world.pass(Span::minutes(2)).await;
    run
}

fn share(run: &Run) -> u8 {
    let mut steps = run.steps();
    let rollout = steps.find_map(|(.., state)| state.rollout.as_deref());
    rollout.map_or(0, |rollout| rollout.weight.percent())
}

async fn hold(world: &World, run: &RunId, slack: &str) -> Handled {
    let (by, reason) = (Identity::Slack(slack.into()), "a look at the logs".into());
    world.tell(run, Event::HoldRequested { by, reason }).await
}

async fn skip(world: &World, run: &RunId, slack: &str) -> Handled {
    let (by, reason) = (Identity::Slack(slack.into()), "a fix for an outage".into());
    world.tell(run, Event::SkipRequested { by, reason }).await
}

async fn resume(world: &World, run: &RunId) {
    let (by, reason, pause) = (Identity::Slack("UBO".into()), String::new(), None);
    world.tell(run, Event::PassRequested { by, reason, pause }).await;
}

fn refused(handled: &Handled) -> &str {
    match &handled.reply {
        Some(Reply::Refused(words)) => words,
        other => panic!("refused, and not {other:?}"),
    }
}

#[test]
fn a_rollout_that_is_held_keeps_its_share_until_a_person_lets_it_go_on() {
    replay(async |world| {
        let run = two_minutes_in(&world, Behaviour::default()).await;
        hold(&world, &run, "UBO").await;
        world.pass(Span::minutes(30)).await;
        let held = world.run(&run).await;
        assert_eq!(share(&held), 5);
        let waits = world.rollout(&run).await.waits_for;
        assert!(waits.starts_with("held by bo (a look at the logs)"), "{waits}");
        assert!(
            world.people.pages.lock().unwrap().contains(&run),
            "there is a button"
        );
        resume(&world, &run).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        assert_eq!(world.rollout(&run).await.shares(), [5, 25, 50, 100]);
        world
    });
}

#[test]
fn a_rollout_that_is_held_while_it_grows_gets_no_greater_share() {
    replay(async |world| {
        world.good_model_serves().await;
        let run = world
            .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
            .await;
        world
            .run_until_run(&run, |run| {
                run.steps().any(|(.., state)| {
                    state
                        .rollout
                        .as_deref()
                        .is_some_and(weir_domain::rollout::Rollout::can_steer)
                })
            })
            .await;
        hold(&world, &run, "UBO").await;
        world.pass(Span::minutes(30)).await;
        assert_eq!(share(&world.run(&run).await), 0);
        resume(&world, &run).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}

#[test]
fn a_rollout_that_is_held_still_goes_back_by_what_is_measured() {
    replay(async |world| {
        let bad = Behaviour {
            healthy_for: Span::minutes(3),
            ..bad_after_ten_minutes()
        };
        let run = two_minutes_in(&world, bad).await;
        hold(&world, &run, "UBO").await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let words = world.run(&run).await.status.words();
        assert!(words.contains("error_rate"), "{words}");
        world
    });
}

#[test]
fn a_rollout_whose_only_replica_turns_bad_while_it_is_held_has_no_share_until_a_person_lets_it_go_on() {
    replay(async |world| {
        let run = two_minutes_in(&world, bad_after_ten_minutes()).await;
        hold(&world, &run, "UBO").await;
        // It passed before it turned bad, so that its replica was replaced.
        world.run_until_run(&run, |run| share(run) == 0).await;
        world.pass(Span::minutes(30)).await;
        let held = world.run(&run).await;
        assert!(!held.is_over() && share(&held) == 0);
        resume(&world, &run).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let words = world.run(&run).await.status.words();
        assert!(words.contains("was replaced before"), "{words}");
        world
    });
}

#[test]
fn a_rollout_that_nobody_lets_go_on_goes_back_after_a_day() {
    once(async |world| {
        let run = two_minutes_in(&world, Behaviour::default()).await;
        hold(&world, &run, "UBO").await;
        world.run_until_idle().await;
        world.expect_status(&run, "rolled_back").await;
        let words = world.run(&run).await.status.words();
        assert!(
            words.contains("held at 5 %, and nobody let it go on within 1d"),
            "{words}"
        );
        world
    });
}

#[test]
fn strangers_hold_nothing_and_what_is_over_cannot_be_held() {
    replay(async |world| {
        let run = two_minutes_in(&world, Behaviour::default()).await;
        let words = hold(&world, &run, "U0MALLORY").await;
        assert!(refused(&words).contains("not mapped to a person"));
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let words = hold(&world, &run, "UBO").await;
        assert!(refused(&words).ends_with("has no rollout on its way that could be held"));
        world
    });
}

#[test]
fn a_person_takes_a_rollout_to_its_end_and_the_log_says_that_nothing_showed_it_to_be_good() {
    replay(async |world| {
        let run = two_minutes_in(&world, Behaviour::default()).await;
        let began = world.now();
        skip(&world, &run, "UANA").await;
        world.run_until_run(&run, |run| share(run) == 100).await;
        let took = world.now().since(began);
        assert!(
            took < Span::minutes(6),
            "8 of the 10 minutes were left; it took {took}"
        );
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let log = world.log(&run).await;
        let words = "unverified: ana does not wait for it (a fix for an outage)";
        assert!(log.iter().any(|entry| entry.detail.starts_with(words)), "{words}");
        world
    });
}

#[test]
fn who_pushed_a_change_does_not_take_it_to_its_end() {
    replay(async |world| {
        let run = two_minutes_in(&world, Behaviour::default()).await;
        let words = skip(&world, &run, "UBO").await;
        assert!(refused(&words).contains("somebody else must"), "{words:?}");
        assert_eq!(share(&world.run(&run).await), 5);
        world
    });
}

#[test]
fn a_bad_version_that_is_taken_to_its_end_goes_back_all_the_same() {
    replay(async |world| {
        let bad = Behaviour {
            healthy_for: Span::minutes(3),
            ..bad_after_ten_minutes()
        };
        let run = two_minutes_in(&world, bad).await;
        skip(&world, &run, "UANA").await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        world
    });
}
