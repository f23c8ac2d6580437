//! What a decision wants done. Effects are absolute, keyed and fenced (invariant 8): a repeat is harmless, a late one
//! is dropped. They refer to the run for everything large, so that an outbox row stays small.

use serde::{Deserialize, Serialize};

use crate::decide::Duty;
use crate::experiment::Keep;
use crate::ids::{Fence, RevisionId, RunId, StepId};
use crate::rollout::Autoscaler;
use crate::units::Weight;

/// One effect. Its key is `run#version#n`, given when the decision is committed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Start the Kubernetes Job of a Plugin step. It is named after run and step: a second start finds the first.
    StartExecution {
        /// The step.
        step: StepId,
    },
    /// Stop it.
    StopExecution {
        /// The step.
        step: StepId,
    },
    /// Create the candidate's objects if they are missing, and set its replicas.
    EnsureRevision {
        /// The rollout step that says what the revision consists of.
        step: StepId,
        /// Which.
        revision: RevisionId,
        /// Replicas.
        replicas: u32,
        /// Fence of the write.
        fence: Fence,
    },
    /// Set the replicas of a revision that exists.
    ScaleRevision {
        /// The rollout step.
        step: StepId,
        /// Which.
        revision: RevisionId,
        /// Replicas.
        replicas: u32,
        /// Pods that go first when it shrinks: those whose places are wanted.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        leaving: Vec<String>,
        /// Fence of the write.
        fence: Fence,
    },
    /// Give a Deployment that Weir did not make a Service of its own, so that it can be stable: its pods stay as they are. The
    /// plain Service is held to the same pods where it would select the candidate's too.
    AdoptRevision {
        /// The rollout step that adopts it.
        step: StepId,
        /// Which.
        revision: RevisionId,
        /// Fence of the write.
        fence: Fence,
    },
    /// Put back what an adoption changed: the plain Service selects what it did, and has the route again.
    ReleaseRevision {
        /// The rollout step that adopted it.
        step: StepId,
        /// Which.
        revision: RevisionId,
        /// Fence of the write.
        fence: Fence,
    },
    /// Let what scales stable change nothing until it is freed.
    HoldAutoscaler {
        /// The rollout step.
        step: StepId,
        /// Which.
        by: Autoscaler,
        /// Fence of the write.
        fence: Fence,
    },
    /// Let it scale a revision, within the bounds that it had.
    FreeAutoscaler {
        /// The rollout step.
        step: StepId,
        /// Which.
        by: Autoscaler,
        /// Whom it scales from here on.
        target: RevisionId,
        /// Fence of the write.
        fence: Fence,
    },
    /// Set the shares of the route. Nothing named: the route goes back to the plain Service.
    SetWeights {
        /// The rollout step that says which route.
        step: StepId,
        /// Shares that sum to 100.
        split: Vec<(RevisionId, Weight)>,
        /// The revision that gets copies of so many requests of a hundred; nothing: no revision of the lane gets any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mirror: Option<(RevisionId, Weight)>,
        /// Callers that stay with their variant; nothing: all requests are sent by the shares.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<Keep>,
        /// Fence of the write.
        fence: Fence,
    },
    /// Let the plain Service select the promoted revision, for callers that bypass the route.
    RetargetService {
        /// The rollout step that says which Service.
        step: StepId,
        /// Which.
        revision: RevisionId,
        /// Fence of the write.
        fence: Fence,
    },
    /// Remove everything of a revision.
    RemoveRevision {
        /// The rollout step.
        step: StepId,
        /// Which.
        revision: RevisionId,
        /// Fence of the write.
        fence: Fence,
    },
    /// Ask people for an approval, or show how it stands or ended.
    ShowApproval {
        /// The stage that waits.
        stage: usize,
    },
    /// Tell the on-call what happened and what serves now.
    Page {
        /// The rollout step.
        step: StepId,
    },
    /// Set the commit's status.
    ReportStatus {
        /// Which.
        state: CommitState,
        /// For people; cut to what the host takes.
        description: String,
    },
    /// Let another run look again: its turn has come, or its place is taken.
    Wake {
        /// Which.
        run: RunId,
    },
}

/// A commit status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitState {
    /// On its way, or waiting.
    Pending,
    /// Done.
    Success,
    /// Rolled back, failed, rejected.
    Failure,
    /// Could not be run at all.
    Error,
}

impl Effect {
    /// Whether it moves traffic. Such effects go first, and a delayed message that repeats them is sent before they
    /// are performed.
    pub fn moves_traffic(&self) -> bool {
        matches!(self, Self::SetWeights { .. })
    }

    /// Whose work it is.
    pub fn duty(&self) -> Duty {
        match self {
            Self::EnsureRevision { .. }
            | Self::ScaleRevision { .. }
            | Self::AdoptRevision { .. }
            | Self::ReleaseRevision { .. }
            | Self::HoldAutoscaler { .. }
            | Self::FreeAutoscaler { .. }
            | Self::SetWeights { .. }
            | Self::RetargetService { .. }
            | Self::RemoveRevision { .. } => Duty::Traffic,
            _ => Duty::Steps,
        }
    }

    /// The step it belongs to, if it belongs to one.
    pub fn step(&self) -> Option<StepId> {
        match self {
            Self::StartExecution { step }
            | Self::StopExecution { step }
            | Self::EnsureRevision { step, .. }
            | Self::ScaleRevision { step, .. }
            | Self::AdoptRevision { step, .. }
            | Self::ReleaseRevision { step, .. }
            | Self::HoldAutoscaler { step, .. }
            | Self::FreeAutoscaler { step, .. }
            | Self::SetWeights { step, .. }
            | Self::RetargetService { step, .. }
            | Self::RemoveRevision { step, .. }
            | Self::Page { step } => Some(*step),
            Self::ShowApproval { .. } | Self::ReportStatus { .. } | Self::Wake { .. } => None,
        }
    }

    /// A stable name, for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::StartExecution { .. } => "start_execution",
            Self::StopExecution { .. } => "stop_execution",
            Self::EnsureRevision { .. } => "ensure_revision",
            Self::ScaleRevision { .. } => "scale_revision",
            Self::AdoptRevision { .. } => "adopt_revision",
            Self::ReleaseRevision { .. } => "release_revision",
            Self::HoldAutoscaler { .. } => "hold_autoscaler",
            Self::FreeAutoscaler { .. } => "free_autoscaler",
            Self::SetWeights { .. } => "set_weights",
            Self::RetargetService { .. } => "retarget_service",
            Self::RemoveRevision { .. } => "remove_revision",
            Self::ShowApproval { .. } => "show_approval",
            Self::Page { .. } => "page",
            Self::ReportStatus { .. } => "report_status",
            Self::Wake { .. } => "wake",
        }
    }
}
