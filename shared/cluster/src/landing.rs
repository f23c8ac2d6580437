//! On what the pods of both revisions run, where they are compared, and which nodes the candidate has lost, whatever the strategy.
//!
//! What a node is, is asked once in a rollout: it stands in the run from then on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use weir_domain::fit::{Hardware, Labels};
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::Rollout;
use weir_domain::seen::{Landing, PodPhase};
use weir_domain::units::Weight;

use crate::api::Api;
use crate::fault::Fault;
use crate::pods::{condition, cut, is_over, is_terminating, stands};

/// Looks at nodes of these pods that the rollout does not know yet, and at those that it may have lost.
pub(crate) async fn look(
    api: &Api,
    rule: &RolloutRule,
    rollout: &Rollout,
    candidate: &[&Value],
    stable: &[&Value],
) -> Result<Landing, String> {
    let mut landing = Landing::default();
    if !rollout.is_judged() {
        return Ok(landing);
    }
    match lost(api, rollout, candidate).await {
        Ok(lost) => landing.lost = lost,
        // A node that nobody may see is not known to be lost.
        Err(Fault::Denied(_)) => {}
        Err(fault) => return Err(format!("cannot read a node: {fault}")),
    }
    if !rollout.is_compared(rule) {
        return Ok(landing);
    }
    landing.stable = nodes(stable);
    let all: BTreeSet<String> = nodes(candidate).union(&landing.stable).cloned().collect();
    for node in all.into_iter().filter(|node| rollout.landed.lacks(node)) {
        match api.find(&format!("/api/v1/nodes/{node}")).await {
            Ok(Some(found)) => {
                let hardware = Hardware::of(&labels(&found), rule.workload.gpus > 0);
                landing.nodes.insert(node, hardware);
            }
            // It has gone, and its pods will.
            Ok(None) => {}
            Err(Fault::Denied(why)) => {
                landing.hidden = Some(format!("{why}; bind infra/cluster/ground.yaml"));
                break;
            }
            Err(fault) => return Err(format!("cannot read node {node}: {fault}")),
        }
    }
    Ok(landing)
}

/// Nodes that are gone, not ready or drained, of those on which the candidate's pods ran, where fewer of them are warm than at
/// the last look; and of the one that a replaced replica is to leave.
async fn lost(api: &Api, rollout: &Rollout, candidate: &[&Value]) -> Result<BTreeMap<String, String>, Fault> {
    let stay = nodes(candidate);
    let mut asked = suspects(rollout, candidate, &stay);
    asked.extend(rollout.node_to_leave().map(str::to_owned));
    let mut lost = BTreeMap::new();
    for node in asked {
        let found = api.find(&format!("/api/v1/nodes/{node}")).await?;
        if let Some(how) = how_lost(found.as_ref(), stay.contains(&node)) {
            lost.insert(node, how);
        }
    }
    Ok(lost)
}

/// Nodes on which no pod of a candidate with traffic is warm any more, where fewer are than at the last look.
fn suspects(rollout: &Rollout, candidate: &[&Value], stay: &BTreeSet<String>) -> BTreeSet<String> {
    let serves = |pod: &&&Value| stands(pod, None).0 == PodPhase::Serving && !is_terminating(pod);
    let warm: Vec<&Value> = candidate.iter().filter(serves).copied().collect();
    let fewer = warm.len() < rollout.candidate_seen.warm as usize;
    if !fewer || rollout.weight == Weight::ZERO {
        return BTreeSet::new();
    }
    let ran: BTreeSet<String> = stay.union(rollout.landed.ran()).cloned().collect();
    ran.difference(&nodes(&warm)).cloned().collect()
}

/// How a node is lost, in words, if it is. One that is closed to new pods is, unless a pod of the candidate's stays on it: what
/// is wrong with that one is its own.
fn how_lost(node: Option<&Value>, stays: bool) -> Option<String> {
    let Some(node) = node else {
        return Some("is gone".into());
    };
    if let Some(ready) = condition(node, "Ready").filter(|ready| ready["status"] != "True") {
        let message = ready["message"].as_str().unwrap_or_default();
        return Some(format!("is not ready: {}", cut(message)));
    }
    let closed = node["spec"]["unschedulable"] == true;
    (closed && !stays).then(|| "is drained: it is closed to new pods, and those that it had leave".into())
}

/// Nodes of pods that stay.
fn nodes(pods: &[&Value]) -> BTreeSet<String> {
    let staying = pods.iter().filter(|pod| !is_terminating(pod) && !is_over(pod));
    let nodes = staying.filter_map(|pod| pod["spec"]["nodeName"].as_str());
    nodes.map(str::to_owned).collect()
}

fn labels(node: &Value) -> Labels {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    labels.filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_is_lost_when_it_is_gone_or_silent_or_drained() {
        let of = |status: &str, closed: bool| {
            let ready =
                json!({"type": "Ready", "status": status, "message": "Kubelet stopped posting node status."});
            json!({"spec": {"unschedulable": closed}, "status": {"conditions": [ready]}})
        };
        let silent = Some("is not ready: Kubelet stopped posting node status.".to_owned());
        let drained = "is drained: it is closed to new pods, and those that it had leave";
        let table = [
            (None, false, Some("is gone".to_owned())),
            (Some(of("Unknown", false)), true, silent.clone()),
            (Some(of("False", true)), true, silent),
            (Some(of("True", false)), false, None),
            (Some(of("True", true)), false, Some(drained.to_owned())),
            // The candidate's pod was not told to leave, and is not warm: a person closed the node to look at it, say.
            (Some(of("True", true)), true, None),
            (Some(json!({})), false, None),
        ];
        for (node, stays, expected) in table {
            assert_eq!(how_lost(node.as_ref(), stays), expected, "{node:?}");
        }
    }
}
