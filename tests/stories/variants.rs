//! Variants side by side: they get their shares together, are measured for as long as the definition says, and traffic goes
//! back to where it was.

use weir_app::Started;
use weir_domain::event::Event;
use weir_domain::experiment::{Phase, variant_revision};
use weir_domain::ids::{EnvironmentName, LaneKey, RevisionId, RunId, ServiceName};
use weir_domain::people::Identity;
use weir_domain::run::{Repository, Run};
use weir_domain::time::Span;
use weir_tests::{
    Behaviour, World, canary_to_production, commit, experiment, once, replay, sticky_experiment,
};
use weir_webhook_intake::{ByHand, start_by_hand};

/// The article's own features in the project's words.
const PIPELINE: &str = include_str!("../../docs/examples/ab-test.yaml");

const TWO: [(&str, u8); 2] = [("model-a", 50), ("model-b", 50)];

fn lane() -> LaneKey {
    LaneKey {
        service: ServiceName::new("llm"),
        environment: EnvironmentName::new("Production"),
    }
}

fn revision(version: &str) -> RevisionId {
    variant_revision(&lane(), version)
}

/// Both variants run already, and their metrics are known.
fn run_both(world: &World, b: &Behaviour) {
    world
        .cluster
        .run_variant(&lane(), "model-a", 4, &Behaviour::default());
    world.cluster.run_variant(&lane(), "model-b", 4, b);
    world
        .cluster
        .collectable("model_a.inference.latency", 200.0, 20.0);
    world
        .cluster
        .collectable("model_b.inference.latency", 180.0, 20.0);
}

async fn start(world: &World, duration: Span) -> RunId {
    world
        .push(&commit(2), Behaviour::default(), experiment(&TWO, duration))
        .await
}

fn phase(run: &Run) -> Option<Phase> {
    let found = run.steps().find_map(|(.., state)| state.experiment.as_deref());
    found.map(|experiment| experiment.phase)
}

/// Goes on until the variants have their shares.
async fn until_shared(world: &World, run: &RunId) {
    let running = |run: &Run| phase(run) == Some(Phase::Running);
    world.run_until_run(run, running).await;
}

/// Goes on until the run is over, which must have ended so.
async fn ends(world: &World, run: &RunId, status: &str) {
    world.run_until_run(run, Run::is_over).await;
    world.expect_status(run, status).await;
}

/// Once nothing is left to do, one revision serves alone, by the route and by the plain Service, and no variant has a Service.
async fn serves(world: &World, revision: &RevisionId) {
    world.run_until_idle().await;
    assert_eq!(world.cluster.shares("Production"), [(revision.clone(), 100)]);
    assert_eq!(world.cluster.plain("Production").as_ref(), Some(revision));
    assert_eq!(world.cluster.variant_services("Production"), 0);
}

/// Shares of the variants, and of everything else together.
fn shares(world: &World) -> (u8, u8, u8) {
    let all = world.cluster.shares("Production");
    let of = |id: RevisionId| {
        all.iter()
            .find(|(own, _)| *own == id)
            .map_or(0, |(_, share)| *share)
    };
    let (a, b) = (of(revision("model-a")), of(revision("model-b")));
    let sum: u8 = all.iter().map(|(_, share)| share).sum();
    (a, b, sum - a - b)
}

async fn words(world: &World, run: &RunId) -> String {
    let log = world.log(run).await;
    log.iter().map(|entry| format!("{}\n", entry.detail)).collect()
}

#[test]
fn variants_get_their_shares_together_are_measured_and_traffic_goes_back() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        run_both(&world, &Behaviour::default());
        let writes = world.cluster.route_writes("Production");
        let run = start(&world, Span::minutes(20)).await;
        until_shared(&world, &run).await;
        world.pass(Span::seconds(15)).await;
        assert_eq!(shares(&world), (50, 50, 0));
        assert_eq!(
            world.cluster.route_writes("Production"),
            writes + 1,
            "one write for all"
        );
        ends(&world, &run, "succeeded").await;
        serves(&world, &good).await;
        let untouched: Vec<u32> = TWO
            .iter()
            .filter_map(|(version, _)| {
                let all = world.cluster.replicas("Production");
                all.iter()
                    .find(|(id, _)| *id == revision(version))
                    .map(|(_, n)| *n)
            })
            .collect();
        assert_eq!(untouched, [4, 4], "the variants' pods are not Weir's");
        let said = words(&world, &run).await;
        assert!(said.contains("collected 20 of 20 intervals"), "{said}");
        assert!(
            said.contains("inference.latency: model-b is smaller than model-a: -1"),
            "{said}"
        );
        let handed = world
            .cluster
            .handed("check-model")
            .expect("the test got the series");
        assert_eq!(handed.lines().count(), 21, "{handed}");
        assert!(
            handed.starts_with("time,model_a.inference.latency,model_b.inference.latency\n"),
            "{handed}"
        );
        world
    });
}

#[test]
fn where_nothing_of_weirs_serves_traffic_goes_back_to_the_plain_service() {
    once(async |world| {
        run_both(&world, &Behaviour::default());
        let run = start(&world, Span::minutes(10)).await;
        until_shared(&world, &run).await;
        ends(&world, &run, "succeeded").await;
        assert_eq!(world.cluster.shares("Production"), []);
        assert!(
            words(&world, &run)
                .await
                .contains("traffic is on the plain Service")
        );
        world
    });
}

#[test]
fn no_share_is_given_before_the_last_variant_is_warm() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let slow = Behaviour {
            load: Span::minutes(8),
            ..Behaviour::default()
        };
        let began = world.now();
        run_both(&world, &slow);
        let run = start(&world, Span::minutes(10)).await;
        world.pass(Span::minutes(7)).await;
        assert_eq!(world.cluster.shares("Production"), [(good.clone(), 100)]);
        until_shared(&world, &run).await;
        assert!(world.now().since(began) >= Span::minutes(8));
        ends(&world, &run, "succeeded").await;
        serves(&world, &good).await;
        world
    });
}

#[test]
fn a_variant_that_nobody_runs_ends_the_experiment_before_anything_moves() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        world
            .cluster
            .run_variant(&lane(), "model-a", 4, &Behaviour::default());
        let writes = world.cluster.route_writes("Production");
        let run = start(&world, Span::minutes(10)).await;
        ends(&world, &run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("no pod has the label version=model-b"), "{why}");
        assert_eq!(world.cluster.route_writes("Production"), writes);
        serves(&world, &good).await;
        world
    });
}

#[test]
fn a_variant_that_loses_its_pods_loses_its_share_to_the_other_and_gets_it_back() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        run_both(&world, &Behaviour::default());
        let run = start(&world, Span::minutes(30)).await;
        until_shared(&world, &run).await;
        world.pass(Span::minutes(5)).await;
        world
            .cluster
            .run_variant(&lane(), "model-b", 0, &Behaviour::default());
        world.pass(Span::seconds(62)).await;
        assert_eq!(shares(&world), (100, 0, 0), "within one look and two seconds");
        assert!(
            words(&world, &run)
                .await
                .contains("model-a 100 %, model-b 0 %: model-b has 0 of 0 pods warm")
        );
        world
            .cluster
            .run_variant(&lane(), "model-b", 4, &Behaviour::default());
        world.pass(Span::minutes(2)).await;
        assert_eq!(shares(&world), (50, 50, 0));
        ends(&world, &run, "succeeded").await;
        serves(&world, &good).await;
        world
    });
}

/// Of a hundred requests of each variant's callers, how many it gets.
fn kept(world: &World) -> Vec<u8> {
    let kept = world.cluster.kept("Production");
    let of = |version: &str| {
        kept.iter()
            .find(|(id, _)| *id == revision(version))
            .map(|(_, n)| *n)
    };
    TWO.iter().filter_map(|(version, _)| of(version)).collect()
}

#[test]
fn callers_stay_with_their_variant_as_long_as_it_is_warm() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        run_both(&world, &Behaviour::default());
        let pipeline = sticky_experiment(&TWO, Span::minutes(30));
        let run = world.push(&commit(2), Behaviour::default(), pipeline).await;
        assert!(kept(&world).is_empty());
        until_shared(&world, &run).await;
        world.pass(Span::minutes(5)).await;
        assert_eq!((shares(&world), kept(&world)), ((50, 50, 0), vec![100, 100]));

        // Its callers go to the other one, and find it again.
        world
            .cluster
            .run_variant(&lane(), "model-b", 0, &Behaviour::default());
        world.pass(Span::seconds(62)).await;
        assert_eq!((shares(&world), kept(&world)), ((100, 0, 0), vec![100, 0]));
        world
            .cluster
            .run_variant(&lane(), "model-b", 4, &Behaviour::default());
        world.pass(Span::minutes(2)).await;
        assert_eq!(kept(&world), [100, 100]);

        // What somebody else takes out of the route is put back.
        world.cluster.foreign_unkeep("Production", &revision("model-a"));
        world.pass(Span::minutes(1)).await;
        assert_eq!(kept(&world), [100, 100]);

        ends(&world, &run, "succeeded").await;
        let said = words(&world, &run).await;
        assert!(
            said.contains("callers stay with their variant by the cookie model"),
            "{said}"
        );
        assert!(kept(&world).is_empty());
        serves(&world, &good).await;
        world
    });
}

#[test]
fn variants_that_all_crash_give_everything_back() {
    replay(async |world| {
        let good = world.good_model_serves().await;
        let crashing = Behaviour {
            crash_after: Some(Span::minutes(3)),
            ..Behaviour::default()
        };
        run_both(&world, &crashing);
        world.cluster.run_variant(&lane(), "model-a", 4, &crashing);
        let run = start(&world, Span::minutes(30)).await;
        ends(&world, &run, "rolled_back").await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("no variant is warm") && why.contains("exited with code 139"),
            "{why}"
        );
        assert_eq!(world.cluster.shares("Production"), [(good.clone(), 100)]);
        world.run_until_idle().await;
        assert!(world.people.pages.lock().unwrap().contains(&run));
        serves(&world, &good).await;
        world
    });
}

#[test]
fn a_person_ends_it_early_with_a_reason() {
    for cancel in [true, false] {
        replay(async |world| {
            let good = world.good_model_serves().await;
            run_both(&world, &Behaviour::default());
            let run = start(&world, Span::minutes(30)).await;
            until_shared(&world, &run).await;
            world.pass(Span::minutes(4)).await;
            let (by, reason) = (Identity::Slack("UANA".into()), "a hotfix must out".to_owned());
            let event = match cancel {
                true => Event::CancelRequested { by, reason },
                false => Event::RollbackRequested {
                    by,
                    reason,
                    force: false,
                },
            };
            world.tell(&run, event).await;
            world.run_until_run(&run, Run::is_over).await;
            world
                .expect_status(&run, if cancel { "cancelled" } else { "rolled_back" })
                .await;
            let why = world.run(&run).await.status.words();
            assert!(why.contains("ana") && why.contains("a hotfix must out"), "{why}");
            assert_eq!(world.cluster.shares("Production"), [(good.clone(), 100)]);
            assert_eq!(world.cluster.handed("check-model"), None);
            serves(&world, &good).await;
            world
        });
    }
}

#[test]
fn a_release_waits_for_the_experiment_and_goes_on_when_it_is_over() {
    replay(async |world| {
        world.good_model_serves().await;
        run_both(&world, &Behaviour::default());
        let run = start(&world, Span::minutes(10)).await;
        until_shared(&world, &run).await;
        let next = world
            .push(&commit(3), Behaviour::default(), canary_to_production(&commit(3)))
            .await;
        world.run_until_run(&next, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        world.expect_status(&next, "succeeded").await;
        serves(&world, &world.revision(&next).await).await;
        world
    });
}

#[test]
fn what_somebody_else_writes_into_the_route_is_corrected() {
    once(async |world| {
        world.good_model_serves().await;
        run_both(&world, &Behaviour::default());
        let run = start(&world, Span::minutes(30)).await;
        until_shared(&world, &run).await;
        world.pass(Span::minutes(5)).await;
        let ninety = weir_domain::units::Weight::new(90).unwrap();
        world
            .cluster
            .foreign_write("Production", &revision("model-a"), ninety);
        world.pass(Span::seconds(62)).await;
        assert_eq!(shares(&world), (50, 50, 0));
        ends(&world, &run, "succeeded").await;
        world
    });
}

#[test]
fn a_source_that_is_away_for_an_hour_leaves_no_gap() {
    once(async |world| {
        world.good_model_serves().await;
        run_both(&world, &Behaviour::default());
        let run = start(&world, Span::hours(3)).await;
        until_shared(&world, &run).await;
        world.pass(Span::minutes(30)).await;
        world.cluster.silence_metrics(true);
        world.pass(Span::hours(1)).await;
        world.cluster.silence_metrics(false);
        ends(&world, &run, "succeeded").await;
        let handed = world
            .cluster
            .handed("check-model")
            .expect("the test got the series");
        let rows: Vec<&str> = handed.lines().skip(1).collect();
        assert_eq!(rows.len(), 36);
        assert!(
            rows.iter().all(|row| row.split(',').all(|cell| !cell.is_empty())),
            "{handed}"
        );
        let said = words(&world, &run).await;
        assert_eq!(
            said.matches("datadog fails: connection refused").count(),
            1,
            "{said}"
        );
        world
    });
}

#[test]
fn a_metric_that_nobody_knows_fails_the_step_after_traffic_is_back() {
    once(async |world| {
        let good = world.good_model_serves().await;
        world
            .cluster
            .run_variant(&lane(), "model-a", 4, &Behaviour::default());
        world
            .cluster
            .run_variant(&lane(), "model-b", 4, &Behaviour::default());
        world
            .cluster
            .collectable("model_a.inference.latency", 200.0, 20.0);
        let run = start(&world, Span::minutes(10)).await;
        ends(&world, &run, "failed").await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("`model_b.inference.latency` never had a value"),
            "{why}"
        );
        serves(&world, &good).await;
        world
    });
}

#[test]
fn a_source_that_the_host_does_not_know_is_told_before_anything_moves() {
    once(async |world| {
        let good = world.good_model_serves().await;
        run_both(&world, &Behaviour::default());
        let mut pipeline = experiment(&TWO, Span::minutes(10));
        for stage in &mut pipeline.stages {
            if let weir_domain::pipeline::StageWork::Steps { steps, .. } = &mut stage.work
                && let weir_domain::pipeline::StepWork::Collect(collect) = &mut steps[0].work
            {
                collect.source = "newrelic".into();
            }
        }
        let writes = world.cluster.route_writes("Production");
        let run = world.push(&commit(2), Behaviour::default(), pipeline).await;
        world.run_until_idle().await;
        world.expect_status(&run, "failed").await;
        let why = world.run(&run).await.status.words();
        assert!(
            why.contains("nothing was moved: this host knows no source `newrelic`"),
            "{why}"
        );
        assert_eq!(world.cluster.route_writes("Production"), writes);
        serves(&world, &good).await;
        world
    });
}

#[test]
fn three_variants_share_by_their_weights() {
    once(async |world| {
        world.good_model_serves().await;
        let three = [("model-a", 40), ("model-b", 40), ("model-c", 20)];
        for (version, _) in three {
            world
                .cluster
                .run_variant(&lane(), version, 2, &Behaviour::default());
            let metric = format!("{}.inference.latency", version.replace('-', "_"));
            world.cluster.collectable(&metric, 200.0, 1.0);
        }
        let run = world
            .push(
                &commit(2),
                Behaviour::default(),
                experiment(&three, Span::minutes(20)),
            )
            .await;
        until_shared(&world, &run).await;
        world.pass(Span::seconds(15)).await;
        assert_eq!(shares(&world), (40, 40, 20));
        ends(&world, &run, "succeeded").await;
        let said = words(&world, &run).await;
        assert!(
            said.contains("no difference between model-c and model-a is shown"),
            "{said}"
        );
        world
    });
}

/// Where the variants of the article run: one environment, one service, nobody who must be asked.
const PLACE: &str = "
service:
  name: llm
  spec:
    containers:
      - {name: model, image: 'ai-service:1'}
environments:
  - {name: Production, type: Kubernetes, spec: {cluster: prod, namespace: production}}
groups:
  - name: ml-team
    members: [{name: ana, slack: UANA, github: ana}]
policy: {approvals: {Production: none}}
";

async fn a_week(world: &World, pipeline: &str) -> RunId {
    world.good_model_serves().await;
    run_both(world, &Behaviour::default());
    world.cluster.collectable("model_a.accuracy", 0.91, 0.01);
    world.cluster.collectable("model_b.accuracy", 0.91, 0.01);
    world.source.commit(
        &commit(2),
        &[(".weir/ab.yaml", pipeline), (".weir/place.yaml", PLACE)],
    );
    let wish = ByHand {
        repository: Repository {
            name: "acme/llm".into(),
            clone_url: "https://git.invalid/acme/llm".into(),
        },
        git_ref: "refs/heads/main",
        before: commit(1),
        commit: commit(2),
        pipeline: Some("Model-AB-Test"),
        by: Identity::Github("ana".into()),
        headline: "two models".into(),
        registry: None,
    };
    let started = start_by_hand(&world.doors.intake.engine, wish).await;
    let started = started.expect("a person of the definition may start it");
    let [Started::New(run)] = started.as_slice() else {
        panic!("{started:?}");
    };
    run.clone()
}

async fn week_passes(world: &World, run: &RunId) {
    world.pass(Span::hours(24 * 7 - 1)).await;
    assert_eq!(shares(world), (50, 50, 0), "an hour before the end");
    world.pass(Span::hours(2)).await;
    world.expect_status(run, "succeeded").await;
    let said = words(world, run).await;
    assert!(said.contains("collected 2016 of 2016 intervals of 5m"), "{said}");
    assert!(
        said.contains("inference.latency: model-b is smaller than model-a: -10."),
        "{said}"
    );
    assert!(
        said.contains("accuracy: no difference between model-b and model-a is shown"),
        "{said}"
    );
    assert!(
        said.contains("failures (A: model-a, B: model-b): no difference is shown"),
        "{said}"
    );
    let handed = world
        .cluster
        .handed("statistical-test")
        .expect("the test got the series");
    assert_eq!(handed.lines().count(), 2_017);
    let size = serde_json::to_vec(&world.run(run).await)
        .expect("a run is plain data")
        .len();
    assert!(
        size < 40_000,
        "the run keeps what the numbers show, not the numbers: {size} bytes"
    );
}

#[test]
fn a_week_of_two_models_is_measured_and_told() {
    once(async |world| {
        let without_approval = PIPELINE.replace("    - stage: Approval\n      type: Approval\n", "");
        let run = a_week(&world, &without_approval).await;
        week_passes(&world, &run).await;
        world
    });
}

#[test]
fn the_articles_own_experiment_goes_the_same_way() {
    let Some(files) = weir_article::files() else {
        return;
    };
    let (name, verbatim) = &files[4];
    assert!(name.starts_with("05-"), "{name}");
    once(async |world| {
        let run = a_week(&world, verbatim).await;
        week_passes(&world, &run).await;
        world
    });
}
