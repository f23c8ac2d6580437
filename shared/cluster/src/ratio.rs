//! Shares without a gateway: the plain Service has pods of both revisions, and as many of each as the share says.
//!
//! Where one revision has everything, the Service selects that revision: one write takes all pods of the other out, and
//! pods that come later are in. In between it selects a label, which is put on as many pods of each as the share says. A pod
//! that is made meanwhile has none, and gets its part at the next look.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use serde_json::{Map, Value, json};
use weir_app::EffectError;
use weir_domain::ids::{Fence, LaneKey, RevisionId};
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::{Ratio, Rollout};
use weir_domain::seen::RouteSeen;
use weir_domain::units::Weight;

use crate::adopt::{SELECTED, plain_path, ready};
use crate::api::Api;
use crate::names;
use crate::pods::{is_ready, is_terminating};
use crate::render::{selector, selector_query};
use crate::revision::core_path;
use crate::scenery::failed;
use crate::split::{Change, annotation_path, fence_of, forget, guarded};
use crate::traffic::{Failure, write};

/// Annotation of the plain Service: the shares that were given, as JSON.
const SPLIT: &str = "weir.dev/split";
/// A pod that has no traffic goes before one that has, where a Deployment shrinks.
const WITHOUT: &str = "-50";
const WITH: &str = "0";

/// Shares by revision, in percent.
type Shares = BTreeMap<RevisionId, Weight>;

/// What the Service selects while both revisions have a share.
fn both(lane: &LaneKey) -> Value {
    json!({names::SERVES: names::lane_label(lane)})
}

/// What the Service selects for these shares; nothing where none has any.
fn wanted(lane: &LaneKey, shares: &Shares) -> Option<Value> {
    let mut with = shares.iter().filter(|(_, weight)| **weight > Weight::ZERO);
    let (first, _) = with.next()?;
    Some(match with.next() {
        None => selector(lane, first),
        Some(_) => both(lane),
    })
}

/// The pods of a lane.
struct Pods<'a> {
    lane: &'a LaneKey,
    candidate: &'a RevisionId,
    all: &'a [Value],
    /// Replicas that carry all traffic.
    needed: u32,
}

impl<'a> Pods<'a> {
    fn of(rule: &'a RolloutRule, rollout: &'a Rollout, all: &'a [Value]) -> Self {
        Self {
            lane: &rule.lane,
            candidate: &rollout.candidate,
            all,
            needed: rollout.plan.needed(rule),
        }
    }

    fn name(pod: &Value) -> &str {
        pod["metadata"]["name"].as_str().unwrap_or_default()
    }

    fn has_label(&self, pod: &Value) -> bool {
        pod["metadata"]["labels"][names::SERVES] == names::lane_label(self.lane)
    }

    fn is_of_candidate(&self, pod: &Value) -> bool {
        pod["metadata"]["labels"][names::REVISION] == names::label_value(self.candidate.as_str())
    }

    /// Pods that can answer, of one side.
    fn warm(&self, candidate: bool) -> Vec<&'a Value> {
        let answers =
            |pod: &&Value| is_ready(pod) && !is_terminating(pod) && self.is_of_candidate(pod) == candidate;
        self.all.iter().filter(answers).collect()
    }

    /// Which of them get traffic. Those that have it keep it, so that as few as can be are changed.
    fn chosen(&self, weight: Weight) -> BTreeSet<&'a str> {
        let count = |side: &[&Value]| u32::try_from(side.len()).unwrap_or(u32::MAX);
        let (mut new, mut old) = (self.warm(true), self.warm(false));
        let ratio = Ratio::of(weight, count(&new), count(&old), self.needed);
        for side in [&mut new, &mut old] {
            side.sort_by_key(|pod| (!self.has_label(pod), Self::name(pod)));
        }
        let new = new.into_iter().take(ratio.candidate as usize);
        let old = old.into_iter().take(ratio.stable as usize);
        new.chain(old).map(Self::name).collect()
    }

    /// Warm pods that the Service selects.
    fn selected(&self, service: &Value) -> BTreeSet<&'a str> {
        let asked = service["spec"]["selector"].as_object();
        let asked = asked.filter(|asked| !asked.is_empty());
        let selects = |pod: &&&Value| {
            asked.is_some_and(|asked| {
                let mut asked = asked.iter();
                asked.all(|(key, value)| pod["metadata"]["labels"][key] == *value)
            })
        };
        let both = [true, false].map(|candidate| self.warm(candidate));
        both.iter()
            .flatten()
            .filter(selects)
            .map(|pod| Self::name(pod))
            .collect()
    }

    /// The candidate's part of some pods.
    fn share(&self, some: &BTreeSet<&str>) -> Weight {
        let of_candidate = self.warm(true);
        let candidate = of_candidate.iter().filter(|pod| some.contains(Self::name(pod)));
        let candidate = u32::try_from(candidate.count()).unwrap_or(u32::MAX);
        let all = u32::try_from(some.len()).unwrap_or(u32::MAX);
        match candidate {
            0 => Weight::ZERO,
            _ => Ratio {
                candidate,
                stable: all.saturating_sub(candidate),
            }
            .share(),
        }
    }
}

/// The shares that a Service says it was given.
fn given(service: &Value) -> Option<Shares> {
    let noted = service["metadata"]["annotations"][SPLIT].as_str()?;
    serde_json::from_str(noted).ok()
}

/// Shares, fence, and whether the endpoints are what was asked for.
pub(crate) async fn seen(
    api: &Api,
    rule: &RolloutRule,
    rollout: &Rollout,
    all: &[Value],
) -> Result<RouteSeen, String> {
    let slices = format!(
        "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
        rule.target.namespace
    );
    let (path, of) = (
        plain_path(rule),
        format!("kubernetes.io/service-name={}", rule.target.service),
    );
    let (service, slices) = tokio::join!(api.find(&path), api.list(&slices, &of));
    let told = |fault| failed("see the Service that splits", &rule.target.namespace, &fault);
    let (service, slices) = (service.map_err(told)?, slices.map_err(told)?);
    let pods = Pods::of(rule, rollout, all);
    Ok(match &service {
        Some(service) => stands(service, &slices, &pods),
        None => RouteSeen {
            problem: Some(format!("the Service {} does not exist", rule.target.service)),
            ..RouteSeen::default()
        },
    })
}

fn stands(service: &Value, slices: &[Value], pods: &Pods<'_>) -> RouteSeen {
    let (fence, problem) = match fence_of(service) {
        Ok(fence) => (fence, None),
        Err(unfit) => (Fence::default(), Some(unfit.to_string())),
    };
    let asked = given(service).unwrap_or_default();
    let share = asked.get(pods.candidate).copied().unwrap_or(Weight::ZERO);
    let selected = pods.selected(service);
    let selects = wanted(pods.lane, &asked).is_some_and(|wanted| service["spec"]["selector"] == wanted);
    let is_split = !matches!(share, Weight::ZERO | Weight::FULL);
    // A pod that has come or gone leaves other counts: they are put right like a share that somebody else has changed.
    let as_asked = selects && (!is_split || selected == pods.chosen(share));
    let share = if as_asked { share } else { pods.share(&selected) };
    RouteSeen {
        weights: [(pods.candidate.clone(), share)].into(),
        fence,
        observed: has_endpoints(slices, &selected),
        problem,
        ..RouteSeen::default()
    }
}

/// Whether the endpoints that get traffic are these pods.
fn has_endpoints(slices: &[Value], pods: &BTreeSet<&str>) -> bool {
    let endpoints = slices.iter().flat_map(ready);
    let names = endpoints.filter_map(|endpoint| endpoint["targetRef"]["name"].as_str());
    names.collect::<BTreeSet<_>>() == *pods
}

/// Gives these shares: labels before the Service selects by them, and else the Service first.
pub(crate) async fn set(
    api: &Api,
    rule: &RolloutRule,
    rollout: Option<&Rollout>,
    split: &[(RevisionId, Weight)],
    fence: Fence,
) -> Result<(), EffectError> {
    let shares: Shares = split.iter().cloned().collect();
    let object = format!("Service {}/{}", rule.target.namespace, rule.target.service);
    if wanted(&rule.lane, &shares) != Some(both(&rule.lane)) {
        return point(api, rule, &shares, fence, object).await;
    }
    let Some(rollout) = rollout else {
        return Err(EffectError::never(
            "split",
            object,
            "only a rollout splits by replicas",
        ));
    };
    let read = api.get(&plain_path(rule)).await;
    let service = read.map_err(|fault| fault.on("read", object.clone()))?;
    if fence_of(&service).is_ok_and(|found| found > fence) {
        return Ok(());
    }
    let revisions: Vec<&RevisionId> = split.iter().map(|(revision, _)| revision).collect();
    let path = core_path(rule, "pods");
    let all = api.list(&path, &selector_query(&rule.lane, &revisions)).await;
    let all = all.map_err(|fault| fault.on("list pods of", object.clone()))?;
    let pods = Pods::of(rule, rollout, &all);
    let share = shares.get(&rollout.candidate).copied().unwrap_or(Weight::ZERO);
    let chosen = pods.chosen(share);
    let (with, without): (Vec<&Value>, Vec<&Value>) =
        all.iter().partition(|pod| chosen.contains(Pods::name(pod)));
    // What is not warm gets no traffic, and keeps its label unless the label says nothing yet.
    let is_split = service["spec"]["selector"] == both(&rule.lane);
    let without: Vec<&Value> = without
        .into_iter()
        .filter(|pod| pods.has_label(pod) && (is_ready(pod) || !is_split))
        .collect();
    let with: Vec<&Value> = with.into_iter().filter(|pod| !pods.has_label(pod)).collect();
    let mark = |pods: Vec<&Value>, serves: bool| {
        try_join_all(
            pods.into_iter()
                .map(|pod| label(api, rule, pod.clone(), serves, fence))
                .collect::<Vec<_>>(),
        )
    };
    if is_split {
        point(api, rule, &shares, fence, object).await?;
        // Whoever comes goes in before another goes out: what answers is never fewer than is needed.
        mark(with, true).await?;
        mark(without, false).await?;
    } else {
        mark(without, false).await?;
        mark(with, true).await?;
        point(api, rule, &shares, fence, object).await?;
    }
    Ok(())
}

/// Lets the Service select what these shares ask for, and says so.
async fn point(
    api: &Api,
    rule: &RolloutRule,
    shares: &Shares,
    fence: Fence,
    object: String,
) -> Result<(), EffectError> {
    let decide = |service: &Value| pointed(service, &rule.lane, shares, fence);
    let written = write(api, &plain_path(rule), decide).await;
    written.map_err(|failure| failure.on("set the shares of", object))
}

fn pointed(service: &Value, lane: &LaneKey, shares: &Shares, fence: Fence) -> Result<Change, String> {
    let found = fence_of(service).map_err(|unfit| unfit.to_string())?;
    if found > fence {
        return Ok(Change::Overtaken);
    }
    let annotations = &service["metadata"]["annotations"];
    let selects = &service["spec"]["selector"];
    let kept = annotations[SELECTED].as_str();
    let mut notes = vec![
        (names::FENCE, fence.to_string()),
        (SPLIT, json!(shares).to_string()),
    ];
    let mut edits = Vec::new();
    let next = match (wanted(lane, shares), kept) {
        (Some(wanted), _) => {
            // What it selected before Weir came is what it goes back to where nothing of Weir's has served.
            if kept.is_none() && given(service).is_none() {
                notes.push((SELECTED, selects.to_string()));
            }
            wanted
        }
        (None, Some(kept)) => {
            edits.push(forget(SELECTED));
            serde_json::from_str(kept)
                .map_err(|error| format!("its annotation `{SELECTED}` is no selector: {error}"))?
        }
        (None, None) => selects.clone(),
    };
    let stands = *selects == next && notes.iter().all(|(key, value)| annotations[key] == *value);
    if stands && edits.is_empty() {
        return Ok(Change::Nothing);
    }
    if *selects != next {
        // `add` also replaces; a Service without a selector has no such member.
        edits.push(json!({"op": "add", "path": "/spec/selector", "value": next}));
    }
    Ok(Change::Patch(guarded(service, edits, &notes)))
}

/// Puts a pod into the Service, or takes it out. A pod that has gone needs neither.
async fn label(
    api: &Api,
    rule: &RolloutRule,
    pod: Value,
    serves: bool,
    fence: Fence,
) -> Result<(), EffectError> {
    let name = Pods::name(&pod).to_owned();
    let path = format!("{}/{name}", core_path(rule, "pods"));
    api.remember(&path, &pod);
    let decide = |pod: &Value| labelled(pod, &rule.lane, serves, fence);
    match write(api, &path, decide).await {
        Ok(()) | Err(Failure::Fault(crate::fault::Fault::Missing(_))) => Ok(()),
        Err(failure) => Err(failure.on("give a share to", format!("Pod {}/{name}", rule.target.namespace))),
    }
}

fn labelled(pod: &Value, lane: &LaneKey, serves: bool, fence: Fence) -> Result<Change, String> {
    if fence_of(pod).map_err(|unfit| unfit.to_string())? > fence {
        return Ok(Change::Overtaken);
    }
    let empty = Map::new();
    let labels = pod["metadata"]["labels"].as_object().unwrap_or(&empty);
    let value = names::lane_label(lane);
    let path = annotation_path(names::SERVES).replace("annotations", "labels");
    let edit = match (labels.get(names::SERVES), serves) {
        (Some(has), true) if *has == json!(value) => return Ok(Change::Nothing),
        (None, false) => return Ok(Change::Nothing),
        (_, true) => json!({"op": "add", "path": path, "value": value}),
        (Some(_), false) => json!({"op": "remove", "path": path}),
    };
    let cost = if serves { WITH } else { WITHOUT };
    let notes = [
        (names::FENCE, fence.to_string()),
        (names::DELETION_COST, cost.to_owned()),
    ];
    Ok(Change::Patch(guarded(pod, vec![edit], &notes)))
}

#[cfg(test)]
mod tests;
