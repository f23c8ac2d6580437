//! Two pushes, one service.

use weir_domain::event::Event;
use weir_domain::people::Identity;
use weir_domain::pipeline::OnNewPush;
use weir_domain::run::Run;
use weir_tests::{Behaviour, canary_to_production, commit, replay};

fn has_traffic(run: &Run) -> bool {
    run.steps().any(|(.., state)| {
        state
            .rollout
            .as_ref()
            .is_some_and(|rollout| !rollout.changes.is_empty())
    })
}

#[test]
fn of_three_pushes_the_second_is_superseded_and_the_third_waits_for_the_first() {
    replay(async |world| {
        let first = world
            .push(&commit(1), Behaviour::default(), canary_to_production(&commit(1)))
            .await;
        world.run_until_run(&first, has_traffic).await;
        let second = world
            .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
            .await;
        world
            .run_until_run(&second, |run| run.stages[1].steps[0].rollout.is_some())
            .await;
        let third = world
            .push(&commit(3), Behaviour::default(), canary_to_production(&commit(3)))
            .await;
        world.run_until_run(&third, Run::is_over).await;
        world.expect_status(&first, "succeeded").await;
        world.expect_status(&second, "superseded").await;
        world.expect_status(&third, "succeeded").await;
        world.expect_serving("Production", &world.revision(&third).await);
        world
    });
}

#[test]
fn a_push_that_supersedes_sends_the_moving_one_back_first() {
    replay(async |world| {
        let first = world
            .push(&commit(1), Behaviour::default(), canary_to_production(&commit(1)))
            .await;
        world.run_until_run(&first, Run::is_over).await;
        let second = world
            .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
            .await;
        world.run_until_run(&second, has_traffic).await;
        let mut pipeline = canary_to_production(&commit(3));
        pipeline.on_new_push = OnNewPush::Supersede;
        let third = world.push(&commit(3), Behaviour::default(), pipeline).await;
        world.run_until_idle().await;
        world.expect_status(&second, "superseded").await;
        world.expect_status(&third, "succeeded").await;
        world.expect_serving("Production", &world.revision(&third).await);
        world
    });
}

#[test]
fn a_person_rolls_a_moving_run_back() {
    replay(async |world| {
        let first = world
            .push(&commit(1), Behaviour::default(), canary_to_production(&commit(1)))
            .await;
        world.run_until_run(&first, Run::is_over).await;
        let second = world
            .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
            .await;
        world.run_until_run(&second, has_traffic).await;
        let by = Identity::Slack("UANA".into());
        world
            .tell(
                &second,
                Event::RollbackRequested {
                    by,
                    reason: "users complain".into(),
                },
            )
            .await;
        world.run_until_idle().await;
        world.expect_status(&second, "rolled_back").await;
        world.expect_serving("Production", &world.revision(&first).await);
        world
    });
}

#[test]
fn a_commit_that_does_not_descend_from_the_one_that_serves_never_goes_out_silently() {
    replay(async |world| {
        let first = world
            .push(&commit(1), Behaviour::default(), canary_to_production(&commit(1)))
            .await;
        world.run_until_run(&first, Run::is_over).await;
        let second = world
            .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
            .await;
        world
            .source
            .history
            .lock()
            .unwrap()
            .retain(|known| *known != commit(2));
        world.run_until_idle().await;
        world.expect_status(&second, "failed").await;
        assert!(
            world
                .run(&second)
                .await
                .status
                .words()
                .contains("does not descend")
        );
        world.expect_serving("Production", &world.revision(&first).await);
        world
    });
}
