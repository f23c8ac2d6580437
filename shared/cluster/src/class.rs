//! Whether the gateways of a route can do what is needed of them beside weights, as their GatewayClass says.
//!
//! A filter that a gateway does not know may fail every request of its rule. So who says nothing of what it can do is
//! refused like one that cannot, unless it is known to.

use serde_json::Value;
use weir_domain::pipeline::RolloutRule;
use weir_domain::units::Weight;

use crate::api::Api;
use crate::fault::Fault;
use crate::scenery::gateways;

/// Copies requests.
const MIRROR: &str = "HTTPRouteRequestMirror";
/// Copies a part of them.
const PART: &str = "HTTPRouteRequestPercentageMirror";
/// Envoy Gateway can do both, and cookies, and writes no list of what it can do (1.8: until the field is stable).
const SILENT: [&str; 1] = ["gateway.envoyproxy.io/gatewayclass-controller"];

/// What is needed.
#[derive(Clone, Copy)]
pub(crate) enum Needs {
    /// Copies of so many requests of a hundred.
    Copies(Weight),
    /// Cookies that are given by backend, and matched. The Gateway API leaves both to gateways and has no name for either.
    Cookies,
}

/// What keeps the gateways of the route from doing that.
pub(crate) async fn problems(
    api: &Api,
    rule: &RolloutRule,
    route: &Value,
    needs: Needs,
) -> Result<Vec<String>, String> {
    let mut problems = Vec::new();
    for (namespace, name) in gateways(rule, route) {
        let object = format!("Gateway {namespace}/{name}");
        let path = format!("/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/gateways/{name}");
        let gateway = match read(api, &path, &object).await? {
            Ok(gateway) => gateway,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let class = gateway["spec"]["gatewayClassName"].as_str().unwrap_or_default();
        let object = format!("GatewayClass {class}");
        let path = format!("/apis/gateway.networking.k8s.io/v1/gatewayclasses/{class}");
        match read(api, &path, &object).await? {
            Ok(class) => problems.extend(needs.lacked(&object, &class)),
            Err(problem) => problems.push(problem),
        }
    }
    problems.dedup();
    Ok(problems)
}

/// The object, or what is wrong with it.
async fn read(api: &Api, path: &str, object: &str) -> Result<Result<Value, String>, String> {
    match api.find(path).await {
        Ok(Some(found)) => Ok(Ok(found)),
        Ok(None) => Ok(Err(format!(
            "{object} does not exist: create it, or name another"
        ))),
        Err(Fault::Away(why)) => Err(why),
        Err(Fault::Denied(why)) => Ok(Err(format!(
            "{object} cannot be read, so that it is not known what it can do: {why}; apply infra/cluster/classes.yaml"
        ))),
        Err(fault) => Ok(Err(format!("{object} cannot be read: {fault}"))),
    }
}

impl Needs {
    fn lacked(self, object: &str, class: &Value) -> Option<String> {
        let controller = class["spec"]["controllerName"].as_str().unwrap_or_default();
        match self {
            Self::Copies(percent) => lacks(object, class, percent),
            Self::Cookies => (!SILENT.contains(&controller)).then(|| {
                format!(
                    "{object} ({controller}) is not known to give cookies by backend and to match them: use `sticky: {{header: …}}`, \
                     which every gateway can do"
                )
            }),
        }
    }
}

/// What a class says that it cannot do, or does not say that it can.
fn lacks(object: &str, class: &Value, percent: Weight) -> Option<String> {
    let features = class["status"]["supportedFeatures"]
        .as_array()
        .into_iter()
        .flatten();
    // A list of names until 1.0 of the Gateway API, of objects since.
    let features: Vec<&str> = features
        .filter_map(|feature| feature["name"].as_str().or(feature.as_str()))
        .collect();
    let controller = class["spec"]["controllerName"].as_str().unwrap_or_default();
    let help = "strategy shadow needs a gateway that copies requests: use another GatewayClass, or canary";
    if features.is_empty() {
        return (!SILENT.contains(&controller)).then(|| {
            format!(
                "{object} ({controller}) does not say what it supports in `status.supportedFeatures`; {help}"
            )
        });
    }
    let needed: &[&str] = match percent {
        Weight::FULL => &[MIRROR],
        _ => &[MIRROR, PART],
    };
    let missing: Vec<&str> = needed
        .iter()
        .copied()
        .filter(|one| !features.contains(one))
        .collect();
    (!missing.is_empty()).then(|| {
        let missing = missing.join(" and ");
        let all = match missing.as_str() {
            PART => ", or `percent: 100`, which needs no parts",
            _ => "",
        };
        format!("{object} does not support {missing}; {help}{all}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn class(controller: &str, features: Value) -> Value {
        json!({"spec": {"controllerName": controller}, "status": {"supportedFeatures": features}})
    }

    fn told(class: &Value, percent: u8) -> Option<String> {
        lacks("GatewayClass g", class, Weight::new(percent).unwrap())
    }

    #[test]
    fn a_class_that_cannot_copy_is_told_by_what_it_lacks() {
        let both = class("x", json!([{"name": MIRROR}, {"name": PART}]));
        assert_eq!(told(&both, 10), None);
        let whole = class("x", json!([{"name": MIRROR}]));
        assert_eq!(told(&whole, 100), None);
        let part = told(&whole, 10).unwrap();
        assert!(
            part.contains("does not support HTTPRouteRequestPercentageMirror"),
            "{part}"
        );
        assert!(part.contains("`percent: 100`"), "{part}");
        let none = class("x", json!(["HTTPRoutePathRewrite"]));
        let none = told(&none, 10).unwrap();
        assert!(
            none.contains("HTTPRouteRequestMirror and HTTPRouteRequestPercentageMirror"),
            "{none}"
        );
    }

    #[test]
    fn who_says_nothing_is_refused_unless_known() {
        let said = told(&class("traefik.io/gateway-controller", Value::Null), 10).unwrap();
        assert!(said.contains("does not say what it supports"), "{said}");
        assert_eq!(told(&class(SILENT[0], json!([])), 10), None);
        let cookies = |controller| Needs::Cookies.lacked("GatewayClass g", &class(controller, json!([])));
        assert_eq!(cookies(SILENT[0]), None);
        let said = cookies("traefik.io/gateway-controller").unwrap();
        assert!(said.contains("use `sticky: {header: …}`"), "{said}");
    }
}
