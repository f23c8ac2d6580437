//! Alarms: what they are about goes back at once, and nothing else moves.

use serde_json::{Value, json};
use weir_domain::ids::RunId;
use weir_domain::run::Run;
use weir_domain::time::{Span, Timestamp};
use weir_domain::units::Weight;
use weir_tests::{Behaviour, World, canary_to_production, commit, once, replay, sample};

/// A rollout whose candidate has had requests for a minute.
pub(super) async fn under_way(world: &World) -> RunId {
    let model = canary_to_production(&commit(2));
    let run = world.push(&commit(2), Behaviour::default(), model).await;
    let has_traffic = |run: &Run| {
        let mut rollouts = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
        rollouts.any(|rollout| rollout.weight > Weight::ZERO)
    };
    world.run_until_run(&run, has_traffic).await;
    world.pass(Span::minutes(1)).await;
    run
}

/// Alertmanager's sample, raised at this moment.
pub(crate) fn raised(at: Timestamp) -> Value {
    let text = sample("alertmanager", "valid/firing.json");
    let mut group: Value = serde_json::from_slice(&text).expect("the sample is JSON");
    group["alerts"][0]["startsAt"] = at.0.into();
    group
}

#[test]
fn an_alarm_about_the_candidate_sends_traffic_back_without_waiting_for_a_check() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let run = under_way(&world).await;
        let (status, answer) = world.alarm(&raised(world.now())).await;
        assert_eq!(status, 200, "{answer}");
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("alarm LlmErrors: 5xx of llm above 5 %"), "{why}");
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn the_weight_is_written_before_the_sender_is_answered() {
    once(async |world| {
        let good = world.good_model_serves().await;
        let run = under_way(&world).await;
        let (_, answer) = world.alarm(&raised(world.now())).await;
        assert_eq!(answer["alarms"][0]["result"], "sent_back", "{answer}");
        assert_eq!(world.cluster.shares("Production"), [(good, 100)]);
        world.run_until_run(&run, Run::is_over).await;
        let (_, late) = world.alarm(&raised(world.now())).await;
        assert_eq!(
            late["alarms"][0]["why"],
            "nothing is being rolled out to llm in Production"
        );
        world
    });
}

#[test]
fn an_alarm_from_before_the_candidate_had_a_request_says_nothing_about_it() {
    once(async |world| {
        world.good_model_serves().await;
        let before = world.now();
        let run = under_way(&world).await;
        let (status, answer) = world.alarm(&raised(before)).await;
        assert_eq!(status, 200);
        assert_eq!(answer["alarms"][0]["result"], "passed", "{answer}");
        let why = answer["alarms"][0]["why"].as_str().unwrap();
        assert!(
            why.contains("before the candidate in llm in Production got its first request"),
            "{why}"
        );
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}

#[test]
fn an_alarm_about_another_service_and_one_of_a_stranger_move_nothing() {
    once(async |world| {
        world.good_model_serves().await;
        let run = under_way(&world).await;
        let mut other = raised(world.now());
        other["alerts"][0]["labels"]["weir_service"] = "search".into();
        let (_, answer) = world.alarm(&other).await;
        assert_eq!(
            answer["alarms"][0]["why"],
            "nothing is being rolled out to search in Production"
        );
        for (headers, expected) in [
            (vec![], 401),
            (vec![("Authorization".to_owned(), "Bearer guess".to_owned())], 401),
        ] {
            let mut request = world.from_monitoring(&raised(world.now()));
            request.headers = headers;
            assert_eq!(world.doors.alarms.handle(&request).await.status, expected);
        }
        let unread = world
            .doors
            .alarms
            .handle(&world.from_monitoring(&json!({"hello": 1})))
            .await;
        assert_eq!(unread.status, 400);
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}
