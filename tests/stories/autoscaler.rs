//! Something else scales what serves: it is held while traffic moves, and scales whoever serves afterwards.

use weir_domain::ids::{RevisionId, RunId};
use weir_domain::run::Run;
use weir_tests::{Behaviour, World, adopting, canary_to_production, commit, replay, workload};

/// The Deployment that serves before Weir does.
const LEGACY: &str = "llm-legacy";

/// Somebody runs it with four replicas, and load has made six of them.
fn legacy_at_six(world: &World) -> RevisionId {
    let behaviour = Behaviour::default();
    let old = world
        .cluster
        .run_deployment("Production", LEGACY, workload(&commit(0)), &behaviour);
    world.cluster.autoscale("Production", "llm", &old, 6);
    old
}

/// Until the candidate has all traffic.
async fn at_everything(world: &World, run: &RunId) {
    let there = |run: &Run| {
        let mut rollouts = run.steps().filter_map(|(.., step)| step.rollout.as_deref());
        rollouts.any(|rollout| rollout.weight.percent() == 100)
    };
    world.run_until_run(run, there).await;
}

#[test]
fn stable_keeps_what_its_autoscaler_had_set_and_the_promoted_revision_is_scaled_from_there() {
    replay(async |world| {
        let old = legacy_at_six(&world);
        let run = world
            .push(&commit(1), Behaviour::default(), adopting(LEGACY, &commit(1)))
            .await;
        at_everything(&world, &run).await;
        // Stable has no traffic any more, which an autoscaler would take for no load.
        world.cluster.autoscaler_wants("Production", 1);
        let new = world.revision(&run).await;
        assert_eq!(world.cluster.autoscaled("Production"), None, "it is held");
        let mut both = vec![(old.clone(), 6), (new.clone(), 6)];
        both.sort();
        assert_eq!(
            world.cluster.replicas("Production"),
            both,
            "as many as load had asked for"
        );
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let rollout = world.rollout(&run).await;
        assert_eq!((rollout.plan.gpu_peak, rollout.gpus_peak), (12, 12));
        world.run_until_idle().await;
        assert_eq!(world.cluster.autoscaled("Production"), Some(new.clone()));
        world.cluster.autoscaler_wants("Production", 3);
        assert_eq!(world.cluster.replicas("Production"), [(new, 3)]);

        // The next rollout begins with what load asks for now.
        let run = world
            .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
            .await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let newest = world.revision(&run).await;
        world.run_until_idle().await;
        assert_eq!(world.cluster.replicas("Production"), [(newest.clone(), 3)]);
        assert_eq!(world.cluster.autoscaled("Production"), Some(newest));
        world
    });
}

#[test]
fn a_rollout_that_goes_back_gives_stable_back_to_its_autoscaler() {
    replay(async |world| {
        let old = legacy_at_six(&world);
        let bad = Behaviour {
            errors_per_mille: 100.0,
            ..Behaviour::default()
        };
        let run = world.push(&commit(1), bad, adopting(LEGACY, &commit(1))).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        world.run_until_idle().await;
        assert_eq!(world.cluster.autoscaled("Production"), Some(old.clone()));
        assert_eq!(world.cluster.replicas("Production"), [(old.clone(), 6)]);
        world.cluster.autoscaler_wants("Production", 2);
        assert_eq!(world.cluster.replicas("Production"), [(old, 2)]);
        world
    });
}

#[test]
fn an_autoscaler_does_not_take_back_the_places_that_stable_lends() {
    replay(async |world| {
        world.cluster.set_pool(6);
        let old = legacy_at_six(&world);
        let run = world
            .push(&commit(1), Behaviour::default(), adopting(LEGACY, &commit(1)))
            .await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let rollout = world.rollout(&run).await;
        assert!(
            rollout.plan.lends() && rollout.gpus_peak <= 6,
            "{:?}",
            rollout.plan
        );
        world.run_until_idle().await;
        assert_eq!(world.cluster.replicas("Production"), [(rollout.candidate, 6)]);
        assert_ne!(world.cluster.autoscaled("Production"), Some(old));
        world
    });
}
