//! The Kubernetes Job of a Plugin step was looked at.

use super::{Draft, Rejected};
use crate::audit::Action;
use crate::ids::StepId;
use crate::rollout;
use crate::run::PartStatus;
use crate::seen::ExecutionSeen;

/// Bytes of a log that the run keeps; the whole log stays with the Kubernetes Job.
const LOG_TAIL_LIMIT: usize = 4_096;

pub(super) fn seen(draft: &mut Draft, step: StepId, seen: &ExecutionSeen) -> Result<(), Rejected> {
    if draft.run.rule(step).is_some() {
        rollout::checked(draft, step, seen);
        return Ok(());
    }
    let Some(plugin) = draft.run.plugin(step).cloned() else {
        return Err(Rejected::WrongStep {
            run: draft.run.id.to_string(),
            step,
            expected: "Plugin",
        });
    };
    // A late look at a step that has ended changes nothing.
    if draft.step_mut(step).status != PartStatus::Running {
        return Ok(());
    }
    match seen {
        // The effect that starts it is still in the outbox, or the look came first.
        ExecutionSeen::Missing => waits(draft, step, "its Kubernetes Job is being created"),
        ExecutionSeen::Pending(why) => waits(draft, step, why),
        ExecutionSeen::Running => waits(draft, step, ""),
        ExecutionSeen::Unreachable(why) => waits(draft, step, &format!("cluster does not answer: {why}")),
        ExecutionSeen::Failed(why) => fail(draft, step, why, ""),
        ExecutionSeen::Finished {
            exit_code: 0,
            outputs,
            log_tail,
        } => {
            if let Some(missing) = plugin.outputs.iter().find(|name| !outputs.contains_key(*name)) {
                let why = format!("its commands ended well but did not write the output `{missing}`");
                fail(draft, step, &why, log_tail);
                return Ok(());
            }
            let declared = outputs.iter().filter(|(name, _)| plugin.outputs.contains(name));
            let outputs = declared
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            succeed(draft, step, outputs, log_tail);
        }
        ExecutionSeen::Finished {
            exit_code, log_tail, ..
        } => {
            fail(draft, step, &format!("exit code {exit_code}"), log_tail);
        }
    }
    Ok(())
}

fn succeed(draft: &mut Draft, id: StepId, outputs: std::collections::BTreeMap<String, String>, log: &str) {
    let Some(slug) = draft.run.step(id).map(|step| step.slug.clone()) else {
        return;
    };
    ended(draft, id, log);
    let note = draft.pass_step(id, "");
    for (key, value) in &outputs {
        note.with(key, value.as_str());
    }
    if !outputs.is_empty() {
        draft.run.outputs.insert(slug, outputs);
    }
}

fn fail(draft: &mut Draft, id: StepId, why: &str, log: &str) {
    ended(draft, id, log);
    draft.fail_step(id, why);
}

fn ended(draft: &mut Draft, id: StepId, log: &str) {
    let state = draft.step_mut(id);
    state.waits_for.clear();
    tail(log).clone_into(&mut state.log_tail);
}

/// What a step waits for is said once each time it changes.
fn waits(draft: &mut Draft, id: StepId, words: &str) {
    let state = draft.step_mut(id);
    if state.waits_for != words {
        words.clone_into(&mut state.waits_for);
        if !words.is_empty() {
            draft.note(Action::Waiting, words);
        }
    }
}

/// The last bytes of a log, cut at a character.
pub(crate) fn tail(log: &str) -> &str {
    let mut from = log.len().saturating_sub(LOG_TAIL_LIMIT);
    while !log.is_char_boundary(from) {
        from += 1;
    }
    &log[from..]
}
