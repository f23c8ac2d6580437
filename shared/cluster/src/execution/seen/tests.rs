use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp(1_767_225_600_000); // 2026-01-01T00:00:00Z

fn pod(created: &str, init: Value, main: Value) -> Value {
    json!({
        "metadata": {"name": "w-1-x", "creationTimestamp": created},
        "spec": {"nodeName": "cpu-1"},
        "status": {
            "phase": "Pending",
            "initContainerStatuses": [{"name": "fetch", "ready": false, "state": init}],
            "containerStatuses": [{"name": "step", "ready": false, "state": main}],
        },
    })
}

fn now() -> &'static str {
    "2026-01-01T00:00:00Z"
}

fn look(job: Value, pod: Option<Value>) -> Standing {
    standing(&job, pod.as_ref(), Span::minutes(30), NOW)
}

fn fetched() -> Value {
    json!({"terminated": {"exitCode": 0}})
}

fn waits(reason: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": "why"}})
}

#[test]
fn commands_that_ended_hand_over_exit_code_and_outputs() {
    let main =
        json!({"terminated": {"exitCode": 3, "message": "TAG=v1=x\nnot a pair\n9X=no\n IMAGE = a b\r\n"}});
    let seen = look(json!({}), Some(pod(now(), fetched(), main)));
    let outputs = [
        ("TAG".to_owned(), "v1=x".to_owned()),
        ("IMAGE".to_owned(), " a b".to_owned()),
    ];
    let ended = Standing::Ended {
        pod: "w-1-x".into(),
        exit_code: 3,
        outputs: outputs.into(),
    };
    assert_eq!(seen, ended);
}

#[test]
fn outputs_that_fill_the_limit_lose_their_last_line() {
    let text = format!("A=1\nB={}", "x".repeat(OUTPUT_LIMIT));
    assert_eq!(
        outputs(&text[..OUTPUT_LIMIT]),
        [("A".to_owned(), "1".to_owned())].into()
    );
    assert!(outputs(&"x".repeat(OUTPUT_LIMIT)).is_empty());
}

#[test]
fn a_fetch_that_failed_is_told_apart_from_commands_that_failed() {
    let seen = look(
        json!({}),
        Some(pod(
            now(),
            json!({"terminated": {"exitCode": 128}}),
            waits("PodInitializing"),
        )),
    );
    assert!(matches!(seen, Standing::NotFetched { words, .. } if words.contains("exit code 128")));
}

#[test]
fn what_cannot_end_any_more_has_failed_with_its_reason() {
    let deadline = json!({"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]}});
    let mut told = deadline.clone();
    told["spec"]["activeDeadlineSeconds"] = json!(1);
    let lost = json!({"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "m"}]}});
    let mut evicted = pod(now(), fetched(), json!({}));
    evicted["status"]["phase"] = json!("Failed");
    evicted["status"]["reason"] = json!("Evicted");
    evicted["status"]["message"] = json!("disk pressure");
    let oom = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
    let table = [
        (deadline, None, "stopped: it took longer than 30m"),
        (told, None, "stopped: it was told to"),
        (lost, None, "its pod is gone: m"),
        (json!({}), Some(evicted), "its pod failed: Evicted disk pressure"),
        (
            json!({}),
            Some(pod(now(), fetched(), oom)),
            "killed with exit code 137: it used more memory than it may",
        ),
        (
            json!({}),
            Some(pod(now(), waits("InvalidImageName"), waits("PodInitializing"))),
            "pod w-1-x cannot pull the image of fetch: InvalidImageName why",
        ),
        (
            json!({}),
            Some(pod("2025-12-31T23:56:59Z", fetched(), waits("ImagePullBackOff"))),
            "pod w-1-x cannot pull the image of step: ImagePullBackOff why",
        ),
    ];
    for (job, pod, words) in table {
        assert_eq!(
            look(job, pod),
            Standing::Seen(ExecutionSeen::Failed(words.into()))
        );
    }
}

#[test]
fn what_may_still_begin_is_pending_with_its_reason() {
    let mut unscheduled = pod(now(), json!({}), json!({}));
    unscheduled["spec"] = json!({});
    unscheduled["status"] =
        json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]});
    let table = [
        (None, "its pod is being made"),
        (Some(unscheduled), "no node yet: 0/1 nodes"),
        (
            Some(pod(now(), json!({"running": {}}), waits("PodInitializing"))),
            "the commit is being fetched",
        ),
        (
            Some(pod(now(), fetched(), waits("ImagePullBackOff"))),
            "pod w-1-x cannot pull the image of step: ImagePullBackOff why",
        ),
    ];
    for (pod, words) in table {
        assert_eq!(
            look(json!({}), pod),
            Standing::Seen(ExecutionSeen::Pending(words.into()))
        );
    }
    let running = pod(now(), fetched(), json!({"running": {}}));
    assert_eq!(
        look(json!({}), Some(running)),
        Standing::Seen(ExecutionSeen::Running)
    );
}
