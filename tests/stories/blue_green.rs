//! Two whole colours side by side: looked at without traffic, switched at once, and back at once.

use weir_domain::event::Event;
use weir_domain::ids::RunId;
use weir_domain::people::Identity;
use weir_domain::pipeline::{Pipeline, Plugin};
use weir_domain::rollout::Phase;
use weir_domain::run::Run;
use weir_domain::strategy::{BlueGreen, Strategy};
use weir_domain::time::Span;
use weir_tests::{Behaviour, Outcome, World, canary_with, commit, replay};

/// The pipeline of the n-th commit.
fn colours(n: u32, blue_green: &BlueGreen) -> Pipeline {
    canary_with(&commit(n), |rule| {
        rule.strategy = Strategy::BlueGreen(Box::new(blue_green.clone()));
    })
}

fn checked() -> BlueGreen {
    let checks = Plugin {
        image: "curlimages/curl".into(),
        commands: vec!["curl --fail $WEIR_PREVIEW/health".into()],
        env: [].into(),
        secrets: Vec::new(),
        outputs: Vec::new(),
        timeout: Span::minutes(10),
    };
    BlueGreen {
        checks: Some(checks),
        ..BlueGreen::default()
    }
}

async fn push(world: &World, behaviour: Behaviour, blue_green: &BlueGreen) -> RunId {
    world.push(&commit(2), behaviour, colours(2, blue_green)).await
}

fn phase(run: &Run) -> Option<(Phase, u8)> {
    let rollout = run.steps().find_map(|(.., state)| state.rollout.as_deref())?;
    Some((rollout.phase.clone(), rollout.weight.percent()))
}

async fn roll_back(world: &World, run: &RunId) {
    let event = Event::RollbackRequested {
        by: Identity::Slack("UANA".into()),
        reason: "answers in the wrong language".into(),
        force: false,
    };
    world.tell(run, event).await;
}

#[test]
fn a_good_colour_is_looked_at_switched_at_once_and_the_old_one_kept_warm() {
    replay(async |world| {
        let old = world.good_model_serves().await;
        let writes = world.cluster.route_writes("Production");
        let run = push(&world, Behaviour::default(), &checked()).await;
        // Both colours are whole and the new one has no traffic, for as long as the preview takes.
        world
            .run_until_run(&run, |run| phase(run) == Some((Phase::Watching { step: 0 }, 0)))
            .await;
        let whole = world.now();
        let new = world.revision(&run).await;
        assert_eq!(world.cluster.route_writes("Production"), writes);
        world
            .run_until_run(&run, |run| phase(run).is_some_and(|(_, weight)| weight == 100))
            .await;
        assert!(world.now().since(whole) >= Span::seconds(30));
        // One write moves everything; the old colour keeps all its replicas while the new one is judged and baked.
        for _ in 0..19 {
            world.pass(Span::minutes(1)).await;
            let mut sides = vec![(old.clone(), 4), (new.clone(), 4)];
            sides.sort();
            assert_eq!(world.cluster.replicas("Production"), sides);
        }
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let rollout = world.rollout(&run).await;
        assert_eq!(rollout.shares(), [100]);
        assert_eq!((rollout.plan.gpu_peak, rollout.gpus_peak), (8, 8));
        world.expect_serving("Production", &new);
        world
    });
}

#[test]
fn the_first_release_of_blue_green_is_like_every_other() {
    replay(async |world| {
        let run = world
            .push(&commit(1), Behaviour::default(), colours(1, &checked()))
            .await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        world.expect_serving("Production", &world.revision(&run).await);
        world
    });
}

#[test]
fn a_colour_that_errs_is_switched_back_at_once_by_what_was_measured() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let bad = Behaviour {
            errors_per_mille: 100.0,
            ..Behaviour::default()
        };
        let run = push(&world, bad, &BlueGreen::default()).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("error_rate"), "{why}");
        let rollout = world.rollout(&run).await;
        assert_eq!(rollout.shares(), [100, 0]);
        assert_eq!(rollout.stable_asked, None, "the way back is weights alone");
        assert_eq!(world.cluster.shares("Production"), [(good.clone(), 100)]);
        world.run_until_idle().await;
        assert!(world.people.pages.lock().unwrap().contains(&run));
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_colour_that_crashes_after_the_switch_is_switched_back() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        world.cluster.silence_metrics(true);
        let crashing = Behaviour {
            crash_after: Some(Span::minutes(1)),
            ..Behaviour::default()
        };
        let run = push(&world, crashing, &BlueGreen::default()).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("exited with code 139"), "{why}");
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_person_takes_it_back_in_the_preview_after_the_switch_and_in_the_bake() {
    let moments = [
        (Phase::Watching { step: 0 }, 0),
        (Phase::Watching { step: 1 }, 100),
        (Phase::Baking, 100),
    ];
    for moment in moments {
        replay(async |world| {
            let good = world.good_model_serves().await;
            let writes = world.cluster.route_writes("Production");
            let run = push(&world, Behaviour::default(), &checked()).await;
            world
                .run_until_run(&run, |run| phase(run) == Some(moment.clone()))
                .await;
            roll_back(&world, &run).await;
            world.run_until_run(&run, Run::is_over).await;
            world.expect_status(&run, "rolled_back").await;
            if moment.1 == 0 {
                assert_eq!(
                    world.cluster.route_writes("Production"),
                    writes,
                    "it never had traffic"
                );
            }
            assert_eq!(world.cluster.shares("Production"), [(good.clone(), 100)]);
            world.run_until_idle().await;
            world.expect_serving("Production", &good);
            world
        });
    }
}

#[test]
fn what_the_checks_refuse_never_gets_traffic() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let writes = world.cluster.route_writes("Production");
        let refused = Outcome {
            exit_code: 22,
            ..Outcome::default()
        };
        world.cluster.end_step("canary-deploy", refused);
        let run = push(&world, Behaviour::default(), &checked()).await;
        world.run_until_idle().await;
        world.expect_status(&run, "rolled_back").await;
        let ended = world.run(&run).await;
        let why = ended.status.words();
        assert!(
            why.contains("checks failed before it had any traffic: exit code 22"),
            "{why}"
        );
        let log = ended
            .steps()
            .find_map(|(_, step, state)| (step.slug == "canary-deploy").then(|| state.log_tail.clone()));
        assert_eq!(log.as_deref(), Some("canary-deploy said so"));
        assert_eq!(world.cluster.route_writes("Production"), writes);
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_colour_that_never_becomes_warm_is_never_switched_to() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let writes = world.cluster.route_writes("Production");
        let stuck = Behaviour {
            load: Span::hours(9),
            ..Behaviour::default()
        };
        let run = push(&world, stuck, &BlueGreen::default()).await;
        world.run_until_idle().await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(world.cluster.route_writes("Production"), writes);
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn without_room_for_two_colours_it_is_refused_and_says_what_would_do() {
    replay(async |world| {
        world.cluster.set_pool(7);
        let good = world.good_model_serves().await;
        let run = push(&world, Behaviour::default(), &BlueGreen::default()).await;
        world.run_until_idle().await;
        world.expect_status(&run, "failed").await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("4 replicas do not fit, and nothing was moved"),
            "{why}"
        );
        assert!(
            why.contains("blue-green keeps all replicas of both revisions"),
            "{why}"
        );
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_colour_that_loses_its_nodes_is_switched_back_and_once_more_when_it_is_whole_again() {
    replay(async |world| {
        world.cluster.set_pool(12);
        world.good_model_serves().await;
        let run = push(&world, Behaviour::default(), &BlueGreen::default()).await;
        let switched = |run: &Run| phase(run).is_some_and(|(_, weight)| weight == 100);
        world.run_until_run(&run, switched).await;
        (4..8).for_each(|node| world.cluster.lose_node(node));
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        assert_eq!(world.rollout(&run).await.shares(), [100, 0, 100]);
        let log = world.log(&run).await;
        let told = log
            .iter()
            .filter(|entry| entry.detail.starts_with("a node and not the version: "));
        assert_eq!(told.count(), 1);
        world
    });
}
