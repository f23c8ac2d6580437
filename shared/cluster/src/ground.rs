//! Where a candidate would go: nodes, what holds them, and one replica as the scheduler would see it.

use serde_json::{Value, json};
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::StableSide;
use weir_domain::seen::{Ground, GroundSeen};

use crate::api::Api;
use crate::fault::Fault;
use crate::names;
use crate::render::{pod_labels, selector};
use crate::snapshot::{SnapshotError, read_cluster};

/// What is used where it is there and may be seen; where not, the answer says less.
const MORE: [(&str, &str); 9] = [
    ("Namespace", "/api/v1/namespaces"),
    ("PriorityClass", "/apis/scheduling.k8s.io/v1/priorityclasses"),
    ("RuntimeClass", "/apis/node.k8s.io/v1/runtimeclasses"),
    ("PersistentVolume", "/api/v1/persistentvolumes"),
    ("DeviceClass", "/apis/resource.k8s.io/v1/deviceclasses"),
    ("ResourceSlice", "/apis/resource.k8s.io/v1/resourceslices"),
    ("ResourceClaim", "/apis/resource.k8s.io/v1/resourceclaims"),
    (
        "ResourceClaimTemplate",
        "/apis/resource.k8s.io/v1/resourceclaimtemplates",
    ),
    ("PersistentVolumeClaim", "/api/v1/persistentvolumeclaims"),
];
/// The same within the namespace of the service.
const MORE_INSIDE: [(&str, &str); 2] = [("ResourceQuota", "resourcequotas"), ("LimitRange", "limitranges")];
const BUDGETS: &str = "PodDisruptionBudget";
/// Pods that have ended hold nothing and are not sent.
const ALIVE: &str = "&fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed";

/// Looks at everything that decides where a replica goes.
pub(crate) async fn look(api: &Api, rule: &RolloutRule, stable: Option<&StableSide>) -> GroundSeen {
    let (nodes, pods) = tokio::join!(
        list(api, "Node", "/api/v1/nodes", ""),
        list(api, "Pod", "/api/v1/pods", ALIVE)
    );
    let mut lists = Vec::new();
    for (kind, objects) in [("nodes", nodes), ("pods", pods)] {
        match objects {
            Ok(objects) => lists.push(objects),
            Err(Fault::Denied(why)) => {
                return GroundSeen::Hidden(format!(
                    "{why}; bind infra/cluster/ground.yaml so that Weir sees the {kind} of all namespaces"
                ));
            }
            Err(fault) => return GroundSeen::Unreachable(format!("cannot list {kind}: {fault}")),
        }
    }
    let inside = MORE_INSIDE.map(|(kind, plural)| {
        let path = format!("/api/v1/namespaces/{}/{plural}", rule.target.namespace);
        (kind, path)
    });
    let more = MORE.map(|(kind, path)| (kind, path.to_owned()));
    for (kind, path) in inside.iter().chain(&more) {
        match list(api, kind, path, "").await {
            Ok(objects) => lists.push(objects),
            // A kind that this cluster does not have, or that Weir may not see.
            Err(Fault::Denied(_) | Fault::Missing(_) | Fault::Refused(_)) => {}
            Err(fault) => return GroundSeen::Unreachable(format!("cannot list {kind}: {fault}")),
        }
    }
    let mut budgets_hidden = None;
    match budgets(api, rule).await {
        Ok(objects) => lists.push(objects),
        Err(Fault::Denied(why)) => {
            budgets_hidden = Some(format!(
                "{why}; apply infra/cluster/ground.yaml so that a plan keeps what they ask for"
            ));
        }
        Err(Fault::Missing(_) | Fault::Refused(_)) => {}
        Err(fault) => return GroundSeen::Unreachable(format!("cannot list {BUDGETS}: {fault}")),
    }
    match read(&Value::Array(lists), rule, stable) {
        Ok(mut ground) => {
            ground.snapshot.budgets_hidden = budgets_hidden;
            GroundSeen::Known(Box::new(ground))
        }
        Err(error) => GroundSeen::Hidden(format!("the cluster cannot be read: {error}")),
    }
}

/// The budgets of the service's namespace: they select within it.
async fn budgets(api: &Api, rule: &RolloutRule) -> Result<Value, Fault> {
    let namespace = &rule.target.namespace;
    let path = format!("/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets");
    list(api, BUDGETS, &path, "").await
}

async fn list(api: &Api, kind: &str, path: &str, query: &str) -> Result<Value, Fault> {
    let items = api.list_all(path, query).await?;
    Ok(json!({"kind": format!("{kind}List"), "items": items}))
}

fn read(lists: &Value, rule: &RolloutRule, stable: Option<&StableSide>) -> Result<Ground, SnapshotError> {
    let cluster = read_cluster(lists)?;
    let namespace = rule.target.namespace.as_str();
    let workload = cluster.workload(&as_deployment(rule, stable), Some(namespace))?;
    Ok(Ground {
        bounds: None,
        snapshot: cluster.snapshot,
        ask: workload.ask,
    })
}

/// The candidate as its Deployment will be, except that it selects the pods of stable: those are its places.
fn as_deployment(rule: &RolloutRule, stable: Option<&StableSide>) -> Value {
    let candidate = rule.workload.revision();
    let mut template = rule.workload.template.clone();
    for (key, value) in pod_labels(&rule.lane, &candidate) {
        template["metadata"]["labels"][key] = value;
    }
    let places = match stable {
        Some(StableSide {
            adopted: Some(adopted),
            ..
        }) => json!(adopted.selector),
        Some(stable) => selector(&rule.lane, &stable.revision),
        None => selector(&rule.lane, &candidate),
    };
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": names::revision_name(&rule.lane, &candidate), "namespace": rule.target.namespace},
        "spec": {
            "replicas": rule.workload.replicas,
            "selector": {"matchLabels": places},
            "template": template,
        },
    })
}
