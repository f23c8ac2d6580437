//! The files of `infra/cluster`, applied as a platform engineer does.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::api::Api;
use crate::cluster::root;

/// The objects of a file.
pub(crate) fn read(name: &str) -> Result<Vec<Value>> {
    let path = root().join("infra/cluster").join(name);
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(serde_saphyr::from_multiple(&text)?)
}

/// Applies objects; those that live in a namespace go to this one.
pub(crate) async fn apply(api: &Api, namespace: &str, objects: &[Value]) -> Result<()> {
    for object in objects {
        api.apply(&path(object, namespace)?, object).await?;
    }
    Ok(())
}

fn path(object: &Value, namespace: &str) -> Result<String> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let group = object["apiVersion"].as_str().unwrap_or_default();
    Ok(match kind {
        "ClusterRole" => format!("/apis/{group}/clusterroles/{name}"),
        "ClusterRoleBinding" => format!("/apis/{group}/clusterrolebindings/{name}"),
        "Role" => format!("/apis/{group}/namespaces/{namespace}/roles/{name}"),
        "RoleBinding" => format!("/apis/{group}/namespaces/{namespace}/rolebindings/{name}"),
        "ValidatingAdmissionPolicy" => format!("/apis/{group}/validatingadmissionpolicies/{name}"),
        "ValidatingAdmissionPolicyBinding" => {
            format!("/apis/{group}/validatingadmissionpolicybindings/{name}")
        }
        _ => bail!("a {kind} in infra/cluster is new to the live tests"),
    })
}
