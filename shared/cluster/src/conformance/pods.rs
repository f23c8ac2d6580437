//! Pods behind a Service of their own: how soon they are ready, whether they are reached, and how they leave.

use http::Method;
use serde_json::{Value, json};
use weir_domain::time::{Span, Timestamp};

use super::{LOOK_EVERY, Measured, NAME, Site, WITHIN, What, failed};
use crate::api::{NoAnswer, is_status, percent};
use crate::pods::condition;
use crate::proxy::sort;

/// Where a pod answers.
const PORT: u16 = 8080;
/// Whoever does not answer by then is not reached: its server has had its time to start.
const REACHED_WITHIN: Span = Span::seconds(10);
/// Answers that are measured.
const ANSWERS: usize = 10;
/// Largest answer that is read.
const ANSWER_LIMIT: usize = 64 << 10;

/// What was found of the pods.
pub(super) struct Pods {
    pub(super) measured: Vec<Measured>,
    pub(super) unreached: Option<String>,
}

/// How one pod left.
struct Left {
    endpoint: Span,
    gone: Span,
}

impl Site<'_> {
    fn core(&self, kind: &str) -> String {
        format!("/api/v1/namespaces/{}/{kind}", self.probe.namespace)
    }

    fn pod(&self) -> String {
        format!("{}/{NAME}", self.core("pods"))
    }

    /// Makes a Service, and behind it one pod after another.
    pub(super) async fn pods(&self) -> Result<Pods, String> {
        let folder = self.core("services");
        let path = format!("{folder}/{NAME}");
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME},
            "spec": {"selector": labels(), "ports": [{"port": PORT}]},
        });
        self.made(&folder, &path, &service).await?;
        let found = self.one_after_another().await;
        self.removed(&path).await?;
        found
    }

    async fn one_after_another(&self) -> Result<Pods, String> {
        let mut reached = None;
        let (mut ready, mut endpoint, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.probe.starts {
            self.made(&self.core("pods"), &self.pod(), &self.object()).await?;
            let came = self.comes_and_leaves(self.clock.now(), &mut reached).await;
            self.removed(&self.pod()).await?;
            let (took, left) = came?;
            ready.push(took);
            endpoint.push(left.endpoint);
            gone.push(left.gone);
        }
        let of = |what, took| Measured { what, took };
        let mut measured = vec![
            of(What::Pod, ready),
            of(What::Endpoint, endpoint),
            of(What::Drain, gone),
        ];
        let unreached = match reached {
            Some(Ok(took)) => {
                measured.push(of(What::Proxy, took));
                None
            }
            Some(Err(why)) => Some(why),
            None => Some("no pod was asked for".to_owned()),
        };
        Ok(Pods { measured, unreached })
    }

    /// A pod that answers, and ends as soon as it is told to.
    fn object(&self) -> Value {
        let command = format!("trap 'exit 0' TERM; ({}) & sleep 3600 & wait", self.probe.serve);
        let mut container = self.container(&command);
        let address = json!({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}});
        container["env"] = json!([address]);
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "labels": labels()},
            "spec": {
                "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 5, "containers": [container],
            },
        })
    }

    /// One pod, from the moment that it was made. Only the first is asked to answer.
    async fn comes_and_leaves(
        &self,
        began: Timestamp,
        reached: &mut Option<Result<Vec<Span>, String>>,
    ) -> Result<(Span, Left), String> {
        let is_ready = |pod: &Value| condition(pod, "Ready").is_some_and(|ready| ready["status"] == "True");
        let ready = self
            .until(&self.pod(), began, "ready", &mut Vec::new(), is_ready)
            .await?;
        let uid = self.read(&self.pod()).await?["metadata"]["uid"].take();
        let listed = |slices: &Value| is_ready_endpoint(slices, &uid);
        let wanted = "listing the pod as ready";
        self.until(&self.slices(), self.clock.now(), wanted, &mut Vec::new(), listed)
            .await?;
        if reached.is_none() {
            *reached = Some(self.reached().await);
        }
        Ok((ready, self.leaves(&uid).await?))
    }

    fn slices(&self) -> String {
        let namespace = &self.probe.namespace;
        let of_service = percent(&format!("kubernetes.io/service-name={NAME}"));
        format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector={of_service}")
    }

    /// How long the pod's answers take by way of the API server, or why there is none.
    async fn reached(&self) -> Result<Vec<Span>, String> {
        let began = self.clock.now();
        let mut took = Vec::new();
        while took.len() < ANSWERS {
            let asked = self.clock.now();
            match self.asked().await {
                Ok(()) => took.push(self.clock.now().since(asked)),
                Err(why) if asked.since(began) >= REACHED_WITHIN => return Err(why),
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        Ok(took)
    }

    /// Asks the pod for anything: whatever it says itself is an answer.
    async fn asked(&self) -> Result<(), String> {
        let path = format!("{}:{PORT}/proxy/", self.pod());
        match self
            .api
            .send(Method::GET, &path, "", Vec::new(), ANSWER_LIMIT)
            .await
        {
            Err(NoAnswer::TooLarge) => Ok(()),
            Err(NoAnswer::Away(why)) => Err(why),
            Ok(answer) => {
                let said = serde_json::from_slice(&answer.body).unwrap_or_default();
                // Who has too much to do says so without a `Status`.
                let others = is_status(&said) || answer.status.is_server_error() || answer.status == 429;
                if others {
                    Err(sort(&answer).to_string())
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Tells the pod to leave; how long it stays a ready endpoint, and how long it stays.
    async fn leaves(&self, uid: &Value) -> Result<Left, String> {
        let path = self.pod();
        // Whatever was written to it since: its status changes at any time.
        let whichever = json!({"metadata": {"uid": uid}});
        let told = self.api.delete(&path, &whichever).await;
        told.map_err(|fault| failed("remove", &path, &fault))?;
        let began = self.clock.now();
        let (mut endpoint, mut gone) = (None, None);
        loop {
            let slices = self.read(&self.slices()).await?;
            let now = self.clock.now().since(began);
            if !is_ready_endpoint(&slices, uid) {
                endpoint.get_or_insert(now);
            }
            let left = self.find(&path).await?;
            let now = self.clock.now().since(began);
            if left.is_none_or(|pod| pod["metadata"]["uid"] != *uid) {
                gone.get_or_insert(now);
            }
            match (endpoint, gone) {
                (Some(endpoint), Some(gone)) => return Ok(Left { endpoint, gone }),
                _ if now >= WITHIN => {
                    return Err(format!(
                        "{path} was not gone, or still a ready endpoint, after {WITHIN}"
                    ));
                }
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }
}

fn labels() -> Value {
    json!({"app.kubernetes.io/name": NAME})
}

/// Whether requests to the Service may go to a pod.
fn is_ready_endpoint(slices: &Value, uid: &Value) -> bool {
    let slices = slices["items"].as_array().into_iter().flatten();
    let mut endpoints = slices.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    // One that says nothing is ready.
    endpoints.any(|endpoint| endpoint["targetRef"]["uid"] == *uid && endpoint["conditions"]["ready"] != false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_counts_for_its_own_pod_and_while_it_is_ready() {
        let slices = |conditions: Value| {
            let endpoint = json!({"targetRef": {"kind": "Pod", "uid": "1"}, "conditions": conditions});
            json!({"items": [{"endpoints": null}, {"endpoints": [endpoint]}]})
        };
        let ready = |conditions: Value, uid: &str| is_ready_endpoint(&slices(conditions), &json!(uid));
        assert!(ready(json!({"ready": true}), "1"));
        assert!(ready(json!({}), "1"));
        assert!(!ready(
            json!({"ready": false, "serving": true, "terminating": true}),
            "1"
        ));
        assert!(!ready(json!({"ready": true}), "2"));
        assert!(!is_ready_endpoint(&json!({"items": []}), &json!("1")));
    }
}
