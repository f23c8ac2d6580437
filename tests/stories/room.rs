//! Rollouts on a pool with no room to spare.

mod budgets;
mod less;

use weir_domain::event::Event;
use weir_domain::ids::{RevisionId, RunId};
use weir_domain::people::Identity;
use weir_domain::pipeline::{Parity, RolloutRule, StageWork, StepWork, Strategy};
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_domain::units::Weight;
use weir_tests::{
    Behaviour, World, canary_of_another_service, canary_to_production, canary_with, commit, replay,
};

/// Four replicas serve on four GPUs: nothing is free.
async fn full_pool(world: &World) -> RevisionId {
    world.cluster.set_pool(4);
    world.good_model_serves().await
}

async fn push(world: &World, behaviour: Behaviour) -> RunId {
    world
        .push(&commit(2), behaviour, canary_to_production(&commit(2)))
        .await
}

async fn roll_back(world: &World, run: &RunId) {
    let event = Event::RollbackRequested {
        by: Identity::Slack("UANA".into()),
        reason: "answers in the wrong language".into(),
        force: false,
    };
    world.tell(run, event).await;
}

/// Weight of the candidate, and the two sides' replicas, as the run last asked for them.
fn stands(run: &Run) -> Option<(u8, u32, Option<u32>)> {
    let rollout = run.steps().find_map(|(.., state)| state.rollout.as_deref())?;
    Some((
        rollout.weight.percent(),
        rollout.candidate_asked,
        rollout.stable_asked,
    ))
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

#[test]
fn without_a_free_gpu_the_candidate_grows_in_the_places_of_stable() {
    replay(async |world| {
        full_pool(&world).await;
        let run = push(&world, Behaviour::default()).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let rollout = world.rollout(&run).await;
        let weights = rollout.shares();
        assert_eq!(weights, [5, 33, 66, 100]);
        assert_eq!(rollout.plan.gpu_peak, 4);
        let told: Vec<String> = world
            .log(&run)
            .await
            .iter()
            .map(|entry| entry.detail.clone())
            .collect();
        let plan = told.iter().find(|words| words.contains("borrow"));
        let plan = plan.expect("the plan is told before anything moves");
        assert!(plan.contains("3 → 2 → 1 → 0 of stable"), "{plan}");
        assert!(plan.contains("revert instant up to 33 %"), "{plan}");
        expect_within_plan(&world, &run).await;
        world.expect_serving("Production", &world.revision(&run).await);
        world
    });
}

/// Eight GPUs, one a node: the four that are free are of another kind than those that serve.
async fn two_kinds(world: &World) -> RevisionId {
    world.cluster.set_pool(8);
    for node in 0..8 {
        let product = if node < 4 { "NVIDIA-L4" } else { "NVIDIA-A10G" };
        world.cluster.label_node(node, "nvidia.com/gpu.product", product);
    }
    world.good_model_serves().await
}

/// Two replicas of a candidate have half of the traffic on the hardware of stable. One loses its node, and the nodes with
/// room are of another kind now.
async fn lands_elsewhere(world: &World, parity: Parity) -> RunId {
    world.cluster.set_pool(9);
    for node in 0..9 {
        world
            .cluster
            .label_node(node, "nvidia.com/gpu.product", "NVIDIA-L4");
    }
    world.good_model_serves().await;
    let half = |rule: &mut RolloutRule| {
        rule.parity = parity;
        if let Strategy::Canary(canary) = &mut rule.strategy {
            canary.steps[0].weight = Weight::new(50).expect("50 is a share");
        }
    };
    let pipeline = canary_with(&commit(2), half);
    let run = world.push(&commit(2), Behaviour::default(), pipeline).await;
    let at_half = |run: &Run| stands(run).is_some_and(|(weight, ..)| weight == 50);
    world.run_until_run(&run, at_half).await;
    for node in 6..9 {
        world
            .cluster
            .label_node(node, "nvidia.com/gpu.product", "NVIDIA-A10G");
    }
    world.cluster.lose_node(5);
    run
}

/// What the log tells of other hardware.
async fn told_of_hardware(world: &World, run: &RunId) -> Vec<String> {
    let log = world.log(run).await;
    let details = log.iter().map(|entry| entry.detail.clone());
    details.filter(|words| words.contains("other hardware")).collect()
}

#[test]
fn a_replica_that_lands_on_other_hardware_is_told_and_no_step_passes_without_a_person() {
    replay(async |world| {
        let run = lands_elsewhere(&world, Parity::Refuse).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let told = told_of_hardware(&world, &run).await;
        let first = "other hardware: pod pod-3 runs on gpu-6, which is NVIDIA-A10G, on-demand, and stable ran on NVIDIA-L4, \
                     on-demand when this began; no step passes meanwhile without a person";
        assert_eq!(told.first().map(String::as_str), Some(first), "{told:?}");
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("nobody let it pass: other hardware: pod pod-3 runs on gpu-6"),
            "{why}"
        );
        assert!(
            world.people.pages.lock().unwrap().contains(&run),
            "a person was asked"
        );
        world
    });
}

#[test]
fn a_replica_that_may_land_on_other_hardware_is_told_and_goes_on() {
    replay(async |world| {
        let run = lands_elsewhere(&world, Parity::Report).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let told = told_of_hardware(&world, &run).await;
        assert!(
            told.iter()
                .any(|words| words.ends_with("`parity: report` lets it go on")),
            "{told:?}"
        );
        world
    });
}

#[test]
fn a_canary_on_other_hardware_is_refused_with_the_fix_before_anything_moves() {
    replay(async |world| {
        let good = two_kinds(&world).await;
        let writes = world.cluster.route_writes("Production");
        let run = push(&world, Behaviour::default()).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "failed").await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("stable runs on NVIDIA-L4, on-demand, and gpu-4, which has room for the candidate, is NVIDIA-A10G"),
            "{why}"
        );
        assert!(
            why.contains("`node_selector: {nvidia.com/gpu.product: NVIDIA-L4}`"),
            "{why}"
        );
        assert_eq!(world.cluster.route_writes("Production"), writes);
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_canary_that_may_go_to_other_hardware_says_so_in_its_plan() {
    replay(async |world| {
        two_kinds(&world).await;
        let mut pipeline = canary_to_production(&commit(2));
        for stage in &mut pipeline.stages {
            if let StageWork::Steps { steps, .. } = &mut stage.work {
                for step in steps {
                    if let StepWork::Rollout(rule) = &mut step.work {
                        rule.parity = Parity::Report;
                    }
                }
            }
        }
        let run = world.push(&commit(2), Behaviour::default(), pipeline).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let log = world.log(&run).await;
        let told = log
            .iter()
            .any(|entry| entry.detail.contains("other hardware: stable runs on NVIDIA-L4"));
        assert!(told, "the plan says so");
        world
    });
}

#[test]
fn a_bad_candidate_gives_its_place_back_and_stable_is_whole_again() {
    replay(async |world| {
        let good = full_pool(&world).await;
        let bad = Behaviour {
            errors_per_mille: 100.0,
            ..Behaviour::default()
        };
        let run = push(&world, bad).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        expect_within_plan(&world, &run).await;
        world.run_until_idle().await;
        assert!(world.people.pages.lock().unwrap().contains(&run));
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_person_takes_a_half_grown_candidate_back_without_losing_a_request() {
    for (weight, candidate, stable) in [
        (33, 2, Some(2)),
        (66, 2, Some(2)),
        (66, 3, Some(1)),
        (100, 4, Some(0)),
    ] {
        replay(async |world| {
            let good = full_pool(&world).await;
            let run = push(&world, Behaviour::default()).await;
            world
                .run_until_run(&run, |run| stands(run) == Some((weight, candidate, stable)))
                .await;
            roll_back(&world, &run).await;
            world.run_until_run(&run, Run::is_over).await;
            world.expect_status(&run, "rolled_back").await;
            expect_within_plan(&world, &run).await;
            assert_eq!(world.cluster.shares("Production"), [(good.clone(), 100)]);
            world.run_until_idle().await;
            world.expect_serving("Production", &good);
            world
        });
    }
}

#[test]
fn a_crash_when_stable_has_given_up_its_places_ends_with_stable_whole() {
    replay(async |world| {
        let good = full_pool(&world).await;
        let crashing = Behaviour {
            crash_after: Some(Span::minutes(13)),
            ..Behaviour::default()
        };
        let run = push(&world, crashing).await;
        world.run_until_idle().await;
        world.expect_status(&run, "rolled_back").await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn pods_that_leave_are_waited_for() {
    replay(async |world| {
        world.cluster.set_pool(4);
        world.cluster.occupy(2, Some(world.now() + Span::minutes(3)));
        let run = world
            .push(&commit(1), Behaviour::default(), canary_to_production(&commit(1)))
            .await;
        world.pass(Span::minutes(1)).await;
        let waits: Vec<String> = world
            .run(&run)
            .await
            .steps()
            .map(|(.., s)| s.waits_for.clone())
            .collect();
        assert!(
            waits.iter().any(|words| words.contains("2 pods are leaving")),
            "{waits:?}"
        );
        assert_eq!(world.cluster.replicas("Production"), [], "nothing moved");
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}

#[test]
fn what_cannot_fit_is_refused_with_the_reason_before_anything_moves() {
    replay(async |world| {
        world.cluster.set_pool(4);
        world.cluster.occupy(2, None);
        let run = world
            .push(&commit(1), Behaviour::default(), canary_to_production(&commit(1)))
            .await;
        world.run_until_idle().await;
        world.expect_status(&run, "failed").await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("4 replicas do not fit, and nothing was moved: 4 nodes"),
            "{why}"
        );
        assert_eq!(world.cluster.replicas("Production"), []);
        assert_eq!(world.cluster.route_writes("Production"), 0);
        world
    });
}

#[test]
fn what_is_not_in_the_way_and_may_cost_requests_is_told_once_and_it_goes_on() {
    replay(async |world| {
        const WORDS: &str = "HTTPRoute production/llm lets a request take 10m";
        world.cluster.advise(WORDS);
        world.good_model_serves().await;
        let run = push(&world, Behaviour::default()).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let log = world.log(&run).await;
        let told = log.iter().filter(|entry| entry.detail == WORDS);
        assert_eq!(told.count(), 1);
        world
    });
}

#[test]
fn what_a_rollout_needs_and_does_not_find_is_told_by_name_before_anything_moves() {
    replay(async |world| {
        world
            .cluster
            .obstruct("HTTPRoute production/llm does not exist; create it");
        world
            .cluster
            .obstruct("Service production/llm does not exist: create it");
        let run = world
            .push(&commit(1), Behaviour::default(), canary_to_production(&commit(1)))
            .await;
        world.run_until_idle().await;
        world.expect_status(&run, "failed").await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("nothing was moved: HTTPRoute production/llm")
                && why.contains("; Service production/llm"),
            "{why}"
        );
        assert_eq!(world.cluster.replicas("Production"), []);
        assert_eq!(world.cluster.route_writes("Production"), 0);
        world
    });
}

#[test]
fn a_place_that_somebody_else_takes_ends_with_a_page_and_never_silently() {
    replay(async |world| {
        let good = full_pool(&world).await;
        let run = push(&world, Behaviour::default()).await;
        // The first place is given up, and a foreign pod is faster than the candidate's.
        world.cluster.steal();
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("taken by somebody else"), "{why}");
        world.run_until_idle().await;
        assert!(world.people.pages.lock().unwrap().contains(&run));
        assert_eq!(world.cluster.shares("Production"), [(good.clone(), 100)]);
        world
    });
}

#[test]
fn two_rollouts_never_count_on_the_same_gpu() {
    replay(async |world| {
        // Four serve. Both want four more, and there is room for six.
        world.cluster.set_pool(10);
        let first = canary_to_production(&commit(1));
        let run = world.push(&commit(1), Behaviour::default(), first).await;
        world.run_until_run(&run, Run::is_over).await;
        let llm = push(&world, Behaviour::default()).await;
        let moves = |run: &Run| stands(run).is_some_and(|(_, asked, _)| asked > 0);
        world.run_until_run(&llm, moves).await;
        let other = canary_of_another_service(&commit(3));
        let chat = world.push(&commit(3), Behaviour::default(), other).await;
        world.pass(Span::minutes(2)).await;
        let waits: Vec<String> = world
            .run(&chat)
            .await
            .steps()
            .map(|(.., s)| s.waits_for.clone())
            .collect();
        assert!(
            waits.iter().any(|words| words.contains("have a claim on")),
            "{waits:?}"
        );
        assert_eq!(world.cluster.replicas("Staging"), [], "nothing moved");
        world.run_until_run(&llm, Run::is_over).await;
        world.run_until_run(&chat, Run::is_over).await;
        world.expect_status(&llm, "succeeded").await;
        world.expect_status(&chat, "succeeded").await;
        assert_eq!(world.cluster.lost("Production"), 0);
        assert_eq!(world.claims().await, 0, "whoever ended claims nothing");
        world
    });
}
