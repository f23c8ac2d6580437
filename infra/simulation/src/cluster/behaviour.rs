//! How revisions and commands behave.

use std::collections::BTreeMap;

use weir_domain::time::Span;

/// How a revision behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// From creation to Ready.
    pub load: Span,
    /// Requests that fail, of a thousand.
    pub errors_per_mille: f64,
    /// Requests slower than a second, of a thousand.
    pub slow_per_mille: f64,
    /// All of it, and what makes replicas sick, begins this long after it first got traffic.
    pub healthy_for: Span,
    /// Half of its requests are slow for so long after it first got traffic: its caches are empty.
    pub cold_for: Span,
    /// Replicas that are sick, by the order in which they were made, the first is 1: a GPU that is not what it should be.
    pub sick: Vec<u64>,
    /// Requests to those that fail, of a thousand.
    pub sick_per_mille: f64,
    /// What the GPU of a replica says, by the number of the replica, once that has answered something (an XID).
    pub xids: BTreeMap<u64, u64>,
    /// Every pod crashes this long after it first got traffic.
    pub crash_after: Option<Span>,
    /// Answers to questions that differ from stable's first one, of a thousand; nothing: they cannot be compared.
    pub differing_per_mille: Option<u64>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            load: Span::seconds(20),
            errors_per_mille: 4.0,
            slow_per_mille: 2.0,
            cold_for: Span::ZERO,
            healthy_for: Span::ZERO,
            sick: Vec::new(),
            sick_per_mille: 0.0,
            xids: BTreeMap::new(),
            crash_after: None,
            differing_per_mille: Some(0),
        }
    }
}

/// How the commands of a step end.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// After this time.
    pub after: Span,
    /// With this exit code.
    pub exit_code: i32,
    /// Having written these.
    pub outputs: BTreeMap<String, String>,
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            after: Span::seconds(3),
            exit_code: 0,
            outputs: BTreeMap::new(),
        }
    }
}
