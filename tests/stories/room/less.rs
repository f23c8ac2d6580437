//! A candidate that is judged with less than its shares ask for, or that takes the places of stable one by one.

use weir_domain::audit::Action;
use weir_domain::ids::{RevisionId, RunId};
use weir_domain::pipeline::{CanaryStep, Pipeline, Strategy};
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_domain::units::Weight;
use weir_tests::{Behaviour, World, canary_with, commit, once, replay, with_approval_of};

use super::{expect_within_plan, full_pool, roll_back, stands};

/// The canary of the second commit, judged for ten minutes at each of these shares.
fn judged_at(percents: &[u8]) -> Pipeline {
    canary_with(&commit(2), |rule| {
        if let Strategy::Canary(canary) = &mut rule.strategy {
            let step = |percent: &u8| {
                let weight = Weight::new(*percent).expect("stories write percentages");
                CanaryStep::new(weight, Span::minutes(10))
            };
            canary.steps = percents.iter().map(step).collect();
        }
    })
}

/// What the log tells of the plan.
async fn told_plan(world: &World, run: &RunId) -> String {
    let log = world.log(run).await;
    let taken = log.iter().find(|entry| entry.action == Action::LaneTaken);
    taken
        .expect("the plan is told before anything moves")
        .detail
        .clone()
}

/// What people who are asked are told of the rollout.
async fn foreseen(world: &World, run: &RunId) -> String {
    let told = |run: &Run| run.steps().any(|(.., step)| !step.foreseen.is_empty());
    world.run_until_run(run, told).await;
    let run = world.run(run).await;
    let mut words = run.steps().map(|(.., step)| step.foreseen.clone());
    words.find(|words| !words.is_empty()).unwrap_or_default()
}

#[test]
fn a_share_that_needs_more_than_fits_is_judged_at_what_fits_and_ends_whole() {
    replay(async |world| {
        full_pool(&world).await;
        let run = world
            .push(&commit(2), Behaviour::default(), judged_at(&[50]))
            .await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let rollout = world.rollout(&run).await;
        assert_eq!(rollout.shares(), [33, 66, 100]);
        assert_eq!(
            (rollout.plan.rung.as_str(), rollout.plan.gpu_peak),
            ("smaller", 4)
        );
        let told = told_plan(&world, &run).await;
        assert!(
            told.contains(
                "smaller: judged at 33 % with 1 replica, not at 50 % with 2; 0 fit beside 4 stable replicas"
            ),
            "{told}"
        );
        assert!(told.contains("revert instant up to 33 %"), "{told}");
        expect_within_plan(&world, &run).await;
        world.expect_serving("Production", &world.revision(&run).await);
        world
    });
}

#[test]
fn steps_whose_shares_do_not_fit_are_each_judged_at_what_fits() {
    replay(async |world| {
        full_pool(&world).await;
        let run = world
            .push(&commit(2), Behaviour::default(), judged_at(&[50, 75]))
            .await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        assert_eq!(world.rollout(&run).await.shares(), [33, 66, 100]);
        // Ten minutes of a third of 60 requests a second, twice: the second step counts its own.
        let log = world.log(&run).await;
        let judged: Vec<u64> = log
            .iter()
            .filter(|entry| entry.action == Action::StepPassed)
            .filter_map(|entry| entry.evidence.get("requests")?.as_u64())
            .collect();
        assert_eq!(judged.len(), 2, "{judged:?}");
        assert!(
            judged.iter().all(|requests| (11_000..14_000).contains(requests)),
            "{judged:?}"
        );
        expect_within_plan(&world, &run).await;
        world
    });
}

#[test]
fn a_bad_candidate_that_is_judged_at_less_goes_back_and_stable_is_whole_again() {
    replay(async |world| {
        let good = full_pool(&world).await;
        let bad = Behaviour {
            errors_per_mille: 100.0,
            ..Behaviour::default()
        };
        let run = world.push(&commit(2), bad, judged_at(&[50])).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(world.rollout(&run).await.shares(), [33, 0]);
        expect_within_plan(&world, &run).await;
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_person_takes_back_what_was_judged_at_less_without_losing_a_request() {
    for (weight, candidate, stable) in [(33, 1, Some(3)), (66, 3, Some(1)), (100, 4, Some(0))] {
        replay(async |world| {
            let good = full_pool(&world).await;
            let run = world
                .push(&commit(2), Behaviour::default(), judged_at(&[50]))
                .await;
            world
                .run_until_run(&run, |run| stands(run) == Some((weight, candidate, stable)))
                .await;
            roll_back(&world, &run).await;
            world.run_until_run(&run, Run::is_over).await;
            world.expect_status(&run, "rolled_back").await;
            expect_within_plan(&world, &run).await;
            world.run_until_idle().await;
            world.expect_serving("Production", &good);
            world
        });
    }
}

/// A canary of a service with two replicas, that may swap or not.
fn of_two(n: u32, may_swap: bool) -> Pipeline {
    canary_with(&commit(n), |rule| {
        rule.workload.replicas = 2;
        rule.may_swap = may_swap;
    })
}

/// Two replicas serve on two GPUs, and one of them could answer all that is asked.
async fn two_serve(world: &World) -> RevisionId {
    world.cluster.set_pool(2);
    world.cluster.set_rate(20);
    let run = world
        .push(&commit(1), Behaviour::default(), of_two(1, false))
        .await;
    world.run_until_run(&run, Run::is_over).await;
    world.expect_status(&run, "succeeded").await;
    world.revision(&run).await
}

fn expect_two(world: &World, revision: &RevisionId) {
    assert_eq!(world.cluster.shares("Production"), [(revision.clone(), 100)]);
    assert_eq!(world.cluster.replicas("Production"), [(revision.clone(), 2)]);
}

#[test]
fn a_swap_that_nobody_allowed_is_refused_and_says_how_it_is_allowed() {
    replay(async |world| {
        let good = two_serve(&world).await;
        let writes = world.cluster.route_writes("Production");
        let run = world
            .push(&commit(2), Behaviour::default(), of_two(2, false))
            .await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "failed").await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("1 of 2 answer everything meanwhile") && why.contains("write `allow: swap`"),
            "{why}"
        );
        assert_eq!(world.cluster.route_writes("Production"), writes);
        expect_two(&world, &good);
        world
    });
}

#[test]
fn a_swap_that_is_allowed_replaces_stable_one_by_one_in_its_own_places() {
    replay(async |world| {
        two_serve(&world).await;
        let run = world
            .push(&commit(2), Behaviour::default(), of_two(2, true))
            .await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let rollout = world.rollout(&run).await;
        assert_eq!(rollout.shares(), [5, 100]);
        assert_eq!((rollout.plan.rung.as_str(), rollout.plan.gpu_peak), ("swap", 2));
        let told = told_plan(&world, &run).await;
        assert!(
            told.contains("1 → 2 of the candidate beside 1 → 0 of stable"),
            "{told}"
        );
        assert!(told.contains("`allow: swap` allows it; revert at most"), "{told}");
        expect_within_plan(&world, &run).await;
        expect_two(&world, &world.revision(&run).await);
        world
    });
}

#[test]
fn a_person_takes_a_swap_back_from_every_place_without_losing_a_request() {
    for (weight, candidate, stable) in [(5, 1, Some(1)), (100, 1, Some(1)), (100, 2, Some(0))] {
        replay(async |world| {
            let good = two_serve(&world).await;
            let run = world
                .push(&commit(2), Behaviour::default(), of_two(2, true))
                .await;
            world
                .run_until_run(&run, |run| stands(run) == Some((weight, candidate, stable)))
                .await;
            roll_back(&world, &run).await;
            world.run_until_run(&run, Run::is_over).await;
            world.expect_status(&run, "rolled_back").await;
            expect_within_plan(&world, &run).await;
            world.run_until_idle().await;
            expect_two(&world, &good);
            world
        });
    }
}

#[test]
fn a_bad_candidate_of_a_swap_goes_back_and_stable_is_whole_again() {
    replay(async |world| {
        let good = two_serve(&world).await;
        let bad = Behaviour {
            errors_per_mille: 200.0,
            ..Behaviour::default()
        };
        let run = world.push(&commit(2), bad, of_two(2, true)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(world.rollout(&run).await.shares(), [5, 0]);
        expect_within_plan(&world, &run).await;
        world.run_until_idle().await;
        assert!(world.people.pages.lock().unwrap().contains(&run));
        expect_two(&world, &good);
        world
    });
}

#[test]
fn people_who_are_asked_are_told_that_less_is_judged_and_that_a_swap_has_no_instant_way_back() {
    once(async |world| {
        full_pool(&world).await;
        let asks = with_approval_of(judged_at(&[50]));
        let run = world.push(&commit(2), Behaviour::default(), asks).await;
        let told = foreseen(&world, &run).await;
        assert!(
            told.contains("smaller: judged at 33 % with 1 replica, not at 50 % with 2"),
            "{told}"
        );
        world
    });
    once(async |world| {
        two_serve(&world).await;
        let asks = with_approval_of(of_two(2, true));
        let run = world.push(&commit(2), Behaviour::default(), asks).await;
        let told = foreseen(&world, &run).await;
        assert!(
            told.contains("swap: ") && told.contains("going back is not instant"),
            "{told}"
        );
        world
    });
}
