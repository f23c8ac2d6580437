//! What stands on the cluster for a service: rules of its route, Deployments, Services.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_live::{World, soon};

/// What stands. A backend without a share is that of a revision before, and no write has to keep it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Standing {
    rules: Value,
    /// Specification of each, and the available replicas of one of Weir's.
    deployments: BTreeMap<String, (Value, u64)>,
    services: Vec<String>,
}

impl Standing {
    /// Reads it.
    pub(crate) async fn of(world: &World) -> Self {
        let deployments = listed(world, &world.path("apps/v1", "deployments")).await;
        let available = |name: &str, object: &Value| match name.starts_with("w-") {
            true => object["status"]["availableReplicas"].as_u64().unwrap_or(0),
            false => 0,
        };
        let services = listed(world, &world.core("services")).await;
        Self {
            rules: with_shares(world.route().await["spec"]["rules"].take()),
            deployments: deployments
                .into_iter()
                .map(|(name, object)| {
                    let available = available(&name, &object);
                    (name, (object["spec"].clone(), available))
                })
                .collect(),
            services: services.into_keys().collect(),
        }
    }

    /// What is not as it was, in words; nothing once all is.
    fn differs(&self, before: &Self) -> Option<String> {
        if self.rules != before.rules {
            return Some(format!(
                "the route's rules are {}, not {}",
                self.rules, before.rules
            ));
        }
        if self.services != before.services {
            return Some(format!(
                "Services are {:?}, not {:?}",
                self.services, before.services
            ));
        }
        let names = |of: &Self| of.deployments.keys().cloned().collect::<Vec<_>>();
        if names(self) != names(before) {
            return Some(format!(
                "Deployments are {:?}, not {:?}",
                names(self),
                names(before)
            ));
        }
        let all = self.deployments.iter();
        let other = all
            .zip(before.deployments.values())
            .find(|((_, now), then)| now != then);
        other.map(|((name, (spec, available)), (old, then))| {
            format!("Deployment {name} has {available} replicas, not {then}: {spec}, not {old}")
        })
    }

    /// Waits until all is as it was; what is not, in words.
    pub(crate) async fn is_back(before: &Self, world: &World) -> Result<(), String> {
        soon("route, Services and Deployments are as before", async || {
            let now = Self::of(world).await;
            now.differs(before).map_or(Ok(()), Err)
        })
        .await
    }

    /// Waits until one revision has the route and so many replicas, and all others of the service have none.
    pub(crate) async fn serves_alone(backend: &str, replicas: u64, world: &World) -> Result<(), String> {
        soon("the new revision serves alone", async || {
            let now = Self::of(world).await;
            let backends = now.rules[1]["backendRefs"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            if !matches!(&backends[..], [only] if only["name"] == backend) {
                return Err(format!("the route has {backends:?}"));
            }
            let wrong = now.deployments.iter().find(|(name, (spec, available))| {
                let wanted = if *name == backend { replicas } else { 0 };
                spec["replicas"] != wanted || *available != wanted
            });
            wrong.map_or(Ok(()), |(name, _)| {
                Err(format!("Deployment {name} has other replicas"))
            })
        })
        .await
    }
}

fn with_shares(mut rules: Value) -> Value {
    if let Some(backends) = rules[1]["backendRefs"].as_array_mut() {
        backends.retain(|backend| backend["weight"] != 0);
    }
    rules
}

async fn listed(world: &World, path: &str) -> BTreeMap<String, Value> {
    let found = world.admin.get(path).await.ok();
    let items = found["items"].as_array().cloned().unwrap_or_default();
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    items.into_iter().map(|object| (name(&object), object)).collect()
}
