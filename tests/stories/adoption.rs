//! A service that somebody runs already comes to Weir, and may leave again.

use weir_domain::ids::RevisionId;
use weir_domain::run::Run;
use weir_domain::strategy::{BlueGreen, Strategy};
use weir_tests::{
    Behaviour, World, adopting, canary_to_production, canary_with, commit, replay, with_approval_of, workload,
};

/// The Deployment that serves before Weir does.
const LEGACY: &str = "llm-legacy";

/// Somebody runs it, with four replicas.
fn legacy(world: &World) -> RevisionId {
    let workload = workload(&commit(0));
    world
        .cluster
        .run_deployment("Production", LEGACY, workload, &Behaviour::default())
}

#[test]
fn a_deployment_that_serves_is_stable_at_the_first_rollout_and_keeps_its_pods() {
    replay(async |world| {
        let old = legacy(&world);
        let pods = world.cluster.pods("Production", &old);
        let run = world
            .push(&commit(1), Behaviour::default(), adopting(LEGACY, &commit(1)))
            .await;
        world
            .run_until_run(&run, |run| {
                let mut rollouts = run.steps().filter_map(|(.., step)| step.rollout.as_deref());
                rollouts.any(|rollout| rollout.weight.percent() == 100)
            })
            .await;
        assert_eq!(world.cluster.pods("Production", &old), pods);
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let rollout = world.rollout(&run).await;
        assert_eq!(rollout.shares(), [5, 25, 50, 100], "not everything at once");
        assert_eq!(rollout.stable.unwrap().revision, old);
        assert!(rollout.gpus_peak <= rollout.plan.gpu_peak);
        world.expect_serving("Production", &rollout.candidate);
        assert_eq!(world.cluster.plain("Production"), Some(rollout.candidate));
        world
    });
}

#[test]
fn a_promoted_run_is_undone_to_the_deployment_that_was_adopted() {
    replay(async |world| {
        let old = legacy(&world);
        let run = world
            .push(&commit(1), Behaviour::default(), adopting(LEGACY, &commit(1)))
            .await;
        world.run_until_run(&run, Run::is_over).await;
        let new = world.revision(&run).await;
        let undo = world.undo(&run, "UANA").await.unwrap();
        world.run_until_run(&undo, Run::is_over).await;
        world.expect_status(&undo, "succeeded").await;
        assert_eq!(world.revision(&undo).await, old);
        world.expect_serving("Production", &old);
        // And what that undid can be brought back, beside a stable revision that Weir did not make.
        let again = world.undo(&undo, "UANA").await.unwrap();
        world.run_until_run(&again, Run::is_over).await;
        world.expect_serving("Production", &new);
        world
    });
}

#[test]
fn a_first_rollout_that_goes_back_leaves_everything_as_it_was() {
    replay(async |world| {
        let old = legacy(&world);
        let pods = world.cluster.pods("Production", &old);
        let bad = Behaviour {
            errors_per_mille: 100.0,
            ..Behaviour::default()
        };
        let run = world.push(&commit(1), bad, adopting(LEGACY, &commit(1))).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(world.cluster.shares("Production"), [(old.clone(), 100)]);
        world.run_until_idle().await;
        assert_eq!(
            world.cluster.shares("Production"),
            [],
            "the plain Service has it all"
        );
        assert_eq!(world.cluster.plain("Production"), None, "and selects what it did");
        assert_eq!(world.cluster.replicas("Production"), [(old.clone(), 4)]);
        assert_eq!(world.cluster.pods("Production", &old), pods);

        // The next one begins like the first.
        let run = world
            .push(&commit(2), Behaviour::default(), adopting(LEGACY, &commit(2)))
            .await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        assert_eq!(world.rollout(&run).await.stable.unwrap().revision, old);
        world.expect_serving("Production", &world.revision(&run).await);
        world
    });
}

#[test]
fn a_pool_without_room_takes_places_of_an_adopted_deployment_and_gives_them_back() {
    replay(async |world| {
        world.cluster.set_pool(4);
        let old = legacy(&world);
        let bad = Behaviour {
            errors_per_mille: 100.0,
            ..Behaviour::default()
        };
        let run = world.push(&commit(1), bad, adopting(LEGACY, &commit(1))).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let rollout = world.rollout(&run).await;
        assert!(rollout.plan.lends() && rollout.gpus_peak <= 4);
        world.run_until_idle().await;
        assert_eq!(world.cluster.replicas("Production"), [(old, 4)]);
        assert_eq!(world.cluster.shares("Production"), []);
        world
    });
}

#[test]
fn blue_green_keeps_the_adopted_colour_warm() {
    replay(async |world| {
        let old = legacy(&world);
        let mut pipeline = canary_with(&commit(1), |rule| {
            rule.strategy = Strategy::BlueGreen(Box::<BlueGreen>::default());
            rule.adopts = Some(LEGACY.into());
        });
        pipeline.name = canary_to_production(&commit(1)).name;
        let run = world.push(&commit(1), Behaviour::default(), pipeline).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let rollout = world.rollout(&run).await;
        assert_eq!((rollout.shares(), rollout.plan.gpu_peak), (vec![100], 8));
        assert_eq!(rollout.stable.unwrap().revision, old);
        world.expect_serving("Production", &rollout.candidate);
        world
    });
}

#[test]
fn a_deployment_that_is_not_there_is_refused_before_anything_moves() {
    replay(async |world| {
        let run = world
            .push(&commit(1), Behaviour::default(), adopting("nobody", &commit(1)))
            .await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "failed").await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("nothing was moved: Deployment nobody does not exist"),
            "{why}"
        );
        assert_eq!(world.cluster.route_writes("Production"), 0);
        assert_eq!(world.cluster.replicas("Production"), []);
        world
    });
}

#[test]
fn what_weir_serves_already_is_not_adopted_over() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let run = world
            .push(&commit(2), Behaviour::default(), adopting("nobody", &commit(2)))
            .await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        assert_eq!(world.rollout(&run).await.stable.unwrap().revision, good);
        world
    });
}

#[test]
fn whoever_approves_is_told_what_is_taken_over() {
    replay(async |world| {
        legacy(&world);
        let pipeline = with_approval_of(adopting(LEGACY, &commit(1)));
        let run = world.push(&commit(1), Behaviour::default(), pipeline).await;
        let told = |run: &Run| run.steps().any(|(.., step)| !step.foreseen.is_empty());
        world.run_until_run(&run, told).await;
        let run = world.run(&run).await;
        let foreseen = run
            .steps()
            .map(|(.., step)| step.foreseen.clone())
            .find(|told| !told.is_empty());
        assert_eq!(
            foreseen.as_deref(),
            Some("takes over Deployment `llm-legacy`, and is planned when that is looked at")
        );
        world
    });
}
