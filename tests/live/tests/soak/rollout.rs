//! A rollout that is brought to a step, and then goes back or on.

use serde_json::json;
use weir_domain::ids::RunId;
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::{Phase, Rollout};
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_live::{Stage, backend, effective_ms, raised_after_revert, rollout};

use crate::cell::{At, Cell, Strategy, Way};
use crate::harm::{harm, keep_on, without_power};
use crate::lane::{Ended, Lane, defined};

/// Watched at 100 % for so long: what is bad is noticed within.
const BAKE: Span = Span::seconds(12);
/// A candidate becomes warm within this time, beside many others on two cores.
const WARM_WITHIN: Span = Span::seconds(90);
/// One that never does is given up after this time.
const COLD_AFTER: Span = Span::seconds(15);
/// Seconds that a model loads: a pod that is on its way is met before it is ready.
const LOADS_S: f64 = 2.0;

/// Plays a cell.
pub(crate) async fn play(lane: &Lane, cell: &Cell, version: &str) -> Ended {
    let stage = &lane.stage;
    let run = push(lane, cell, version).await;
    let mut broken = Vec::new();
    if cell.is_promoted() {
        reach(stage, &run, None).await;
    } else {
        let reached = reach(stage, &run, Some(cell.place.at)).await;
        if reached.is_over() {
            broken.push(format!("it ended before its step: {}", reached.status.words()));
        } else {
            lane.sampled().await;
            turn(lane, &run, cell).await;
        }
    }
    let is_back =
        |run: &Run| run.is_over() || of(run).is_some_and(|rollout| rollout.phase != Phase::Reverting);
    stage.host.until("traffic is back", &run, is_back).await;
    if cell.way == Way::NodeLost {
        lane.given_up().await;
    }
    let back = lane.counts().await;
    let is_over = |run: &Run| run.is_over() && of(run).is_some_and(Rollout::is_over);
    let ended = stage.host.until("nothing of it moves", &run, is_over).await;
    broken.extend(otherwise(cell, &ended.status.words()));
    let log = stage.host.log(&run).await;
    if raised_after_revert(&log) > 0 {
        broken.push("a weight was raised after the revert".to_owned());
    }
    let went = rollout(&ended);
    if went.gpus_peak > went.plan.gpu_peak {
        broken.push(format!(
            "Weir saw {} GPUs of {}",
            went.gpus_peak, went.plan.gpu_peak
        ));
    }
    if !broken.is_empty() {
        stage.tell_log(&run).await;
    }
    Ended {
        broken,
        back,
        back_ms: effective_ms(went),
        new: vec![backend(&went.candidate)],
        bad: vec![version.to_owned()],
        gpus: went.plan.gpu_peak,
        succeeded: ended.status.word() == "succeeded",
    }
}

async fn push(lane: &Lane, cell: &Cell, version: &str) -> RunId {
    let stage = &lane.stage;
    let never = match cell.way {
        Way::Unready => matches!(cell.place.at, At::Growing(_)) || is_preview(cell),
        Way::NodeLost => cell.place.at == At::Growing(0),
        _ => false,
    };
    let change = |rule: &mut RolloutRule| {
        rule.bake = BAKE;
        rule.warm_within = if never { COLD_AFTER } else { WARM_WITHIN };
        if cell.way == Way::NodeLost {
            keep_on(&mut rule.workload.template, &lane.own_node);
        }
    };
    let model = json!({"load_seconds": LOADS_S});
    stage
        .push_changed(version, model, defined(cell.strategy), change)
        .await
}

fn is_preview(cell: &Cell) -> bool {
    cell.strategy == Strategy::BlueGreen && cell.place.at == At::Watching(0)
}

fn of(run: &Run) -> Option<&Rollout> {
    run.steps().find_map(|(.., state)| state.rollout.as_deref())
}

/// Lets it go on to a step, or to its end, past every pause on the way.
async fn reach(stage: &Stage, run: &RunId, at: Option<At>) -> Run {
    loop {
        let stands = |rollout: &Rollout| at.is_some_and(|at| stands(rollout, at));
        let waits = |run: &Run| {
            let rollout = of(run);
            run.is_over() || rollout.is_some_and(|rollout| rollout.is_paused() || stands(rollout))
        };
        let seen = stage.host.until("its step", run, waits).await;
        if seen.is_over() || of(&seen).is_some_and(stands) {
            return seen;
        }
        stage.go_on(run).await;
    }
}

fn stands(rollout: &Rollout, at: At) -> bool {
    let planned = rollout.step();
    let shared = || {
        rollout
            .changes
            .last()
            .is_none_or(|change| change.accepted.is_some())
    };
    let pauses = planned.is_some_and(|step| step.pause.is_some());
    match at {
        At::Growing(step) => rollout.phase == Phase::Growing { step },
        At::Watching(step) => {
            rollout.phase == Phase::Watching { step } && shared() && (!pauses || rollout.is_paused())
        }
        At::Baking => rollout.phase == Phase::Baking,
    }
}

/// Makes it go back, and waits until that is decided.
async fn turn(lane: &Lane, run: &RunId, cell: &Cell) {
    let stage = &lane.stage;
    if cell.way == Way::Person {
        return stage.roll_back(run).await;
    }
    let candidate = rollout(&stage.host.run(run).await).candidate.clone();
    let labels = format!("weir.dev/revision={candidate}");
    let decided =
        |run: &Run| run.is_over() || of(run).is_some_and(|rollout| rollout.reverted_because.is_some());
    if cell.way == Way::NodeLost {
        let noticed = Box::pin(stage.host.until("it is noticed", run, decided));
        without_power(&stage.world, &lane.own_node, noticed).await;
        return;
    }
    tokio::select! {
        _ = stage.host.until("it is noticed", run, decided) => {}
        () = harm(&stage.world, &labels, cell.way, cell.place.at) => {}
    }
}

/// What is wrong with how it ended.
fn otherwise(cell: &Cell, said: &str) -> Option<String> {
    let grows = matches!(cell.place.at, At::Growing(_));
    let reasons: &[&str] = match cell.way {
        Way::Promotion => &["succeeded"],
        Way::Person => &["wrong language"],
        Way::Metric => &["error_rate"],
        // Requests that fail meanwhile may be noticed first.
        Way::Crash => &["crash", "no replica answers", "error_rate"],
        Way::OutOfMemory => &["OOMKilled", "no replica answers", "error_rate"],
        Way::NodeLost if cell.place.at == At::Growing(0) => &["not warm within"],
        // Until the cluster knows of the node; then another replica is waited for, which has no other node here.
        Way::NodeLost => &["no replica answers", "error_rate", "not warm within"],
        Way::Unready if grows => &["not warm within"],
        Way::Unready if is_preview(cell) => &["the preview was not over"],
        Way::Unready => &["no replica answers"],
    };
    let as_expected = reasons.iter().any(|reason| said.contains(reason));
    (!as_expected).then(|| format!("it ended with `{said}`"))
}
