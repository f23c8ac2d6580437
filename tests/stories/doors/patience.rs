//! A cluster that takes every write and never answers: whoever waits at a door is answered in time all the same, and the
//! outbox sends traffic back once the cluster answers again.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use weir_domain::experiment::Phase;
use weir_domain::ids::{EnvironmentName, LaneKey, ServiceName};
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_tests::{Behaviour, commit, experiment_with_approval, once, slack_reason};

use super::alarms::{raised, under_way};

/// GitHub and monitoring systems wait so long, Slack so long.
const SENDERS_WAIT: Duration = Duration::from_secs(10);
const SLACK_WAITS: Duration = Duration::from_secs(3);

fn limit(back_within: Span) -> Duration {
    Duration::from_millis(back_within.0)
}

#[test]
fn an_alarm_about_a_cluster_that_never_answers_is_answered_in_time_and_the_outbox_finishes() {
    once(async |world| {
        let good = world.good_model_serves().await;
        let run = under_way(&world).await;
        let shares = world.cluster.shares("Production");
        world.cluster.mute(true);
        let began = Instant::now();
        let (status, answer) = world.alarm(&raised(world.now())).await;
        let took = began.elapsed();
        assert_eq!(
            (status, &answer["alarms"][0]["result"]),
            (200, &Value::from("sent_back")),
            "{answer}"
        );
        assert_eq!(
            took,
            limit(weir_webhook_intake::BACK_WITHIN),
            "it tried for as long as it may"
        );
        assert!(took < SENDERS_WAIT);
        assert_eq!(world.cluster.shares("Production"), shares, "nothing was written");
        world.cluster.mute(false);
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_rejection_while_the_cluster_never_answers_is_answered_in_time_and_the_outbox_finishes() {
    once(async |world| {
        let good = world.good_model_serves().await;
        let lane = LaneKey {
            service: ServiceName::new("llm"),
            environment: EnvironmentName::new("Production"),
        };
        for version in ["model-a", "model-b"] {
            world
                .cluster
                .run_variant(&lane, version, 4, &Behaviour::default());
        }
        let variants = [("model-a", 50), ("model-b", 50)];
        let pipeline = experiment_with_approval(&variants, Span::minutes(20));
        let run = world.push(&commit(2), Behaviour::default(), pipeline).await;
        world.run_until_run(&run, has_shares_and_asks).await;
        world.pass(Span::seconds(15)).await;
        let shares = world.cluster.shares("Production");
        assert!(!shares.contains(&(good.clone(), 100)), "{shares:?}");
        let token = world.approval(&run).await;

        world.cluster.mute(true);
        let began = Instant::now();
        let (answer, _) = world.press(&slack_reason("UBO", &token, "the wrong week")).await;
        let took = began.elapsed();
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "it was counted");
        assert_eq!(
            took,
            limit(weir_approval_callback::BACK_WITHIN),
            "it tried for as long as it may"
        );
        assert!(took < SLACK_WAITS);
        assert_eq!(world.cluster.shares("Production"), shares, "nothing was written");
        world.cluster.mute(false);
        world.run_until_idle().await;
        assert_eq!(world.cluster.shares("Production"), [(good, 100)]);
        let words = world.run(&run).await.status.words();
        assert!(words.contains("rejected by bo: the wrong week"), "{words}");
        world
    });
}

/// Variants have their shares, and somebody is asked.
fn has_shares_and_asks(run: &Run) -> bool {
    let mut experiments = run.steps().filter_map(|(.., state)| state.experiment.as_deref());
    experiments.any(|experiment| experiment.phase == Phase::Running) && super::asks(run)
}
