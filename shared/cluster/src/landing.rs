//! On what the pods of both revisions run, where they are compared.
//!
//! A node is asked for once in a rollout: what it is stands in the run from then on.

use std::collections::BTreeSet;

use serde_json::Value;
use weir_domain::fit::{Hardware, Labels};
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::Rollout;
use weir_domain::seen::Landing;

use crate::api::Api;
use crate::fault::Fault;
use crate::pods::{is_over, is_terminating};

/// Looks at nodes of these pods that the rollout does not know yet.
pub(crate) async fn look(
    api: &Api,
    rule: &RolloutRule,
    rollout: &Rollout,
    candidate: &[&Value],
    stable: &[&Value],
) -> Result<Landing, String> {
    let mut landing = Landing::default();
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
