//! Replica by replica, within so many GPUs more and fewer, and with a stop for a person.

use weir_domain::event::Event;
use weir_domain::ids::{RevisionId, RunId};
use weir_domain::people::Identity;
use weir_domain::run::Run;
use weir_domain::strategy::{Pause, Rolling, Strategy};
use weir_domain::time::Span;
use weir_domain::units::Weight;
use weir_tests::{Behaviour, World, canary_with, commit, replay};

fn limits(surge: u32, unavailable: u32) -> Rolling {
    Rolling {
        surge: Some(surge),
        unavailable,
        pause: None,
    }
}

fn paused_at(percent: u8, rolling: &Rolling) -> Rolling {
    let pause = Pause {
        at: Weight::new(percent).expect("at most 100 percent"),
        within: Span::hours(2),
    };
    Rolling {
        pause: Some(pause),
        ..rolling.clone()
    }
}

async fn push(world: &World, behaviour: Behaviour, rolling: &Rolling) -> RunId {
    let pipeline = canary_with(&commit(2), |rule| {
        rule.strategy = Strategy::Rolling(rolling.clone());
        rule.bake = Span::minutes(1);
    });
    world.push(&commit(2), behaviour, pipeline).await
}

/// Weight of the candidate, and whether it waits for a person.
fn stands(run: &Run) -> Option<(u8, bool)> {
    let rollout = run.steps().find_map(|(.., state)| state.rollout.as_deref())?;
    Some((rollout.weight.percent(), rollout.is_paused()))
}

async fn expect_within_plan(world: &World, run: &RunId) {
    let rollout = world.rollout(run).await;
    let (peak, plan) = (rollout.gpus_peak, rollout.plan.gpu_peak);
    assert!(peak <= plan, "{peak} GPUs, {plan} declared");
    assert_eq!(
        world.cluster.lost("Production"),
        0,
        "requests that nobody had room for"
    );
}

async fn tell(world: &World, run: &RunId, slack: &str, go_on: bool) {
    let (by, reason) = (Identity::Slack(slack.into()), "looked at it".to_owned());
    let event = match go_on {
        true => Event::PassRequested {
            by,
            reason,
            pause: None,
        },
        false => Event::RollbackRequested {
            by,
            reason,
            force: false,
        },
    };
    world.tell(run, event).await;
}

/// Four replicas serve, in a pool with more than enough room whose GPUs are counted.
async fn four_serve(world: &World) -> RevisionId {
    world.cluster.set_pool(12);
    world.good_model_serves().await
}

#[test]
fn one_gpu_more_at_a_time_is_replica_by_replica_and_holds_no_more() {
    replay(async |world| {
        four_serve(&world).await;
        let run = push(&world, Behaviour::default(), &limits(1, 0)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let rollout = world.rollout(&run).await;
        assert_eq!(rollout.shares(), [25, 50, 75, 100]);
        assert_eq!(rollout.plan.gpu_peak, 5);
        expect_within_plan(&world, &run).await;
        world.expect_serving("Production", &world.revision(&run).await);
        world
    });
}

#[test]
fn no_gpu_more_is_a_swap() {
    replay(async |world| {
        four_serve(&world).await;
        let run = push(&world, Behaviour::default(), &limits(0, 1)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let rollout = world.rollout(&run).await;
        assert_eq!(rollout.shares(), [33, 66, 100]);
        assert_eq!((rollout.plan.gpu_peak, rollout.plan.rung.as_str()), (4, "swap"));
        expect_within_plan(&world, &run).await;
        world.expect_serving("Production", &world.revision(&run).await);
        world
    });
}

#[test]
fn in_a_full_pool_the_limit_is_the_pools() {
    replay(async |world| {
        world.cluster.set_pool(4);
        world.good_model_serves().await;
        let run = push(&world, Behaviour::default(), &limits(2, 1)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        assert_eq!(world.rollout(&run).await.plan.gpu_peak, 4);
        expect_within_plan(&world, &run).await;
        // And what may never be fewer, and has no room for more, is refused.
        let pipeline = canary_with(&commit(3), |rule| {
            rule.strategy = Strategy::Rolling(limits(2, 0));
        });
        let refused = world.push(&commit(3), Behaviour::default(), pipeline).await;
        world.run_until_idle().await;
        world.expect_status(&refused, "failed").await;
        world.expect_serving("Production", &world.revision(&run).await);
        world
    });
}

#[test]
fn a_bad_replica_is_taken_back_by_what_was_measured_and_stable_is_whole_again() {
    for rolling in [limits(1, 0), limits(0, 1)] {
        replay(async |world| {
            let good = four_serve(&world).await;
            let bad = Behaviour {
                errors_per_mille: 300.0,
                ..Behaviour::default()
            };
            let slowly = paused_at(50, &rolling);
            let run = push(&world, bad, &slowly).await;
            world.run_until_run(&run, Run::is_over).await;
            world.expect_status(&run, "rolled_back").await;
            let why = world.run(&run).await.status.words();
            assert!(why.contains("error_rate"), "{why}");
            // A bad candidate loses its traffic even where stable has half of its replicas; that is its price.
            let rollout = world.rollout(&run).await;
            assert!(
                rollout.gpus_peak <= rollout.plan.gpu_peak,
                "{}",
                rollout.gpus_peak
            );
            world.run_until_idle().await;
            assert!(world.people.pages.lock().unwrap().contains(&run));
            world.expect_serving("Production", &good);
            world
        });
    }
}

#[test]
fn a_crash_half_way_ends_with_stable_whole() {
    replay(async |world| {
        let good = four_serve(&world).await;
        let crashing = Behaviour {
            crash_after: Some(Span::seconds(90)),
            ..Behaviour::default()
        };
        let run = push(&world, crashing, &limits(1, 0)).await;
        world.run_until_idle().await;
        world.expect_status(&run, "rolled_back").await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn it_stops_at_a_share_until_a_person_lets_it_go_on() {
    for rolling in [limits(1, 0), Rolling::default()] {
        replay(async |world| {
            four_serve(&world).await;
            let run = push(&world, Behaviour::default(), &paused_at(30, &rolling)).await;
            world
                .run_until_run(&run, |run| stands(run) == Some((30, true)))
                .await;
            world.pass(Span::minutes(90)).await;
            assert_eq!(stands(&world.run(&run).await), Some((30, true)));
            // Who pushed it may do so: what was measured is not in doubt.
            tell(&world, &run, "UBO", true).await;
            world.run_until_run(&run, Run::is_over).await;
            world.expect_status(&run, "succeeded").await;
            expect_within_plan(&world, &run).await;
            let told = world.log(&run).await;
            assert!(
                told.iter()
                    .any(|entry| entry.detail.contains("lets it go on from 30 % (looked at it)")),
            );
            world.expect_serving("Production", &world.revision(&run).await);
            world
        });
    }
}

#[test]
fn a_pause_that_nobody_ends_goes_back_and_a_person_may_take_it_back_before() {
    for by_a_person in [true, false] {
        replay(async |world| {
            let good = four_serve(&world).await;
            let run = push(&world, Behaviour::default(), &paused_at(50, &limits(1, 0))).await;
            world
                .run_until_run(&run, |run| stands(run) == Some((50, true)))
                .await;
            if by_a_person {
                tell(&world, &run, "UANA", false).await;
            }
            world.run_until_run(&run, Run::is_over).await;
            world.expect_status(&run, "rolled_back").await;
            let why = world.run(&run).await.status.words();
            let expected = if by_a_person {
                "looked at it"
            } else {
                "nobody let it go on within 2h"
            };
            assert!(why.contains(expected), "{why}");
            expect_within_plan(&world, &run).await;
            world.run_until_idle().await;
            world.expect_serving("Production", &good);
            world
        });
    }
}

#[test]
fn a_promoted_run_is_undone_to_exactly_what_served_before() {
    replay(async |world| {
        let good = four_serve(&world).await;
        let run = push(&world, Behaviour::default(), &limits(1, 0)).await;
        world.run_until_run(&run, Run::is_over).await;
        let bad = world.revision(&run).await;
        world.expect_serving("Production", &bad);
        // Not by a stranger.
        assert!(world.undo(&run, "UNOBODY").await.unwrap_err().contains("UNOBODY"));
        let undo = world.undo(&run, "UANA").await.unwrap();
        world.run_until_run(&undo, Run::is_over).await;
        world.expect_status(&undo, "succeeded").await;
        assert_eq!(world.revision(&undo).await, good);
        expect_within_plan(&world, &undo).await;
        world.expect_serving("Production", &good);
        // What served until then can be brought back the same way, and nothing serves twice.
        assert!(
            world
                .undo(&run, "UANA")
                .await
                .unwrap_err()
                .contains("serves nothing that could be undone")
        );
        let again = world.undo(&undo, "UANA").await.unwrap();
        world.run_until_run(&again, Run::is_over).await;
        world.expect_serving("Production", &bad);
        world
    });
}

#[test]
fn a_replica_that_loses_its_node_is_not_the_versions_fault() {
    replay(async |world| {
        four_serve(&world).await;
        let run = push(&world, Behaviour::default(), &limits(1, 0)).await;
        let first = |run: &Run| stands(run) == Some((25, false));
        world.run_until_run(&run, first).await;
        world.cluster.lose_node(4);
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let rollout = world.rollout(&run).await;
        assert_eq!(rollout.shares(), [25, 0, 25, 50, 75, 100]);
        assert!(rollout.gpus_peak <= rollout.plan.gpu_peak);
        world
    });
}
