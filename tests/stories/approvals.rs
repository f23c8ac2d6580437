//! People approve, reject, or do not answer.

use weir_domain::Reply;
use weir_domain::approval::Answer;
use weir_domain::event::Event;
use weir_domain::people::Identity;
use weir_domain::run::{PartStatus, Run};
use weir_domain::time::Span;
use weir_tests::{Behaviour, World, commit, replay, with_approval};

async fn waiting_run(world: &World) -> weir_domain::ids::RunId {
    let run = world
        .push(&commit(1), Behaviour::default(), with_approval(&commit(1)))
        .await;
    world.run_until_run(&run, waits).await;
    run
}

/// Whether somebody has been asked.
pub(crate) fn waits(run: &Run) -> bool {
    run.stages.iter().any(|stage| {
        stage
            .approval
            .as_ref()
            .is_some_and(|approval| approval.message.is_some())
    })
}

#[test]
fn a_member_approves_and_the_run_goes_on() {
    replay(async |world| {
        let run = waiting_run(&world).await;
        let reply = world.answer(&run, "UANA", Answer::Approve).await.reply;
        // After a crash between commit and answer the second tap is told that it counted.
        assert!(reply.is_some());
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let messages = world.people.messages.lock().unwrap().clone();
        assert!(messages.values().all(|words| words == "approved"), "{messages:?}");
        world
    });
}

#[test]
fn somebody_else_is_refused_with_a_message_and_nothing_changes() {
    replay(async |world| {
        let run = waiting_run(&world).await;
        let refused = |reply: Option<Reply>| match reply {
            Some(Reply::Refused(words)) => words,
            other => panic!("{other:?}"),
        };
        let words = refused(world.answer(&run, "UCY", Answer::Approve).await.reply);
        assert_eq!(words, "You are not in ml-team; members: ana, bo.");
        let words = refused(world.answer(&run, "UNOBODY", Answer::Approve).await.reply);
        assert!(words.contains("not mapped to a person"), "{words}");
        let words = refused(world.answer(&run, "UBO", Answer::Approve).await.reply);
        assert!(words.starts_with("You pushed this change"), "{words}");
        assert!(
            world.run(&run).await.stages[1]
                .approval
                .as_ref()
                .unwrap()
                .given
                .is_empty()
        );
        world
            .answer(&run, "UBO", Answer::Reject("too late today".into()))
            .await;
        world.run_until_idle().await;
        world.expect_status(&run, "failed").await;
        assert!(
            world
                .run(&run)
                .await
                .status
                .words()
                .contains("rejected by bo: too late today")
        );
        world
    });
}

#[test]
fn an_approval_that_nobody_gives_expires_and_a_late_tap_explains_itself() {
    replay(async |world| {
        let run = waiting_run(&world).await;
        world.pass(Span::hours(25)).await;
        world.expect_status(&run, "failed").await;
        let reply = world.answer(&run, "UANA", Answer::Approve).await.reply;
        assert_eq!(
            reply,
            Some(Reply::Refused("This approval has already ended: expired.".into()))
        );
        world
    });
}

#[test]
fn a_run_that_is_cancelled_withdraws_its_approval() {
    replay(async |world| {
        let run = waiting_run(&world).await;
        let by = Identity::Slack("UANA".into());
        world
            .tell(
                &run,
                Event::CancelRequested {
                    by,
                    reason: "wrong branch".into(),
                },
            )
            .await;
        world.run_until_idle().await;
        world.expect_status(&run, "cancelled").await;
        world
    });
}

#[test]
fn a_step_of_a_run_that_was_cancelled_meanwhile_does_not_begin_when_the_cluster_is_back() {
    replay(async |world| {
        world.cluster.set_away(true);
        let run = world
            .push(&commit(1), Behaviour::default(), with_approval(&commit(1)))
            .await;
        world.pass(Span::minutes(1)).await;
        let (by, reason) = (Identity::Slack("UANA".into()), "wrong branch".into());
        world.tell(&run, Event::CancelRequested { by, reason }).await;
        world.cluster.set_away(false);
        world.run_until_idle().await;
        world.expect_status(&run, "cancelled").await;
        assert_eq!(world.cluster.executions(), 0);
        let statuses: Vec<_> = world
            .run(&run)
            .await
            .steps()
            .map(|(.., state)| state.status.clone())
            .collect();
        assert_eq!(statuses[0], PartStatus::Stopped, "{statuses:?}");
        world
    });
}
