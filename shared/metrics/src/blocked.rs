//! Whether the direct source will be able to count, tried before anything moves.

use futures::future::join_all;
use weir_app::{Placed, PodRef, ProxyError};
use weir_domain::pipeline::RolloutRule;

use crate::direct::{Direct, GATEWAYS_MAX, PODS_MAX};
use crate::{gateway, page};

const FIX: &str = "or let a server count the requests (`metrics` in the definition)";

impl Direct {
    /// Why neither the gateway's counters nor those of stable's pods can be read; nothing if one of them can, or if the
    /// API server itself does not answer.
    pub(crate) async fn blocked_for(&self, rule: &RolloutRule, placed: &Placed) -> Vec<String> {
        let gateways = placed.gateway.iter().take(GATEWAYS_MAX);
        let gateways = join_all(gateways.map(|pod| self.gateway_tells(rule, pod))).await;
        if gateways.iter().any(Result::is_ok) {
            return Vec::new();
        }
        let pods = placed.pods.values().flatten().take(PODS_MAX);
        let pods = join_all(pods.map(|pod| self.pod_tells(rule, pod))).await;
        if pods.iter().any(|told| told == &Ok(true)) {
            return Vec::new();
        }
        if pods.iter().any(Result::is_ok) {
            return counts_nothing(rule);
        }
        let gateways = gateways.into_iter().filter_map(Result::err);
        let mut silent = gateways.chain(pods.into_iter().filter_map(Result::err)).flatten();
        silent.next().into_iter().collect()
    }

    /// A pod that does not answer may be what the rollout is to mend; only a missing right is in its way.
    /// Says whether it counts its answers.
    async fn pod_tells(&self, rule: &RolloutRule, pod: &PodRef) -> Result<bool, Option<String>> {
        let endpoint = &rule.workload.metrics;
        let said = self
            .get(rule, pod, endpoint.port, endpoint.path.clone(), page::BYTES_MAX)
            .await;
        let counts = |text: String| page::read(&text, None).is_some_and(|page| page.answers.is_some());
        said.map(counts).map_err(|error| match error {
            ProxyError::Denied(_) => Some(denied("pod", pod)),
            _ => None,
        })
    }

    async fn gateway_tells(&self, rule: &RolloutRule, pod: &PodRef) -> Result<(), Option<String>> {
        let said = self.endpoints(rule, pod).await;
        said.map(|_| ()).map_err(|error| match error {
            ProxyError::Denied(_) => Some(denied("gateway pod", pod)),
            ProxyError::Cluster(_) => None,
            ProxyError::Pod(_) | ProxyError::TooLarge(_) => Some(format!(
                "gateway pod {}/{} does not tell its counters on port {} by way of the API server: {error}; let the API server \
                 reach it (NetworkPolicy, firewall of the nodes), {FIX}",
                pod.namespace,
                pod.name,
                gateway::PORT
            )),
        })
    }
}

/// Where there is a gateway it may begin to count with the first request to an endpoint of the rollout.
fn counts_nothing(rule: &RolloutRule) -> Vec<String> {
    if !rule.target.is_by_replicas() {
        return Vec::new();
    }
    let (port, path) = (rule.workload.metrics.port, &rule.workload.metrics.path);
    vec![format!(
        "the pods of {} do not count their answers on port {port} at {path}, or nobody has asked them yet, and there is no gateway \
         that counts for them: say where they do (`metrics` of the service), {FIX}",
        rule.lane
    )]
}

fn denied(what: &str, pod: &PodRef) -> String {
    let (namespace, name) = (&pod.namespace, &pod.name);
    format!(
        "Weir may not get pods/proxy in namespace `{namespace}`, so the counters of {what} {name} cannot be read: apply \
         infra/cluster/pod-proxy.yaml with `-n {namespace}`, {FIX}"
    )
}
