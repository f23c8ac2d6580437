//! The route of a service, read as shares, fence and whether its gateway has taken it up.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_domain::ids::{LaneKey, RevisionId};
use weir_domain::seen::RouteSeen;
use weir_domain::units::Weight;

use crate::mirror::{copied, filters};
use crate::pods::cut;
use crate::split::{fence_of, is_service, known_backends};
use crate::{names, sticky};

/// Reads a route. `lane` and `revisions` say which backends are ours, beside those that the route itself names.
pub(crate) fn route_seen(route: &Value, lane: &LaneKey, revisions: &[RevisionId]) -> RouteSeen {
    let mut problem = None;
    let fence = fence_of(route).unwrap_or_else(|unfit| {
        problem = Some(unfit.to_string());
        Default::default()
    });
    let taken = taken_up(route);
    let known = revisions_behind(route, lane, revisions);
    RouteSeen {
        weights: weights(route, &known),
        mirrors: mirrors(route, &known),
        kept: kept(route, &known),
        fence,
        observed: matches!(taken, TakenUp::Yes),
        problem: match taken {
            TakenUp::Refused(why) => Some(why),
            _ => problem,
        },
    }
}

/// Shares in percent by revision. If rules differ, the larger share counts: it is what a candidate may get.
fn weights(route: &Value, names: &BTreeMap<String, RevisionId>) -> BTreeMap<RevisionId, Weight> {
    let namespace = route["metadata"]["namespace"].as_str().unwrap_or_default();
    let mut out = BTreeMap::new();
    let callers = sticky::known(route);
    for rule in route["spec"]["rules"].as_array().into_iter().flatten() {
        if sticky::keeps(rule, &callers) {
            continue;
        }
        let backends: Vec<&Value> = rule["backendRefs"].as_array().into_iter().flatten().collect();
        let weight = |backend: &Value| backend["weight"].as_u64().unwrap_or(1);
        let total: u64 = backends.iter().map(|backend| weight(backend)).sum();
        for backend in backends {
            let ours = names
                .iter()
                .find(|(name, _)| is_service(backend, name, namespace));
            if let Some((_, revision)) = ours {
                let percent = (weight(backend) * 100).checked_div(total).unwrap_or(0);
                let share = u8::try_from(percent)
                    .ok()
                    .and_then(Weight::new)
                    .unwrap_or(Weight::FULL);
                let entry = out.entry(revision.clone()).or_insert(Weight::ZERO);
                *entry = share.max(*entry);
            }
        }
    }
    out
}

/// Of a hundred requests, how many are copied to each revision. If rules differ, the larger part counts.
fn mirrors(route: &Value, names: &BTreeMap<String, RevisionId>) -> BTreeMap<RevisionId, Weight> {
    let namespace = route["metadata"]["namespace"].as_str().unwrap_or_default();
    let rules = route["spec"]["rules"].as_array().into_iter().flatten();
    let mut out = BTreeMap::new();
    for (backend, percent) in rules.flat_map(filters).filter_map(copied) {
        let ours = names
            .iter()
            .find(|(name, _)| is_service(backend, name, namespace));
        if let (Some((_, revision)), Some(part)) = (ours, Weight::new(percent)) {
            let entry = out.entry(revision.clone()).or_insert(Weight::ZERO);
            *entry = part.max(*entry);
        }
    }
    out
}

/// Of a hundred requests of the callers who stay with a revision, how many it gets.
fn kept(route: &Value, names: &BTreeMap<String, RevisionId>) -> BTreeMap<RevisionId, Weight> {
    let namespace = route["metadata"]["namespace"].as_str().unwrap_or_default();
    let is_base = |rule: &Value| {
        let mut backends = rule["backendRefs"].as_array().into_iter().flatten();
        backends.any(|backend| names.keys().any(|name| is_service(backend, name, namespace)))
    };
    let kept = names.iter().filter_map(|(name, revision)| {
        let percent = sticky::seen(route, name, is_base)?;
        Some((revision.clone(), Weight::new(percent)?))
    });
    kept.collect()
}

/// Which of the route's backends are revisions of the lane.
fn revisions_behind(route: &Value, lane: &LaneKey, revisions: &[RevisionId]) -> BTreeMap<String, RevisionId> {
    let noted = known_backends(route).into_iter();
    let named = revisions.iter();
    noted
        .map(|(name, revision)| (name, RevisionId::new(revision)))
        .chain(named.map(|revision| (names::revision_name(lane, revision), revision.clone())))
        .collect()
}

enum TakenUp {
    Yes,
    NotYet,
    Refused(String),
}

/// Whether the controller of every parent has taken up the route as it stands.
fn taken_up(route: &Value) -> TakenUp {
    let generation = &route["metadata"]["generation"];
    let parents: Vec<&Value> = route["spec"]["parentRefs"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    if parents.is_empty() {
        return TakenUp::Refused("the route names no Gateway in `parentRefs`".into());
    }
    let statuses: Vec<&Value> = route["status"]["parents"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    for parent in parents {
        let Some(status) = statuses
            .iter()
            .find(|status| same_parent(&status["parentRef"], parent))
        else {
            return TakenUp::NotYet;
        };
        for kind in ["Accepted", "ResolvedRefs"] {
            let conditions = status["conditions"].as_array().into_iter().flatten();
            let Some(condition) = conditions.into_iter().find(|c| c["type"] == kind) else {
                return TakenUp::NotYet;
            };
            if condition["observedGeneration"] != *generation {
                return TakenUp::NotYet;
            }
            if condition["status"] != "True" {
                let text = |key: &str| cut(condition[key].as_str().unwrap_or_default());
                let gateway = parent["name"].as_str().unwrap_or_default();
                return TakenUp::Refused(format!(
                    "Gateway {gateway} says {kind} is false: {} {}",
                    text("reason"),
                    text("message")
                ));
            }
        }
    }
    TakenUp::Yes
}

fn same_parent(a: &Value, b: &Value) -> bool {
    ["name", "namespace", "sectionName", "port"]
        .iter()
        .all(|key| a[key] == b[key] || (*key == "namespace" && (a[key].is_null() || b[key].is_null())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use weir_domain::ids::{EnvironmentName, Fence, ServiceName};

    fn lane() -> LaneKey {
        LaneKey {
            service: ServiceName::new("web"),
            environment: EnvironmentName::new("Production"),
        }
    }

    fn route(accepted: &str, generation: u64) -> Value {
        let one = RevisionId::new("r1");
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "observedGeneration": generation, "reason": "R", "message": "m"});
        json!({
            "metadata": {
                "namespace": "prod", "generation": 4,
                "annotations": {"weir.dev/fence": "6", "weir.dev/backends": "{\"w-old\":\"r0\"}"},
            },
            "spec": {
                "parentRefs": [{"name": "public", "namespace": "gateway"}],
                "rules": [{"backendRefs": [
                    {"name": "web", "weight": 0},
                    {"name": names::revision_name(&lane(), &one), "weight": 95},
                    {"name": "w-old", "weight": 5},
                ]}],
            },
            "status": {"parents": [{
                "parentRef": {"name": "public", "namespace": "gateway"},
                "conditions": [condition("Accepted", accepted), condition("ResolvedRefs", "True")],
            }]},
        })
    }

    #[test]
    fn shares_fence_and_acceptance_are_read() {
        let seen = route_seen(&route("True", 4), &lane(), &[RevisionId::new("r1")]);
        let weight = |revision: &str| seen.weights[&RevisionId::new(revision)].percent();
        assert_eq!((weight("r1"), weight("r0")), (95, 5));
        assert_eq!((seen.fence, seen.observed, seen.problem), (Fence(6), true, None));
    }

    #[test]
    fn copies_are_read_of_revisions_and_of_nobody_else() {
        let mut route = route("True", 4);
        let mirror = |name: &str, percent: u8| json!({"type": "RequestMirror", "requestMirror": {"backendRef": {"name": name}, "percent": percent}});
        route["spec"]["rules"][0]["filters"] = json!([mirror("w-old", 7), mirror("spy", 50)]);
        let seen = route_seen(&route, &lane(), &[]);
        assert_eq!(
            seen.mirrors,
            [(RevisionId::new("r0"), Weight::new(7).unwrap())].into()
        );
    }

    #[test]
    fn a_status_of_an_older_generation_is_not_observed() {
        assert!(!route_seen(&route("True", 3), &lane(), &[]).observed);
        let mut silent = route("True", 4);
        silent["status"] = Value::Null;
        assert!(!route_seen(&silent, &lane(), &[]).observed);
    }

    #[test]
    fn a_refused_route_says_why() {
        let seen = route_seen(&route("False", 4), &lane(), &[]);
        assert!(!seen.observed);
        assert_eq!(
            seen.problem.as_deref(),
            Some("Gateway public says Accepted is false: R m")
        );
    }
}
