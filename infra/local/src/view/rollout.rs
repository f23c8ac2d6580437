//! A rollout: both sides, the plan, and every change of traffic with its times.

use weir_domain::ladder::Action as Rung;
use weir_domain::rollout::{Plan, PlannedStep, Rollout};
use weir_domain::seen::{RevisionSeen, TrafficChange};
use weir_domain::time::Timestamp;
use weir_domain::units::Weight;

use super::text::{clean, wrap};
use super::{Look, Zone};

/// Traffic changes that are shown; the timeline has all of them.
const SHOWN: usize = 8;

/// Lines, not indented.
pub(super) fn rollout(rollout: &Rollout, look: &Look) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(stable) = &rollout.stable {
        lines.push(side(
            "stable",
            stable.revision.as_str(),
            rollout.stable_share(),
            &rollout.stable_seen,
        ));
    }
    lines.push(side(
        rollout.role(),
        rollout.candidate.as_str(),
        rollout.weight,
        &rollout.candidate_seen,
    ));
    let counts = rollout.candidate_counts();
    if counts.requests > 0 {
        lines.push(format!(
            "counted    {} requests of the candidate at this weight, {} failed",
            counts.requests, counts.bad
        ));
    }
    if !rollout.plan.steps.is_empty() {
        lines.extend(labelled("plan", &plan(&rollout.plan), look));
    }
    if let Some(why) = &rollout.reverted_because {
        lines.extend(labelled("went back", &clean(why), look));
    }
    let skipped = rollout.changes.len().saturating_sub(SHOWN);
    if skipped > 0 {
        lines.push(format!("traffic    {skipped} earlier changes"));
    }
    lines.extend(
        rollout
            .changes
            .iter()
            .skip(skipped)
            .map(|one| change(one, &look.zone)),
    );
    lines
}

fn labelled(label: &str, text: &str, look: &Look) -> Vec<String> {
    let lines = wrap(text, look.width.saturating_sub(19).max(20));
    let label = |at: usize| if at == 0 { label } else { "" };
    lines
        .iter()
        .enumerate()
        .map(|(at, line)| format!("{:<10} {line}", label(at)))
        .collect()
}

fn side(word: &str, revision: &str, weight: Weight, seen: &RevisionSeen) -> String {
    let percent = weight.to_string();
    let mut line = format!(
        "{word:<10} {:<12} {percent:>5}  {}/{} warm  {} GPU",
        clean(revision),
        seen.warm,
        seen.desired,
        seen.gpus
    );
    if seen.warm < seen.desired && !seen.words.is_empty() {
        line.push_str(&format!("  {}", clean(&seen.words)));
    }
    line
}

/// `5 % for 10m, 33 %, 66 %, 100 %; replicas 1/3, 2/2, 3/1, 4/0; peak 4 GPU; revert: instant up to 33 %`
fn plan(plan: &Plan) -> String {
    let share = |step: &PlannedStep| match step.hold.0 {
        0 => step.weight.to_string(),
        _ => format!("{} for {}", step.weight, step.hold),
    };
    let shares: Vec<String> = plan.steps.iter().map(share).collect();
    let revert = match plan.instant_revert {
        true => "instant",
        false if plan.reserve > plan.carries => "as stable's replicas are warm again",
        false => "instant while stable carries everything, then as its replicas are warm again",
    };
    let mut words = shares.join(", ");
    if plan.lends() {
        let sides = |step: &PlannedStep| format!("{}/{}", step.candidate_replicas, step.stable_replicas);
        let mut sides: Vec<String> = plan.steps.iter().map(sides).collect();
        sides.dedup();
        words.push_str(&format!("; replicas {} candidate/stable", sides.join(", ")));
    }
    words.push_str(&format!("; peak {} GPU; revert: {revert}", plan.gpu_peak));
    if plan.rung != Rung::Surge {
        words.push_str(&format!("; {}: {}", plan.rung, clean(&plan.why)));
    }
    words
}

/// `traffic    01:17:03   5 %  accepted 12ms  observed 340ms  effective 1.2s`
pub(super) fn change(change: &TrafficChange, zone: &Zone) -> String {
    let percent = change.weight.to_string();
    let mut line = format!("traffic    {} {percent:>5}", zone.time(change.decided));
    let times: [(&str, Option<Timestamp>); 3] = [
        ("accepted", change.accepted),
        ("observed", change.observed),
        ("effective", change.effective),
    ];
    for (word, at) in times {
        match at {
            Some(at) => line.push_str(&format!("  {word} {}", at.since(change.decided))),
            None => line.push_str(&format!("  {word} –")),
        }
    }
    line
}
