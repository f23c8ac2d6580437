//! What can happen to a run, in the past tense.

use crate::approval::{Answer, MessageRef};
use crate::ids::{ApprovalToken, Fence, LaneKey, StepId};
use crate::people::Identity;
use crate::seen::{ExecutionSeen, ExperimentSeen, GroundSeen, RolloutSeen, Series, SiteSeen};
use crate::time::{Span, Timestamp};

/// One thing that happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// Somebody looks: a message, a timer. It says nothing but "look at the clock and the lanes" (invariant 7).
    Woken,
    /// A Kubernetes Job was looked at.
    ExecutionSeen {
        /// Its step.
        step: StepId,
        /// What there was.
        seen: ExecutionSeen,
    },
    /// A rollout was looked at.
    RolloutSeen {
        /// Its step.
        step: StepId,
        /// What there was.
        seen: RolloutSeen,
    },
    /// An experiment was looked at.
    ExperimentSeen {
        /// Its first step.
        step: StepId,
        /// What there was.
        seen: ExperimentSeen,
    },
    /// Metrics were collected.
    SeriesSeen {
        /// The step that collects.
        step: StepId,
        /// All numbers so far.
        series: Series,
    },
    /// The ground of a rollout was looked at.
    GroundSeen {
        /// The rollout step that asked.
        step: StepId,
        /// What fits there.
        seen: GroundSeen,
    },
    /// What a rollout needs beside its own objects was looked at.
    SiteSeen {
        /// The rollout step that asked.
        step: StepId,
        /// Whether it is there.
        seen: SiteSeen,
    },
    /// The source host compared the run's commit with the one that serves.
    LineageSeen {
        /// The rollout step that asked.
        step: StepId,
        /// Whether the run's commit descends from it; why not known, in words.
        descends: Result<bool, String>,
    },
    /// The API server took new weights.
    WeightsAccepted {
        /// The rollout step.
        step: StepId,
        /// Fence of the write.
        fence: Fence,
        /// When.
        at: Timestamp,
    },
    /// An effect can never be performed: a right or an object is missing.
    EffectRefused {
        /// The step it belongs to.
        step: StepId,
        /// Why, with the object's name and the fix.
        why: String,
    },
    /// The message that asks for an approval was posted.
    ApprovalShown {
        /// The stage.
        stage: usize,
        /// Where it stands.
        message: MessageRef,
    },
    /// A person answered an approval.
    ApprovalAnswered {
        /// Which.
        token: ApprovalToken,
        /// Who, as the door authenticated them.
        by: Identity,
        /// What.
        answer: Answer,
    },
    /// A person wants the run to end.
    CancelRequested {
        /// Who.
        by: Identity,
        /// Why.
        reason: String,
    },
    /// A person lets a step pass that could not be decided, or that waits for a person.
    PassRequested {
        /// Who.
        by: Identity,
        /// Why.
        reason: String,
        /// The pause that their button belongs to; nothing: whatever the run asks.
        pause: Option<ApprovalToken>,
    },
    /// A person wants the run's rollouts to stay where they are.
    HoldRequested {
        /// Who.
        by: Identity,
        /// Why.
        reason: String,
    },
    /// A person takes the run's rollouts to their end without waiting for the steps that are left.
    SkipRequested {
        /// Who.
        by: Identity,
        /// Why.
        reason: String,
    },
    /// A person wants traffic back on the stable revision.
    RollbackRequested {
        /// Who.
        by: Identity,
        /// Why.
        reason: String,
        /// Also if stable is not well.
        force: bool,
    },
    /// A monitoring system says that something is wrong with a service in an environment.
    AlarmRaised {
        /// Which service, where.
        lane: LaneKey,
        /// What it says.
        alarm: Alarm,
    },
}

/// An alarm as a monitoring system raised it. It can only send traffic back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    /// Its name there.
    pub name: String,
    /// Since when it is raised.
    pub since: Timestamp,
    /// What it says to people; may be empty.
    pub summary: String,
}

/// Time, a fresh token and limits: what the core needs from outside at the moment of a decision (invariant 1).
#[derive(Clone, PartialEq, Debug)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// Unguessable, used if the decision asks people.
    pub token: ApprovalToken,
    /// Limits of the host.
    pub limits: Limits,
}

/// How often the world is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// While something is on its way and every second counts: a revert, a drain, a first look.
    pub settle: Span,
    /// For [`Limits::quick_for`] after a change.
    pub quick: Span,
    /// How long looks stay quick.
    pub quick_for: Span,
    /// Otherwise.
    pub slow: Span,
}

impl Limits {
    /// A look at this interval, whatever happens; what is on its way is still looked at each second.
    pub fn every(interval: Span) -> Self {
        let usual = Self::default();
        Self {
            settle: usual.settle.min(interval),
            quick: interval,
            slow: interval,
            ..usual
        }
    }
}

impl Default for Limits {
    /// Design §6: every 5 s for 2 min after a change, else every 15 s.
    fn default() -> Self {
        Self {
            settle: Span::seconds(1),
            quick: Span::seconds(5),
            quick_for: Span::minutes(2),
            slow: Span::seconds(15),
        }
    }
}
