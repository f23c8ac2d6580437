//! A person between the waves of a release.

use weir_domain::Reply;
use weir_domain::approval::{Answer, ApprovalState};
use weir_domain::audit::Action;
use weir_domain::ids::{RevisionId, RunId};
use weir_domain::pipeline::Pipeline;
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_tests::{World, commit, release, replay, with_approval_of};

use super::{WAVES, entries, expect_back, good_release_serves, has_traffic, is_held, push, push_bad};
use crate::approvals::waits;

/// A release whose second wave waits for somebody of `ml-team`, for a day.
fn asking(n: u32) -> Pipeline {
    with_approval_of(release(&commit(n), WAVES))
}

/// A release whose first wave is held while somebody is asked about the second; what served before.
async fn held_and_asked(world: &World) -> (RunId, RevisionId) {
    let good = good_release_serves(world, WAVES).await;
    let run = push(world, 2, asking(2)).await;
    world.run_until_run(&run, waits).await;
    (run, good)
}

/// The first wave serves its candidate with the way back warm, and the second has not begun.
async fn expect_held(world: &World, run: &RunId, good: &RevisionId) {
    let now = world.run(run).await;
    assert!(is_held(&now, "EU") && !has_traffic(&now, "US"));
    assert_eq!(world.cluster.replicas("EU").len(), 2, "the old one stays warm");
    assert_eq!(world.cluster.shares("US"), [(good.clone(), 100)]);
}

fn state(run: &Run) -> Option<&ApprovalState> {
    let mut stages = run.stages.iter();
    stages.find_map(|stage| stage.approval.as_ref().map(|approval| &approval.state))
}

#[test]
fn the_second_wave_waits_for_the_person_and_is_promoted_with_the_first() {
    replay(async |world| {
        let (run, good) = held_and_asked(&world).await;
        let writes = world.cluster.route_writes("US");
        world.pass(Span::hours(5)).await;
        expect_held(&world, &run, &good).await;
        assert_eq!(world.cluster.route_writes("US"), writes);
        assert_eq!(entries(&world, &run, Action::Promoted).await, []);
        world.answer(&run, "UANA", Answer::Approve).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let promoted = entries(&world, &run, Action::Promoted).await;
        assert_eq!((promoted.len(), promoted[0].at), (2, promoted[1].at));
        expect_back(&world, &world.revision(&run).await).await;
        world
    });
}

#[test]
fn a_rejection_sends_the_first_wave_back_and_the_second_never_moves() {
    replay(async |world| {
        let (run, good) = held_and_asked(&world).await;
        let writes = world.cluster.route_writes("US");
        let reason = "not before the holidays".to_owned();
        world.answer(&run, "UANA", Answer::Reject(reason)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "failed").await;
        let words = world.run(&run).await.status.words();
        assert!(
            words.contains("rejected by ana: not before the holidays"),
            "{words}"
        );
        assert_eq!(world.cluster.route_writes("US"), writes);
        expect_back(&world, &good).await;
        // The lane of the wave that never began is free too.
        let next = push(&world, 3, release(&commit(3), WAVES)).await;
        world.run_until_run(&next, Run::is_over).await;
        world.expect_status(&next, "succeeded").await;
        world
    });
}

#[test]
fn an_approval_between_the_waves_that_nobody_gives_sends_the_first_back_when_its_time_is_over() {
    replay(async |world| {
        let (run, good) = held_and_asked(&world).await;
        world.pass(Span::hours(23)).await;
        expect_held(&world, &run, &good).await;
        world.pass(Span::hours(2)).await;
        world.expect_status(&run, "failed").await;
        assert_eq!(state(&world.run(&run).await), Some(&ApprovalState::Expired));
        expect_back(&world, &good).await;
        let late = world.answer(&run, "UANA", Answer::Approve).await.reply;
        let ended = "This approval has already ended: expired.";
        assert_eq!(late, Some(Reply::Refused(ended.into())));
        world
    });
}

#[test]
fn a_first_wave_that_turns_bad_while_a_person_is_asked_goes_back_and_asks_no_more() {
    replay(async |world| {
        let good = good_release_serves(&world, WAVES).await;
        // The first wave takes some 7 minutes.
        let run = push_bad(&world, "EU", Span::minutes(12), asking(2)).await;
        world.run_until_run(&run, waits).await;
        expect_held(&world, &run, &good).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(state(&world.run(&run).await), Some(&ApprovalState::Withdrawn));
        expect_back(&world, &good).await;
        let late = world.answer(&run, "UANA", Answer::Approve).await.reply;
        assert!(matches!(late, Some(Reply::Refused(_))), "{late:?}");
        world
    });
}
