//! Whether pods that are told to leave may finish what the route lets a request take.

use serde_json::Value;
use weir_domain::pipeline::RolloutRule;
use weir_domain::time::Span;

use crate::render::{grace_of, leave_after};
use crate::snapshot::items;

/// What cuts requests that the route allows, if anything does.
pub(crate) fn too_short(route: &Value, rule: &RolloutRule) -> Option<String> {
    let allowed = longest_request(route)?;
    let spec = &rule.workload.template["spec"];
    let grace = grace_of(spec);
    let needed = allowed.0.div_ceil(1_000) + leave_after(grace);
    (grace < needed).then(|| {
        format!(
            "HTTPRoute {}/{} lets a request take {allowed}, and a pod that is told to leave has {} \
             (terminationGracePeriodSeconds): longer answers are cut by every drain; write `longest_generation: {allowed}` into the \
             service, or a grace period of at least {}",
            rule.target.namespace,
            rule.target.route,
            Span::seconds(grace),
            Span::seconds(needed),
        )
    })
}

/// The longest `timeouts.request` of the route's rules; 0 is none at all, which says nothing of how long answers take.
fn longest_request(route: &Value) -> Option<Span> {
    let timeouts = items(&route["spec"]["rules"]).filter_map(|rule| rule["timeouts"]["request"].as_str());
    timeouts
        .filter_map(|text| text.parse().ok())
        .filter(|span| *span > Span::ZERO)
        .max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{ROLLOUT, run};

    #[test]
    fn a_grace_that_cuts_what_the_route_allows_is_told_with_the_fix() {
        let told = |grace: Option<u64>, timeouts: &[&str]| {
            let mut rule = run().rule(ROLLOUT).unwrap().clone();
            rule.workload.template = json!({"spec": {"containers": []}});
            if let Some(grace) = grace {
                rule.workload.template["spec"]["terminationGracePeriodSeconds"] = json!(grace);
            }
            let rules: Vec<Value> = timeouts
                .iter()
                .map(|request| json!({"timeouts": {"request": request}}))
                .collect();
            too_short(&json!({"spec": {"rules": rules}}), &rule)
        };
        // Five seconds of the grace belong to the gateway.
        for (grace, timeouts) in [
            (Some(60), &["55s"][..]),
            (Some(60), &["10s", "30s"]),
            (Some(60), &["0s"]),
            (Some(60), &[]),
            (None, &["25s"]),
        ] {
            assert_eq!(told(grace, timeouts), None, "{grace:?} {timeouts:?}");
        }
        for (grace, timeouts) in [
            (Some(60), &["10s", "56s"][..]),
            (None, &["26s"]),
            (Some(0), &["1s"]),
        ] {
            assert!(told(grace, timeouts).is_some(), "{grace:?} {timeouts:?}");
        }
        let words = told(Some(60), &["10m"]).unwrap();
        assert!(
            words.contains("lets a request take 10m, and a pod that is told to leave has 1m (terminationGracePeriodSeconds)"),
            "{words}"
        );
        assert!(
            words.ends_with(
                "write `longest_generation: 10m` into the service, or a grace period of at least 10m 5s"
            ),
            "{words}"
        );
    }
}
