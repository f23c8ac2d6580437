//! What sends a release back, sends it back in every cluster.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use weir_domain::audit::Action;
use weir_domain::event::Event;
use weir_domain::people::Identity;
use weir_domain::rollout::Phase;
use weir_domain::run::{PartStatus, Run};
use weir_domain::time::Span;
use weir_domain::units::Weight;
use weir_tests::{Outcome, commit, once, release, replay, sample};
use weir_webhook_intake::BACK_WITHIN;

use super::{
    WAVES, entries, expect_back, good_release_serves, has_traffic, is_held, phase, push, push_bad_in, rollout,
};

#[test]
fn a_breach_in_the_second_wave_sends_the_first_back_too() {
    replay(async |world| {
        let good = good_release_serves(&world, WAVES).await;
        let run = push_bad_in(&world, "US", Span::ZERO).await;
        world.run_until_run(&run, |run| has_traffic(run, "US")).await;
        assert!(is_held(&world.run(&run).await, "EU"));
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let words = world.run(&run).await.status.words();
        assert!(words.starts_with("rolled back: llm in US: error_rate"), "{words}");
        let decided = entries(&world, &run, Action::RevertDecided).await;
        assert_eq!(
            (decided.len(), decided[0].at),
            (2, decided[1].at),
            "in one decision"
        );
        assert_eq!(decided[1].before.as_deref(), Some("held"));
        expect_back(&world, &good).await;
        world
    });
}

#[test]
fn a_breach_in_a_wave_that_is_held_sends_all_back() {
    replay(async |world| {
        let good = good_release_serves(&world, WAVES).await;
        // A wave takes some 7 minutes; the second bakes from its fourth on.
        let run = push_bad_in(&world, "EU", Span::minutes(12)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let decided = entries(&world, &run, Action::RevertDecided).await;
        let before: Vec<_> = decided.iter().map(|entry| entry.before.as_deref()).collect();
        assert_eq!(before, [Some("held"), Some("baking")]);
        expect_back(&world, &good).await;
        world
    });
}

#[test]
fn a_cluster_that_does_not_answer_keeps_no_other_from_going_back() {
    replay(async |world| {
        let good = good_release_serves(&world, WAVES).await;
        let run = push_bad_in(&world, "US", Span::ZERO).await;
        world.run_until_run(&run, |run| has_traffic(run, "US")).await;
        world.cluster.set_cluster_away("EU", true);
        let reverting = |run: &Run| phase(run, "EU") == Some(Phase::Reverting);
        world.run_until_run(&run, reverting).await;
        let decided = world.now();
        world
            .run_until_run(&run, |run| rollout(run, "US").is_some_and(|us| us.is_back()))
            .await;
        assert_eq!(world.cluster.shares("US"), [(good.clone(), 100)]);
        let now = world.run(&run).await;
        assert_eq!(
            now.partly_back().as_deref(),
            Some("partly back: llm in US; not yet: llm in EU")
        );
        let called = |run: &Run| {
            let away = rollout(run, "EU").and_then(|eu| eu.away);
            away.is_some_and(|away| away.paged)
        };
        world.run_until_run(&run, called).await;
        let after = world.now().since(decided);
        assert!(
            after >= Span::seconds(10) && after <= Span::seconds(60),
            "{after}"
        );
        world.pass(Span::minutes(1)).await;
        assert!(!world.run(&run).await.is_over());
        world.cluster.set_cluster_away("EU", false);
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(world.run(&run).await.partly_back(), None);
        expect_back(&world, &good).await;
        world
    });
}

#[test]
fn nobody_waits_for_a_cluster_that_is_away_before_a_person_is_called() {
    once(async |world| {
        let good = good_release_serves(&world, WAVES).await;
        let run = push_bad_in(&world, "US", Span::ZERO).await;
        world.run_until_run(&run, |run| has_traffic(run, "US")).await;
        world.cluster.set_cluster_away("EU", true);
        let since = |run: &Run| {
            let eu = rollout(run, "EU").filter(|eu| eu.phase == Phase::Reverting);
            eu.map(|eu| (eu.since, eu.away.is_some_and(|away| away.paged)))
        };
        world
            .run_until_run(&run, |run| since(run).is_some_and(|(_, paged)| paged))
            .await;
        let (decided, _) = since(&world.run(&run).await).expect("it goes back");
        assert_eq!(world.now().since(decided), Span::seconds(10));
        world.cluster.set_cluster_away("EU", false);
        world.run_until_run(&run, Run::is_over).await;
        expect_back(&world, &good).await;
        world
    });
}

#[test]
fn a_cluster_that_never_answers_keeps_an_alarm_from_no_other() {
    once(async |world| {
        let good = good_release_serves(&world, WAVES).await;
        let run = push(&world, 2, release(&commit(2), WAVES)).await;
        world.run_until_run(&run, |run| has_traffic(run, "US")).await;
        world.pass(Span::seconds(5)).await;
        world.cluster.mute_cluster(Some("EU"));
        let text = sample("alertmanager", "valid/firing.json");
        let mut raised: Value = serde_json::from_slice(&text).expect("the sample is JSON");
        raised["alerts"][0]["startsAt"] = world.now().0.into();
        raised["alerts"][0]["labels"]["weir_environment"] = "US".into();
        let began = Instant::now();
        let (_, answer) = world.alarm(&raised).await;
        assert_eq!(answer["alarms"][0]["result"], "sent_back", "{answer}");
        assert!(began.elapsed() <= Duration::from_millis(BACK_WITHIN.0));
        assert_eq!(world.cluster.shares("US"), [(good.clone(), 100)], "back at once");
        let eu = rollout(&world.run(&run).await, "EU").map(|eu| eu.weight);
        assert_eq!(eu, Some(Weight::ZERO), "decided, and not written yet");
        assert_ne!(world.cluster.shares("EU"), [(good.clone(), 100)]);
        world.cluster.mute_cluster(None);
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        expect_back(&world, &good).await;
        world
    });
}

#[test]
fn a_test_that_fails_between_the_waves_sends_the_first_back_and_the_second_never_moves() {
    replay(async |world| {
        let good = good_release_serves(&world, WAVES).await;
        let failed = Outcome {
            exit_code: 1,
            ..Outcome::default()
        };
        world.cluster.end_step("smoke-test", failed);
        let writes = world.cluster.route_writes("US");
        let run = push(&world, 2, release(&commit(2), WAVES)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "failed").await;
        let words = world.run(&run).await.status.words();
        assert_eq!(words, "failed: step Smoke Test: exit code 1");
        let now = world.run(&run).await;
        assert_eq!(now.stages[0].status, PartStatus::Failed { why: words });
        assert_eq!(world.cluster.route_writes("US"), writes);
        expect_back(&world, &good).await;
        // The lane of the wave that never began is free too.
        world.cluster.end_step("smoke-test", Outcome::default());
        let next = push(&world, 3, release(&commit(3), WAVES)).await;
        world.run_until_run(&next, Run::is_over).await;
        world.expect_status(&next, "succeeded").await;
        world
    });
}

#[test]
fn a_person_who_cancels_it_gets_all_clusters_back() {
    replay(async |world| {
        let good = good_release_serves(&world, WAVES).await;
        let run = push(&world, 2, release(&commit(2), WAVES)).await;
        world.run_until_run(&run, |run| has_traffic(run, "US")).await;
        let (by, reason) = (Identity::Slack("UANA".into()), "not today".to_owned());
        world.tell(&run, Event::CancelRequested { by, reason }).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "cancelled").await;
        expect_back(&world, &good).await;
        world
    });
}

#[test]
fn a_first_release_that_breaches_leaves_nothing_in_any_cluster() {
    replay(async |world| {
        let run = push_bad_in(&world, "US", Span::ZERO).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        world.run_until_idle().await;
        for environment in ["EU", "US"] {
            assert_eq!(world.cluster.replicas(environment), []);
        }
        world
    });
}
