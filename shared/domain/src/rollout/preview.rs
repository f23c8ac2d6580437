//! A candidate that has all its replicas and no traffic yet: what must be seen of it before it gets any.
//!
//! It is a step like every other, of 0 %: it can be resumed, and the way back from it is that of a rollout which never had
//! traffic. It is over when all replicas were warm without a break, and its commands, if there are any, have ended well.

use serde::{Deserialize, Serialize};

use super::moves::{enter_step, wait};
use super::phases::Rollout;
use super::revert::revert_now;
use super::watch::doubt;
use crate::audit::Action;
use crate::decide::{Draft, tail};
use crate::effect::Effect;
use crate::ids::StepId;
use crate::people::Actor;
use crate::pipeline::{BlueGreen, RolloutRule};
use crate::seen::ExecutionSeen;
use crate::time::Timestamp;

/// What was seen so far.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Preview {
    /// Since when all replicas are warm without a break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_since: Option<Timestamp>,
    /// Its commands.
    #[serde(default)]
    pub checks: Checks,
}

/// How the commands of a preview stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checks {
    /// There are none, or they wait for the candidate to be warm.
    #[default]
    Ahead,
    /// They run.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// They ended well.
    Passed,
    /// They ended badly, or were stopped.
    Over,
}

impl Checks {
    /// When they began, if they run.
    pub fn began(self) -> Option<Timestamp> {
        match self {
            Self::Running { since } => Some(since),
            _ => None,
        }
    }
}

impl Preview {
    /// Whether its commands run.
    pub fn is_checked(&self) -> bool {
        self.checks.began().is_some()
    }

    /// When it has been whole for as long as it must.
    pub(super) fn due(&self, rule: &RolloutRule) -> Option<Timestamp> {
        Some(self.whole_since? + rule.strategy.previewed()?.preview)
    }
}

/// A look at a candidate without traffic.
pub(super) fn previewing(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    step: usize,
) {
    let Some(asked) = rule.strategy.previewed() else {
        return enter_step(draft, rollout, id, step + 1);
    };
    if rollout.candidate_seen.crashes > rollout.crashes_before {
        let crash = rollout.candidate_seen.last_crash.clone().unwrap_or_default();
        let why = format!("crashed before it had any traffic: {crash}");
        return doubt(draft, rollout, id, rule, &why);
    }
    let lacks = lacks(draft, rollout, id, rule, asked, step);
    let limit = asked.limit(rule.warm_within);
    match lacks {
        None => pass(draft, rollout, id, rule, step),
        Some(lacks) if draft.now.since(rollout.since) >= limit => {
            let why = format!("the preview was not over within {limit}: {lacks}");
            revert_now(draft, rollout, id, rule, &why, Actor::Weir);
        }
        Some(lacks) => wait(draft, rollout, &lacks),
    }
}

/// What is missing before traffic may move, in words that begin with their kind. Starts the commands when it is their turn.
fn lacks(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    asked: &BlueGreen,
    step: usize,
) -> Option<String> {
    let (now, needed) = (draft.now, rollout.plan.steps[step].candidate_replicas);
    let warm = rollout.candidate_seen.warm;
    let words = rollout.candidate_seen.words.clone();
    let address = rule.preview_address(&rollout.candidate);
    let preview = rollout.preview.get_or_insert_default();
    if warm < needed {
        preview.whole_since = None;
        return Some(format!("preview: {warm} of {needed} replicas warm; {words}"));
    }
    let whole = now.since(*preview.whole_since.get_or_insert(now));
    if asked.checks.is_some() && preview.checks == Checks::Ahead {
        preview.checks = Checks::Running { since: now };
        draft.effects.push(Effect::StartExecution { step: id });
    }
    if preview.is_checked() {
        return Some(format!("checks: commands look at {address}"));
    }
    (whole < asked.preview).then(|| {
        let asked = asked.preview;
        format!("preview: at {address}, without traffic, for {asked}")
    })
}

fn pass(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule, step: usize) {
    let since = rollout.preview.as_ref().and_then(|preview| preview.whole_since);
    let whole = draft.now.since(since.unwrap_or(draft.now));
    let checked = match rollout.preview.as_ref().map(|preview| preview.checks) {
        Some(Checks::Passed) => ", and its checks ended well",
        _ => "",
    };
    let (warm, address) = (
        rollout.candidate_seen.warm,
        rule.preview_address(&rollout.candidate),
    );
    let words = format!("preview: {warm} replicas warm for {whole} at {address}{checked}");
    draft.note(Action::StepPassed, words);
    enter_step(draft, rollout, id, step + 1);
}

/// The commands were looked at. A late look changes nothing.
pub(crate) fn checked(draft: &mut Draft, id: StepId, seen: &ExecutionSeen) {
    let (Some(rule), Some(mut rollout)) = (draft.run.rule(id).cloned(), draft.take_rollout(id)) else {
        return;
    };
    if rollout.is_checked() && rollout.can_revert() {
        match seen {
            ExecutionSeen::Missing | ExecutionSeen::Running => {}
            ExecutionSeen::Pending(why) => wait(draft, &mut rollout, &format!("checks: {why}")),
            ExecutionSeen::Unreachable(why) => {
                wait(draft, &mut rollout, &format!("cluster does not answer: {why}"));
            }
            ExecutionSeen::Failed(why) => failed(draft, &mut rollout, id, &rule, why, ""),
            ExecutionSeen::Finished {
                exit_code: 0,
                log_tail,
                ..
            } => ended(draft, &mut rollout, id, Checks::Passed, log_tail),
            ExecutionSeen::Finished {
                exit_code, log_tail, ..
            } => failed(
                draft,
                &mut rollout,
                id,
                &rule,
                &format!("exit code {exit_code}"),
                log_tail,
            ),
        }
    }
    draft.put_rollout(id, rollout);
}

fn failed(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule, why: &str, log: &str) {
    ended(draft, rollout, id, Checks::Over, log);
    doubt(
        draft,
        rollout,
        id,
        rule,
        &format!("its checks failed before it had any traffic: {why}"),
    );
}

fn ended(draft: &mut Draft, rollout: &mut Rollout, id: StepId, checks: Checks, log: &str) {
    rollout.preview.get_or_insert_default().checks = checks;
    tail(log).clone_into(&mut draft.step_mut(id).log_tail);
}

/// Traffic goes back, or never came: nothing is to be checked any more.
pub(super) fn stop_checks(draft: &mut Draft, rollout: &mut Rollout, id: StepId) {
    if let Some(preview) = rollout.preview.as_mut().filter(|preview| preview.is_checked()) {
        preview.checks = Checks::Over;
        draft.effects.push(Effect::StopExecution { step: id });
    }
}
