use serde_json::json;

use super::*;

fn pod(name: &str, status: Value) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "nodeName": "gpu-1",
            "containers": [{"name": "server", "resources": {"limits": {"nvidia.com/gpu": "2"}}}],
        },
        "status": status,
    })
}

fn ready(name: &str) -> Value {
    pod(
        name,
        json!({
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "server", "ready": true, "started": true, "restartCount": 0, "state": {"running": {}}}],
        }),
    )
}

fn container(state: Value, more: Value) -> Value {
    let mut status = json!({"name": "server", "ready": false, "restartCount": 0, "state": state});
    for (key, value) in more.as_object().unwrap() {
        status[key] = value.clone();
    }
    json!({"phase": "Running", "containerStatuses": [status]})
}

fn seen(pods: &[Value]) -> RevisionSeen {
    let deployment = json!({"spec": {"replicas": 3}});
    revision_seen(
        &pods.iter().collect::<Vec<_>>(),
        Some(&deployment),
        "nvidia.com/gpu",
        &Said::new(),
    )
}

#[test]
fn pods_that_leave_say_until_when_and_what_holds_them() {
    let mut leaving = ready("a");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-11-30T16:00:00Z");
    let mut held = ready("b");
    held["metadata"]["deletionTimestamp"] = json!("2026-11-30T16:05:00Z");
    held["metadata"]["finalizers"] = json!(["team.example/archive"]);
    let seen = seen(&[leaving, held]);
    assert_eq!(
        (seen.phase, seen.terminating, seen.gpus),
        (PodPhase::Draining, 2, 4)
    );
    assert_eq!(
        seen.words,
        "pod b on gpu-1 leaves, by 2026-11-30T16:05:00Z at the latest, held by its finalizers team.example/archive"
    );
}

#[test]
fn each_phase_has_its_words() {
    let unscheduled = json!({
        "metadata": {"name": "p"},
        "spec": {"containers": []},
        "status": {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."},
        ]},
    });
    let table = [
        (
            unscheduled,
            PodPhase::Scheduling,
            "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        ),
        (
            pod("p", json!({"phase": "Pending"})),
            PodPhase::Provisioning,
            "pod p has a node; its sandbox and volumes are made",
        ),
        (
            pod(
                "p",
                container(json!({"waiting": {"reason": "ContainerCreating"}}), json!({})),
            ),
            PodPhase::Provisioning,
            "pod p has a node; image and volumes come",
        ),
        (
            pod(
                "p",
                container(
                    json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}),
                    json!({}),
                ),
            ),
            PodPhase::Pulling,
            "pod p cannot pull the image of server: ImagePullBackOff no such tag",
        ),
        (
            pod(
                "p",
                container(
                    json!({"waiting": {"reason": "CrashLoopBackOff"}}),
                    json!({"lastState": {"terminated": {"exitCode": 3}}}),
                ),
            ),
            PodPhase::Loading,
            "pod p waits to start server again after exit code 3",
        ),
        (
            pod("p", container(json!({"running": {}}), json!({"started": false}))),
            PodPhase::Loading,
            "pod p loads",
        ),
        (
            pod("p", container(json!({"running": {}}), json!({"started": true}))),
            PodPhase::Warming,
            "pod p is loaded and not ready yet",
        ),
        (ready("p"), PodPhase::Serving, "serving"),
    ];
    for (pod, phase, words) in table {
        assert_eq!(stands(&pod, None), (phase, words.to_owned()));
    }
}

#[test]
fn a_revision_is_as_far_as_its_slowest_pod() {
    let loading = pod(
        "slow",
        container(json!({"running": {}}), json!({"started": false})),
    );
    let seen = seen(&[ready("a"), loading, ready("b")]);
    assert_eq!((seen.desired, seen.pods, seen.warm), (3, 3, 2));
    assert_eq!(
        (seen.phase, seen.words.as_str()),
        (PodPhase::Loading, "pod slow loads")
    );
}

#[test]
fn terminating_pods_hold_their_gpus_and_unscheduled_and_ended_ones_hold_none() {
    let mut leaving = ready("leaving");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let mut waiting = ready("waiting");
    waiting["spec"]["nodeName"] = Value::Null;
    let ended = pod("ended", json!({"phase": "Failed", "reason": "Evicted"}));
    let seen = seen(&[ready("a"), leaving, waiting, ended]);
    assert_eq!(
        (seen.pods, seen.warm, seen.terminating, seen.gpus, seen.crashes),
        (2, 1, 1, 4, 0)
    );
    assert_eq!(seen.phase, PodPhase::Scheduling);
}

#[test]
fn nothing_but_leaving_pods_is_draining() {
    let mut leaving = ready("leaving");
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(seen(&[leaving]).phase, PodPhase::Draining);
    assert_eq!(seen(&[]).phase, PodPhase::Absent);
}

#[test]
fn a_crash_counts_once_from_its_end_to_its_restart_and_beyond() {
    let end = json!({"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-01-01T00:00:05Z"});
    let ended = pod("p", container(json!({"terminated": end}), json!({})));
    let backoff = pod(
        "p",
        container(
            json!({"waiting": {"reason": "CrashLoopBackOff"}}),
            json!({"lastState": {"terminated": end}}),
        ),
    );
    let again = pod(
        "p",
        container(
            json!({"running": {}}),
            json!({"restartCount": 1, "lastState": {"terminated": end}}),
        ),
    );
    for pod in [ended, backoff, again] {
        let seen = seen(&[pod]);
        assert_eq!(seen.crashes, 1);
        assert_eq!(
            seen.last_crash.as_deref(),
            Some("pod p container server exited with code 137 (OOMKilled)")
        );
    }
}

#[test]
fn the_last_of_several_crashes_is_told() {
    let end = |code: i64, at: &str| json!({"lastState": {"terminated": {"exitCode": code, "finishedAt": at}}, "restartCount": 1});
    let pods = [
        pod(
            "new",
            container(json!({"running": {}}), end(2, "2026-01-01T00:00:09Z")),
        ),
        pod(
            "old",
            container(json!({"running": {}}), end(1, "2026-01-01T00:00:01Z")),
        ),
    ];
    let seen = seen(&pods);
    assert_eq!(seen.crashes, 2);
    assert_eq!(
        seen.last_crash.as_deref(),
        Some("pod new container server exited with code 2 (Error)")
    );
}

#[test]
fn a_container_that_ends_because_its_pod_leaves_is_no_crash() {
    let mut leaving = pod(
        "p",
        container(json!({"terminated": {"exitCode": 143}}), json!({})),
    );
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let seen = seen(&[leaving]);
    assert_eq!((seen.crashes, seen.last_crash), (0, None));
}

#[test]
fn a_quota_that_forbids_pods_is_told() {
    let deployment = json!({
        "spec": {"replicas": 2},
        "status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: gpus"}]},
    });
    let seen = revision_seen(&[], Some(&deployment), "nvidia.com/gpu", &Said::new());
    assert_eq!(seen.words, "no pod can be made: exceeded quota: gpus");
}

#[test]
fn texts_of_others_are_cut_to_one_short_line() {
    assert_eq!(cut("a\nb\u{1b}[31m"), "a b [31m");
    assert_eq!(cut(&"é".repeat(1_000)).chars().count(), WORDS_LIMIT);
}

#[test]
fn pods_are_counted_by_phase_with_the_slowest_in_words() {
    let pulls = json!({"waiting": {"reason": "ErrImagePull", "message": "no such image"}});
    let pods = [ready("a"), pod("b", container(pulls, json!({}))), ready("c")];
    assert_eq!(
        seen(&pods).told(),
        "pulling: 2 serving, 1 pulling of 3; pod b cannot pull the image of server: ErrImagePull no such image"
    );
}
