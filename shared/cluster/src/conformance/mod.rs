//! What a cluster takes for the things that plans count on, measured on objects of its own that nobody's requests reach: a
//! route for a host that does not exist, on the gateways of the service's route; a Kubernetes Job; pods behind a Service. And
//! whether what Weir relies on is there: the way to a pod, the admission policy, rights.
//!
//! A write is timed from the API server's answer on, and looked at every 20 ms. Whatever was made is removed, also where something
//! fails.

mod jobs;
mod lacks;
mod measured;
mod pods;
mod printed;
mod weights;

use std::time::Duration;

use serde_json::{Value, json};
use weir_app::{Clock, with_causes};
use weir_domain::ids::ClusterName;
use weir_domain::time::{Span, Timestamp};

use crate::Fleet;
use crate::api::Api;
use crate::fault::Fault;

pub use lacks::{Lack, Rights};
pub use measured::{Measured, What};
pub use printed::{bounds, printed};

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
    /// Namespace of Plugin steps, if rights in it are asked about.
    pub builds: Option<String>,
    /// Namespace of the gateway's pods, if rights in it are asked about.
    pub gateways: Option<String>,
    /// An image with `sh` that the cluster can pull.
    pub image: String,
    /// A command in it that answers HTTP on port 8080 of the pod, whose address is in `POD_IP`.
    pub serve: String,
    /// Changes of weights, each looked at until the gateway's controller has taken it up.
    pub changes: u32,
    /// Kubernetes Jobs, and pods, one after another.
    pub starts: u32,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// How long things take. Without [`What::Proxy`] where no pod was reached.
    pub measured: Vec<Measured>,
    /// Why no pod was reached by way of the API server's proxy, if none was.
    pub unreached: Option<String>,
    /// Whether the admission policy refuses a fence that falls.
    pub fence_holds: bool,
    /// What whoever measures may not do of what Weir must.
    pub rights: Rights,
}

/// Measures one after another.
///
/// # Errors
/// What could not be made, read or waited for, in words.
pub async fn measure(fleet: &Fleet, probe: &Probe) -> Result<Report, String> {
    let api = fleet
        .api(&probe.cluster)
        .await
        .map_err(|error| format!("cannot enter the cluster: {}", with_causes(&error)))?;
    let site = Site {
        api,
        clock: &*fleet.clock,
        probe,
    };
    let rights = site.rights().await?;
    let weights = site.weights().await?;
    let jobs = site.jobs().await?;
    let pods = site.pods().await?;
    let mut measured = vec![weights.answers, weights.observed, jobs];
    measured.extend(pods.measured);
    Ok(Report {
        measured,
        unreached: pods.unreached,
        fence_holds: weights.fence_holds,
        rights,
    })
}

struct Site<'a> {
    api: Api,
    clock: &'a dyn Clock,
    probe: &'a Probe,
}

impl Site<'_> {
    fn container(&self, command: &str) -> Value {
        json!({"name": "probe", "image": self.probe.image, "command": ["sh", "-c", command]})
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

    /// The object at a path, if there is one.
    async fn find(&self, path: &str) -> Result<Option<Value>, String> {
        let object = self.api.find(path).await;
        object.map_err(|fault| failed("read", path, &fault))
    }

    async fn change(&self, path: &str, edit: Value) -> Result<(), String> {
        let patched = self.api.patch(path, &[edit]).await;
        patched.map_err(|fault| failed("change", path, &fault))
    }

    /// Makes an object. What an earlier run that was killed has left goes first.
    async fn made(&self, folder: &str, path: &str, object: &Value) -> Result<(), String> {
        self.removed(path).await?;
        let Err(fault) = self.api.create(folder, object).await else {
            return Ok(());
        };
        // Its answer may have been lost, and not the request.
        let left = self.removed(path).await;
        Err(failed("make", path, &fault) + &left.map_or_else(|why| format!("; {why}"), |()| String::new()))
    }

    /// Removes an object, and waits until it is gone.
    async fn removed(&self, path: &str) -> Result<(), String> {
        let began = self.clock.now();
        while let Some(object) = self.find(path).await? {
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
        Ok(())
    }
}

fn failed(operation: &str, path: &str, fault: &Fault) -> String {
    format!("cannot {operation} {path}: {fault}")
}
