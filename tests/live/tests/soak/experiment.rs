//! An experiment with variants that run already.

use serde_json::{Value, json};
use weir_domain::experiment::{Experiment, Phase};
use weir_domain::ids::RunId;
use weir_domain::pipeline::RolloutRule;
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_live::{REPLICAS, Shape, Stage, eventually, variant};

use crate::cell::{At, Cell, Way};
use crate::harm::{harm, keep_on, without_power};
use crate::lane::{Ended, GPUS_OF_A_LANE, Lane};

const TWO: [(&str, u8); 2] = [("model-a", 50), ("model-b", 50)];
/// Their pods, and nobody else's.
const LABELS: &str = "team=ml";
/// The shortest time that metrics are collected for.
const MINUTE_MS: u64 = 60_000;
/// Variants that are not warm are given up after this time.
const COLD_AFTER: Span = Span::seconds(15);
/// Seconds until a model is loaded that nobody waits for.
const NEVER_S: f64 = 86_400.0;
/// Seconds until one is loaded whose process ends before.
const LOADS_S: f64 = 4.0;

/// Makes the variants as somebody else does.
pub(crate) async fn furnish(lane: &Lane, cell: &Cell) {
    let stage = &lane.stage;
    let warms = cell.place.at == At::Growing(0);
    let loads = match cell.way {
        Way::Crash | Way::OutOfMemory if warms => LOADS_S,
        _ if warms => NEVER_S,
        _ => 0.0,
    };
    let world = &stage.world;
    let path = world.path("apps/v1", "deployments");
    for (version, _) in TWO {
        let shape = Shape {
            model: json!({"load_seconds": loads}),
            ..Shape::rollout(version, None)
        };
        let mut made = shape.deployment(version, REPLICAS);
        if cell.way == Way::NodeLost {
            keep_on(&mut made["spec"]["template"], &lane.own_node);
        }
        world.admin.create(&path, &made).await.ok();
    }
    if warms {
        return;
    }
    eventually("the variants run", async || {
        for (version, _) in TWO {
            let made: Value = world.admin.get(&format!("{path}/{version}")).await.ok();
            if made["status"]["availableReplicas"] != REPLICAS {
                return Err(made["status"].to_string());
            }
        }
        Ok(())
    })
    .await;
}

/// Takes them away.
pub(crate) async fn clear(stage: &Stage) {
    let world = &stage.world;
    for (version, _) in TWO {
        let path = world.path("apps/v1", &format!("deployments/{version}"));
        world.admin.delete(&path).await.ok();
    }
    eventually("no pod of theirs is left", async || {
        match world.pods(LABELS).await.len() {
            0 => Ok(()),
            left => Err(format!("{left} pods")),
        }
    })
    .await;
}

/// Plays a cell.
pub(crate) async fn play(lane: &Lane, cell: &Cell, version: &str) -> Ended {
    let stage = &lane.stage;
    let rules = |rule: &mut RolloutRule| rule.warm_within = COLD_AFTER;
    let run = stage
        .experiment_changed(version, &TWO, MINUTE_MS, "true", rules)
        .await;
    let mut broken = Vec::new();
    if !cell.is_promoted() {
        let reached =
            |run: &Run| run.is_over() || of(run).is_some_and(|experiment| stands(experiment, cell.place.at));
        let seen = stage.host.until("its step", &run, reached).await;
        if seen.is_over() {
            broken.push(format!("it ended before its step: {}", seen.status.words()));
        } else {
            lane.sampled().await;
            turn(lane, &run, cell).await;
        }
    }
    let is_back =
        |run: &Run| run.is_over() || of(run).is_some_and(|experiment| experiment.phase == Phase::Over);
    let seen = stage.host.until("traffic is back", &run, is_back).await;
    if cell.way == Way::NodeLost {
        lane.given_up().await;
    }
    let back = lane.counts().await;
    let ended = stage.host.until("it is over", &run, Run::is_over).await;
    broken.extend(otherwise(cell, &ended.status.words()));
    if !broken.is_empty() {
        stage.tell_log(&run).await;
    }
    let change = of(&seen).and_then(|experiment| experiment.changes.last());
    Ended {
        broken,
        back,
        back_ms: change.and_then(|change| Some(change.effective?.since(change.decided).0)),
        new: TWO.map(|(version, _)| variant(version)).into(),
        bad: TWO.map(|(version, _)| version.to_owned()).into(),
        // Nothing is made: what the service and the variants hold anyhow.
        gpus: GPUS_OF_A_LANE,
        succeeded: ended.status.word() == "succeeded",
    }
}

fn of(run: &Run) -> Option<&Experiment> {
    run.steps().find_map(|(.., state)| state.experiment.as_deref())
}

fn stands(experiment: &Experiment, at: At) -> bool {
    match at {
        At::Growing(_) => experiment.phase == Phase::Warming,
        At::Watching(_) | At::Baking => experiment.in_effect(),
    }
}

async fn turn(lane: &Lane, run: &RunId, cell: &Cell) {
    let stage = &lane.stage;
    if cell.way == Way::Person {
        return stage.roll_back(run).await;
    }
    let decided = |run: &Run| run.is_over() || of(run).is_some_and(|experiment| experiment.ending.is_some());
    if cell.way == Way::NodeLost {
        let noticed = Box::pin(stage.host.until("it is noticed", run, decided));
        without_power(&stage.world, &lane.own_node, noticed).await;
        return;
    }
    tokio::select! {
        _ = stage.host.until("it is noticed", run, decided) => {}
        () = harm(&stage.world, LABELS, cell.way, cell.place.at) => {}
    }
}

fn otherwise(cell: &Cell, said: &str) -> Option<String> {
    let reason = match (cell.way, cell.place.at) {
        (Way::Promotion, _) => "succeeded",
        (Way::Person, _) => "wrong language",
        (_, At::Growing(_)) => "not warm within",
        _ => "no variant is warm",
    };
    (!said.contains(reason)).then(|| format!("it ended with `{said}`"))
}
