//! One release over two real control planes, with users on both: promoted together, back together, and back at once in the one
//! while the API server of the other is stopped.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use serde_json::{Value, json};
use weir_app::Clock;
use weir_domain::audit::{Action, Entry};
use weir_domain::ids::{ClusterName, EnvironmentName, LaneKey, ReleaseName, RevisionId, RunId, ServiceName};
use weir_domain::pipeline::{Pipeline, Stage, StageWork, StepWork};
use weir_domain::rollout::Rollout;
use weir_domain::run::Run;
use weir_domain::time::{Span, Timestamp};
use weir_domain::workload::revision_name;
use weir_live::{Host, Load, Mix, Shape, WallClock, World, another, eventually, picture, shared};
use weir_plot::{Course, lost_by_second};

/// The clusters, as waves.
const WAVES: [&str; 2] = ["east", "west"];
const REPLICAS: u32 = 2;
/// Requests a second in each cluster.
const RPS: u32 = 40;

/// Both clusters, and what drives them.
struct Both {
    worlds: [World; 2],
    host: Host,
}

impl Both {
    async fn new() -> Self {
        let worlds = [
            World::on(shared(), "release").await,
            World::on(another(), "release").await,
        ];
        let host = Host::of_several(&[(WAVES[0], &worlds[0]), (WAVES[1], &worlds[1])]);
        Self { worlds, host }
    }

    /// A version that behaves like this in each of the clusters.
    fn pipeline(&self, version: &str, models: [&Value; 2]) -> Pipeline {
        let waves = WAVES.iter().zip(&self.worlds).zip(models);
        let waves: Vec<Pipeline> = waves
            .map(|((name, world), model)| wave(name, world, version, model))
            .collect();
        Pipeline {
            stages: waves.iter().flat_map(|wave| wave.stages.clone()).collect(),
            ..waves[0].clone()
        }
    }

    async fn start(&self, version: &str, models: [&Value; 2]) -> RunId {
        self.host.start(version, self.pipeline(version, models)).await
    }

    async fn load(&self) -> [Load; 2] {
        let [east, west] = &self.worlds;
        [
            Load::at(east.cluster, &east.host(), Mix::of(RPS)).await,
            Load::at(west.cluster, &west.host(), Mix::of(RPS)).await,
        ]
    }

    async fn expect_serving(&self, version: &str) {
        for world in &self.worlds {
            world.until_answered(version).await;
        }
    }

    /// Draws what a run did in both clusters, for the docs, where it is asked for.
    async fn draw(&self, file: &str, title: &str, run: &Run, load: &[Load; 2]) {
        let log = self.host.log(&run.id).await;
        let shares = WAVES.iter().enumerate().map(|(wave, name)| {
            let changes = rollout(run, wave).unwrap().changes.iter();
            let steps =
                changes.filter_map(|change| Some((change.accepted?.0, f64::from(change.weight.percent()))));
            (format!("share in {name}"), steps.collect())
        });
        let mut failed = Vec::new();
        for load in load {
            failed.extend(lost_by_second(&load.lost_by_second().await));
        }
        let begun = log.iter().position(|entry| entry.action == Action::LaneTaken);
        let log = &log[begun.unwrap_or(0)..];
        let course = Course {
            span: (log[0].at.0, log[log.len() - 1].at.0),
            shares: shares.collect(),
            gpus: log
                .iter()
                .map(|entry| (entry.at.0, f64::from(entry.gpus)))
                .collect(),
            failed,
        };
        picture(file, &course.draw(title));
    }

    async fn of(&self, run: &RunId, action: Action) -> Vec<Entry> {
        let log = self.host.log(run).await.into_iter();
        log.filter(|entry| entry.action == action).collect()
    }
}

/// The stage of one cluster.
fn wave(name: &str, world: &World, version: &str, model: &Value) -> Pipeline {
    let shape = Shape {
        model: model.clone(),
        ..Shape::rollout(version, None)
    };
    let mut pipeline = shape.canary(&world.namespace, &world.builds, REPLICAS);
    let Stage { name: title, work } = &mut pipeline.stages[0];
    *title = name.to_owned();
    let StageWork::Steps { steps, .. } = work else {
        panic!("it has steps");
    };
    let step = &mut steps[0];
    (step.name, step.slug) = (format!("Canary {name}"), name.to_owned());
    let StepWork::Rollout(rule) = &mut step.work else {
        panic!("it rolls out");
    };
    rule.lane.environment = EnvironmentName::new(name);
    rule.target.cluster = ClusterName::new(name);
    rule.release = Some(ReleaseName::new("both"));
    pipeline
}

fn rollout(run: &Run, wave: usize) -> Option<&Rollout> {
    run.stages[wave].steps[0].rollout.as_deref()
}

fn candidate(run: &Run, wave: usize) -> RevisionId {
    rollout(run, wave).unwrap().candidate.clone()
}

fn has_traffic(run: &Run, wave: usize) -> bool {
    let changes = rollout(run, wave).map(|rollout| &rollout.changes);
    changes.is_some_and(|changes| changes.iter().any(|change| change.accepted.is_some()))
}

fn is_back(run: &Run, wave: usize) -> bool {
    rollout(run, wave).is_some_and(Rollout::is_back)
}

/// Looks at a cluster itself until its route gives the new revision nothing; how long that took.
async fn left_alone(both: &Both, wave: usize, revision: &RevisionId, since: Timestamp) -> Span {
    let lane = LaneKey {
        service: ServiceName::new("chat"),
        environment: EnvironmentName::new(WAVES[wave]),
    };
    let (world, name) = (&both.worlds[wave], revision_name(&lane, revision));
    eventually("the route gives it nothing", async || {
        match share(&world.route().await, &name) {
            0 => Ok(()),
            share => Err(format!("{revision} has {share} %")),
        }
    })
    .await;
    WallClock.now().since(since)
}

/// What the route gives to a Service.
fn share(route: &Value, name: &str) -> u64 {
    let rules = route["spec"]["rules"].as_array().unwrap();
    let backends = rules
        .iter()
        .filter_map(|rule| rule["backendRefs"].as_array())
        .flatten();
    let mut own = backends.filter(|backend| backend["name"] == name);
    own.next()
        .map_or(0, |backend| backend["weight"].as_u64().unwrap_or(1))
}

#[tokio::test]
async fn a_release_goes_out_to_two_clusters_together_and_comes_back_from_both() {
    let both = Both::new().await;
    let (good, errs) = (json!({}), json!({"error_ratio": 0.4}));

    let first = both.start("v1", [&good, &good]).await;
    let run = both.host.until("the first release", &first, Run::is_over).await;
    assert_eq!(run.status.word(), "succeeded", "{}", run.status.words());
    both.expect_serving("v1").await;

    // There.
    let load = both.load().await;
    let began = WallClock.now();
    let second = both.start("v2", [&good, &good]).await;
    let run = both.host.until("a good model", &second, Run::is_over).await;
    assert_eq!(run.status.word(), "succeeded", "{}", run.status.words());
    let promoted = both.of(&second, Action::Promoted).await;
    assert_eq!((promoted.len(), promoted[0].at), (2, promoted[1].at));
    eprintln!(
        "good: both promoted in one decision, drained after {}",
        WallClock.now().since(began)
    );
    both.expect_serving("v2").await;
    let title = "Two clusters: one after the other, promoted together";
    both.draw("release.svg", title, &run, &load).await;
    for (load, name) in load.iter().zip(WAVES) {
        load.expect_nothing_lost(&format!("good, {name}")).await;
    }

    // And back, for what is seen in the second cluster alone.
    let third = both.start("v3", [&good, &errs]).await;
    let run = both.host.until("a bad model", &third, Run::is_over).await;
    assert_eq!(run.status.word(), "rolled_back", "{}", run.status.words());
    assert!(
        run.status.words().contains("chat in west: error_rate"),
        "{}",
        run.status.words()
    );
    let decided = both.of(&third, Action::RevertDecided).await;
    assert_eq!((decided.len(), decided[0].at), (2, decided[1].at));
    assert!(
        decided
            .iter()
            .any(|entry| entry.before.as_deref() == Some("held"))
    );
    for entry in both.of(&third, Action::Reverted).await {
        eprintln!("bad in west: {}; {:?}", entry.detail, entry.evidence);
    }
    both.expect_serving("v2").await;
    let title = "Two clusters: bad in west, and both go back together";
    both.draw("release-back.svg", title, &run, &load).await;
    load[0].expect_nothing_lost("bad in west, users of east").await;
    drop(load);
    without_the_first(&both, &good, &errs).await;
}

/// The API server of the first cluster is stopped when the second breaches.
async fn without_the_first(both: &Both, good: &Value, errs: &Value) {
    let load = both.load().await;
    let run = both.start("v4", [good, errs]).await;
    let now = both
        .host
        .until("traffic in west", &run, |run| has_traffic(run, 1))
        .await;
    let revisions = [candidate(&now, 0), candidate(&now, 1)];
    let server = both.worlds[0].cluster.api_server().unwrap();
    server.stop().await;
    let stopped = WallClock.now();

    let loop_on = both.host.until("west is back", &run, |run| is_back(run, 1));
    let (now, gone) = tokio::join!(loop_on, left_alone(both, 1, &revisions[1], stopped));
    let change = rollout(&now, 1).unwrap().changes.last().unwrap();
    let took = |at: Option<Timestamp>| at.unwrap().since(change.decided);
    eprintln!(
        "east stopped: west is left alone {gone} after the stop; weight 0 accepted {}, observed {}, effective {} after the verdict",
        took(change.accepted),
        took(change.observed),
        took(change.effective),
    );
    let accepted = took(change.accepted);
    assert!(accepted < Span::seconds(3), "{accepted}");
    assert!(!is_back(&now, 0));
    assert_eq!(
        now.partly_back().as_deref(),
        Some("partly back: chat in west; not yet: chat in east")
    );

    let called = |run: &Run| {
        rollout(run, 0)
            .and_then(|east| east.away)
            .is_some_and(|away| away.paged)
    };
    let now = both.host.until("a person is called", &run, called).await;
    let east = rollout(&now, 0).unwrap();
    let after = WallClock.now().since(east.since);
    eprintln!(
        "east stopped: a person is called {after} after the verdict: {}",
        east.waits_for
    );
    assert!(after >= Span::seconds(10) && after < Span::seconds(20), "{after}");

    server.go_on().await;
    let answers = WallClock.now();
    let loop_on = both.host.until("it is over", &run, Run::is_over);
    let (now, gone) = tokio::join!(loop_on, left_alone(both, 0, &revisions[0], answers));
    assert_eq!(now.status.word(), "rolled_back", "{}", now.status.words());
    eprintln!(
        "east goes on: left alone {gone} after that, {} after it was stopped",
        WallClock.now().since(stopped)
    );
    both.expect_serving("v2").await;
    load[0]
        .expect_nothing_lost("east, with its API server stopped and then back")
        .await;
    for entry in both.host.log(&run).await {
        eprintln!("{} {}", entry.action.as_str(), entry.detail);
    }
}
