//! A route of its own: how soon its weights are taken up, and whether its fence may fall.

use serde_json::{Value, json};
use weir_domain::ids::{EnvironmentName, LaneKey, ServiceName};

use super::{Measured, NAME, Site, What, failed};
use crate::fault::Fault;
use crate::names;
use crate::route::route_seen;

/// What was found on the route.
pub(super) struct Weights {
    pub(super) answers: Measured,
    pub(super) observed: Measured,
    pub(super) fence_holds: bool,
}

impl Site<'_> {
    fn routes(&self) -> String {
        let namespace = &self.probe.namespace;
        format!("/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes")
    }

    /// Changes the weight of a route of its own, as often as asked, and then its fence.
    pub(super) async fn weights(&self) -> Result<Weights, String> {
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
        let found = self.on_route(&path).await;
        self.removed(&path).await?;
        found
    }

    async fn on_route(&self, path: &str) -> Result<Weights, String> {
        let (answers, observed) = self.changes(path).await?;
        Ok(Weights {
            answers,
            observed,
            fence_holds: self.fence_holds(path).await?,
        })
    }

    async fn changes(&self, path: &str) -> Result<(Measured, Measured), String> {
        let wanted = "taken up by its gateway";
        let (mut answers, mut observed) = (Vec::new(), Vec::new());
        let began = self.clock.now();
        self.until(path, began, wanted, &mut answers, is_observed).await?;
        for weight in 2..2 + self.probe.changes {
            let edit =
                json!({"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": weight});
            self.change(path, edit).await?;
            let accepted = self.clock.now();
            let took = self
                .until(path, accepted, wanted, &mut answers, is_observed)
                .await?;
            observed.push(took);
        }
        let of = |what, took| Measured { what, took };
        Ok((of(What::Answer, answers), of(What::Observed, observed)))
    }

    /// Whether the API server refuses a write whose fence is lower than the object's.
    async fn fence_holds(&self, path: &str) -> Result<bool, String> {
        let fence = json!({"op": "add", "path": "/metadata/annotations", "value": {names::FENCE: "2"}});
        self.change(path, fence).await?;
        let annotation = names::FENCE.replace('/', "~1");
        let lower =
            json!({"op": "replace", "path": format!("/metadata/annotations/{annotation}"), "value": "1"});
        match self.api.patch(path, &[lower]).await {
            Ok(()) => Ok(false),
            Err(Fault::Denied(said)) if said.contains(names::FENCE) => Ok(true),
            Err(fault) => Err(failed("change", path, &fault)),
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
