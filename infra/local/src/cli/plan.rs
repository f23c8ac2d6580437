//! `weir plan`: the plan that a run would make, with what it costs and whether it fits.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use weir_cluster::{names, pod_labels};
use weir_domain::budget::problems;
use weir_domain::fit::{Ask, Snapshot, stable_pods};
use weir_domain::ids::ServiceName;
use weir_domain::ladder::Action as Rung;
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::{
    Ahead, Choice, Forecast, ForecastStep, Question, Site, Timing, choose, forecast, no_requests, plan,
};
use weir_domain::seen::{Bounds, Ground};
use weir_domain::time::Span;

use super::args::Plan as Args;
use super::bounds::bounds;
use super::cluster::{cluster, load, objects, workload};
use super::fit::fits_json;
use super::output::{Exit, Failure, Output};
use super::rule::{Named, rule};
use crate::view::text::clean;

#[derive(Serialize)]
struct Answer {
    pipeline: String,
    step: String,
    steps: Vec<Value>,
    gpu_peak: u32,
    seconds: u64,
    bake_seconds: u64,
    warnings: Vec<String>,
    /// What it is promoted with, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<String>,
    /// What was measured of the cluster, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    bounds: Option<String>,
}

pub(super) fn answer(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let question = &args.question;
    let Named {
        pipeline,
        step,
        mut rule,
        mut warnings,
        release,
    } = rule(args)?;
    let cluster = cluster(question)?;
    let (object, from) = match &args.workload {
        Some(path) => (objects(path)?, path.as_path()),
        None => (
            of_rule(&rule, &cluster.snapshot),
            Path::new("the pipeline's workload"),
        ),
    };
    let workload = workload(&cluster, &object, from, question)?;
    let given = question
        .replicas
        .or(workload.replicas.and_then(|n| u32::try_from(n).ok()));
    if args.workload.is_some() || question.replicas.is_some() {
        rule.workload.replicas = given.unwrap_or(rule.workload.replicas).max(1);
    }
    if args.workload.is_some() {
        rule.lane.service = ServiceName::new(&workload.ask.name);
    }
    if let Some((name, _)) = workload.ask.devices().next() {
        name.clone_into(&mut rule.workload.gpu_resource);
    }
    let gpus: i64 = workload.ask.devices().map(|(_, count)| count).sum();
    rule.workload.gpus = u32::try_from(gpus).unwrap_or(u32::MAX);
    let (stable, unseen) = stable(args, &cluster.snapshot, &workload.ask, &rule, &mut warnings);
    let ground = Ground {
        snapshot: cluster.snapshot,
        ask: workload.ask,
        bounds: args.bounds.as_deref().map(bounds).transpose()?,
    };
    if stable.is_none() && rule.adopts.is_none() && rule.strategy.mirrored().is_some() {
        warnings.push(format!("the run would be refused: {}", no_requests(&rule)));
    }
    let plan = match choose(&Question {
        rule: &rule,
        stable,
        ground: &ground,
        ahead: Ahead::default(),
        load: load(question),
        waited: Span::ZERO,
    }) {
        Choice::Go(plan) => plan,
        Choice::Wait { words, .. } => {
            warnings.push(format!("the run would wait for {words}"));
            plan(&rule, stable)
        }
        Choice::Refuse(why) => {
            warnings.push(format!("the run would be refused: {why}"));
            plan(&rule, stable)
        }
    };
    if plan.rung != Rung::Surge {
        warnings.push(format!("{}: {}", plan.rung, plan.why));
    }
    if !plan.other_hardware.is_empty() {
        warnings.push(format!("other hardware: {}", plan.other_hardware));
    }
    warnings.extend(problems(
        &ground.snapshot,
        &ground.ask,
        &rule.target.service,
        stable.unwrap_or(0),
        rule.workload.replicas,
    ));
    let site = Site {
        snapshot: &ground.snapshot,
        ask: &ground.ask,
        unseen,
    };
    let timing = timing(args, ground.bounds.as_ref());
    let bounds = ground.bounds.map(|bounds| bounds.words());
    let mut told = forecast(&plan, &rule, timing, load(question), Some(site));
    warnings.append(&mut told.warnings);
    told.warnings = warnings;
    let answer = Answer {
        pipeline,
        step,
        steps: told.steps.iter().map(step_json).collect(),
        gpu_peak: told.gpu_peak,
        seconds: seconds(told.total),
        bake_seconds: seconds(rule.bake),
        warnings: told.warnings.clone(),
        release: release.clone(),
        bounds: bounds.clone(),
    };
    out.answer(&answer, || {
        let more = release.iter().chain(&bounds);
        let more = more.map(|words| format!("\n  {}", clean(words)));
        text(&told, &rule, stable) + &more.collect::<String>()
    });
    Ok(Exit::Answered)
}

/// The workload of the step as an object like any other, with the labels that tell its pods.
fn of_rule(rule: &RolloutRule, snapshot: &Snapshot) -> Value {
    let mut template = rule.workload.template.clone();
    for (key, value) in pod_labels(&rule.lane, &rule.workload.revision()) {
        template["metadata"]["labels"][key] = value;
    }
    json!({
        "kind": "Deployment",
        "metadata": {"name": rule.lane.service.as_str(), "namespace": rule.target.namespace.as_str()},
        "spec": {
            "replicas": rule.workload.replicas,
            "selector": {"matchLabels": labels_of_pods(rule, snapshot)},
            "template": template,
        },
    })
}

/// The labels by which the pods of the service are known: Weir's, the workload's own, or what charts call them by; the first
/// that any pod has.
fn labels_of_pods(rule: &RolloutRule, snapshot: &Snapshot) -> Value {
    let own = &rule.workload.template["metadata"]["labels"];
    let service = rule.lane.service.as_str();
    let known = [
        json!({names::LANE: names::lane_label(&rule.lane)}),
        own.clone(),
        json!({"app.kubernetes.io/name": service}),
        json!({"app": service}),
    ];
    let space = rule.target.namespace.as_str();
    let carries = |labels: &Value| {
        let wanted = labels.as_object().filter(|wanted| !wanted.is_empty());
        wanted.is_some_and(|wanted| {
            let mut pods = snapshot.pods.iter().filter(|pod| pod.namespace == space);
            pods.any(|pod| {
                let has = |(key, value): (&String, &Value)| {
                    pod.labels.get(key).map(String::as_str) == value.as_str()
                };
                wanted.iter().all(has)
            })
        })
    };
    let found = known.iter().find(|labels| carries(labels));
    found.unwrap_or(own).clone()
}

/// Replicas that serve now, and how many of them the snapshot does not hold.
fn stable(
    args: &Args,
    snapshot: &Snapshot,
    ask: &Ask,
    rule: &RolloutRule,
    warnings: &mut Vec<String>,
) -> (Option<u32>, u32) {
    let seen = u32::try_from(stable_pods(snapshot, ask).len()).unwrap_or(u32::MAX);
    let assumed = match (args.stable, seen) {
        (Some(given), _) => given,
        (None, 0) => {
            let replicas = rule.workload.replicas;
            warnings.push(format!(
                "no pod of this workload is in the cluster: planned as if {replicas} stable replicas were to be there; \
                 --stable 0 plans a first release"
            ));
            replicas
        }
        (None, seen) => seen,
    };
    let unseen = assumed.saturating_sub(seen);
    if args.stable.is_some() && unseen > 0 {
        warnings.push(format!(
            "{seen} of {assumed} stable replicas are found among the pods of the cluster by their labels: {unseen} more are \
             counted beside all that is there; --workload says which pods are meant"
        ));
    }
    ((assumed > 0).then_some(assumed), unseen)
}

/// What is given of how long things take, and what was measured of the cluster.
fn timing(args: &Args, bounds: Option<&Bounds>) -> Timing {
    let mut timing = Timing::of(bounds);
    if let Some(seconds) = args.warm {
        timing.warm = Span::seconds(u64::from(seconds));
        timing.known = true;
    }
    timing
}

fn step_json(step: &ForecastStep) -> Value {
    json!({
        "kind": step.planned.kind.as_str(),
        "weight": step.planned.weight,
        "stable_replicas": step.planned.stable_replicas,
        "candidate_replicas": step.planned.candidate_replicas,
        "gpus": step.gpus,
        "seconds": seconds(step.takes),
        "revert_seconds": step.revert.map(seconds),
        "fits": step.fits.map(fits_json),
        "pause_seconds": step.planned.pause.map(seconds),
    })
}

/// Whole seconds, rounded up: a promise of less would not be kept.
fn seconds(span: Span) -> u64 {
    span.0.div_ceil(1_000)
}

fn text(told: &Forecast, rule: &RolloutRule, stable: Option<u32>) -> String {
    let from = stable.map_or_else(
        || "nothing".to_owned(),
        |count| format!("{count} stable replicas"),
    );
    let mut lines = vec![format!(
        "{}, {}: from {from} to {} of the candidate; at most {} {}, {} in all, {} of it watched at 100 %",
        rule.lane,
        rule.strategy.as_str(),
        rule.workload.replicas,
        told.gpu_peak,
        rule.workload.gpu_resource,
        told.total,
        rule.bake,
    )];
    lines.push("  step  weight  candidate  stable  GPUs  takes       way back".into());
    for (number, step) in told.steps.iter().enumerate() {
        let back = step
            .revert
            .map_or_else(|| "none".to_owned(), |span| span.to_string());
        let fits = step.fits.map(|fits| fits.to_string());
        let pause = step.planned.pause;
        let pause = pause.map(|within| format!("then a person is asked, and it goes back after {within}"));
        let more: Vec<String> = fits.into_iter().chain(pause).collect();
        let more = more.join("; ");
        let row = format!(
            "  {:<4}  {:>6}  {:>9}  {:>6}  {:>4}  {:<10}  {back:<8}  {more}",
            number + 1,
            step.planned.weight.to_string(),
            step.planned.candidate_replicas,
            step.planned.stable_replicas,
            step.gpus,
            step.takes.to_string(),
        );
        lines.push(row.trim_end().to_owned());
    }
    lines.extend(
        told.warnings
            .iter()
            .map(|warning| format!("  warning: {warning}")),
    );
    let lines: Vec<String> = lines.iter().map(|line| clean(line)).collect();
    lines.join("\n")
}
