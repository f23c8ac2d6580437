//! `decide(state, event, moment)`: the one place where a run moves on. One `match`, one file per decision.

mod advance;
mod alarm;
mod answer;
mod begin;
mod draft;
mod end;
mod execution;
mod foresee;
mod look;
mod queue;
pub(crate) mod release;
mod steer;
mod turn;

use crate::approval::Refusal;
use crate::audit::Note;
use crate::effect::Effect;
use crate::event::{Event, Moment};
use crate::experiment;
use crate::ids::{ApprovalToken, StepId};
use crate::run::State;

pub use begin::{Refused, begin, refuse};
pub(crate) use draft::Draft;
pub(crate) use execution::tail;
pub use look::{Duty, Wanted, next_look, wants};

/// What comes next, and what is to be done about it.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    /// The state after.
    pub next: State,
    /// To be performed, in this order, after the state is stored.
    pub effects: Vec<Effect>,
    /// To be recorded with the state.
    pub notes: Vec<Note>,
    /// What the person who acted is told.
    pub reply: Option<Reply>,
}

/// What the person who acted is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// It counted; how things stand now.
    Done(String),
    /// It did not count, and why.
    Refused(String),
}

/// An event that cannot happen to this state: a bug of the sender, or a message for another run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Rejected {
    /// The run has no such step, or the step does something else.
    #[error("step {step} of run {run} is no {expected} step")]
    WrongStep {
        /// The run.
        run: String,
        /// The step named.
        step: StepId,
        /// What the event is about.
        expected: &'static str,
    },
    /// No approval of the run carries this token.
    #[error("run {run} has no approval with this token")]
    UnknownApproval {
        /// The run.
        run: String,
        /// The token named.
        token: ApprovalToken,
    },
}

/// Decides what follows from an event, then from the clock and the lanes.
///
/// Duplicate and late events are ordinary: they leave the state as it is and have no effects (invariant 7).
///
/// # Errors
/// [`Rejected`] for an event that cannot happen to this run.
pub fn decide(state: &State, event: &Event, moment: &Moment) -> Result<Decision, Rejected> {
    let mut draft = Draft::new(state, moment);
    match event {
        Event::Woken => {}
        Event::ExecutionSeen { step, seen } => execution::seen(&mut draft, *step, seen)?,
        Event::RolloutSeen { step, seen } => turn::seen(&mut draft, *step, seen)?,
        Event::ExperimentSeen { step, seen } => {
            turn::must_be_rollout(&draft, *step)?;
            experiment::observe(&mut draft, *step, seen);
        }
        Event::SeriesSeen { step, series } => {
            experiment::collect::seen(&mut draft, *step, series, &moment.limits);
        }
        Event::GroundSeen { step, seen } => turn::ground(&mut draft, *step, seen)?,
        Event::SiteSeen { step, seen } => turn::site(&mut draft, *step, seen)?,
        Event::LineageSeen { step, descends } => turn::lineage(&mut draft, *step, descends)?,
        Event::WeightsAccepted { step, fence, at } => turn::accepted(&mut draft, *step, *fence, *at)?,
        Event::EffectRefused { step, why } => end::effect_refused(&mut draft, *step, why),
        Event::ApprovalShown { stage, message } => answer::shown(&mut draft, *stage, message),
        Event::ApprovalAnswered { token, by, answer } => answer::answered(&mut draft, token, by, answer)?,
        Event::CancelRequested { by, reason } => end::cancel(&mut draft, by, reason),
        Event::PassRequested { by, reason, pause } => steer::let_pass(&mut draft, by, reason, pause.as_ref()),
        Event::HoldRequested { by, reason } => steer::hold(&mut draft, by, reason),
        Event::SkipRequested { by, reason } => steer::skip(&mut draft, by, reason),
        Event::RollbackRequested { by, reason, force } => end::roll_back(&mut draft, by, reason, *force),
        Event::AlarmRaised { lane, alarm } => alarm::raised(&mut draft, lane, alarm),
    }
    advance::advance(&mut draft);
    Ok(draft.finish())
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.to_string())
    }
}
