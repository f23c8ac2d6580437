//! Copies of some requests go to a candidate that answers nobody, and nothing else moves.

use weir_domain::condition::{Comparison, Condition, Dimension, Mode, Op, Quantity};
use weir_domain::event::Event;
use weir_domain::ids::{RevisionId, RunId};
use weir_domain::people::Identity;
use weir_domain::pipeline::{Pipeline, StageWork, StepWork};
use weir_domain::rollout::Phase;
use weir_domain::run::Run;
use weir_domain::strategy::{Question, Shadow, Strategy};
use weir_domain::time::Span;
use weir_domain::units::Weight;
use weir_tests::{Behaviour, World, canary_with, commit, replay};

const PLACE: &str = "Production";

/// The pipeline of the n-th commit.
fn shadow(n: u32, shadow: &Shadow) -> Pipeline {
    canary_with(&commit(n), |rule| {
        rule.strategy = Strategy::Shadow(shadow.clone());
    })
}

/// A shadow, and then the canary of the same model.
fn shadow_then_canary(n: u32) -> Pipeline {
    let mut pipeline = shadow(n, &Shadow::default());
    let after = canary_with(&commit(n), |_| {});
    let Some(last) = after.stages.into_iter().next_back() else {
        return pipeline;
    };
    pipeline.stages.push(last);
    pipeline
}

async fn push(world: &World, behaviour: Behaviour) -> RunId {
    world
        .push(&commit(2), behaviour, shadow(2, &Shadow::default()))
        .await
}

/// Lets time pass until requests are copied; the revision that gets them.
async fn is_copied(world: &World, run: &RunId) -> RevisionId {
    world
        .run_until_run(run, |run| {
            let mut all = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
            all.next()
                .is_some_and(|rollout| matches!(rollout.phase, Phase::Watching { .. }))
        })
        .await;
    world.pass(Span::seconds(1)).await;
    world.revision(run).await
}

async fn why(world: &World, run: &RunId) -> String {
    world.run(run).await.status.words()
}

/// Nothing is copied any more, and what served before serves everything.
fn expect_as_before(world: &World, good: &RevisionId) {
    assert_eq!(world.cluster.mirrors(PLACE), []);
    assert_eq!(world.cluster.shares(PLACE), [(good.clone(), 100)]);
}

#[test]
fn a_good_shadow_is_judged_by_copies_and_then_nothing_of_it_is_left() {
    replay(async |world| {
        let old = world.good_model_serves().await;
        let writes = world.cluster.route_writes(PLACE);
        let run = push(&world, Behaviour::default()).await;
        let new = is_copied(&world, &run).await;
        // One replica carries the copies of 10 %, and stable keeps everything that it had.
        for _ in 0..9 {
            world.pass(Span::minutes(1)).await;
            assert_eq!(world.cluster.mirrors(PLACE), [(new.clone(), 10)]);
            assert_eq!(world.cluster.shares(PLACE), [(old.clone(), 100)]);
            let mut sides = vec![(old.clone(), 4), (new.clone(), 1)];
            sides.sort();
            assert_eq!(world.cluster.replicas(PLACE), sides);
        }
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let rollout = world.rollout(&run).await;
        let copied = rollout.shares();
        assert_eq!(copied, [10, 0]);
        assert_eq!(world.cluster.route_writes(PLACE), writes + 2);
        assert_eq!((rollout.plan.gpu_peak, rollout.gpus_peak), (5, 5));
        let log = world.log(&run).await;
        assert!(
            log.iter()
                .any(|entry| entry.detail.starts_with("success rate 99."))
        );
        expect_as_before(&world, &old);
        world.run_until_idle().await;
        world.expect_serving(PLACE, &old);
        assert_eq!(world.cluster.plain(PLACE), Some(old));
        world
    });
}

#[test]
fn one_that_errs_on_copies_fails_and_no_user_has_felt_it() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let bad = Behaviour {
            errors_per_mille: 100.0,
            ..Behaviour::default()
        };
        let run = push(&world, bad).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let said = why(&world, &run).await;
        assert!(said.contains("error_rate"), "{said}");
        let rollout = world.rollout(&run).await;
        assert!(
            rollout.candidate_counts().requests < 3_600,
            "it went before its time"
        );
        assert_eq!(world.cluster.bad(&rollout.candidate), 0);
        expect_as_before(&world, &good);
        world.run_until_idle().await;
        world.expect_serving(PLACE, &good);
        world
    });
}

#[test]
fn one_that_crashes_on_copies_fails_without_any_metric() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        world.cluster.silence_metrics(true);
        let crashing = Behaviour {
            crash_after: Some(Span::minutes(1)),
            ..Behaviour::default()
        };
        let run = push(&world, crashing).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let said = why(&world, &run).await;
        assert!(said.contains("exited with code 139"), "{said}");
        expect_as_before(&world, &good);
        world.run_until_idle().await;
        world.expect_serving(PLACE, &good);
        world
    });
}

#[test]
fn a_person_ends_it() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let run = push(&world, Behaviour::default()).await;
        is_copied(&world, &run).await;
        let event = Event::RollbackRequested {
            by: Identity::Slack("UANA".into()),
            reason: "not now".into(),
            force: false,
        };
        world.tell(&run, event).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        expect_as_before(&world, &good);
        world.run_until_idle().await;
        world.expect_serving(PLACE, &good);
        world
    });
}

#[test]
fn a_class_that_cannot_copy_is_refused_before_anything_moves() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let writes = world.cluster.route_writes(PLACE);
        world
            .cluster
            .obstruct("GatewayClass traefik does not support HTTPRouteRequestMirror");
        let run = push(&world, Behaviour::default()).await;
        world.run_until_idle().await;
        world.expect_status(&run, "failed").await;
        let said = why(&world, &run).await;
        assert!(said.contains("nothing was moved: GatewayClass traefik"), "{said}");
        assert_eq!(world.cluster.route_writes(PLACE), writes);
        world.expect_serving(PLACE, &good);
        world
    });
}

#[test]
fn where_nothing_serves_there_is_nothing_to_copy() {
    replay(async |world| {
        let pipeline = shadow(1, &Shadow::default());
        let run = world.push(&commit(1), Behaviour::default(), pipeline).await;
        world.run_until_idle().await;
        world.expect_status(&run, "failed").await;
        let said = why(&world, &run).await;
        assert!(said.contains("no requests to copy"), "{said}");
        assert_eq!(world.cluster.replicas(PLACE), []);
        world
    });
}

#[test]
fn what_cannot_be_measured_is_not_copied_for_ever() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let run = push(&world, Behaviour::default()).await;
        is_copied(&world, &run).await;
        world.cluster.silence_metrics(true);
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let said = why(&world, &run).await;
        assert!(said.contains("nothing could be measured"), "{said}");
        expect_as_before(&world, &good);
        world.run_until_idle().await;
        world.expect_serving(PLACE, &good);
        world
    });
}

#[test]
fn a_cluster_that_is_away_when_it_ends_is_tried_until_the_copies_have_ended() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let run = push(&world, Behaviour::default()).await;
        is_copied(&world, &run).await;
        world.cluster.set_away(true);
        world.pass(Span::minutes(30)).await;
        assert!(!world.run(&run).await.is_over());
        world.cluster.set_away(false);
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        expect_as_before(&world, &good);
        world.run_until_idle().await;
        world.expect_serving(PLACE, &good);
        world
    });
}

#[test]
fn what_somebody_else_makes_of_the_copies_is_put_right() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let run = push(&world, Behaviour::default()).await;
        let new = is_copied(&world, &run).await;
        for part in [0, 60] {
            let part = Weight::new(part).unwrap();
            world.cluster.foreign_mirror(PLACE, &new, part);
            world.pass(Span::seconds(17)).await;
            assert_eq!(world.cluster.mirrors(PLACE), [(new.clone(), 10)]);
        }
        // Real requests are not for it either.
        world.cluster.foreign_write(PLACE, &new, Weight::new(10).unwrap());
        world.pass(Span::seconds(17)).await;
        assert_eq!(world.cluster.shares(PLACE), [(good.clone(), 100)]);
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        world.run_until_idle().await;
        world.expect_serving(PLACE, &good);
        world
    });
}

#[test]
fn a_limit_on_gpus_is_a_limit_on_copies() {
    replay(async |world| {
        world.cluster.set_pool(5);
        let good = world.good_model_serves().await;
        let half = Shadow {
            gpus: Some(1),
            copied: Shadow::copied(
                Weight::new(50).unwrap(),
                Span::minutes(5),
                Shadow::default().copied.threshold,
                50,
            ),
            answers: Vec::new(),
        };
        let run = world
            .push(&commit(2), Behaviour::default(), shadow(2, &half))
            .await;
        let new = is_copied(&world, &run).await;
        assert_eq!(
            world.cluster.mirrors(PLACE),
            [(new, 25)],
            "one of four carries a quarter"
        );
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        assert_eq!(world.rollout(&run).await.gpus_peak, 5);
        assert_eq!(world.cluster.lost(PLACE), 0);
        world.run_until_idle().await;
        world.expect_serving(PLACE, &good);
        world
    });
}

#[test]
fn without_room_beside_what_answers_it_is_refused() {
    replay(async |world| {
        world.cluster.set_pool(4);
        let good = world.good_model_serves().await;
        let run = push(&world, Behaviour::default()).await;
        world.run_until_idle().await;
        world.expect_status(&run, "failed").await;
        let said = why(&world, &run).await;
        assert!(
            said.contains("a shadow takes no places of what answers"),
            "{said}"
        );
        world.expect_serving(PLACE, &good);
        world
    });
}

#[test]
fn a_later_step_that_moves_traffic_to_the_same_revision_finds_it_warm() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let slow = Behaviour {
            load: Span::minutes(8),
            ..Behaviour::default()
        };
        let pipeline = shadow_then_canary(2);
        let rollouts = pipeline.stages.iter().filter(|stage| match &stage.work {
            StageWork::Steps { steps, .. } => {
                steps.iter().any(|step| matches!(step.work, StepWork::Rollout(_)))
            }
            StageWork::Approval(_) => false,
        });
        assert_eq!(rollouts.count(), 2);
        let run = world.push(&commit(2), slow, pipeline).await;
        let new = is_copied(&world, &run).await;
        // From the end of the shadow to the first share there is no time to load anything.
        let share = |run: &Run| {
            let rollouts = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
            rollouts.map(|rollout| rollout.phase.clone()).collect::<Vec<_>>()
        };
        world.run_until_run(&run, |run| share(run).len() == 2).await;
        let passed = world.now();
        world
            .run_until_run(&run, |run| {
                share(run)
                    .get(1)
                    .is_some_and(|phase| matches!(phase, Phase::Watching { step: 0 }))
            })
            .await;
        assert!(world.now().since(passed) < Span::minutes(1), "it was warm");
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        world.run_until_idle().await;
        world.expect_serving(PLACE, &new);
        assert_eq!(world.cluster.mirrors(PLACE), []);

        // What is undone is the promotion, not the shadow before it.
        let undo = world.undo(&run, "UANA").await.expect("it can be undone");
        world.run_until_run(&undo, Run::is_over).await;
        world.expect_status(&undo, "succeeded").await;
        world.run_until_idle().await;
        world.expect_serving(PLACE, &good);
        world
    });
}

#[test]
fn replicas_that_are_kept_for_a_later_step_go_when_it_does_not_come() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let run = world
            .push(&commit(2), Behaviour::default(), shadow_then_canary(2))
            .await;
        is_copied(&world, &run).await;
        let event = Event::CancelRequested {
            by: Identity::Slack("UANA".into()),
            reason: "not today".into(),
        };
        world
            .run_until_run(&run, |run| {
                let mut all = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
                all.next()
                    .is_some_and(|rollout| matches!(rollout.phase, Phase::Kept { .. }))
            })
            .await;
        world.tell(&run, event).await;
        world.run_until_run(&run, Run::is_over).await;
        world.run_until_idle().await;
        world.expect_serving(PLACE, &good);
        world
    });
}

/// A shadow whose answers are compared with stable's; more than 5 % may not differ.
fn asking(n: u32) -> Pipeline {
    let question = Question {
        path: "/v1/completions".into(),
        body: None,
        compare: "/choices/0/text".into(),
    };
    let differ = Condition::Compare(Comparison {
        metric: "answers_differ".into(),
        window: None,
        op: Op::Above,
        line: Quantity {
            value: 0.05,
            dimension: Dimension::Ratio,
            written: "5%".into(),
        },
        during: None,
        mode: Mode::Evidence,
    });
    canary_with(&commit(n), |rule| {
        rule.strategy = Strategy::Shadow(Shadow {
            answers: vec![question.clone()],
            ..Shadow::default()
        });
        let mut parts = vec![differ.clone()];
        parts.extend(rule.rollback.take());
        rule.rollback = Some(Condition::Or(parts));
    })
}

fn differing(per_mille: Option<u64>) -> Behaviour {
    Behaviour {
        differing_per_mille: per_mille,
        ..Behaviour::default()
    }
}

#[test]
fn a_shadow_that_answers_as_stable_does_passes_and_says_how_many_were_compared() {
    replay(async |world| {
        world.good_model_serves().await;
        let run = world.push(&commit(2), differing(Some(0)), asking(2)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        let log = world.log(&run).await;
        let told = log
            .iter()
            .find(|entry| entry.detail.contains("answers differ from stable's"));
        let told = told.map(|entry| entry.detail.as_str()).unwrap_or_default();
        assert!(told.contains("; 0 of 4"), "{told}");
        world
    });
}

#[test]
fn a_shadow_that_answers_differently_is_taken_out_and_says_so() {
    replay(async |world| {
        let old = world.good_model_serves().await;
        let run = world.push(&commit(2), differing(Some(400)), asking(2)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let why = why(&world, &run).await;
        assert!(
            why.contains("answers_differ") && why.contains("limit 5%"),
            "{why}"
        );
        expect_as_before(&world, &old);
        world
    });
}

#[test]
fn a_model_that_never_answers_the_same_is_not_found_worse_than_itself_and_passes_by_a_person_alone() {
    replay(async |world| {
        let first = canary_with(&commit(1), |_| {});
        let run = world.push(&commit(1), differing(Some(900)), first).await;
        world.run_until_run(&run, Run::is_over).await;
        world.run_until_idle().await;
        let run = world.push(&commit(2), differing(Some(900)), asking(2)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let why = why(&world, &run).await;
        assert!(
            why.contains("inconclusive") && why.contains("stable differs from itself in"),
            "{why}"
        );
        world
    });
}

#[test]
fn answers_that_cannot_be_compared_hold_the_shadow_and_pass_nothing() {
    replay(async |world| {
        world.good_model_serves().await;
        let run = world.push(&commit(2), differing(None), asking(2)).await;
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "rolled_back").await;
        let why = why(&world, &run).await;
        assert!(why.contains("nothing was measured of answers_differ"), "{why}");
        world
    });
}
