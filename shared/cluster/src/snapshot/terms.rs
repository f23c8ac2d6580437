//! Selectors, affinity, spread and tolerations in Kubernetes' words.

use serde_json::Value;
use weir_domain::fit::{
    Effect, Labels, NodeTerm, PodTerm, Requirement, Selector, Spread, Taint, Test, Toleration,
};

use super::SnapshotError;

/// Items of a list; none of anything else.
pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A text field; empty if absent.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A map of texts.
pub(crate) fn labels(value: &Value) -> Labels {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), text(value))).collect()
}

fn strings(value: &Value) -> Vec<String> {
    items(value).map(text).collect()
}

/// A `LabelSelector`; absent: nothing, which selects no pod.
pub(crate) fn selector(value: &Value) -> Result<Option<Selector>, SnapshotError> {
    if value.is_null() {
        return Ok(None);
    }
    let mut all: Vec<Requirement> = labels(&value["matchLabels"])
        .into_iter()
        .map(|(key, value)| Requirement {
            key,
            test: Test::In(vec![value]),
        })
        .collect();
    for expression in items(&value["matchExpressions"]) {
        all.push(requirement(expression)?);
    }
    Ok(Some(Selector(all)))
}

fn requirement(expression: &Value) -> Result<Requirement, SnapshotError> {
    let values = strings(&expression["values"]);
    let number = || match values.as_slice() {
        [one] => one.parse::<i64>().ok(),
        _ => None,
    };
    let operator = expression["operator"].as_str().unwrap_or_default();
    let test = match operator {
        "In" => Some(Test::In(values.clone())),
        "NotIn" => Some(Test::NotIn(values.clone())),
        "Exists" => Some(Test::Exists),
        "DoesNotExist" => Some(Test::DoesNotExist),
        "Gt" => number().map(Test::Above),
        "Lt" => number().map(Test::Below),
        _ => None,
    };
    let key = text(&expression["key"]);
    match test {
        Some(test) => Ok(Requirement { key, test }),
        None => Err(SnapshotError::Operator {
            key,
            operator: operator.to_owned(),
            values,
        }),
    }
}

/// The terms of a `NodeSelector`.
pub(crate) fn node_terms(value: &Value) -> Result<Vec<NodeTerm>, SnapshotError> {
    items(&value["nodeSelectorTerms"])
        .map(|term| {
            Ok(NodeTerm {
                labels: items(&term["matchExpressions"])
                    .map(requirement)
                    .collect::<Result<_, _>>()?,
                name: items(&term["matchFields"])
                    .map(requirement)
                    .collect::<Result<_, _>>()?,
            })
        })
        .collect()
}

/// Required terms of `podAffinity` or `podAntiAffinity`, of a pod with these labels in this namespace.
pub(crate) fn pod_terms(value: &Value, namespace: &str, own: &Labels) -> Result<Vec<PodTerm>, SnapshotError> {
    items(&value["requiredDuringSchedulingIgnoredDuringExecution"])
        .map(|term| {
            let mut namespaces = strings(&term["namespaces"]);
            let namespace_selector = selector(&term["namespaceSelector"])?;
            if namespaces.is_empty() && namespace_selector.is_none() {
                namespaces.push(namespace.to_owned());
            }
            let mut wanted = selector(&term["labelSelector"])?;
            if let Some(wanted) = &mut wanted {
                by_keys(wanted, &term["matchLabelKeys"], own, Test::In);
                by_keys(wanted, &term["mismatchLabelKeys"], own, Test::NotIn);
            }
            Ok(PodTerm {
                key: text(&term["topologyKey"]),
                selector: wanted,
                namespaces,
                namespace_selector,
            })
        })
        .collect()
}

/// Adds the pod's own values of some labels, as the API server does when the pod is made.
fn by_keys(selector: &mut Selector, keys: &Value, own: &Labels, test: fn(Vec<String>) -> Test) {
    for key in strings(keys) {
        if let Some(value) = own.get(&key) {
            let requirement = Requirement {
                key,
                test: test(vec![value.clone()]),
            };
            if !selector.0.contains(&requirement) {
                selector.0.push(requirement);
            }
        }
    }
}

/// The topology spread constraints that forbid.
pub(crate) fn spread(value: &Value, own: &Labels) -> Result<Vec<Spread>, SnapshotError> {
    items(value)
        .filter(|constraint| constraint["whenUnsatisfiable"] != "ScheduleAnyway")
        .map(|constraint| {
            let mut wanted = selector(&constraint["labelSelector"])?;
            if let Some(wanted) = &mut wanted {
                by_keys(wanted, &constraint["matchLabelKeys"], own, Test::In);
            }
            Ok(Spread {
                key: text(&constraint["topologyKey"]),
                max_skew: constraint["maxSkew"].as_i64().unwrap_or(1),
                selector: wanted,
                min_domains: constraint["minDomains"]
                    .as_u64()
                    .map_or(1, |n| usize::try_from(n).unwrap_or(usize::MAX)),
                honor_affinity: constraint["nodeAffinityPolicy"] != "Ignore",
                honor_taints: constraint["nodeTaintsPolicy"] == "Honor",
            })
        })
        .collect()
}

/// Tolerations of a pod, with the two that the API server adds to every pod.
pub(crate) fn tolerations(value: &Value) -> Vec<Toleration> {
    let mut all: Vec<Toleration> = items(value).map(toleration).collect();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        all.push(Toleration {
            key: Some(key.into()),
            value: None,
            effect: Some(Effect::NoExecute),
        });
    }
    all
}

fn toleration(value: &Value) -> Toleration {
    let exists = value["operator"] == "Exists";
    Toleration {
        key: Some(text(&value["key"])).filter(|key| !key.is_empty()),
        value: (!exists).then(|| text(&value["value"])),
        effect: effect(&value["effect"]),
    }
}

/// Taints of a node; one with an unknown effect keeps nobody away.
pub(crate) fn taints(value: &Value) -> Vec<Taint> {
    let taint = |taint: &Value| {
        let effect = effect(&taint["effect"])?;
        Some(Taint {
            key: text(&taint["key"]),
            value: text(&taint["value"]),
            effect,
        })
    };
    items(value).filter_map(taint).collect()
}

fn effect(value: &Value) -> Option<Effect> {
    match value.as_str()? {
        "NoSchedule" => Some(Effect::NoSchedule),
        "NoExecute" => Some(Effect::NoExecute),
        "PreferNoSchedule" => Some(Effect::PreferNoSchedule),
        _ => None,
    }
}
