//! A rollout: both sides, the plan, and every change of traffic with its times.

use weir_domain::rollout::{Plan, Rollout};
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
            rollout.weight.rest(),
            &rollout.stable_seen,
        ));
    }
    lines.push(side(
        "candidate",
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

/// `5 % for 10m, 20 %, 50 %, 100 %; peak 5 GPU; revert: instant`
fn plan(plan: &Plan) -> String {
    let step = |step: &weir_domain::rollout::PlannedStep| match step.hold.0 {
        0 => step.weight.to_string(),
        _ => format!("{} for {}", step.weight, step.hold),
    };
    let steps: Vec<String> = plan.steps.iter().map(step).collect();
    let revert = if plan.instant_revert {
        "instant"
    } else {
        "a new rollout"
    };
    format!(
        "{}; peak {} GPU; revert: {revert}",
        steps.join(", "),
        plan.gpu_peak
    )
}

/// `traffic    01:17:03   5 %  accepted 12ms  observed 340ms  effective 1.2s`
fn change(change: &TrafficChange, zone: &Zone) -> String {
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
