//! Services and routes, and what the routes give.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_live::World;

/// Makes a plain Service and a route for each, and lets metric-check read the gateway's counters.
pub(crate) async fn furnish(world: &World, services: &[String]) {
    for name in services {
        let service = service(name);
        world.admin.create(&world.core("services"), &service).await.ok();
        let routes = world.path("gateway.networking.k8s.io/v1", "httproutes");
        world.admin.create(&routes, &route(name)).await.ok();
    }
    for file in ["gateway.yaml", "pod-proxy.yaml"] {
        world.bind(file, "envoy-gateway-system").await.unwrap();
    }
}

/// Candidate's share by route, as the API server has it.
pub(crate) async fn shares(world: &World) -> BTreeMap<String, u64> {
    let routes = world.path("gateway.networking.k8s.io/v1", "httproutes");
    let all = world.admin.get(&routes).await.ok();
    let all = all["items"].as_array().unwrap().clone();
    let share = |route: &Value| {
        let backends = route["spec"]["rules"][0]["backendRefs"].as_array()?;
        // The plain Service, stable, the candidate.
        Some((
            route["metadata"]["name"].as_str()?.to_owned(),
            backends.get(2)?["weight"].as_u64()?,
        ))
    };
    all.iter().filter_map(share).collect()
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8000}]},
    })
}

fn route(name: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "gateway"}],
            "hostnames": [format!("{name}.example")],
            "rules": [{"backendRefs": [{"name": name, "port": 80}]}],
        },
    })
}
