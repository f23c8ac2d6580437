//! Two pushes, one service.

use std::collections::BTreeMap;

use weir_domain::Reply;
use weir_domain::event::Event;
use weir_domain::ids::RevisionId;
use weir_domain::people::Identity;
use weir_domain::pipeline::OnNewPush;
use weir_domain::run::Run;
use weir_domain::seen::Counts;
use weir_domain::time::Span;
use weir_domain::units::Weight;
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
                    force: false,
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
fn a_version_that_is_not_well_itself_gets_its_traffic_back_only_by_force() {
    replay(async |world| {
        let turns_bad = Behaviour {
            errors_per_mille: 200.0,
            // Its own release takes ten; then the next one has its first share.
            healthy_for: Span::minutes(12),
            ..Behaviour::default()
        };
        let first = world
            .push(&commit(1), turns_bad, canary_to_production(&commit(1)))
            .await;
        world.run_until_run(&first, Run::is_over).await;
        let second = world
            .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
            .await;
        world.run_until_run(&second, stable_fails).await;
        let share = world.rollout(&second).await.weight;
        let wants_back = |force| Event::RollbackRequested {
            by: Identity::Slack("UANA".into()),
            reason: "users complain".into(),
            force,
        };
        let handled = world.tell(&second, wants_back(false)).await;
        let Some(Reply::Refused(why)) = handled.reply else {
            panic!("{:?}", handled.reply)
        };
        assert!(why.contains("breaches too: error_rate"), "{why}");
        assert!(why.contains("--force"), "{why}");
        assert_eq!(world.rollout(&second).await.weight, share);
        world.tell(&second, wants_back(true)).await;
        world.run_until_idle().await;
        world.expect_status(&second, "rolled_back").await;
        world.expect_serving("Production", &world.revision(&first).await);
        world
    });
}

/// What serves has failed one request in twenty under the present weights, of enough to be sure.
fn stable_fails(run: &Run) -> bool {
    let mut rollouts = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
    rollouts.any(|rollout| {
        let stable = rollout.stable.as_ref().map(|stable| &stable.revision);
        let of = |all: &BTreeMap<RevisionId, Counts>| stable.and_then(|id| all.get(id)).cloned();
        let from = of(&rollout.counted_from).unwrap_or_default();
        let counts = of(&rollout.counted).unwrap_or_default().since(&from);
        rollout.weight != Weight::ZERO && counts.bad > 100 && 20 * counts.bad > counts.requests
    })
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
