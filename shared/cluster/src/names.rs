//! What Weir's objects are called, and the labels and annotations by which they are found again.
//!
//! Names of services, environments and runs are people's text; names in a cluster are not (DNS-1123, 63 characters). So
//! every external name is `w-` and a short hash, and the full key stands in an annotation.

use weir_domain::digest::short;
use weir_domain::ids::{LaneKey, RevisionId, RunId, StepId};
use weir_domain::workload::Adopted;
pub(crate) use weir_domain::workload::revision_key;
pub use weir_domain::workload::revision_name;

/// Label: hash of service and environment. With [`REVISION`] it selects the pods of a revision.
pub const LANE: &str = "weir.dev/lane";
/// Label: the revision.
pub const REVISION: &str = "weir.dev/revision";
/// Label: the service, for people.
pub const SERVICE: &str = "weir.dev/service";
/// Label: the environment, for people.
pub const ENVIRONMENT: &str = "weir.dev/environment";
/// Label: the run that made the object.
pub const RUN: &str = "weir.dev/run";
/// Label of a pod that has a part of the traffic while replicas alone split it: the lane.
pub const SERVES: &str = "weir.dev/serves";
/// Label: the step that a Kubernetes Job belongs to.
pub const STEP: &str = "weir.dev/step";
/// Annotation: the full key that the name is a hash of.
pub const KEY: &str = "weir.dev/key";
/// Annotation: fence of the last write (invariant 8).
pub const FENCE: &str = "weir.dev/fence";
/// Annotation of a route: the revisions behind its backends, as JSON `{"w-…": "r…"}`.
pub const BACKENDS: &str = "weir.dev/backends";
/// Annotation of a route: the backend that traffic goes back to.
pub const STABLE: &str = "weir.dev/stable";
/// Annotation of a route: what callers say who stay with a variant, by the name of its Service.
pub const STICKY: &str = "weir.dev/sticky";
/// Annotation of a revision's Deployment: digest of what it was made from.
pub const CONTENT: &str = "weir.dev/content";

/// Annotation of a pod that Kubernetes reads when a Deployment shrinks: the lowest goes first.
pub(crate) const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Longest value of a label.
const LABEL_LIMIT: usize = 63;

/// Value of the label [`LANE`].
pub fn lane_label(lane: &LaneKey) -> String {
    short(&lane_key(lane))
}

/// Name of the Deployment of a revision: Weir's own, or that which somebody else made.
pub(crate) fn deployment_name(lane: &LaneKey, revision: &RevisionId, adopted: Option<&Adopted>) -> String {
    adopted.map_or_else(
        || revision_name(lane, revision),
        |adopted| adopted.deployment.clone(),
    )
}

/// The lane in full, for annotations.
pub(crate) fn lane_key(lane: &LaneKey) -> String {
    format!("{}/{}", lane.service, lane.environment)
}

/// Name of the record of a lane's highest fence.
pub(crate) fn ledger_name(lane: &LaneKey) -> String {
    hashed(&format!("{}/fence", lane_key(lane)))
}

/// Name of the Kubernetes Job of a step.
pub fn execution_name(run: &RunId, step: StepId) -> String {
    hashed(&execution_key(run, step))
}

/// The key that [`execution_name`] is the hash of.
pub(crate) fn execution_key(run: &RunId, step: StepId) -> String {
    format!("{run}/{step}")
}

/// Text as the value of a label: as it stands where Kubernetes takes it, else its hash.
pub(crate) fn label_value(text: &str) -> String {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = text.len() <= LABEL_LIMIT
        && edge(text.chars().next())
        && edge(text.chars().last())
        && text.chars().all(inner);
    if fits {
        text.to_owned()
    } else {
        format!("h-{}", short(text))
    }
}

fn hashed(key: &str) -> String {
    format!("w-{}", short(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_domain::ids::{EnvironmentName, RevisionId, ServiceName};

    fn lane(service: &str, environment: &str) -> LaneKey {
        LaneKey {
            service: ServiceName::new(service),
            environment: EnvironmentName::new(environment),
        }
    }

    #[test]
    fn names_depend_on_lane_and_revision_and_fit_dns() {
        let revision = RevisionId::new("r0123456789");
        let name = revision_name(&lane("情感 模型", "Production"), &revision);
        assert_eq!(name.len(), 14);
        assert!(name.starts_with("w-") && name[2..].chars().all(|c| c.is_ascii_hexdigit()));
        assert_ne!(name, revision_name(&lane("情感 模型", "Staging"), &revision));
        assert_eq!(name, revision_name(&lane("情感 模型", "Production"), &revision));
    }

    #[test]
    fn a_label_is_the_text_where_kubernetes_takes_it() {
        assert_eq!(label_value("Production"), "Production");
        assert_eq!(label_value("model.v2_x"), "model.v2_x");
        for text in ["with space", "-edge", "ends-", "", "生产", &"x".repeat(64)] {
            let value = label_value(text);
            assert!(value.starts_with("h-") && value.len() == 14, "{text} → {value}");
        }
    }
}
