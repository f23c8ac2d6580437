//! What is rolled out: a pod template with its configuration, and the revision that names it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::{canonical_json, sha256_hex, short};
use crate::ids::{LaneKey, RevisionId};

/// The parts of a service that one revision consists of. Two workloads with the same parts are the same revision.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Workload {
    /// A Kubernetes `PodTemplateSpec`.
    pub template: Value,
    /// ConfigMaps that the template mounts or reads; copied as immutable ones named after their digest.
    #[serde(default)]
    pub config: Vec<Value>,
    /// Replicas that carry all traffic.
    pub replicas: u32,
    /// GPUs of one replica; zero for a service without.
    pub gpus: u32,
    /// The resource name that the GPUs are asked by, for example `nvidia.com/gpu`.
    pub gpu_resource: String,
    /// Port of the container that serves requests.
    pub port: u16,
    /// Port and path of the pod's metrics.
    pub metrics: MetricsEndpoint,
    /// Images without a digest, model paths that two revisions share: what makes a way back inexact.
    #[serde(default)]
    pub not_exact: Vec<String>,
    /// The Deployment that runs it, if Weir did not make that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Adopted>,
}

/// A Deployment that somebody else made and that serves as a revision. Its template and selector are never written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Adopted {
    /// Its name.
    pub deployment: String,
    /// What its pods carry already, [`TEMPLATE_HASH`] among it: the revision is these pods and no others.
    pub selector: BTreeMap<String, String>,
}

/// The name under which a startup probe asks a server for its first answer: a word of its command.
pub const WARM_UP: &str = "weir-warm-up";

/// The label by which Kubernetes tells pods of one template from those of another of the same Deployment.
pub const TEMPLATE_HASH: &str = "pod-template-hash";

impl Adopted {
    /// The name of its ReplicaSet: another template is another revision.
    pub fn revision(&self) -> RevisionId {
        let hash = self.selector.get(TEMPLATE_HASH).map_or("", String::as_str);
        RevisionId::new(format!("{}-{hash}", self.deployment))
    }
}

/// Where a pod tells its own counters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MetricsEndpoint {
    /// Port.
    pub port: u16,
    /// Path, beginning with `/`.
    pub path: String,
}

impl Workload {
    /// Digest over template and configuration; replicas are not part of it, they follow the rollout. What was adopted has
    /// the name that it had.
    pub fn revision(&self) -> RevisionId {
        if let Some(adopted) = &self.adopted {
            return adopted.revision();
        }
        let parts = Value::Array(vec![self.template.clone(), Value::Array(self.config.clone())]);
        let digest = sha256_hex(canonical_json(&parts).as_bytes());
        RevisionId::new(format!("r{}", &digest[..10]))
    }
}

/// What [`revision_name`] is the hash of.
pub fn revision_key(lane: &LaneKey, revision: &RevisionId) -> String {
    format!("{}/{}/{revision}", lane.service, lane.environment)
}

/// Name of the Deployment and the Service of a revision. Names of services and environments are people's text, and names
/// in a cluster are not (DNS-1123, 63 characters), so it is a hash.
pub fn revision_name(lane: &LaneKey, revision: &RevisionId) -> String {
    format!("w-{}", short(&revision_key(lane, revision)))
}
