//! What is known of a run so far, in as few lines as a phone shows.

use weir_domain::run::{PartStatus, Run, StepRun};
use weir_domain::time::Timestamp;

/// A line for the run, one for each stage that began, one for each rollout.
pub(crate) fn evidence(run: &Run, now: Timestamp) -> String {
    let mut lines = vec![format!(
        "{}: {}; {}",
        run.title(),
        run.status.words(),
        run.cause.reason
    )];
    for (index, (stage, state)) in run.pipeline.stages.iter().zip(&run.stages).enumerate() {
        if let Some(approval) = &state.approval {
            lines.push(format!("{}: {}", stage.name, approval.state.words()));
        }
        for (id, step, state) in run.steps().filter(|(id, ..)| id.stage == index) {
            if let Some(line) = ended(&step.name, state, now) {
                lines.push(line);
            }
            if let Some(rollout) = run.rollout(id) {
                let counts = rollout.candidate_counts();
                let mut line = format!(
                    "  {} {}: {} requests at {}, {} failed",
                    rollout.candidate,
                    rollout.words(),
                    counts.requests,
                    rollout.weight,
                    counts.bad
                );
                if let Some(why) = &rollout.reverted_because {
                    line.push_str(&format!("; went back: {why}"));
                }
                lines.push(line);
            }
        }
    }
    lines.join("\n")
}

fn ended(name: &str, state: &StepRun, now: Timestamp) -> Option<String> {
    let took = state.ended.unwrap_or(now).since(state.began?);
    Some(match &state.status {
        PartStatus::Pending | PartStatus::Skipped => return None,
        PartStatus::Running => format!("{name}: running for {took}"),
        PartStatus::Succeeded => format!("{name}: ok in {took}"),
        PartStatus::Stopped => format!("{name}: stopped after {took}"),
        PartStatus::Failed { why } => format!("{name}: failed after {took}: {why}"),
    })
}
