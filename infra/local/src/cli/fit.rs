//! `weir fit --cluster FILE --workload FILE --replicas N`

use serde::Serialize;
use serde_json::{Value, json};
use weir_domain::fit::{Ask, Fit, Fits, Snapshot, fit, notes};
use weir_domain::ladder::{Ladder, Rung, ladder};

use super::args::Fit as Args;
use super::cluster::{cluster, load, objects, workload};
use super::output::{Exit, Failure, Output};
use crate::view::text::clean;

#[derive(Serialize)]
struct Answer {
    fits: Value,
    max_replicas: u64,
    sure_replicas: u64,
    placements: Vec<Value>,
    reasons: Vec<Value>,
    ladder: Vec<Value>,
    changes: Vec<String>,
    notes: Vec<String>,
}

pub(super) fn answer(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let question = &args.question;
    let cluster = cluster(question)?;
    let workload = workload(&cluster, &objects(&args.workload)?, &args.workload, question)?;
    let replicas = question
        .replicas
        .map(u64::from)
        .or(workload.replicas)
        .unwrap_or(1);
    let fit = fit(&cluster.snapshot, &workload.ask, replicas);
    let ladder = ladder(&cluster.snapshot, &workload.ask, &fit, load(question));
    let mut notes = notes(&cluster.snapshot, &workload.ask);
    notes.extend(cluster.snapshot.unknown.iter().cloned());
    let answer = Answer {
        fits: fits_json(fit.fits),
        max_replicas: fit.max_replicas,
        sure_replicas: fit.sure_replicas,
        placements: fit
            .placements
            .iter()
            .map(|placed| json!({"node": placed.node, "replicas": placed.replicas}))
            .collect(),
        reasons: fit
            .reasons
            .iter()
            .map(|group| json!({"reason": group.reason.to_string(), "code": group.reason.code(), "nodes": group.nodes}))
            .collect(),
        ladder: ladder.rungs.iter().map(rung_json).collect(),
        changes: ladder.changes.clone(),
        notes: notes.clone(),
    };
    out.answer(&answer, || {
        text(&cluster.snapshot, &workload.ask, &fit, &ladder, &notes)
    });
    Ok(Exit::Answered)
}

/// `true`, `false` or `"depends_on_order"`.
pub(super) fn fits_json(fits: Fits) -> Value {
    match fits {
        Fits::Yes => true.into(),
        Fits::No => false.into(),
        Fits::DependsOnOrder => "depends_on_order".into(),
    }
}

fn rung_json(rung: &Rung) -> Value {
    json!({"action": rung.action.as_str(), "possible": rung.possible, "why": rung.why})
}

fn text(snapshot: &Snapshot, ask: &Ask, fit: &Fit, ladder: &Ladder, notes: &[String]) -> String {
    let mut lines = vec![format!("{}: {}", fit.fits, asked(ask, fit.replicas))];
    let nodes = snapshot.nodes.len();
    let reasons: Vec<String> = fit.reasons.iter().map(ToString::to_string).collect();
    let word = if nodes == 1 { "node" } else { "nodes" };
    lines.push(format!("  {nodes} {word}: {}", reasons.join(" · ")));
    if !fit.placements.is_empty() {
        let placed: Vec<String> = fit
            .placements
            .iter()
            .map(|placed| format!("{} on {}", placed.replicas, placed.node))
            .collect();
        let word = if fit.fits == Fits::No {
            "as far as there is room"
        } else {
            "where"
        };
        lines.push(format!("  {word}: {}", placed.join(" · ")));
    }
    if fit.fits != Fits::Yes {
        let rung = ladder.chosen();
        lines.push(format!("  then: {}: {}", rung.action, rung.why));
        if !ladder.changes.is_empty() {
            lines.push(format!("  smallest change: {}", ladder.changes.join(", or ")));
        }
    }
    lines.extend(notes.iter().map(|note| format!("  note: {note}")));
    let lines: Vec<String> = lines.iter().map(|line| clean(line)).collect();
    lines.join("\n")
}

/// `2 replicas × 4 nvidia.com/gpu`.
fn asked(ask: &Ask, replicas: u64) -> String {
    let word = if replicas == 1 { "replica" } else { "replicas" };
    let devices: Vec<String> = ask
        .devices()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    match devices.is_empty() {
        true => format!("{replicas} {word}"),
        false => format!("{replicas} {word} × {}", devices.join(" + ")),
    }
}
