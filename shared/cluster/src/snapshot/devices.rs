//! Devices that are handed out by claims (`resource.k8s.io`), as amounts like any other.
//!
//! A driver's devices on a node become the resource `dra/DRIVER`, or the extended resource that a DeviceClass gives them,
//! for example `nvidia.com/gpu` on a node whose `allocatable` does not name it. What cannot be judged from the objects
//! alone (expressions that select by attribute, devices that share counters) is said and not guessed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use weir_domain::fit::Resources;

use super::Context;
use super::terms::{items, text};

/// Devices of a cluster, by node and by pod.
#[derive(Default)]
pub(crate) struct Devices {
    /// Amounts by node.
    offered: HashMap<String, Resources>,
    /// Amounts by namespace and pod.
    held: HashMap<(String, String), Resources>,
    /// The resource of each DeviceClass, or why it cannot be judged.
    classes: BTreeMap<String, Result<String, String>>,
    /// Requests of each ResourceClaimTemplate, by namespace and name.
    templates: BTreeMap<(String, String), Value>,
    /// Whether the snapshot has any object of this kind of allocation.
    any: bool,
    /// What was left out, in words.
    pub(crate) unknown: BTreeSet<String>,
}

/// Driver, pool and name of a device.
type DeviceId = (String, String, String);

impl Devices {
    pub(super) fn read(context: &Context<'_>) -> Self {
        let mut devices = Self::default();
        let names = devices.classes(context);
        let nodes = devices.slices(context, &names);
        devices.claims(context, &names, &nodes);
        for template in context.of_kind("ResourceClaimTemplate") {
            let meta = &template["metadata"];
            let key = (super::pod::namespace(meta), text(&meta["name"]));
            devices
                .templates
                .insert(key, template["spec"]["spec"]["devices"].clone());
        }
        devices.any = !nodes.is_empty() || !devices.templates.is_empty();
        devices
    }

    /// What a node offers beyond its `allocatable`.
    pub(super) fn offered_by(&self, node: &str) -> Resources {
        self.offered.get(node).cloned().unwrap_or_default()
    }

    /// What a pod holds by its claims.
    pub(super) fn held_by(&self, namespace: &str, pod: &str) -> Resources {
        let key = (namespace.to_owned(), pod.to_owned());
        self.held.get(&key).cloned().unwrap_or_default()
    }

    /// What a pod would claim; an error says why that cannot be judged.
    pub(super) fn wanted(&self, spec: &Value, space: &str) -> Result<Resources, String> {
        let mut all = Resources::default();
        for claim in items(&spec["resourceClaims"]) {
            let Some(name) = claim["resourceClaimTemplateName"].as_str() else {
                return Err(format!(
                    "shares the device claim {}, which is not judged",
                    text(&claim["resourceClaimName"])
                ));
            };
            let key = (space.to_owned(), name.to_owned());
            let Some(devices) = self.templates.get(&key) else {
                return Err(format!("device claim template {name} is not in the snapshot"));
            };
            for request in items(&devices["requests"]) {
                let (resource, count) = self.requested(request)?;
                all.add(&Resources::from_iter([(resource, count)]));
            }
        }
        Ok(all)
    }

    fn requested(&self, request: &Value) -> Result<(String, i64), String> {
        let name = text(&request["name"]);
        let exactly = if request["exactly"].is_object() {
            &request["exactly"]
        } else {
            request
        };
        if request["firstAvailable"].is_array()
            || exactly["allocationMode"] == "All"
            || items(&exactly["selectors"]).next().is_some()
        {
            return Err(format!(
                "device request {name} chooses by an expression, which is not judged"
            ));
        }
        let class = text(&exactly["deviceClassName"]);
        match self.classes.get(&class) {
            Some(Ok(resource)) => Ok((resource.clone(), exactly["count"].as_i64().unwrap_or(1))),
            Some(Err(why)) => Err(why.clone()),
            None => Err(format!("device class {class} is not in the snapshot")),
        }
    }

    /// The resource name of each driver's devices.
    fn classes(&mut self, context: &Context<'_>) -> HashMap<String, String> {
        let mut names = HashMap::new();
        for class in context.of_kind("DeviceClass") {
            let name = text(&class["metadata"]["name"]);
            let expressions: Vec<&str> = items(&class["spec"]["selectors"])
                .filter_map(|selector| selector["cel"]["expression"].as_str())
                .collect();
            let resource = match expressions.as_slice() {
                [one] => driver_of(one).ok_or(()),
                _ => Err(()),
            };
            let resource = resource
                .map_err(|()| format!("device class {name} selects by an expression that is not judged"));
            if let (Ok(driver), Some(extended)) = (&resource, class["spec"]["extendedResourceName"].as_str())
            {
                names.insert(driver.clone(), extended.to_owned());
            }
            self.classes.insert(name, resource);
        }
        for resource in self
            .classes
            .values_mut()
            .filter_map(|resource| resource.as_mut().ok())
        {
            *resource = resource_of(&names, resource);
        }
        names
    }

    /// Devices of the newest generation of each complete pool; gives the node of each.
    fn slices(
        &mut self,
        context: &Context<'_>,
        names: &HashMap<String, String>,
    ) -> HashMap<DeviceId, String> {
        let mut pools: BTreeMap<(String, String), Vec<&Value>> = BTreeMap::new();
        for slice in context.of_kind("ResourceSlice") {
            let spec = &slice["spec"];
            pools
                .entry((text(&spec["driver"]), text(&spec["pool"]["name"])))
                .or_default()
                .push(spec);
        }
        let mut nodes = HashMap::new();
        for ((driver, pool), slices) in pools {
            let generation = |spec: &&Value| spec["pool"]["generation"].as_i64().unwrap_or(0);
            let newest = slices.iter().map(generation).max();
            let current: Vec<&Value> = slices
                .into_iter()
                .filter(|spec| Some(generation(spec)) == newest)
                .collect();
            let complete = current
                .iter()
                .all(|spec| spec["pool"]["resourceSliceCount"].as_u64() == Some(current.len() as u64));
            if !complete {
                self.unknown.insert(format!(
                    "device pool {pool} of {driver} is not complete and is left out"
                ));
                continue;
            }
            for spec in current {
                self.devices(spec, &driver, &pool, names, &mut nodes);
            }
        }
        nodes
    }

    fn devices(
        &mut self,
        spec: &Value,
        driver: &str,
        pool: &str,
        names: &HashMap<String, String>,
        nodes: &mut HashMap<DeviceId, String>,
    ) {
        let Some(node) = spec["nodeName"].as_str() else {
            self.unknown
                .insert(format!("devices of {driver} that belong to no node are left out"));
            return;
        };
        for device in items(&spec["devices"]) {
            // An older form nests what a device is.
            let inner = if device["basic"].is_object() {
                &device["basic"]
            } else {
                device
            };
            if items(&inner["consumesCounters"]).next().is_some() {
                self.unknown
                    .insert(format!("devices of {driver} that share counters are left out"));
                continue;
            }
            if items(&inner["taints"]).any(|taint| taint["effect"] != "None") {
                continue;
            }
            let resource = resource_of(names, driver);
            self.offered
                .entry(node.to_owned())
                .or_default()
                .add(&Resources::from_iter([(resource, 1)]));
            nodes.insert(
                (driver.to_owned(), pool.to_owned(), text(&device["name"])),
                node.to_owned(),
            );
        }
    }

    fn claims(
        &mut self,
        context: &Context<'_>,
        names: &HashMap<String, String>,
        nodes: &HashMap<DeviceId, String>,
    ) {
        for claim in context.of_kind("ResourceClaim") {
            let meta = &claim["metadata"];
            // Made by the scheduler for an extended resource that its pod counts already.
            if meta["annotations"]["resource.kubernetes.io/extended-resource-claim"] == "true" {
                continue;
            }
            let pod = items(&claim["status"]["reservedFor"]).find(|user| user["resource"] == "pods");
            let results = items(&claim["status"]["allocation"]["devices"]["results"]);
            for result in results.filter(|result| result["adminAccess"] != true) {
                let id = (
                    text(&result["driver"]),
                    text(&result["pool"]),
                    text(&result["device"]),
                );
                let Some(node) = nodes.get(&id) else { continue };
                let resource = resource_of(names, &id.0);
                match pod {
                    Some(pod) => {
                        let key = (super::pod::namespace(meta), text(&pod["name"]));
                        self.held
                            .entry(key)
                            .or_default()
                            .add(&Resources::from_iter([(resource, 1)]));
                    }
                    // Nobody uses it now, and it is not free either.
                    None => {
                        let offered = self.offered.entry(node.clone()).or_default();
                        offered.add(&Resources::from_iter([(resource, -1)]));
                    }
                }
            }
        }
    }
}

fn resource_of(names: &HashMap<String, String>, driver: &str) -> String {
    names
        .get(driver)
        .cloned()
        .unwrap_or_else(|| format!("dra/{driver}"))
}

/// The driver in `device.driver == "gpu.example.com"`, the one expression that is understood.
fn driver_of(expression: &str) -> Option<String> {
    let (left, right) = expression.split_once("==")?;
    let right = right.trim();
    let inner = [('"', '"'), ('\'', '\'')]
        .iter()
        .find_map(|(open, close)| right.strip_prefix(*open)?.strip_suffix(*close))?;
    let plain = inner
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '/'));
    (left.trim() == "device.driver" && plain).then(|| inner.to_owned())
}
