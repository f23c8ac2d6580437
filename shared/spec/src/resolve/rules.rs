//! What a pod may not hold, whoever wrote it: Weir creates pods for whoever may push.
//!
//! The rules read a pod template as JSON and name what they refuse by its path in it.

use serde_json::Value;

/// Something that is refused: where in the pod template, what was found, what was expected.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) path: Vec<String>,
    pub(super) found: String,
    pub(super) expected: String,
}

/// A step of a path.
fn path(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

fn refused(at: &[&str], found: impl Into<String>, expected: &str) -> Refused {
    Refused {
        path: path(at),
        found: found.into(),
        expected: expected.into(),
    }
}

/// Everything that is refused in a pod template.
pub(super) fn refusals(template: &Value) -> Vec<Refused> {
    let mut out = Vec::new();
    let spec = &template["spec"];
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if is_set(&spec[key]) {
            out.push(refused(
                &["spec", key],
                format!("`{key}`"),
                "a pod that does not share its node's namespaces",
            ));
        }
    }
    for key in ["nodeName", "ephemeralContainers"] {
        if !spec[key].is_null() {
            out.push(refused(
                &["spec", key],
                format!("`{key}`"),
                "a pod that the scheduler places and nobody enters",
            ));
        }
    }
    let rights = &spec["securityContext"];
    if is_set(&rights["sysctls"]) || is_root(rights) {
        out.push(refused(
            &["spec", "securityContext"],
            "rights of the node",
            "a pod without them",
        ));
    }
    for (i, volume) in items(&spec["volumes"]).enumerate() {
        if !volume["hostPath"].is_null() {
            let at = ["spec", "volumes", &i.to_string(), "hostPath"];
            out.push(refused(&at, "`hostPath`", "a volume that is not the node's disk"));
        }
    }
    for list in ["containers", "initContainers"] {
        for (i, container) in items(&spec[list]).enumerate() {
            container_refusals(container, &["spec", list, &i.to_string()], &mut out);
        }
    }
    out
}

fn container_refusals(container: &Value, at: &[&str], out: &mut Vec<Refused>) {
    let context = &container["securityContext"];
    let below = |rest: &[&'static str]| [at, rest].concat();
    for key in ["privileged", "allowPrivilegeEscalation"] {
        if is_set(&context[key]) {
            let expected = "a container without rights over its node";
            out.push(refused(
                &below(&["securityContext", key]),
                format!("`{key}`"),
                expected,
            ));
        }
    }
    if items(&context["capabilities"]["add"]).next().is_some() {
        let at = below(&["securityContext", "capabilities", "add"]);
        out.push(refused(&at, "added capabilities", "a container without them"));
    }
    if !context["procMount"].is_null() {
        out.push(refused(
            &below(&["securityContext", "procMount"]),
            "`procMount`",
            "the default",
        ));
    }
    for (i, port) in items(&container["ports"]).enumerate() {
        if !port["hostPort"].is_null() {
            let index = i.to_string();
            let at = [at, &["ports", &index, "hostPort"]].concat();
            out.push(refused(&at, "`hostPort`", "a port of the pod alone"));
        }
    }
    let (requests, limits) = (
        &container["resources"]["requests"],
        &container["resources"]["limits"],
    );
    for (name, amount) in requests
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| is_extended(name))
    {
        if spoken(&limits[name]) != spoken(amount) {
            let found = format!(
                "request of {} {name} and limit of {}",
                spoken(amount),
                spoken(&limits[name])
            );
            let at = [at, &["resources", "requests", name]].concat();
            out.push(refused(
                &at,
                found,
                "the same number: GPUs cannot be shared by more asking than there is",
            ));
        }
    }
    for kind in ["requests", "limits"] {
        let amounts = container["resources"][kind].as_object();
        for (name, amount) in amounts
            .into_iter()
            .flatten()
            .filter(|(name, _)| is_extended(name))
        {
            if whole(amount).is_none() {
                let at = [at, &["resources", kind, name]].concat();
                out.push(refused(
                    &at,
                    format!("{} of {name}", spoken(amount)),
                    "a whole number",
                ));
            }
        }
    }
}

/// GPUs of one replica and the name they are asked by.
pub(super) fn gpus(template: &Value) -> (u32, Option<String>) {
    let mut sum = 0_u32;
    let mut resource = None;
    for container in items(&template["spec"]["containers"]) {
        let limits = container["resources"]["limits"].as_object();
        let asked = limits.into_iter().flatten().filter(|(name, _)| is_gpu(name));
        for (name, amount) in asked {
            sum = sum.saturating_add(whole(amount).unwrap_or(0));
            resource.get_or_insert_with(|| name.clone());
        }
    }
    (sum, resource)
}

/// Resources that devices offer: `nvidia.com/gpu`. Kubernetes wants request and limit of them equal.
fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.starts_with("kubernetes.io/")
}

fn is_gpu(name: &str) -> bool {
    is_extended(name) && (name.ends_with("/gpu") || name.contains("/mig-") || name.contains("/gpu."))
}

fn whole(amount: &Value) -> Option<u32> {
    spoken(amount).parse().ok()
}

/// An amount as it was written.
fn spoken(amount: &Value) -> String {
    match amount {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Bool(set) => *set,
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

/// Windows' way to the node's rights.
fn is_root(context: &Value) -> bool {
    is_set(&context["windowsOptions"]["hostProcess"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(spec: &Value) -> Vec<String> {
        refusals(&json!({"spec": spec}))
            .into_iter()
            .map(|r| r.path.join("."))
            .collect()
    }

    #[test]
    fn what_reaches_the_node_is_refused_where_it_stands() {
        let table = [
            (json!({"hostNetwork": true}), "spec.hostNetwork"),
            (json!({"hostPID": true}), "spec.hostPID"),
            (json!({"nodeName": "n1"}), "spec.nodeName"),
            (
                json!({"volumes": [{"name": "a"}, {"hostPath": {"path": "/"}}]}),
                "spec.volumes.1.hostPath",
            ),
            (
                json!({"initContainers": [{"securityContext": {"privileged": true}}]}),
                "spec.initContainers.0.securityContext.privileged",
            ),
            (
                json!({"containers": [{"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]}),
                "spec.containers.0.securityContext.capabilities.add",
            ),
            (
                json!({"containers": [{"ports": [{"containerPort": 1, "hostPort": 1}]}]}),
                "spec.containers.0.ports.0.hostPort",
            ),
        ];
        for (spec, path) in table {
            assert_eq!(paths(&spec), [path], "{spec}");
        }
        let harmless =
            json!({"hostNetwork": false, "containers": [{"securityContext": {"privileged": false}}]});
        assert_eq!(paths(&harmless), Vec::<String>::new());
    }

    #[test]
    fn gpu_request_and_limit_must_be_equal() {
        let pod = |requests: Value, limits: Value| json!({"containers": [{"resources": {"requests": requests, "limits": limits}}]});
        let one = json!({"nvidia.com/gpu": 1, "cpu": 4});
        assert!(paths(&pod(one.clone(), json!({"nvidia.com/gpu": 1, "cpu": 8}))).is_empty());
        assert!(paths(&pod(json!({}), one.clone())).is_empty());
        assert_eq!(paths(&pod(one.clone(), json!({}))).len(), 1);
        assert_eq!(paths(&pod(one.clone(), json!({"nvidia.com/gpu": 2}))).len(), 1);
        assert_eq!(paths(&pod(json!({}), json!({"nvidia.com/gpu": "500m"}))).len(), 1);
        assert_eq!(
            gpus(&json!({"spec": pod(one.clone(), one)})),
            (1, Some("nvidia.com/gpu".into()))
        );
    }
}
