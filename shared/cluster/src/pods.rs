//! Pods of a revision, read as phases and words.

use serde_json::Value;
use weir_domain::seen::{PodPhase, RevisionSeen};

use crate::warm_up::{self, Said};

/// Longest message of a pod that is passed on.
const WORDS_LIMIT: usize = 300;

/// Sums up the pods of a revision. `deployment` is its Deployment, if there is one; `said` is what probes said that wait for a
/// first answer.
pub(crate) fn revision_seen(
    pods: &[&Value],
    deployment: Option<&Value>,
    gpu_resource: &str,
    said: &Said,
) -> RevisionSeen {
    let mut seen = RevisionSeen {
        desired: deployment.map_or(0, |object| count(&object["spec"]["replicas"])),
        ..RevisionSeen::default()
    };
    let mut slowest: Option<(PodPhase, String)> = None;
    let mut last_crash: Option<(String, String)> = None;
    let mut last_to_leave: Option<(String, String)> = None;
    for pod in pods {
        seen.crashes += crashes(pod);
        last_crash = last_crash.max(crash(pod));
        if is_over(pod) {
            continue;
        }
        if !pod["spec"]["nodeName"].is_null() {
            seen.gpus += gpus(pod, gpu_resource);
        }
        if is_terminating(pod) {
            seen.terminating += 1;
            last_to_leave = last_to_leave.max(Some(leaves(pod)));
            continue;
        }
        seen.pods += 1;
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let (phase, words) = stands(pod, said.get(name).map(String::as_str));
        seen.warm += u32::from(phase == PodPhase::Serving);
        *seen.phases.entry(phase).or_insert(0) += 1;
        if slowest.as_ref().is_none_or(|(other, _)| phase < *other) {
            slowest = Some((phase, words));
        }
    }
    seen.last_crash = last_crash.map(|(_, words)| words);
    (seen.phase, seen.words) = match slowest {
        Some(slowest) => slowest,
        None if seen.terminating > 0 => (
            PodPhase::Draining,
            last_to_leave.map(|(_, words)| words).unwrap_or_default(),
        ),
        None => (
            PodPhase::Absent,
            deployment
                .and_then(cannot_create)
                .unwrap_or_else(|| "no pod exists".into()),
        ),
    };
    if seen.pods > 0
        && seen.pods < seen.desired
        && let Some(why) = deployment.and_then(cannot_create)
    {
        seen.words = why;
    }
    seen
}

/// Until when a pod leaves, and what it is that leaves.
fn leaves(pod: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let by = text(&pod["metadata"]["deletionTimestamp"]);
    let (name, node) = (text(&pod["metadata"]["name"]), text(&pod["spec"]["nodeName"]));
    let finalizers = pod["metadata"]["finalizers"].as_array().into_iter().flatten();
    let finalizers: Vec<&str> = finalizers.filter_map(Value::as_str).collect();
    let held = match finalizers.is_empty() {
        true => String::new(),
        false => format!(", held by its finalizers {}", finalizers.join(", ")),
    };
    let words = format!("pod {name} on {node} leaves, by {by} at the latest{held}");
    (by, cut(&words))
}

/// Whether a pod is on its way out.
pub(crate) fn is_terminating(pod: &Value) -> bool {
    !pod["metadata"]["deletionTimestamp"].is_null()
}

/// Whether it answers requests.
pub(crate) fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|c| c["status"] == "True")
}

/// Whether all its containers have ended for good: it holds nothing any more.
pub(crate) fn is_over(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"))
}

/// Where a pod stands, and why it stands there. `said`: the last words of the probe that waits for its first answer.
pub(crate) fn stands(pod: &Value, said: Option<&str>) -> (PodPhase, String) {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let say = |words: &str| format!("pod {name} {}", cut(words));
    if pod["spec"]["nodeName"].is_null() {
        let condition = condition(pod, "PodScheduled");
        let why = condition
            .and_then(|c| c["message"].as_str())
            .unwrap_or("waits for the scheduler");
        return (PodPhase::Scheduling, cut(why));
    }
    if is_ready(pod) {
        return (PodPhase::Serving, "serving".into());
    }
    let statuses = statuses(pod, "initContainerStatuses").chain(statuses(pod, "containerStatuses"));
    let mut any = false;
    let mut slowest: Option<(PodPhase, String)> = None;
    for status in statuses {
        any = true;
        let name = status["name"].as_str().unwrap_or_default();
        let waits = status["started"] != true && !status["state"]["running"].is_null();
        let next = match waits && warm_up::is_asked(pod, name) {
            true => generates(said, &say),
            false => container_stands(status, &say),
        };
        let slower = slowest.as_ref().is_none_or(|(phase, _)| next.0 < *phase);
        if slower && next.0 <= PodPhase::Warming {
            slowest = Some(next);
        }
    }
    match slowest {
        Some(slowest) => slowest,
        None if any => (PodPhase::Warming, say("is loaded and not ready yet")),
        None => (
            PodPhase::Provisioning,
            say("has a node; its sandbox and volumes are made"),
        ),
    }
}

/// Where a container stands that runs and has not given its first answer.
fn generates(said: Option<&str>, say: &dyn Fn(&str) -> String) -> (PodPhase, String) {
    match said.filter(|said| !said.is_empty() && !warm_up::loads(said)) {
        Some(said) => (
            PodPhase::Warming,
            say(&format!("does not answer its warm-up: {said}")),
        ),
        None => (
            PodPhase::Loading,
            say("loads, or does not answer its warm-up yet"),
        ),
    }
}

fn container_stands(status: &Value, say: &dyn Fn(&str) -> String) -> (PodPhase, String) {
    let container = status["name"].as_str().unwrap_or_default();
    let waiting = &status["state"]["waiting"];
    if let Some(reason) = waiting["reason"].as_str() {
        let message = waiting["message"].as_str().unwrap_or_default();
        return match reason {
            _ if is_pull_trouble(reason) => (
                PodPhase::Pulling,
                say(&format!(
                    "cannot pull the image of {container}: {reason} {message}"
                )),
            ),
            "CrashLoopBackOff" => {
                let code = status["lastState"]["terminated"]["exitCode"]
                    .as_i64()
                    .unwrap_or_default();
                (
                    PodPhase::Loading,
                    say(&format!(
                        "waits to start {container} again after exit code {code}"
                    )),
                )
            }
            "ContainerCreating" => (PodPhase::Provisioning, say("has a node; image and volumes come")),
            // It waits for the init containers, whose own statuses say more.
            "PodInitializing" => (PodPhase::Loading, say("initializes")),
            _ => (
                PodPhase::Provisioning,
                say(&format!("cannot start {container}: {reason} {message}")),
            ),
        };
    }
    if let Some(code) = status["state"]["terminated"]["exitCode"].as_i64() {
        // An init container that has done its work holds nobody up.
        if code == 0 && status["ready"] == true {
            return (PodPhase::Serving, String::new());
        }
        return (
            PodPhase::Loading,
            say(&format!("has ended {container} with exit code {code}")),
        );
    }
    match (status["ready"].as_bool(), status["started"].as_bool()) {
        (Some(true), _) => (PodPhase::Serving, String::new()),
        (_, Some(true)) => (PodPhase::Warming, say("is loaded and not ready yet")),
        _ => (PodPhase::Loading, say("loads")),
    }
}

/// Whether the reason of a waiting container is about its image.
pub(crate) fn is_pull_trouble(reason: &str) -> bool {
    matches!(
        reason,
        "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "RegistryUnavailable"
    )
}

/// Containers of a pod that ended although they should run: restarts, and an end that no restart has followed yet.
fn crashes(pod: &Value) -> u32 {
    let all = statuses(pod, "initContainerStatuses")
        .map(|status| (status, true))
        .chain(statuses(pod, "containerStatuses").map(|status| (status, false)));
    all.map(|(status, init)| {
        let ended = &status["state"]["terminated"];
        let bad = !ended.is_null() && (ended["exitCode"] != 0 || (!init && !is_over(pod)));
        let waits = status["state"]["waiting"]["reason"] == "CrashLoopBackOff";
        // Containers of a pod that is told to leave end because of that.
        let pending = (bad || waits) && !is_terminating(pod);
        count(&status["restartCount"]) + u32::from(pending)
    })
    .sum()
}

/// The pod's last bad end: when, and in words.
fn crash(pod: &Value) -> Option<(String, String)> {
    let name = pod["metadata"]["name"].as_str()?;
    let all = statuses(pod, "initContainerStatuses").chain(statuses(pod, "containerStatuses"));
    let ends = all.flat_map(|status| {
        let now = Some(&status["state"]["terminated"]).filter(|_| !is_terminating(pod));
        let before = Some(&status["lastState"]["terminated"]);
        let container = status["name"].as_str().unwrap_or_default();
        [now, before].into_iter().flatten().filter_map(move |end| {
            let code = end["exitCode"].as_i64()?;
            let at = end["finishedAt"].as_str().unwrap_or_default().to_owned();
            let reason = end["reason"].as_str().unwrap_or("Error");
            (code != 0 || !before.is_none_or(Value::is_null)).then(|| {
                (
                    at,
                    format!("pod {name} container {container} exited with code {code} ({reason})"),
                )
            })
        })
    });
    ends.max()
}

/// GPUs that a pod is given, or one of a template would be.
pub(crate) fn gpus(pod: &Value, resource: &str) -> u32 {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    containers
        .filter_map(|container| match &container["resources"]["limits"][resource] {
            Value::String(text) => text.parse().ok(),
            number => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        })
        .sum::<u32>()
}

/// Why a Deployment cannot make its pods, for example a quota.
fn cannot_create(deployment: &Value) -> Option<String> {
    let failure = condition(deployment, "ReplicaFailure").filter(|c| c["status"] == "True")?;
    Some(format!(
        "no pod can be made: {}",
        cut(failure["message"].as_str().unwrap_or_default())
    ))
}

/// A condition of an object by its type.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}

/// The statuses of a pod's containers.
pub(crate) fn statuses<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    pod["status"][list].as_array().into_iter().flatten()
}

/// The first characters of somebody else's text, on one line.
pub(crate) fn cut(text: &str) -> String {
    let line: String = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(WORDS_LIMIT)
        .collect();
    line.trim_end().to_owned()
}

fn count(value: &Value) -> u32 {
    value.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
