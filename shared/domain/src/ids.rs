//! Identifiers. Each is its own type, so that a run cannot be passed where a revision is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines a transparent text identifier with its documentation.
macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it stands; what may stand in it is checked where it enters Weir.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )+};
}

text_id! {
    /// One passage of a pipeline, started by one push or by a person.
    RunId,
    /// A pipeline's name as its author wrote it.
    PipelineName,
    /// What is rolled out: one service of the user's.
    ServiceName,
    /// Where a service runs, for example `Production`.
    EnvironmentName,
    /// A cluster as the `clusters:` section, an environment or the host names it.
    ClusterName,
    /// A Kubernetes namespace.
    Namespace,
    /// A full commit id.
    Commit,
    /// Digest over everything that makes two versions of a service different, shortened: `r` and 10 hex digits. Of a
    /// Deployment that Weir did not make, the name of its ReplicaSet.
    RevisionId,
    /// A group of people who may approve together, for example `ml-team`.
    GroupName,
    /// A person as the `groups:` section names them.
    PersonName,
    /// What the stages of one release have in common.
    ReleaseName,
    /// Unguessable, single use, bound to one approval of one run.
    ApprovalToken,
    /// Identity of a push: hash(repository, ref, before, after). The delivery id is not signed and so not part of it.
    PushKey,
}

/// Which step of a run: stage and step, both counted from 0 in the order of the definition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct StepId {
    /// Index of the stage.
    pub stage: usize,
    /// Index of the step in its stage.
    pub step: usize,
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stage + 1, self.step + 1)
    }
}

impl std::str::FromStr for StepId {
    type Err = NoStep;

    fn from_str(text: &str) -> Result<Self, NoStep> {
        let from_one = |text: &str| text.parse::<usize>().ok()?.checked_sub(1);
        let (stage, step) = text.split_once('.').ok_or(NoStep)?;
        match (from_one(stage), from_one(step)) {
            (Some(stage), Some(step)) => Ok(Self { stage, step }),
            _ => Err(NoStep),
        }
    }
}

/// A text names no step: expected STAGE.STEP, both counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected STAGE.STEP, both counted from 1")]
pub struct NoStep;

/// The lane of a service in an environment: at most one rollout moves in it (invariant 2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct LaneKey {
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
}

impl fmt::Display for LaneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.service, self.environment)
    }
}

/// The GPUs of one kind in one cluster, on which rollouts have claims.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PoolKey {
    /// The cluster.
    pub cluster: ClusterName,
    /// The resource that they are asked by, for example `nvidia.com/gpu`.
    pub resource: String,
}

impl fmt::Display for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.resource, self.cluster)
    }
}

/// A number that only grows per lane. A write to a cluster that carries a lower one than the object is dropped
/// (invariant 8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub u64);

impl Fence {
    /// The fence of the next write.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
