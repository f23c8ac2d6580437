//! The live page of `weir watch` on a terminal: a few lines that are drawn again.

use weir_domain::audit::Entry;
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::Rollout;
use weir_domain::run::{PartStatus, Run, StepRun};
use weir_domain::seen::RevisionSeen;
use weir_domain::units::Weight;

use super::gauges::{deadline, gauges, of_everything};
use super::rollout::change;
use super::text::{clean, cut, fit};
use super::{Look, doing, environments, name, short};

/// Events shown below, where there is room.
const EVENTS: usize = 5;

/// Lines that each fit the width, and all together the height: the page is drawn over itself.
pub(crate) fn live(run: &Run, entries: &[Entry], look: &Look) -> Vec<String> {
    let mut lines = vec![head(run, look)];
    for (id, _, state) in run.steps() {
        let (Some(rollout), Some(rule)) = (state.rollout.as_deref(), run.rule(id)) else {
            continue;
        };
        if is_shown(run, state, rollout) {
            lines.extend(sides(rollout, look));
            lines.extend(gauges(rollout, rule, look));
            lines.extend(notices(rollout, rule, look));
        }
    }
    let now = doing(run, &look.zone).into_iter();
    lines.extend(now.map(|words| cut(&format!("now        {words}"), look.width)));
    // The cursor stands in a line of its own below.
    let room = look.height.saturating_sub(1);
    lines.truncate(room);
    let events = EVENTS.min(room - lines.len());
    let last = entries.iter().skip(entries.len().saturating_sub(events));
    lines.extend(last.map(|entry| event(entry, look)));
    lines
}

/// One that moves, and one that went back, so that the last page says why.
fn is_shown(run: &Run, state: &StepRun, rollout: &Rollout) -> bool {
    state.status == PartStatus::Running || (run.is_over() && rollout.reverted_because.is_some())
}

fn head(run: &Run, look: &Look) -> String {
    let approvals = run.stages.iter().filter(|stage| stage.steps.is_empty());
    let total = run.steps().count() + approvals.clone().count();
    let over = run.steps().filter(|(.., state)| state.status.is_over()).count()
        + approvals.filter(|stage| stage.status.is_over()).count();
    let span = run.ended.unwrap_or(look.now).since(run.began);
    let line = format!(
        "{}  {} → {}   {over}/{total} done   {} {span}",
        name(run),
        short(run.cause.after.as_str()),
        environments(run),
        run.status.word().replace('_', " "),
    );
    cut(&line, look.width)
}

fn sides(rollout: &Rollout, look: &Look) -> Vec<String> {
    let side = |word: &str, revision: &str, weight: Weight, seen: &RevisionSeen| {
        let bar = of_everything(weight, look);
        let percent = weight.to_string();
        let waits = match seen.warm < seen.desired && !seen.words.is_empty() {
            true => format!("  {}", clean(&seen.words)),
            false => String::new(),
        };
        let line = format!(
            "{word:<10} {} {bar} {percent:>5}  {}/{} warm  {} GPU{waits}",
            fit(&clean(revision), 11),
            seen.warm,
            seen.desired,
            seen.gpus
        );
        cut(&line, look.width)
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
    lines
}

/// What was counted, and what of it went wrong or will.
fn notices(rollout: &Rollout, rule: &RolloutRule, look: &Look) -> Vec<String> {
    let mut lines = Vec::new();
    let counts = rollout.candidate_counts();
    if counts.requests > 0 {
        lines.push(format!(
            "counted    {} requests of the candidate at this weight, {} failed",
            counts.requests, counts.bad
        ));
    }
    if let Some(words) = deadline(rollout, rule, look) {
        lines.push(format!("deadline   {words}"));
    }
    if let Some(why) = &rollout.reverted_because {
        lines.push(format!("went back  {}", clean(why)));
        lines.extend(rollout.changes.last().map(|last| change(last, &look.zone)));
    }
    lines.iter().map(|line| cut(line, look.width)).collect()
}

fn event(entry: &Entry, look: &Look) -> String {
    let what = entry.action.as_str().replace('_', " ");
    let line = format!(
        "{}   {} {}",
        look.zone.time(entry.at),
        fit(&what, 18),
        clean(&entry.detail)
    );
    cut(&line, look.width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample;
    use crate::view::text::columns;

    #[test]
    fn both_sides_the_evidence_and_the_last_events_stand_on_the_page() {
        let (run, entries) = sample::judged();
        let lines = live(&run, &entries, &sample::look());
        insta::assert_snapshot!(lines.join("\n"));
        assert!(lines.iter().all(|line| columns(line) <= 80));
    }

    #[test]
    fn the_last_page_of_one_that_went_back_says_why_and_how_soon() {
        let (run, entries) = sample::rolled_back();
        insta::assert_snapshot!(live(&run, &entries, &sample::look()).join("\n"));
    }

    #[test]
    fn a_page_is_no_higher_and_no_wider_than_its_terminal() {
        let (run, entries) = sample::judged();
        for (width, height) in [(80, 1), (80, 5), (40, 24), (80, 24), (100, 12), (200, 50)] {
            let look = Look {
                width,
                height,
                ..sample::look()
            };
            let lines = live(&run, &entries, &look);
            assert!(lines.len() < height, "{width}×{height}: {}", lines.len());
            assert!(lines.iter().all(|line| columns(line) <= width), "{lines:#?}");
        }
    }
}
