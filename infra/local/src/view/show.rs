//! `weir show`: how a run stands, and how it came to that.

use weir_domain::audit::Entry;
use weir_domain::run::{PartStatus, Run, RunStatus, StageRun, StepRun};
use weir_domain::time::Timestamp;

use super::text::{clean, fit, wrap};
use super::timeline::timeline;
use super::{Look, doing, environments, name, part_word, rollout, short};

/// The whole page.
pub(crate) fn show(run: &Run, entries: &[Entry], look: &Look) -> String {
    let mut out = head(run, look);
    out.push_str("\nstages\n");
    for (index, (stage, state)) in run.pipeline.stages.iter().zip(&run.stages).enumerate() {
        out.push_str(&format!(
            "  {} {}{}\n",
            cell(&state.status, look),
            clean(&stage.name),
            approval(state)
        ));
        for (id, step, state) in run.steps().filter(|(id, ..)| id.stage == index) {
            let line = format!(
                "    {} {}{}",
                cell(&state.status, look),
                fit(&clean(&step.name), 40),
                took(state, look.now)
            );
            out.push_str(line.trim_end());
            out.push('\n');
            if let PartStatus::Failed { why } = &state.status {
                indented(&mut out, &clean(why), look);
            }
            if let Some(experiment) = run.experiment(id) {
                indented(&mut out, &clean(&experiment.told()), look);
            }
            for line in state.collecting.iter().flat_map(|collecting| &collecting.verdict) {
                indented(&mut out, &clean(line), look);
            }
            if let Some(rollout) = run.rollout(id) {
                for line in rollout::rollout(rollout, look) {
                    out.push_str(&format!("      {line}\n"));
                }
            }
        }
    }
    out.push_str("\ntimeline\n");
    out.push_str(&timeline(entries, look));
    for warning in &run.pipeline.warnings {
        out.push_str(&format!("warning: {}\n", clean(warning)));
    }
    out
}

fn head(run: &Run, look: &Look) -> String {
    let cause = &run.cause;
    let environments = environments(run);
    let to = if environments.is_empty() {
        String::new()
    } else {
        format!(" → {environments}")
    };
    let word = run.status.word().replace('_', " ");
    let mark = match &run.status {
        RunStatus::Running => "·",
        RunStatus::Succeeded => "✓",
        _ => "✗",
    };
    let span = run.ended.unwrap_or(look.now).since(run.began);
    let joint = if run.ended.is_some() { "after" } else { "for" };
    let mut out = format!(
        "{mark} {}  {}{to}  {} {joint} {span}\n",
        name(run),
        short(cause.after.as_str()),
        look.state(&word)
    );
    let words = run.status.words();
    if words != run.status.word() {
        indented(&mut out, &clean(&words), look);
    }
    for words in doing(run, &look.zone) {
        indented(&mut out, &words, look);
    }
    let fields = [
        ("began", look.zone.full(run.began)),
        ("by", clean(&cause.actor.to_string())),
        ("because", clean(&cause.reason)),
        (
            "commit",
            format!("{} {}", clean(cause.after.as_str()), clean(&cause.headline)),
        ),
        (
            "from",
            format!("{} {}", clean(&cause.repository.name), clean(&cause.git_ref)),
        ),
        ("run", clean(run.id.as_str())),
    ];
    for (label, text) in fields {
        for (at, line) in wrap(&text, look.width.saturating_sub(12)).iter().enumerate() {
            out.push_str(&format!("  {:<8} {line}\n", if at == 0 { label } else { "" }));
        }
    }
    out
}

fn indented(out: &mut String, text: &str, look: &Look) {
    for line in wrap(text, look.width.saturating_sub(8)) {
        out.push_str(&format!("      {line}\n"));
    }
}

fn cell(status: &PartStatus, look: &Look) -> String {
    let word = part_word(status);
    format!(
        "{}{}",
        look.state(word),
        " ".repeat(9_usize.saturating_sub(word.len()))
    )
}

fn took(state: &StepRun, now: Timestamp) -> String {
    match state.began {
        Some(began) => format!(" {}", state.ended.unwrap_or(now).since(began)),
        None => String::new(),
    }
}

fn approval(state: &StageRun) -> String {
    match &state.approval {
        Some(approval) => {
            let given: Vec<&str> = approval.given.iter().map(|given| given.by.as_str()).collect();
            let by = if given.is_empty() {
                String::new()
            } else {
                format!(" ({})", clean(&given.join(", ")))
            };
            format!(": {}{by}", clean(&approval.state.words()))
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample;

    #[test]
    fn a_run_that_went_back_tells_what_was_measured() {
        let (run, entries) = sample::rolled_back();
        insta::assert_snapshot!(show(&run, &entries, &sample::look()));
    }

    #[test]
    fn nothing_that_somebody_wrote_moves_the_terminal_and_lines_fit() {
        let (run, entries) = sample::hostile();
        let page = show(&run, &entries, &sample::look());
        let loose = page
            .chars()
            .find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(loose, None, "{page}");
        for line in page.lines() {
            assert!(crate::view::text::columns(line) <= 80, "{line}");
        }
    }
}
