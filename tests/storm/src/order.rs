//! What the program is asked for.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use weir_domain::event::Limits;
use weir_domain::time::Span;

/// What to roll out, and with whose rights.
#[derive(Deserialize)]
pub(crate) struct Order {
    /// Names of services, each with a route of the same name.
    pub(crate) services: Vec<String>,
    /// Pipeline of the first release. The service `chat` of its rollout stands for each of them.
    pub(crate) first: Value,
    /// Pipeline of the canary.
    pub(crate) second: Value,
    pub(crate) kubeconfigs: Kubeconfigs,
    /// What `weir up` is told with `--check-every`, in milliseconds.
    check_every: Option<Span>,
}

impl Order {
    pub(crate) fn limits(&self) -> Limits {
        self.check_every.map_or_else(Limits::default, Limits::every)
    }
}

/// Who enters the cluster.
#[derive(Deserialize)]
pub(crate) struct Kubeconfigs {
    pub(crate) steps: PathBuf,
    pub(crate) traffic: PathBuf,
}

/// How the candidates begin to fail.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Breach {
    /// All at the same moment, at which all are checked.
    Together,
    /// One after another, each at a moment that no check knows of.
    InTurn,
}
