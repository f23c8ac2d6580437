//! The weights of a route as a JSON Patch: what is ours changes, what is others' survives.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_domain::ids::Fence;

use crate::render::SERVICE_PORT;
use crate::sticky::{self, Base, Kept};
use crate::{mirror, names};

/// What the backends of a route shall be.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Namespace of route and Services.
    pub(crate) namespace: String,
    /// The user's plain Service.
    pub(crate) plain: String,
    /// The lane in full; a route belongs to one.
    pub(crate) lane: String,
    /// The run that writes.
    pub(crate) run: String,
    /// Backends with the revision behind each and its share; none: everything to the plain Service.
    pub(crate) split: Vec<Share>,
    /// The revision that gets copies of requests, and of a hundred how many.
    pub(crate) mirror: Option<Share>,
    /// Callers that stay with their variant.
    pub(crate) keep: Vec<Kept>,
    /// Backend that traffic goes back to, where the split does not say it: variants of an experiment are none of them stable.
    pub(crate) back: Option<String>,
    /// Fence of the write.
    pub(crate) fence: Fence,
}

/// The share of one revision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Share {
    /// Name of its Service.
    pub(crate) backend: String,
    /// The revision.
    pub(crate) revision: String,
    /// Percent.
    pub(crate) weight: u8,
}

/// What has to be done to a route.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Change {
    /// A later decision was written already.
    Overtaken,
    /// It is as wanted.
    Nothing,
    /// This patch.
    Patch(Vec<Value>),
}

/// Why a route cannot be written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error(
        "no rule sends traffic to the Service `{0}`: add it to the `backendRefs` of the rule that Weir is to split"
    )]
    NoRule(String),
    #[error("a rule names `{0}` beside the Service `{1}`: give that backend a rule of its own, or weight 0")]
    Foreign(String, String),
    #[error("it is split for `{0}` already: give every service a route of its own")]
    OtherLane(String),
    #[error("annotation `weir.dev/fence` holds `{0}`, which is not a number: remove it")]
    Fence(String),
    #[error(
        "the Service `{0}` was taken out of the rule that Weir splits: add it to its `backendRefs` again"
    )]
    NoWayBack(String),
    #[error("the shares sum to {0}, not to 100")]
    Sum(u32),
}

/// The fence in an object's annotations; zero if there is none.
pub(crate) fn fence_of(object: &Value) -> Result<Fence, Unfit> {
    match object["metadata"]["annotations"][names::FENCE].as_str() {
        None => Ok(Fence(0)),
        Some(text) => text.parse().map(Fence).map_err(|_| Unfit::Fence(text.to_owned())),
    }
}

/// The revisions behind a route's backends, as the route itself says.
pub(crate) fn known_backends(route: &Value) -> BTreeMap<String, String> {
    let noted = route["metadata"]["annotations"][names::BACKENDS].as_str();
    noted
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// Whether a backend is this Service of the route's own namespace.
pub(crate) fn is_service(backend: &Value, name: &str, namespace: &str) -> bool {
    let or = |key: &str, default: &str| backend[key].as_str().unwrap_or(default).to_owned();
    backend["name"] == name
        && or("kind", "Service") == "Service"
        && or("group", "").is_empty()
        && or("namespace", namespace) == namespace
}

/// Compares a route with what it shall be.
pub(crate) fn change(route: &Value, wanted: &Wanted) -> Result<Change, Unfit> {
    let fence = fence_of(route)?;
    if fence > wanted.fence {
        return Ok(Change::Overtaken);
    }
    wanted.check_sum()?;
    let annotations = &route["metadata"]["annotations"];
    match annotations[names::LANE].as_str() {
        Some(lane) if lane != wanted.lane => return Err(Unfit::OtherLane(lane.to_owned())),
        _ => {}
    }
    let known = known_backends(route);
    let callers = sticky::known(route);
    let mut edits = Vec::new();
    let mut bases = Vec::new();
    for (index, rule) in route["spec"]["rules"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let Some(backends) = rule["backendRefs"].as_array() else {
            continue;
        };
        if sticky::keeps(rule, &callers) || !backends.iter().any(|backend| wanted.owns(backend, &known)) {
            continue;
        }
        let own = backends
            .iter()
            .map(|backend| sticky::ungiving(backend.clone(), &callers));
        let shared = wanted.backends(&own.collect::<Vec<_>>(), &known)?;
        let given = shared
            .iter()
            .map(|backend| sticky::giving(backend.clone(), &wanted.keep));
        let next: Vec<Value> = given.collect();
        bases.push(Base {
            rule,
            backends: shared,
        });
        let owns = |backend: &Value| !wanted.is_plain(backend) && wanted.owns(backend, &known);
        let copies = mirror::edits(index, rule, owns, wanted.mirror.as_ref());
        let at = format!("/spec/rules/{index}");
        if !rule["name"].is_null() && (*backends != next || !copies.is_empty()) {
            edits.push(json!({"op": "test", "path": format!("{at}/name"), "value": rule["name"]}));
        }
        edits.extend(copies);
        if *backends != next {
            edits.push(json!({"op": "test", "path": format!("{at}/backendRefs"), "value": backends}));
            edits.push(json!({"op": "replace", "path": format!("{at}/backendRefs"), "value": next}));
        }
    }
    if bases.is_empty() {
        return Err(Unfit::NoRule(wanted.plain.clone()));
    }
    edits.extend(sticky::edits(route, &bases, &wanted.keep));
    let notes = wanted.annotations();
    if edits.is_empty()
        && fence == wanted.fence
        && notes.iter().all(|(key, value)| annotations[key] == *value)
    {
        return Ok(Change::Nothing);
    }
    Ok(Change::Patch(guarded(route, edits, &notes)))
}

/// A route without one backend, whose Service is about to go.
pub(crate) fn without(route: &Value, name: &str, namespace: &str, fence: Fence) -> Result<Change, String> {
    let found = fence_of(route).map_err(|unfit| unfit.to_string())?;
    let callers = sticky::known(route);
    let own = callers.get(name);
    let mut edits = Vec::new();
    for (index, rule) in route["spec"]["rules"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        // Copies for a Service that is gone would leave the whole route unresolved.
        let copies = mirror::edits(index, rule, |backend| is_service(backend, name, namespace), None);
        edits.extend(copies);
        let Some(backends) = rule["backendRefs"].as_array() else {
            continue;
        };
        let (gone, stay): (Vec<&Value>, Vec<&Value>) = backends
            .iter()
            .partition(|backend| is_service(backend, name, namespace));
        if gone.iter().any(|backend| backend["weight"] != 0) {
            return Err(format!("`{name}` still has traffic"));
        }
        // The rule of its callers goes as a whole.
        let whole = own.is_some_and(|says| sticky::is_for(rule, says));
        if !gone.is_empty() && !whole {
            let at = format!("/spec/rules/{index}/backendRefs");
            edits.push(json!({"op": "test", "path": at, "value": backends}));
            edits.push(json!({"op": "replace", "path": at, "value": stay}));
        }
    }
    edits.extend(sticky::forgotten(route, name));
    if edits.is_empty() {
        return Ok(Change::Nothing);
    }
    // The fence stays where a later decision has put it: nothing but a backend without a share goes.
    let mut notes = vec![(names::FENCE, found.max(fence).to_string())];
    notes.extend(forgotten(route, name));
    Ok(Change::Patch(guarded(route, edits, &notes)))
}

/// What a route says of its revisions, after one has left. Traffic must never go back to what is gone, so if that was
/// the stable backend, then what carries everything is.
fn forgotten(route: &Value, name: &str) -> Vec<(&'static str, String)> {
    let mut notes = Vec::new();
    let mut known = known_backends(route);
    if known.remove(name).is_some() {
        notes.push((names::BACKENDS, json!(known).to_string()));
    }
    if route["metadata"]["annotations"][names::STABLE] == name {
        let rules = route["spec"]["rules"].as_array().into_iter().flatten();
        let backends = rules.flat_map(|rule| rule["backendRefs"].as_array().into_iter().flatten());
        let mut serving = backends
            .filter(|backend| backend["weight"] != 0)
            .filter_map(|backend| backend["name"].as_str())
            .filter(|serving| known.contains_key(*serving));
        if let Some(first) = serving.next()
            && serving.all(|other| other == first)
        {
            notes.push((names::STABLE, first.to_owned()));
        }
    }
    notes
}

/// A patch that only applies to the object as it was read, with annotations written in the same moment.
pub(crate) fn guarded(object: &Value, edits: Vec<Value>, notes: &[(&str, String)]) -> Vec<Value> {
    let metadata = &object["metadata"];
    let mut patch = vec![
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}),
    ];
    patch.extend(edits);
    if !metadata["annotations"].is_object() {
        patch.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    }
    let changed = notes
        .iter()
        .filter(|(key, value)| metadata["annotations"][key] != *value);
    patch.extend(
        changed.map(|(key, value)| json!({"op": "add", "path": annotation_path(key), "value": value})),
    );
    patch
}

/// Where an annotation stands, as JSON Patch spells it.
pub(crate) fn annotation_path(key: &str) -> String {
    format!(
        "/metadata/annotations/{}",
        key.replace('~', "~0").replace('/', "~1")
    )
}

/// The edit that takes out an annotation that is there.
pub(crate) fn forget(annotation: &str) -> Value {
    json!({"op": "remove", "path": annotation_path(annotation)})
}

impl Wanted {
    fn check_sum(&self) -> Result<(), Unfit> {
        let sum: u32 = self.split.iter().map(|share| u32::from(share.weight)).sum();
        if self.split.is_empty() || sum == 100 {
            Ok(())
        } else {
            Err(Unfit::Sum(sum))
        }
    }

    /// Whether a rule of the route has backends that are split.
    pub(crate) fn splits(&self, route: &Value, rule: &Value) -> bool {
        let known = known_backends(route);
        let mut backends = rule["backendRefs"].as_array().into_iter().flatten();
        backends.any(|backend| self.owns(backend, &known))
    }

    fn is_plain(&self, backend: &Value) -> bool {
        is_service(backend, &self.plain, &self.namespace)
    }

    fn share(&self, backend: &Value) -> Option<&Share> {
        self.split
            .iter()
            .find(|share| is_service(backend, &share.backend, &self.namespace))
    }

    /// Whether a backend is the plain Service or a revision of this lane.
    fn owns(&self, backend: &Value, known: &BTreeMap<String, String>) -> bool {
        self.is_plain(backend)
            || self.share(backend).is_some()
            || known
                .keys()
                .any(|name| is_service(backend, name, &self.namespace))
    }

    /// The backends of a rule as they shall be. The plain Service keeps its place, with weight 0 while revisions have
    /// the traffic, so that the user's rule stays recognisable and there is a way back.
    fn backends(&self, present: &[Value], known: &BTreeMap<String, String>) -> Result<Vec<Value>, Unfit> {
        let mut next = Vec::new();
        for backend in present {
            let weight = if self.is_plain(backend) {
                json!(u8::from(self.split.is_empty()))
            } else if let Some(share) = self.share(backend) {
                json!(share.weight)
            } else if self.owns(backend, known) {
                continue;
            } else if backend["weight"] == 0 {
                backend["weight"].clone()
            } else {
                let name = backend["name"].as_str().unwrap_or_default();
                return Err(Unfit::Foreign(name.to_owned(), self.plain.clone()));
            };
            let mut backend = backend.clone();
            backend["weight"] = weight;
            next.push(backend);
        }
        let plain = present.iter().find(|backend| self.is_plain(backend));
        if self.split.is_empty() && plain.is_none() {
            return Err(Unfit::NoWayBack(self.plain.clone()));
        }
        let missing = self
            .split
            .iter()
            .filter(|share| !present.iter().any(|backend| self.share(backend) == Some(share)));
        next.extend(missing.map(|share| {
            let mut backend = json!({"group": "", "kind": "Service", "name": share.backend, "port": SERVICE_PORT, "weight": share.weight});
            // What the user's rule does to requests on their way to the plain Service, it does for every revision.
            if let Some(filters) = plain.and_then(|plain| plain.get("filters")) {
                backend["filters"] = filters.clone();
            }
            backend
        }));
        Ok(next)
    }

    fn annotations(&self) -> Vec<(&'static str, String)> {
        let backends: BTreeMap<&str, &str> = self
            .split
            .iter()
            .map(|share| (share.backend.as_str(), share.revision.as_str()))
            .collect();
        let stable = match (&self.back, self.split.as_slice()) {
            (Some(back), _) => back.clone(),
            (None, [stable, _, ..]) => stable.backend.clone(),
            // A first release goes back to the plain Service.
            _ => self.plain.clone(),
        };
        let mut notes = vec![
            (names::FENCE, self.fence.to_string()),
            (names::LANE, self.lane.clone()),
            (names::RUN, self.run.clone()),
            (names::BACKENDS, json!(backends).to_string()),
            (names::STABLE, stable),
        ];
        notes.extend(sticky::note(&self.keep));
        notes
    }
}

#[cfg(test)]
pub(crate) mod tests;
