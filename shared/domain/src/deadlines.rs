//! How long each phase of a pod's way to serving may last.

use serde::{Deserialize, Serialize};

use crate::seen::PodPhase;
use crate::time::Span;

/// A deadline for each phase. On the way to serving, one without may last as long as the whole way; serving without one is held
/// as long as exposure without data, and draining lasts as long as the grace period and some minutes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Deadlines {
    /// Until it has a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Span>,
    /// Until its sandbox and volumes are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioning: Option<Span>,
    /// Until its images are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulling: Option<Span>,
    /// Until the model is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loading: Option<Span>,
    /// Until it has generated its first answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warming: Option<Span>,
    /// Until the gateway sends it what it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving: Option<Span>,
    /// Until it has left, once it is told to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draining: Option<Span>,
}

impl Deadlines {
    /// The deadline of a phase, if it has one of its own.
    pub fn of(&self, phase: PodPhase) -> Option<Span> {
        match phase {
            PodPhase::Scheduling => self.scheduling,
            PodPhase::Provisioning => self.provisioning,
            PodPhase::Pulling => self.pulling,
            PodPhase::Loading => self.loading,
            PodPhase::Warming => self.warming,
            PodPhase::Serving => self.serving,
            PodPhase::Draining => self.draining,
            PodPhase::Absent => None,
        }
    }

    /// Whether no phase has one.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}
