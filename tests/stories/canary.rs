//! A new model goes to production, or comes back by itself.

use weir_domain::event::Event;
use weir_domain::people::Identity;
use weir_domain::pipeline::Strategy;
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_domain::units::Weight;
use weir_tests::{
    Behaviour, Outcome, World, canary_to_production, canary_with, commit, once, replay, slack_press,
};

#[test]
fn the_first_release_goes_to_everything_at_once_and_says_so() {
    replay(async |world| {
        let revision = world.good_model_serves().await;
        world.expect_serving("Production", &revision);
        assert_eq!(world.cluster.plain("Production"), Some(revision));
        world
    });
}

#[test]
fn a_good_model_is_stepped_ramped_baked_and_the_old_one_drained() {
    replay(async |world| {
        world.good_model_serves().await;
        let run = world
            .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
            .await;
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "succeeded").await;
        let rollout = world.rollout(&run).await;
        let weights = rollout.shares();
        assert_eq!(weights, [5, 25, 50, 100]);
        assert!(
            rollout.gpus_peak <= rollout.plan.gpu_peak,
            "{} GPUs",
            rollout.gpus_peak
        );
        world.expect_serving("Production", &world.revision(&run).await);
        world
    });
}

/// A canary that waits for a person after its step.
fn with_a_pause() -> weir_domain::pipeline::Pipeline {
    canary_with(&commit(2), |rule| {
        if let Strategy::Canary(canary) = &mut rule.strategy {
            canary.steps[0].pause = Some(Span::hours(2));
        }
    })
}

fn waits_at_its_step(run: &Run) -> bool {
    let rollout = run.steps().find_map(|(.., state)| state.rollout.as_deref());
    rollout.is_some_and(|rollout| rollout.is_paused() && rollout.weight.percent() == 5)
}

#[test]
fn a_step_with_a_pause_waits_for_a_person_once_it_has_passed() {
    replay(async |world| {
        world.good_model_serves().await;
        let run = world.push(&commit(2), Behaviour::default(), with_a_pause()).await;
        world.run_until_run(&run, waits_at_its_step).await;
        world.pass(Span::hours(1)).await;
        assert!(waits_at_its_step(&world.run(&run).await));
        let (by, reason) = (Identity::Slack("UBO".into()), "looked at it".to_owned());
        let pause = None;
        world.tell(&run, Event::PassRequested { by, reason, pause }).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        assert_eq!(world.rollout(&run).await.shares(), [5, 25, 50, 100]);
        world
    });
}

#[test]
fn a_button_lets_a_paused_step_go_on_and_only_for_people_whom_the_definition_knows() {
    replay(async |world| {
        world.good_model_serves().await;
        let run = world.push(&commit(2), Behaviour::default(), with_a_pause()).await;
        world.run_until_run(&run, waits_at_its_step).await;
        world.pass(Span::minutes(1)).await;
        assert!(
            world.people.pages.lock().unwrap().contains(&run),
            "people are asked"
        );
        let paused = world.rollout(&run).await.paused;
        let token = paused.and_then(|paused| paused.token).unwrap();

        let (answer, told) = world.press(&slack_press("resume", "U0MALLORY", &token)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert!(told[0].contains("not mapped to a person"), "{told:?}");
        assert!(waits_at_its_step(&world.run(&run).await));

        world.press(&slack_press("resume", "UBO", &token)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let log = world.log(&run).await;
        assert!(
            log.iter()
                .any(|entry| entry.detail == "bo lets it go on from 5 %")
        );
        world
    });
}

#[test]
fn who_presses_the_button_of_a_pause_hears_what_came_of_it() {
    once(async |world| {
        world.good_model_serves().await;
        let run = world.push(&commit(2), Behaviour::default(), with_a_pause()).await;
        world.run_until_run(&run, waits_at_its_step).await;
        let paused = world.rollout(&run).await.paused;
        let token = paused.and_then(|paused| paused.token).unwrap();
        let press = slack_press("resume", "UBO", &token);
        assert_eq!(world.press(&press).await.1, ["It goes on."]);
        let (_, told) = world.press(&press).await;
        assert!(told[0].ends_with("is not paused there any more"), "{told:?}");
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}

#[test]
fn a_button_sends_traffic_back_and_only_for_people_whom_the_definition_knows() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let run = world.push(&commit(2), Behaviour::default(), with_a_pause()).await;
        world.run_until_run(&run, waits_at_its_step).await;
        let paused = world.rollout(&run).await.paused;
        let token = paused.and_then(|paused| paused.token).unwrap();

        let (_, told) = world.press(&slack_press("roll_back", "U0MALLORY", &token)).await;
        assert!(told[0].contains("not mapped to a person"), "{told:?}");
        assert!(waits_at_its_step(&world.run(&run).await));

        world.press(&slack_press("roll_back", "UBO", &token)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let words = world.run(&run).await.status.words();
        assert!(words.contains("asked by bo: Roll back in Slack"), "{words}");
        assert_eq!(world.cluster.shares("Production"), [(good, 100)]);
        world
    });
}

#[test]
fn a_pause_of_a_step_that_nobody_ends_takes_the_traffic_back() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let run = world.push(&commit(2), Behaviour::default(), with_a_pause()).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("nobody let it go on within 2h"), "{why}");
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_model_that_errs_under_load_is_sent_back_with_what_was_measured() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let bad = Behaviour {
            errors_per_mille: 100.0,
            ..Behaviour::default()
        };
        let run = world
            .push(&commit(2), bad, canary_to_production(&commit(2)))
            .await;
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("error_rate"), "{why}");
        assert_eq!(world.cluster.shares("Production"), [(good.clone(), 100)]);
        world.run_until_idle().await;
        assert!(world.people.pages.lock().unwrap().contains(&run));
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_slow_model_is_sent_back_too() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let slow = Behaviour {
            slow_per_mille: 150.0,
            ..Behaviour::default()
        };
        let run = world
            .push(&commit(2), slow, canary_to_production(&commit(2)))
            .await;
        world.run_until_idle().await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("latency_p99"), "{why}");
        world.expect_serving("Production", &good);
        world
    });
}

/// A model whose caches are empty for 20 s, under a rule that leaves latencies out for so long: how it ended, and how long it
/// had its first share.
async fn pushed_cold(world: &World, warm_up: Span, behaviour: Behaviour) -> (String, Span) {
    let cold = Behaviour {
        cold_for: Span::seconds(20),
        ..behaviour
    };
    let pipeline = canary_with(&commit(2), |rule| rule.warm_up = warm_up);
    let run = world.push(&commit(2), cold, pipeline).await;
    world.run_until_run(&run, Run::is_over).await;
    let changes = world.rollout(&run).await.changes;
    let ended = world.run(&run).await.status.words();
    world.run_until_idle().await;
    (ended, changes[1].decided.since(changes[0].decided))
}

#[test]
fn a_cold_cache_is_not_a_slow_model() {
    replay(async |world| {
        world.good_model_serves().await;
        let (ended, _) = pushed_cold(&world, Span::seconds(30), Behaviour::default()).await;
        assert_eq!(ended, "succeeded");
        world
    });
    once(async |world| {
        let good = world.good_model_serves().await;
        let (why, held) = pushed_cold(&world, Span::ZERO, Behaviour::default()).await;
        assert!(
            why.contains("latency") && held < Span::seconds(20),
            "{held}: {why}"
        );
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_model_that_stays_slow_goes_back_after_its_warm_up_and_one_that_fails_within_it() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let slow = Behaviour {
            slow_per_mille: 150.0,
            ..Behaviour::default()
        };
        let (why, held) = pushed_cold(&world, Span::seconds(30), slow).await;
        assert!(why.contains("latency"), "{why}");
        assert!(held >= Span::seconds(30) && held < Span::seconds(90), "{held}");
        world.expect_serving("Production", &good);
        world
    });
    replay(async |world| {
        let good = world.good_model_serves().await;
        let failing = Behaviour {
            errors_per_mille: 700.0,
            ..Behaviour::default()
        };
        let (why, held) = pushed_cold(&world, Span::seconds(30), failing).await;
        assert!(
            why.contains("error_rate") && held < Span::seconds(15),
            "{held}: {why}"
        );
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_model_that_crashes_while_serving_is_sent_back_without_waiting_for_a_metric() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        world.cluster.silence_metrics(true);
        let crashing = Behaviour {
            crash_after: Some(Span::seconds(30)),
            ..Behaviour::default()
        };
        let run = world
            .push(&commit(2), crashing, canary_to_production(&commit(2)))
            .await;
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("exited with code 139"), "{why}");
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_model_that_never_becomes_warm_never_gets_traffic() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let writes = world.cluster.route_writes("Production");
        let stuck = Behaviour {
            load: Span::hours(9),
            ..Behaviour::default()
        };
        let run = world
            .push(&commit(2), stuck, canary_to_production(&commit(2)))
            .await;
        world.run_until_idle().await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(world.cluster.route_writes("Production"), writes);
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_phase_that_lasts_longer_than_it_may_ends_the_rollout_and_is_named() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let stuck = Behaviour {
            load: Span::hours(9),
            ..Behaviour::default()
        };
        let pipeline = canary_with(&commit(2), |rule| rule.deadlines.loading = Some(Span::minutes(4)));
        let run = world.push(&commit(2), stuck, pipeline).await;
        let pushed = world.now();
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("loading for 4m") && why.contains("4m at most"),
            "{why}"
        );
        assert!(world.now().since(pushed) < Span::minutes(6));
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_share_that_no_gateway_takes_up_goes_back_and_says_what_the_gateway_says() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        world.cluster.refuse_route(
            "Production",
            Some("Gateway public says Accepted is false: NoMatchingParent"),
        );
        let pipeline = canary_with(&commit(2), |rule| rule.deadlines.serving = Some(Span::minutes(2)));
        let run = world.push(&commit(2), Behaviour::default(), pipeline).await;
        let reverting = |run: &Run| {
            let rollouts = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
            rollouts
                .into_iter()
                .any(|rollout| rollout.reverted_because.is_some())
        };
        world.run_until_run(&run, reverting).await;
        let why = world.rollout(&run).await.reverted_because.unwrap_or_default();
        assert!(
            why.starts_with("serving for 2m, 2m at most: weight 5 % is not taken up"),
            "{why}"
        );
        assert!(
            why.ends_with("; Gateway public says Accepted is false: NoMatchingParent"),
            "{why}"
        );
        world.cluster.refuse_route("Production", None);
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn pods_that_do_not_leave_keep_the_lane_for_as_long_as_they_may_and_a_person_is_told() {
    replay(async |world| {
        world.good_model_serves().await;
        let pipeline = canary_with(&commit(2), |rule| {
            rule.deadlines.draining = Some(Span::minutes(3));
        });
        let run = world.push(&commit(2), Behaviour::default(), pipeline).await;
        world.cluster.hold_pods(true);
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let left = world.rollout(&run).await.left_behind.unwrap_or_default();
        assert!(left.starts_with("for 3m, 3m at most: 4 pods left; "), "{left}");
        world.run_until_idle().await;
        assert!(world.people.pages.lock().unwrap().contains(&run));
        // Who comes next has the lane.
        world.cluster.hold_pods(false);
        let next = world
            .push(&commit(3), Behaviour::default(), canary_to_production(&commit(3)))
            .await;
        world.run_until_run(&next, Run::is_over).await;
        world.expect_status(&next, "succeeded").await;
        world
    });
}

#[test]
fn without_measurements_nothing_is_promoted_and_a_person_is_called() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        world.cluster.silence_metrics(true);
        let run = world
            .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
            .await;
        world.run_until_idle().await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("nothing could be measured"), "{why}");
        assert!(world.people.pages.lock().unwrap().contains(&run));
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_cluster_that_is_away_holds_the_run_and_then_it_goes_on() {
    replay(async |world| {
        world.good_model_serves().await;
        world.cluster.set_away(true);
        let run = world
            .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
            .await;
        world.pass(Span::minutes(2)).await;
        let waits: Vec<String> = world
            .run(&run)
            .await
            .steps()
            .map(|(.., state)| state.waits_for.clone())
            .collect();
        assert!(
            waits.iter().any(|words| words.contains("does not answer")),
            "{waits:?}"
        );
        world.cluster.set_away(false);
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "succeeded").await;
        world.expect_serving("Production", &world.revision(&run).await);
        world
    });
}

/// A rollout is looked at every 15 s, 240 times an hour. A look tries again what is still to be done, at most three
/// effects of a move, and each of them tries once a minute by itself: 240 × (1 + 3) + 3 × 60.
const CALLS_AN_HOUR: u64 = 1_140;

#[test]
fn a_cluster_that_is_away_for_an_hour_is_asked_calmly_and_the_timeline_says_it_once() {
    replay(async |world| {
        world.good_model_serves().await;
        let run = world
            .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
            .await;
        world
            .run_until_run(&run, |run| {
                let mut rollouts = run.steps().filter_map(|(.., state)| state.rollout.as_ref());
                rollouts.any(|rollout| rollout.weight > Weight::ZERO)
            })
            .await;
        world.cluster.set_away(true);
        world.pass(Span::minutes(60)).await;
        let calls = world.cluster.calls_in_vain();
        assert!(calls <= CALLS_AN_HOUR, "{calls} calls to a cluster that was away");
        let log = world.log(&run).await;
        let said = log
            .iter()
            .filter(|entry| entry.detail.contains("does not answer"));
        assert!(said.count() <= 2, "{log:#?}");
        world.cluster.set_away(false);
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}

#[test]
fn a_step_whose_commands_fail_ends_the_run_and_nothing_is_rolled_out() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        world.cluster.end_step(
            "check-model",
            Outcome {
                exit_code: 3,
                ..Outcome::default()
            },
        );
        let run = world
            .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
            .await;
        world.run_until_idle().await;
        world.expect_status(&run, "failed").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("exit code 3"), "{why}");
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_foreign_write_of_the_route_is_corrected() {
    replay(async |world| {
        world.good_model_serves().await;
        let run = world
            .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
            .await;
        let stepping = |run: &weir_domain::run::Run| {
            run.steps()
                .any(|(.., s)| s.rollout.as_ref().is_some_and(|r| r.weight.percent() == 5))
        };
        world.run_until_run(&run, stepping).await;
        let candidate = world.revision(&run).await;
        world.pass(Span::seconds(10)).await;
        world
            .cluster
            .foreign_write("Production", &candidate, weir_domain::units::Weight::FULL);
        world.pass(Span::seconds(20)).await;
        let share = world
            .cluster
            .shares("Production")
            .into_iter()
            .find(|(id, _)| *id == candidate);
        assert_eq!(share, Some((candidate, 5)));
        world.run_until_idle().await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}
