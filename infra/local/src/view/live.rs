//! The live page of `weir watch` on a terminal: a few lines that are drawn again.

use weir_domain::audit::Entry;
use weir_domain::rollout::Rollout;
use weir_domain::run::{PartStatus, Run};
use weir_domain::units::Weight;

use super::text::{clean, cut, fit};
use super::{Look, doing, environments, name, short};

/// Columns of a bar of 100 %.
const BAR: usize = 40;

/// Events shown below.
const EVENTS: usize = 5;

/// Lines that each fit the width.
pub(crate) fn live(run: &Run, entries: &[Entry], look: &Look) -> Vec<String> {
    let total = run.steps().count() + run.stages.iter().filter(|stage| stage.steps.is_empty()).count();
    let over = run.steps().filter(|(.., state)| state.status.is_over()).count()
        + run
            .stages
            .iter()
            .filter(|stage| stage.steps.is_empty() && stage.status.is_over())
            .count();
    let span = run.ended.unwrap_or(look.now).since(run.began);
    let mut lines = vec![format!(
        "{}  {} → {}   {over}/{total} done   {} {span}",
        name(run),
        short(run.cause.after.as_str()),
        environments(run),
        run.status.word().replace('_', " "),
    )];
    let moving = run
        .steps()
        .filter(|(.., state)| state.status == PartStatus::Running);
    for rollout in moving.filter_map(|(.., state)| state.rollout.as_deref()) {
        lines.extend(sides(rollout));
    }
    lines.extend(
        doing(run, &look.zone)
            .into_iter()
            .map(|words| format!("now        {words}")),
    );
    let last = entries.iter().rev().take(EVENTS).rev();
    lines.extend(last.map(|entry| {
        let what = entry.action.as_str().replace('_', " ");
        format!(
            "{}   {} {}",
            look.zone.time(entry.at),
            fit(&what, 18),
            clean(&entry.detail)
        )
    }));
    lines.iter().map(|line| cut(line, look.width)).collect()
}

fn sides(rollout: &Rollout) -> Vec<String> {
    let side = |word: &str, revision: &str, weight: Weight, seen: &weir_domain::seen::RevisionSeen| {
        let bar = "█".repeat(BAR * usize::from(weight.percent()) / 100);
        let percent = weight.to_string();
        format!(
            "{word:<10} {} {bar:<BAR$} {percent:>5}  {}/{} warm  {} GPU",
            fit(&clean(revision), 11),
            seen.warm,
            seen.desired,
            seen.gpus
        )
    };
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
    lines.push(format!(
        "counted    {} requests of the candidate at this weight, {} failed",
        counts.requests, counts.bad
    ));
    lines
}

#[cfg(test)]
mod tests {
    use crate::view::sample;
    use crate::view::text::columns;

    #[test]
    fn both_sides_and_the_last_events_stand_on_the_page() {
        let (run, entries) = sample::stepping();
        let lines = super::live(&run, &entries, &sample::look());
        insta::assert_snapshot!(lines.join("\n"));
        assert!(lines.iter().all(|line| columns(line) <= 80));
    }
}
