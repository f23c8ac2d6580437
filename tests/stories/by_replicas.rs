//! Traffic without a gateway: shares are ratios of pods.

use serde_json::json;
use weir_domain::audit::Action;
use weir_domain::ids::RunId;
use weir_domain::pipeline::{Pipeline, SplitBy, Strategy};
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_tests::{Behaviour, World, canary_with, commit, once, replay, slack_press, with_rules};

use crate::doors::raised;

/// A canary of 5 %, where nothing but the number of pods splits the traffic.
fn without_gateway(n: u32) -> Pipeline {
    canary_with(&commit(n), |rule| rule.target.split = SplitBy::Replicas)
}

async fn push(world: &World, n: u32, behaviour: Behaviour, pipeline: Pipeline) -> RunId {
    let run = world.push(&commit(n), behaviour, pipeline).await;
    world.run_until_run(&run, Run::is_over).await;
    run
}

async fn serves(world: &World) {
    let run = push(world, 1, Behaviour::default(), without_gateway(1)).await;
    world.expect_status(&run, "succeeded").await;
    world.run_until_idle().await;
}

async fn told(world: &World, run: &RunId, action: Action) -> Vec<String> {
    let log = world.log(run).await.into_iter();
    log.filter(|entry| entry.action == action)
        .map(|entry| entry.detail)
        .collect()
}

#[test]
fn a_canary_gets_the_least_share_that_replicas_can_give_and_says_what_was_asked() {
    replay(async |world| {
        serves(&world).await;
        let run = push(&world, 2, Behaviour::default(), without_gateway(2)).await;
        world.expect_status(&run, "succeeded").await;
        assert_eq!(world.rollout(&run).await.shares(), [20, 25, 50, 100]);
        let achieved = "5 % asked, 20 % achieved: 1 of 5 replicas";
        for action in [Action::LaneTaken, Action::WeightDecided] {
            let words = told(&world, &run, action).await;
            assert!(words[0].contains(achieved), "{words:?}");
        }
        let observed = told(&world, &run, Action::WeightObserved).await;
        let by = "observed by the Service's endpoints";
        assert!(
            !observed.is_empty() && observed.iter().all(|words| words.contains(by)),
            "{observed:?}"
        );
        world.run_until_idle().await;
        let revision = world.revision(&run).await;
        world.expect_serving("Production", &revision);
        world
    });
}

#[test]
fn a_bad_version_goes_back_by_what_its_pod_answered() {
    replay(async |world| {
        serves(&world).await;
        let bad = Behaviour {
            errors_per_mille: 200.0,
            ..Behaviour::default()
        };
        let run = push(&world, 2, bad, without_gateway(2)).await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(world.rollout(&run).await.shares(), [20, 0]);
        let words = world.run(&run).await.status.words();
        assert!(words.contains("error_rate"), "{words}");
        world
    });
}

#[test]
fn rolling_within_limits_is_replica_by_replica() {
    replay(async |world| {
        serves(&world).await;
        let strategy: Strategy = serde_json::from_value(json!({"rolling": {"surge": 1}})).expect("it is one");
        let rolling = canary_with(&commit(2), |rule| {
            rule.target.split = SplitBy::Replicas;
            rule.strategy = strategy.clone();
            rule.bake = Span::minutes(3);
        });
        let run = push(&world, 2, Behaviour::default(), rolling).await;
        world.expect_status(&run, "succeeded").await;
        assert_eq!(world.rollout(&run).await.shares(), [25, 50, 75, 100]);
        world
    });
}

/// The first share has been served for a minute.
async fn a_minute_at_its_first_share(world: &World, pipeline: Pipeline) -> RunId {
    serves(world).await;
    let run = world.push(&commit(2), Behaviour::default(), pipeline).await;
    let at_a_share = |run: &Run| {
        let rollout = run.steps().find_map(|(.., state)| state.rollout.as_deref());
        rollout.is_some_and(|rollout| rollout.weight.percent() == 20)
    };
    world.run_until_run(&run, at_a_share).await;
    world.pass(Span::minutes(1)).await;
    run
}

#[test]
fn an_alarm_reaches_the_pods_by_who_may_label_them() {
    replay(async |world| {
        let run = a_minute_at_its_first_share(&world, without_gateway(2)).await;
        let (status, answer) = world.alarm(&raised(world.now())).await;
        assert_eq!(status, 200, "{answer}");
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(world.rollout(&run).await.shares(), [20, 0]);
        let why = world.run(&run).await.status.words();
        assert!(why.contains("alarm LlmErrors"), "{why}");
        assert_eq!(world.cluster.shares("Production").len(), 1);
        world
    });
}

#[test]
fn who_takes_an_alarm_in_decides_at_once_and_writes_no_pod() {
    once(async |world| {
        let run = a_minute_at_its_first_share(&world, without_gateway(2)).await;
        let (_, answer) = world.alarm(&raised(world.now())).await;
        assert_eq!(answer["alarms"][0]["result"], "sent_back", "{answer}");
        let decided = world.rollout(&run).await.weight.percent();
        let given = world.cluster.shares("Production").len();
        assert_eq!((decided, given), (0, 2), "decided, and not written yet");
        world.run_until_run(&run, Run::is_over).await;
        assert_eq!(world.cluster.shares("Production").len(), 1);
        world
    });
}

#[test]
fn a_button_reaches_the_pods_by_who_may_label_them() {
    replay(async |world| {
        serves(&world).await;
        let pausing = with_rules(without_gateway(2), |rule| {
            if let Strategy::Canary(canary) = &mut rule.strategy {
                canary.steps[0].pause = Some(Span::hours(2));
            }
        });
        let run = world.push(&commit(2), Behaviour::default(), pausing).await;
        let is_paused = |run: &Run| {
            let rollout = run.steps().find_map(|(.., state)| state.rollout.as_deref());
            rollout.is_some_and(|rollout| rollout.is_paused() && rollout.weight.percent() == 20)
        };
        world.run_until_run(&run, is_paused).await;
        let paused = world.rollout(&run).await.paused;
        let token = paused.and_then(|paused| paused.token).unwrap();
        world.press(&slack_press("roll_back", "UBO", &token)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        assert_eq!(world.rollout(&run).await.shares(), [20, 0]);
        assert_eq!(world.cluster.shares("Production").len(), 1);
        world
    });
}
