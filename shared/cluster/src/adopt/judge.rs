//! Whether a Deployment can be adopted as it is found, and the revision that it is.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_domain::pipeline::RolloutRule;
use weir_domain::workload::{Adopted, TEMPLATE_HASH, Workload};

use super::owner::owned;
use crate::pods::{condition, gpus, is_over, is_terminating};

/// What a look found.
pub(super) struct Found<'a> {
    pub(super) rule: &'a RolloutRule,
    pub(super) deployment: &'a Value,
    /// The plain Service.
    pub(super) plain: &'a Value,
    /// The port of the pods behind the plain Service, a number or a name.
    pub(super) port: Option<Value>,
    /// Pods that the plain Service selects.
    pub(super) pods: &'a [Value],
}

/// The revision, or everything that is in the way, each with the object's name and the fix.
pub(super) fn judge(found: &Found<'_>) -> Result<Workload, Vec<String>> {
    let object = found.object();
    let mut problems: Vec<String> = owned(&object, found.deployment, &found.rule.lane)
        .into_iter()
        .collect();
    problems.extend(found.plain_is_split_by_others());
    problems.extend(found.carries_labels_of_weir(&object));
    problems.extend(found.is_on_its_way(&object));
    let hash = found.hash(&object).map_err(|problem| problems.push(problem)).ok();
    let port = found.number_of_port();
    if port.is_none() {
        problems.push(format!(
            "{} names no port of the pods of {object}: give it the number that they serve on",
            found.service()
        ));
    }
    match (hash, port) {
        (Some(hash), Some(port)) if problems.is_empty() => Ok(found.workload(&hash, port)),
        _ => Err(problems),
    }
}

/// Whether a selector of equalities selects what carries these labels. One without any selects nothing.
pub(super) fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().filter(|wanted| !wanted.is_empty());
    wanted.is_some_and(|wanted| wanted.iter().all(|(key, value)| labels[key] == *value))
}

impl Found<'_> {
    fn name(&self) -> &str {
        self.deployment["metadata"]["name"].as_str().unwrap_or_default()
    }

    fn object(&self) -> String {
        format!("Deployment {}/{}", self.rule.target.namespace, self.name())
    }

    fn service(&self) -> String {
        format!(
            "Service {}/{}",
            self.rule.target.namespace, self.rule.target.service
        )
    }

    fn template(&self) -> &Value {
        &self.deployment["spec"]["template"]
    }

    /// Argo Rollouts marks the Services that it splits by a label in their selectors.
    fn plain_is_split_by_others(&self) -> Option<String> {
        let split = !self.plain["spec"]["selector"]["rollouts-pod-template-hash"].is_null();
        split.then(|| {
            format!(
                "{} is split by Argo Rollouts, which would write it again: delete the Rollout that names it, and the label \
                 `rollouts-pod-template-hash` of its selector",
                self.service()
            )
        })
    }

    /// Pods that look like a revision's would be selected with it.
    fn carries_labels_of_weir(&self, object: &str) -> Option<String> {
        let labels = self.template()["metadata"]["labels"].as_object()?;
        let own = labels.keys().find(|key| key.starts_with("weir.dev/"))?;
        Some(format!(
            "pods of {object} carry the label `{own}`, which is Weir's own, and a revision would select them: take it out of the \
             template"
        ))
    }

    /// While it changes, it is two revisions.
    fn is_on_its_way(&self, object: &str) -> Option<String> {
        let (metadata, spec, status) = (
            &self.deployment["metadata"],
            &self.deployment["spec"],
            &self.deployment["status"],
        );
        let wanted = spec["replicas"].as_u64().unwrap_or(1);
        if wanted == 0 {
            return Some(format!(
                "{object} has no replicas: scale it to what is to serve, or take it out of `adopt`"
            ));
        }
        let of = |key: &str| status[key].as_u64().unwrap_or(0);
        let still = status["observedGeneration"] == metadata["generation"]
            && [of("replicas"), of("updatedReplicas"), of("availableReplicas")] == [wanted; 3];
        (!still).then(|| {
            let why = condition(self.deployment, "Progressing")
                .and_then(|condition| condition["message"].as_str())
                .unwrap_or_default();
            format!(
                "{object} is on its way, with {} of {wanted} replicas available: wait until `kubectl rollout status` says that it \
                 is done {why}",
                of("availableReplicas")
            )
            .trim_end()
            .to_owned()
        })
    }

    /// The hash of its template: that of all pods that the plain Service selects.
    fn hash(&self, object: &str) -> Result<String, String> {
        let mut hashes: Vec<&str> = Vec::new();
        for pod in self
            .pods
            .iter()
            .filter(|pod| !is_terminating(pod) && !is_over(pod))
        {
            let hash = pod["metadata"]["labels"][TEMPLATE_HASH]
                .as_str()
                .unwrap_or_default();
            let set = format!("{}-{hash}", self.name());
            let owners = pod["metadata"]["ownerReferences"]
                .as_array()
                .into_iter()
                .flatten();
            let own = owners
                .into_iter()
                .any(|owner| owner["kind"] == "ReplicaSet" && owner["name"] == set);
            if !own {
                return Err(format!(
                    "{} selects pod {}, which is none of {object} and would lose its requests: narrow the selector to that \
                     Deployment, or stop what runs the pod",
                    self.service(),
                    pod["metadata"]["name"].as_str().unwrap_or_default()
                ));
            }
            hashes.push(hash);
        }
        hashes.sort_unstable();
        hashes.dedup();
        match hashes.as_slice() {
            [one] => Ok((*one).to_owned()),
            [] => Err(format!(
                "{} selects no pod of {object}: let it select them, or name the Deployment that serves",
                self.service()
            )),
            _ => Err(format!(
                "{object} has pods of two templates: wait until its own rollout is done"
            )),
        }
    }

    /// The number of the port, which may have a name in the pods.
    fn number_of_port(&self) -> Option<u16> {
        let port = self.port.as_ref()?;
        if let Some(number) = port.as_u64() {
            return u16::try_from(number).ok();
        }
        let containers = self.template()["spec"]["containers"].as_array()?;
        let mut ports = containers
            .iter()
            .flat_map(|container| container["ports"].as_array().into_iter().flatten());
        let named = ports.find(|known| known["name"] == *port)?;
        named["containerPort"]
            .as_u64()
            .and_then(|number| u16::try_from(number).ok())
    }

    fn workload(&self, hash: &str, port: u16) -> Workload {
        let labels = self.deployment["spec"]["selector"]["matchLabels"].as_object();
        let mut selector: BTreeMap<String, String> = labels
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect();
        selector.insert(TEMPLATE_HASH.to_owned(), hash.to_owned());
        let replicas = self.deployment["spec"]["replicas"].as_u64().unwrap_or(1);
        let own = &self.rule.workload;
        Workload {
            template: self.template().clone(),
            config: Vec::new(),
            replicas: u32::try_from(replicas).unwrap_or(u32::MAX),
            gpus: gpus(self.template(), &own.gpu_resource),
            gpu_resource: own.gpu_resource.clone(),
            port,
            metrics: own.metrics.clone(),
            not_exact: not_exact(self.template()),
            adopted: Some(Adopted {
                deployment: self.name().to_owned(),
                selector,
            }),
        }
    }
}

/// Images whose bits may be others when its pods are made again.
fn not_exact(template: &Value) -> Vec<String> {
    let containers = template["spec"]["containers"].as_array().into_iter().flatten();
    let images = containers.filter_map(|container| container["image"].as_str());
    images
        .filter(|image| !image.contains("@sha256:"))
        .map(|image| format!("image {image} has no digest"))
        .collect()
}

#[cfg(test)]
mod tests;
