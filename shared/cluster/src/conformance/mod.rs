//! What a cluster takes for the things that plans count on, measured on objects of its own that nobody's requests reach: a
//! route for a host that does not exist, on the gateways of the service's route; a Kubernetes Job; a pod.
//!
//! A write is timed from the API server's answer on, and looked at every 20 ms. Whatever was made is removed, also where something
//! fails.

mod printed;

use std::time::Duration;

use serde_json::{Value, json};
use weir_app::Clock;
use weir_domain::ids::{ClusterName, EnvironmentName, LaneKey, ServiceName};
use weir_domain::time::{Span, Timestamp};

use crate::Fleet;
use crate::api::Api;
use crate::fault::Fault;
use crate::fleet::chain;
use crate::pods::condition;
use crate::route::route_seen;

pub use printed::bounds;

/// Between two looks at what was written.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What has not come by then does not come.
const WITHIN: Span = Span::minutes(2);
/// What the objects are called.
const NAME: &str = "weir-conformance";

/// Where, and how often.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The cluster.
    pub cluster: ClusterName,
    /// Namespace of service and route.
    pub namespace: String,
    /// The route whose gateways are asked.
    pub route: String,
    /// An image with `sh` that the cluster can pull.
    pub image: String,
    /// Changes of weights, each looked at until the gateway's controller has taken it up.
    pub changes: u32,
    /// Kubernetes Jobs, and pods, one after another.
    pub starts: u32,
}

/// How long one thing took, each time that it was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Measured {
    /// What.
    pub what: What,
    /// Each time.
    pub took: Vec<Span>,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// An answer of the API server to a read.
    Answer,
    /// From a change of weights that was accepted to the gateway's controller having taken it up.
    Observed,
    /// From a Kubernetes Job that does nothing to its end.
    Job,
    /// From a pod to its being ready.
    Pod,
}

impl What {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Observed => "observed",
            Self::Job => "job",
            Self::Pod => "pod",
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Answer => "the API server answers a read",
            Self::Observed => "accepted weights are taken up by the gateway's controller",
            Self::Job => "a Kubernetes Job that does nothing has ended",
            Self::Pod => "a pod is ready",
        }
    }
}

impl Measured {
    /// The longest: what a plan may count on.
    pub fn bound(&self) -> Span {
        self.took.iter().copied().max().unwrap_or(Span::ZERO)
    }

    /// Half of them took no longer.
    pub fn median(&self) -> Span {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(Span::ZERO)
    }
}

/// Measures one after another.
///
/// # Errors
/// What could not be made, read or waited for, in words.
pub async fn measure(fleet: &Fleet, probe: &Probe) -> Result<Vec<Measured>, String> {
    let api = fleet
        .api(&probe.cluster)
        .await
        .map_err(|error| format!("cannot enter the cluster: {}", chain(&error)))?;
    let site = Site {
        api,
        clock: &*fleet.clock,
        probe,
    };
    let (answers, observed) = site.weights().await?;
    let jobs = site.jobs().await?;
    let pods = site.pods().await?;
    Ok(vec![answers, observed, jobs, pods])
}

struct Site<'a> {
    api: Api,
    clock: &'a dyn Clock,
    probe: &'a Probe,
}

impl Site<'_> {
    fn routes(&self) -> String {
        let namespace = &self.probe.namespace;
        format!("/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes")
    }

    /// Changes the weight of a route of its own, as often as asked.
    async fn weights(&self) -> Result<(Measured, Measured), String> {
        let of = format!("{}/{}", self.routes(), self.probe.route);
        let route = self.read(&of).await?;
        let rules = route["spec"]["rules"].as_array().into_iter().flatten();
        let mut backends = rules.flat_map(|rule| rule["backendRefs"].as_array().into_iter().flatten());
        let backend = backends
            .next()
            .ok_or_else(|| format!("HTTPRoute {} has no backend to point at", self.probe.route))?;
        let own = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": NAME},
            "spec": {
                "parentRefs": route["spec"]["parentRefs"],
                "hostnames": [format!("{NAME}.invalid")],
                "rules": [{"backendRefs": [{"name": backend["name"], "port": backend["port"], "weight": 1}]}],
            },
        });
        let path = format!("{}/{NAME}", self.routes());
        self.made(&self.routes(), &path, &own).await?;
        let measured = self.changes(&path).await;
        self.removed(&path).await?;
        measured
    }

    async fn changes(&self, path: &str) -> Result<(Measured, Measured), String> {
        let (mut answers, mut observed) = (Vec::new(), Vec::new());
        let began = self.clock.now();
        self.until(path, began, "taken up by its gateway", &mut answers, is_observed)
            .await?;
        for weight in 2..2 + self.probe.changes {
            let edit =
                json!({"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": weight});
            let patched = self.api.patch(path, &[edit]).await;
            patched.map_err(|fault| failed("change", path, &fault))?;
            let accepted = self.clock.now();
            let took = self
                .until(
                    path,
                    accepted,
                    "taken up by its gateway",
                    &mut answers,
                    is_observed,
                )
                .await?;
            observed.push(took);
        }
        let of = |what, took| Measured { what, took };
        Ok((of(What::Answer, answers), of(What::Observed, observed)))
    }

    async fn jobs(&self) -> Result<Measured, String> {
        let jobs = format!("/apis/batch/v1/namespaces/{}/jobs", self.probe.namespace);
        let pod = json!({"restartPolicy": "Never", "containers": [self.container("true")]});
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": NAME},
            "spec": {"backoffLimit": 0, "template": {"spec": pod}},
        });
        let ended = |job: &Value| job["status"]["succeeded"] == 1;
        self.starts(What::Job, &jobs, &job, "at its end", ended).await
    }

    async fn pods(&self) -> Result<Measured, String> {
        let pods = format!("/api/v1/namespaces/{}/pods", self.probe.namespace);
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [self.container("sleep 600")]},
        });
        let ready = |pod: &Value| condition(pod, "Ready").is_some_and(|ready| ready["status"] == "True");
        self.starts(What::Pod, &pods, &pod, "ready", ready).await
    }

    fn container(&self, command: &str) -> Value {
        json!({"name": "probe", "image": self.probe.image, "command": ["sh", "-c", command]})
    }

    /// Makes an object and waits until it is as wanted, as often as asked.
    async fn starts(
        &self,
        what: What,
        folder: &str,
        object: &Value,
        wanted: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Result<Measured, String> {
        let path = format!("{folder}/{NAME}");
        let mut took = Vec::new();
        for _ in 0..self.probe.starts {
            self.made(folder, &path, object).await?;
            let began = self.clock.now();
            let waited = self.until(&path, began, wanted, &mut Vec::new(), &is).await;
            self.removed(&path).await?;
            took.push(waited?);
        }
        Ok(Measured { what, took })
    }

    /// Looks at an object until it is as wanted; how long that took since `began`.
    async fn until(
        &self,
        path: &str,
        began: Timestamp,
        wanted: &str,
        answers: &mut Vec<Span>,
        is: impl Fn(&Value) -> bool,
    ) -> Result<Span, String> {
        loop {
            let asked = self.clock.now();
            let object = self.read(path).await?;
            let now = self.clock.now();
            answers.push(now.since(asked));
            if is(&object) {
                return Ok(now.since(began));
            }
            if now.since(began) >= WITHIN {
                return Err(format!("{path} was not {wanted} within {WITHIN}"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn read(&self, path: &str) -> Result<Value, String> {
        let object = self.api.get(path).await;
        object.map_err(|fault| failed("read", path, &fault))
    }

    /// Makes an object. What an earlier run that was killed has left goes first.
    async fn made(&self, folder: &str, path: &str, object: &Value) -> Result<(), String> {
        self.removed(path).await?;
        let made = self.api.create(folder, object).await;
        made.map_err(|fault| failed("make", path, &fault))
    }

    /// Removes an object, and waits until it is gone.
    async fn removed(&self, path: &str) -> Result<(), String> {
        let began = self.clock.now();
        loop {
            let found = self.api.find(path).await;
            let Some(object) = found.map_err(|fault| failed("read", path, &fault))? else {
                return Ok(());
            };
            if object["metadata"]["deletionTimestamp"].is_null() {
                match self.api.delete(path, &object).await {
                    // Its controller wrote in between.
                    Ok(()) | Err(Fault::Conflict(_)) => {}
                    Err(fault) => return Err(failed("remove", path, &fault)),
                }
            }
            if self.clock.now().since(began) >= WITHIN {
                return Err(format!("{path} was not gone within {WITHIN}: remove it by hand"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn is_observed(route: &Value) -> bool {
    let nobodys = LaneKey {
        service: ServiceName::new(NAME),
        environment: EnvironmentName::new(NAME),
    };
    route_seen(route, &nobodys, &[]).observed
}

fn failed(operation: &str, path: &str, fault: &Fault) -> String {
    format!("cannot {operation} {path}: {fault}")
}
