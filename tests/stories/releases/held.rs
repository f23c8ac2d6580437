//! A person holds a release where it is, and one word lets all of it go on.

use weir_domain::Reply;
use weir_domain::event::Event;
use weir_domain::ids::{ApprovalToken, RunId};
use weir_domain::people::Identity;
use weir_domain::rollout::Rollout;
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_tests::{World, commit, release, replay};

use super::{good_release_serves, has_traffic, push, rollout};

const AT_ONCE: &[&[&str]] = &[&["Asia", "EU", "US"]];

/// A release of three clusters at their first share, all of them held.
async fn three_held(world: &World) -> RunId {
    good_release_serves(world, AT_ONCE).await;
    let run = push(world, 2, release(&commit(2), AT_ONCE)).await;
    world
        .run_until_run(&run, |run| AT_ONCE[0].iter().all(|here| has_traffic(run, here)))
        .await;
    let (by, reason) = (Identity::Slack("UBO".into()), "a look at the logs".into());
    world.tell(&run, Event::HoldRequested { by, reason }).await;
    assert_eq!(held(&world.run(&run).await), AT_ONCE[0]);
    world.pass(Span::minutes(30)).await;
    assert_eq!(shares(&world.run(&run).await), [5, 5, 5]);
    run
}

fn held(run: &Run) -> Vec<&'static str> {
    let is_held = |here: &&str| rollout(run, here).is_some_and(|it| it.holder().is_some());
    AT_ONCE[0].iter().copied().filter(is_held).collect()
}

fn shares(run: &Run) -> Vec<u8> {
    let rollouts = AT_ONCE[0].iter().filter_map(|here| rollout(run, here));
    rollouts.map(|rollout| rollout.weight.percent()).collect()
}

/// The button of the hold in one of the clusters.
fn button(run: &Run, environment: &str) -> ApprovalToken {
    let paused = rollout(run, environment).and_then(|rollout| rollout.paused.as_ref());
    paused
        .and_then(|paused| paused.token.clone())
        .expect("it is held")
}

async fn let_go(world: &World, run: &RunId, pause: Option<ApprovalToken>) -> Option<Reply> {
    let (by, reason) = (Identity::Slack("UANA".into()), String::new());
    let event = Event::PassRequested { by, reason, pause };
    world.tell(run, event).await.reply
}

#[test]
fn one_word_holds_a_release_and_one_word_lets_all_of_it_go_on() {
    replay(async |world| {
        let run = three_held(&world).await;
        let_go(&world, &run, None).await;
        assert_eq!(held(&world.run(&run).await), Vec::<&str>::new());
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        for here in AT_ONCE[0] {
            let now = world.run(&run).await;
            assert_eq!(
                rollout(&now, here).map(Rollout::shares),
                Some(vec![5, 25, 50, 100])
            );
        }
        world
    });
}

#[test]
fn the_button_of_one_cluster_lets_all_go_on_and_that_of_another_then_does_nothing() {
    replay(async |world| {
        let run = three_held(&world).await;
        let now = world.run(&run).await;
        let (one, other) = (button(&now, "EU"), button(&now, "US"));
        let_go(&world, &run, Some(one)).await;
        assert_eq!(held(&world.run(&run).await), Vec::<&str>::new());
        let late = let_go(&world, &run, Some(other)).await;
        assert!(
            matches!(&late, Some(Reply::Refused(words)) if words.ends_with("is not paused there any more")),
            "{late:?}"
        );
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}
