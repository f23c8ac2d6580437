//! A step that waits for a person before the next: because it is written so, or because somebody holds it.
//!
//! Both revisions serve meanwhile, and what is measured still sends traffic back. Nobody answers: traffic goes back.

use serde::{Deserialize, Serialize};

use super::moves::{because, wait};
use super::phases::Rollout;
use super::revert::revert_now;
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::{CommitState, Effect};
use crate::ids::{ApprovalToken, StepId};
use crate::people::Actor;
use crate::pipeline::RolloutRule;
use crate::time::{Span, Timestamp};

/// Longest time that a person may hold a rollout: both revisions have their GPUs meanwhile.
pub const HELD_WITHIN: Span = Span::hours(24);

/// How a pause stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Paused {
    /// When a person was asked.
    pub since: Timestamp,
    /// What the button carries that lets it go on; nothing in pauses that were stored before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<ApprovalToken>,
    /// When traffic goes back if nobody answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Who lets it go on, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<(Actor, String)>,
    /// Who holds it, and why; nothing: it is written so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<(Actor, String)>,
}

impl Paused {
    /// Somebody holds it, from now on.
    pub(crate) fn held(draft: &Draft, by: Actor, reason: &str) -> Self {
        Self {
            since: draft.now,
            token: Some(draft.token.clone()),
            until: Some(draft.now + HELD_WITHIN),
            by: None,
            held: Some((by, reason.to_owned())),
        }
    }
}

/// Whether the step waits for a person. `written`: it is to be paused here, for at most this long.
pub(super) fn waits_for_person(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    written: Option<Span>,
) -> bool {
    let within = rollout.holder().map(|_| HELD_WITHIN).or(written);
    within.is_some_and(|within| paused(draft, rollout, id, rule, within))
}

fn paused(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule, within: Span) -> bool {
    let Some(state) = rollout.paused.take() else {
        let description = format!("paused at {}, asks a person", rollout.weight);
        draft.effects.push(Effect::ReportStatus {
            state: CommitState::Pending,
            description,
        });
        rollout.paused = Some(Paused {
            since: draft.now,
            token: Some(draft.token.clone()),
            until: Some(draft.now + within),
            by: None,
            held: None,
        });
        draft.effects.push(Effect::Page { step: id });
        tell(draft, rollout, within);
        return true;
    };
    match state.by {
        Some((actor, reason)) => {
            let words = format!(
                "{actor} lets it go on from {}{}",
                rollout.weight,
                because(&reason)
            );
            draft.note_by(actor, Action::StepPassed, words);
            false
        }
        None if draft.now.since(state.since) >= within => {
            let what = if state.held.is_some() { "held" } else { "paused" };
            let why = format!(
                "{what} at {}, and nobody let it go on within {within}",
                rollout.weight
            );
            revert_now(draft, rollout, id, rule, &why, Actor::Weir);
            true
        }
        None => {
            rollout.paused = Some(state);
            tell(draft, rollout, within);
            true
        }
    }
}

fn tell(draft: &mut Draft, rollout: &mut Rollout, within: Span) {
    let who = rollout.holder().map_or_else(
        || "paused".to_owned(),
        |(actor, reason)| format!("held by {actor}{}", because(reason)),
    );
    let words = format!(
        "{who}: a person is asked (`weir approve` lets it go on from {}), for {within}",
        rollout.weight
    );
    wait(draft, rollout, &words);
}
