//! What a promotion rests on, and what happens where there is too little of it.

use weir_domain::condition::{
    Aggregate, Comparison, Condition, Dimension, Mode, Op, Quantity, Reading, Window,
};
use weir_domain::event::Event;
use weir_domain::ids::RunId;
use weir_domain::judge::Promote;
use weir_domain::people::Identity;
use weir_domain::pipeline::{NoData, RolloutRule, Strategy};
use weir_domain::time::Span;
use weir_domain::units::Ratio;
use weir_tests::{Behaviour, DAWDLES, World, canary_to_production, canary_with, commit, once, replay};

async fn pushed(world: &World, behaviour: Behaviour, change: impl Fn(&mut RolloutRule)) -> RunId {
    world
        .push(&commit(2), behaviour, canary_with(&commit(2), change))
        .await
}

async fn asks(world: &World, run: &RunId) {
    let asks = |run: &weir_domain::run::Run| {
        let mut steps = run.steps();
        steps.any(|(.., state)| state.rollout.as_deref().is_some_and(|r| r.asks()))
    };
    world.run_until_run(run, asks).await;
    world.pass(Span::seconds(30)).await;
    let told = world.people.pages.lock().expect("no story panics").contains(run);
    assert!(told, "somebody is told that they are asked");
}

fn pass(slack: &str) -> Event {
    Event::PassRequested {
        by: Identity::Slack(slack.into()),
        reason: "the evaluation was good".into(),
        pause: None,
    }
}

fn proven(rule: &mut RolloutRule) {
    if let Strategy::Canary(canary) = &mut rule.strategy {
        canary.promote = Promote::Proven;
    }
}

fn quality(rule: &mut RolloutRule) {
    quality_over(rule, None);
}

fn quality_over(rule: &mut RolloutRule, window: Option<Window>) {
    let quality = Condition::Compare(Comparison {
        metric: "answer_quality".into(),
        window,
        op: Op::Below,
        line: Quantity {
            value: 0.8,
            dimension: Dimension::Ratio,
            written: "80%".into(),
        },
        during: None,
        mode: Mode::Evidence,
    });
    let own = rule.rollback.take().expect("the article's condition");
    rule.rollback = Some(Condition::Or(vec![own, quality]));
}

#[test]
fn a_step_with_too_few_requests_asks_a_person_and_goes_back_if_nobody_answers() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        world.cluster.set_rate(1);
        let many = |rule: &mut RolloutRule| {
            if let Strategy::Canary(canary) = &mut rule.strategy {
                canary.min_samples = 500;
            }
        };
        let run = pushed(&world, Behaviour::default(), many).await;
        asks(&world, &run).await;
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("nobody let it pass") && why.contains("of 500 requests"),
            "{why}"
        );
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_step_that_nothing_could_fail_is_not_passed_silently() {
    once(async |world| {
        let good = world.good_model_serves().await;
        let fails_nothing = |rule: &mut RolloutRule| {
            rule.rollback = None;
            if let Strategy::Canary(canary) = &mut rule.strategy {
                canary.threshold = Ratio::new(0.0).expect("a share");
            }
        };
        let run = pushed(&world, Behaviour::default(), fails_nothing).await;
        asks(&world, &run).await;
        world.run_until_run(&run, |run| run.is_over()).await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("no harm could have shown"), "{why}");
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn who_lets_an_undecided_step_pass_is_recorded_and_so_is_that_nothing_was_shown() {
    replay(async |world| {
        world.good_model_serves().await;
        world.cluster.set_rate(1);
        let run = pushed(&world, Behaviour::default(), |_| ()).await;
        asks(&world, &run).await;
        world.tell(&run, pass("UBO")).await;
        let pusher = world.rollout(&run).await.inconclusive;
        assert!(
            pusher.is_some_and(|state| state.vouched.is_none()),
            "the pusher may not"
        );
        world.tell(&run, pass("UNOBODY")).await;
        world.tell(&run, pass("UANA")).await;
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "succeeded").await;
        let log = world.log(&run).await;
        let entry = log
            .iter()
            .find(|entry| entry.evidence.contains_key("unverified"))
            .expect("it is recorded");
        assert!(entry.detail.starts_with("unverified: ana"), "{}", entry.detail);
        assert!(
            entry.detail.contains("the evaluation was good"),
            "{}",
            entry.detail
        );
        world
    });
}

#[test]
fn a_proof_that_the_traffic_cannot_give_is_never_taken_for_granted() {
    once(async |world| {
        let good = world.good_model_serves().await;
        let run = pushed(&world, Behaviour::default(), proven).await;
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("proven needs under 1.25"), "{why}");
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn with_enough_traffic_a_good_model_is_proven() {
    once(async |world| {
        world.good_model_serves().await;
        world.cluster.set_rate(6_000);
        let run = pushed(&world, Behaviour::default(), proven).await;
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}

#[test]
fn what_a_step_can_show_is_said_before_it_begins() {
    once(async |world| {
        world.good_model_serves().await;
        let run = pushed(&world, Behaviour::default(), |_| ()).await;
        world.run_until_run(&run, |run| run.is_over()).await;
        let log = world.log(&run).await;
        let said = log
            .iter()
            .find(|entry| entry.detail.contains("requests at 5 % can show"));
        assert!(
            said.is_some(),
            "{:#?}",
            log.iter().map(|e| &e.detail).collect::<Vec<_>>()
        );
        assert!(
            log.iter()
                .any(|entry| entry.detail.contains("would have been seen"))
        );
        world
    });
}

#[test]
fn a_route_that_splits_wrongly_is_not_judged_and_goes_back() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        world.cluster.misroute(true);
        let run = pushed(&world, Behaviour::default(), |_| ()).await;
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("the route is at fault"), "{why}");
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_fault_after_promotion_is_sent_back_at_once_while_it_is_watched() {
    // Told once: two hours of looks, each of them crashed and told again, say nothing new about the watch.
    once(async |world| {
        let good = world.good_model_serves().await;
        let late = Behaviour {
            errors_per_mille: 200.0,
            healthy_for: Span::minutes(35),
            ..Behaviour::default()
        };
        let run = pushed(&world, late, |rule| rule.watch = Span::hours(2)).await;
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("error_rate"), "{why}");
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
}

#[test]
fn a_newer_release_ends_the_watch() {
    once(async |world| {
        world.good_model_serves().await;
        let watched = |rule: &mut RolloutRule| rule.watch = Span::hours(72);
        let first = pushed(&world, Behaviour::default(), watched).await;
        world.pass(Span::hours(2)).await;
        assert!(!world.run(&first).await.is_over(), "it is watched");
        let second = world
            .push(&commit(3), Behaviour::default(), canary_to_production(&commit(3)))
            .await;
        world.pass(Span::minutes(2)).await;
        world.expect_status(&first, "succeeded").await;
        world.run_until_run(&second, |run| run.is_over()).await;
        world.expect_status(&second, "succeeded").await;
        world
    });
}

#[test]
fn a_metric_of_a_source_decides_and_its_silence_does_not_promote() {
    once(async |world| {
        let good = world.good_model_serves().await;
        world.cluster.measure("answer_quality", Reading::NoData);
        let run = pushed(&world, Behaviour::default(), quality).await;
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("nothing was measured of answer_quality"), "{why}");
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
    once(async |world| {
        let good = world.good_model_serves().await;
        world.cluster.measure("answer_quality", Reading::Number(0.7));
        let run = pushed(&world, Behaviour::default(), quality).await;
        world.run_until_run(&run, |run| run.is_over()).await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("answer_quality < 80%, by its point: measured 0.7"),
            "{why}"
        );
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
    once(async |world| {
        world.good_model_serves().await;
        world.cluster.measure("answer_quality", Reading::Number(0.9));
        let run = pushed(&world, Behaviour::default(), quality).await;
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}

#[test]
fn a_metric_over_a_window_decides_when_the_window_is_covered_by_time_with_traffic() {
    let minutes = |rule: &mut RolloutRule| {
        let window = Window {
            span: Span::minutes(3),
            by: Aggregate::Avg,
        };
        quality_over(rule, Some(window));
    };
    replay(async |world| {
        let good = world.good_model_serves().await;
        world.cluster.measure("answer_quality", Reading::Number(0.7));
        let run = pushed(&world, Behaviour::default(), minutes).await;
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("answer_quality[3m] < 80%, by its point: measured 0.7000 over 3m"),
            "{why}"
        );
        let changes = world.rollout(&run).await.changes;
        let held = changes[1].decided.since(changes[0].decided);
        assert!(
            held >= Span::minutes(3) && held < Span::minutes(4),
            "its share was held for {held}"
        );
        world.run_until_idle().await;
        world.expect_serving("Production", &good);
        world
    });
    once(async |world| {
        world.good_model_serves().await;
        world.cluster.measure("answer_quality", Reading::Number(0.9));
        let run = pushed(&world, Behaviour::default(), minutes).await;
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}

#[test]
fn no_data_fails_at_once_where_the_definition_says_so_and_a_silent_source_does_not() {
    once(async |world| {
        world.good_model_serves().await;
        let run = pushed(&world, Behaviour::default(), |rule| rule.no_data = NoData::Fail).await;
        world
            .run_until_run(&run, |run| {
                let mut steps = run.steps();
                steps.any(|(.., state)| state.rollout.as_deref().is_some_and(|r| r.weight.percent() == 5))
            })
            .await;
        world.cluster.silence_metrics(true);
        world.pass(Span::minutes(2)).await;
        world.cluster.silence_metrics(false);
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}

#[test]
fn a_source_that_dawdles_costs_a_look_the_time_of_one_answer() {
    once(async |world| {
        world.good_model_serves().await;
        let run = pushed(&world, Behaviour::default(), |_| ()).await;
        world
            .run_until_run(&run, |run| {
                let mut steps = run.steps();
                steps.any(|(.., state)| state.rollout.as_deref().is_some_and(|r| r.weight.percent() == 5))
            })
            .await;
        world.cluster.dawdle(true);
        let began = tokio::time::Instant::now();
        world.pass(Span::seconds(30)).await;
        world.cluster.dawdle(false);
        // Counts, plain numbers and GPUs.
        let looks = world.cluster.dawdled() / 3;
        assert!(looks > 1, "{looks} looks");
        assert_eq!(began.elapsed(), looks * DAWDLES);
        world.run_until_run(&run, |run| run.is_over()).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}

#[test]
fn what_cannot_be_measured_is_told_before_anything_moves() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let writes = world.cluster.route_writes("Production");
        world
            .cluster
            .block_metrics("gateway pod public/envoy does not tell its counters");
        let run = world
            .push(&commit(2), Behaviour::default(), canary_to_production(&commit(2)))
            .await;
        world.run_until_idle().await;
        world.expect_status(&run, "failed").await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("nothing was moved: gateway pod public/envoy"),
            "{why}"
        );
        assert_eq!(world.cluster.route_writes("Production"), writes);
        world.expect_serving("Production", &good);
        world
    });
}
