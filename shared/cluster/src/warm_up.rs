//! What the startup probe says that asks for a pod's first answer. Its status only tells that there was none: whether the
//! model loads or the server answers badly stands in its events.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_domain::pipeline::RolloutRule;
use weir_domain::workload::WARM_UP;

use crate::api::Api;
use crate::fault::Fault;
use crate::pods::statuses;
use crate::scenery::failed;
use crate::snapshot::items;

/// Pods whose events are read in one look: what one of a revision says, the others say.
const ASKED: usize = 2;

/// What the probes of pods said last, by the name of the pod.
pub(crate) type Said = BTreeMap<String, String>;

/// Whether a container is asked for its first answer before its pod is ready.
pub(crate) fn is_asked(pod: &Value, container: &str) -> bool {
    let mut containers = items(&pod["spec"]["containers"]);
    containers.any(|one| {
        one["name"] == container
            && items(&one["startupProbe"]["exec"]["command"]).any(|word| word.as_str() == Some(WARM_UP))
    })
}

/// Whether what a probe said is that nobody listens yet.
pub(crate) fn loads(said: &str) -> bool {
    said.contains(&format!("{WARM_UP}: loads")) || said.contains("curl: (7)")
}

/// When the container started that has not answered yet, if there is one.
fn waits_since(pod: &Value) -> Option<&str> {
    let waiting = statuses(pod, "containerStatuses").find(|status| {
        let name = status["name"].as_str().unwrap_or_default();
        status["started"] != true && is_asked(pod, name)
    })?;
    waiting["state"]["running"]["startedAt"].as_str()
}

/// Asks what the probes of pods said that have not answered yet. Without the right to see events, nothing is known of it.
pub(crate) async fn listen(api: &Api, rule: &RolloutRule, pods: &[&Value]) -> Result<Said, String> {
    let namespace = &rule.target.namespace;
    let waiting = pods.iter().filter_map(|pod| Some((pod, waits_since(pod)?)));
    let mut said = Said::new();
    for (pod, since) in waiting.take(ASKED) {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let query = format!("&fieldSelector=involvedObject.name%3D{name}%2Creason%3DUnhealthy");
        match api
            .list_all(&format!("/api/v1/namespaces/{namespace}/events"), &query)
            .await
        {
            Ok(events) => said.extend(last(&events, since).map(|words| (name.to_owned(), words))),
            Err(Fault::Denied(why)) => {
                tracing::warn!(why, "why a warm-up is not answered cannot be seen");
                break;
            }
            Err(fault) => return Err(failed("list events", namespace, &fault)),
        }
    }
    Ok(said)
}

/// The last message of these events since a moment.
fn last(events: &[Value], since: &str) -> Option<String> {
    let told = events.iter().filter_map(|event| {
        let times = [
            &event["series"]["lastObservedTime"],
            &event["lastTimestamp"],
            &event["eventTime"],
        ];
        let at = times.into_iter().find_map(Value::as_str)?;
        Some((at, event["message"].as_str()?))
    });
    // Moments of one form sort as text, to the second.
    let after = told.filter(|(at, _)| at.get(..19) >= since.get(..19));
    after.max().map(|(_, message)| message.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pods::revision_seen;

    fn pod(status: &Value, command: &Value) -> Value {
        let mut status = status.clone();
        status["name"] = json!("server");
        json!({
            "metadata": {"name": "p"},
            "spec": {"nodeName": "n", "containers": [{"name": "server", "startupProbe": {"exec": {"command": command}}}]},
            "status": {"phase": "Running", "containerStatuses": [status]},
        })
    }

    fn running(started: bool) -> Value {
        json!({"state": {"running": {"startedAt": "2026-12-01T10:00:00Z"}}, "started": started, "ready": false})
    }

    fn told(pod: &Value, said: &str) -> String {
        let said = Said::from([("p".to_owned(), said.to_owned())]);
        let seen = revision_seen(&[pod], None, "nvidia.com/gpu", &said);
        format!("{}: {}", seen.phase.as_str(), seen.words)
    }

    #[test]
    fn a_warm_up_that_is_not_answered_is_the_phase_and_its_words() {
        let asked = pod(&running(false), &json!(["python3", "-c", "x", WARM_UP, "8000"]));
        let table = [
            ("", "loading: pod p loads, or does not answer its warm-up yet"),
            (
                "Startup probe failed: weir-warm-up: loads: [Errno 111] Connection refused\n",
                "loading: pod p loads, or does not answer its warm-up yet",
            ),
            (
                "Startup probe failed: weir-warm-up: POST /v1/completions: HTTP 500 out of memory",
                "warming: pod p does not answer its warm-up: Startup probe failed: weir-warm-up: POST /v1/completions: HTTP 500 out of memory",
            ),
            (
                "Startup probe failed: curl: (22) The requested URL returned error: 404",
                "warming: pod p does not answer its warm-up: Startup probe failed: curl: (22) The requested URL returned error: 404",
            ),
            (
                "Startup probe failed: curl: (7) Failed to connect",
                "loading: pod p loads, or does not answer its warm-up yet",
            ),
        ];
        for (said, expected) in table {
            assert_eq!(told(&asked, said), expected);
        }
        // One that has answered, and one that was never asked.
        let answered = pod(&running(true), &json!(["curl", "-A", WARM_UP]));
        assert_eq!(told(&answered, "x"), "warming: pod p is loaded and not ready yet");
        assert_eq!(
            told(&pod(&running(false), &json!(["true"])), "x"),
            "loading: pod p loads"
        );
    }

    #[test]
    fn the_last_message_since_the_container_started_counts() {
        let event = |at: &str, message: &str| json!({"lastTimestamp": at, "message": message});
        let since = "2026-12-01T10:00:00Z";
        let events = [
            event("2026-12-01T10:00:05Z", "second"),
            event("2026-12-01T09:59:59Z", "of the container before"),
            event("2026-12-01T10:00:00Z", "first"),
        ];
        assert_eq!(last(&events, since).as_deref(), Some("second"));
        assert_eq!(last(&events[1..2], since), None);
        let series = json!({"series": {"lastObservedTime": "2026-12-01T10:01:00.000000Z"}, "eventTime": "2026-12-01T10:00:00.1Z", "message": "third"});
        assert_eq!(last(&[series], since).as_deref(), Some("third"));
        assert_eq!(last(&[], since), None);
    }

    #[test]
    fn only_a_pod_that_runs_and_has_not_answered_is_asked_about() {
        let asked = json!(["curl", "-A", WARM_UP]);
        assert_eq!(
            waits_since(&pod(&running(false), &asked)),
            Some("2026-12-01T10:00:00Z")
        );
        assert_eq!(waits_since(&pod(&running(true), &asked)), None);
        assert_eq!(waits_since(&pod(&running(false), &json!(["true"]))), None);
        assert_eq!(
            waits_since(&pod(&json!({"state": {"waiting": {}}}), &asked)),
            None
        );
    }
}
