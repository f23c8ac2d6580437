use serde_json::{Value, json};

use super::*;
use crate::testing;

fn deployment() -> Value {
    json!({
        "metadata": {"name": "legacy", "generation": 3},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "chat"}},
            "template": {
                "metadata": {"labels": {"app": "chat", "team": "ml"}},
                "spec": {"containers": [{
                    "name": "server", "image": "chat:1", "ports": [{"name": "web", "containerPort": 8080}],
                    "resources": {"limits": {"nvidia.com/gpu": 1}},
                }]},
            },
        },
        "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
    })
}

fn pod(set: &str, hash: &str) -> Value {
    json!({"metadata": {
        "name": format!("{set}-x"), "labels": {"app": "chat", "pod-template-hash": hash},
        "ownerReferences": [{"kind": "ReplicaSet", "name": set, "controller": true}],
    }})
}

fn plain() -> Value {
    json!({"spec": {"selector": {"app": "chat"}, "ports": [{"port": 80, "targetPort": "web"}]}})
}

fn judged(deployment: &Value, plain: &Value, pods: &[Value], port: Value) -> Result<Workload, Vec<String>> {
    let run = testing::run();
    let rule = run.rule(testing::ROLLOUT).unwrap();
    judge(&Found {
        rule,
        deployment,
        plain,
        pods,
        port: Some(port),
    })
}

#[test]
fn what_serves_alone_is_a_revision_named_as_its_replica_set() {
    let pods = [pod("legacy-7f9c", "7f9c"), pod("legacy-7f9c", "7f9c")];
    let workload = judged(&deployment(), &plain(), &pods, json!("web")).unwrap();
    assert_eq!(workload.revision().as_str(), "legacy-7f9c");
    assert_eq!((workload.replicas, workload.gpus, workload.port), (2, 1, 8080));
    let selector = workload.adopted.unwrap().selector;
    assert_eq!(
        json!(selector),
        json!({"app": "chat", "pod-template-hash": "7f9c"}),
        "the candidate's pods may carry `app: chat` too"
    );
    assert_eq!(workload.not_exact, ["image chat:1 has no digest"]);
}

#[test]
fn a_pod_that_leaves_is_nobodys() {
    let mut leaves = pod("legacy-1111", "1111");
    leaves["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let pods = [pod("legacy-7f9c", "7f9c"), leaves];
    assert!(judged(&deployment(), &plain(), &pods, json!(8080)).is_ok());
}

#[test]
fn what_is_in_the_way_is_told_by_name_with_the_fix() {
    let own = || vec![pod("legacy-7f9c", "7f9c")];
    let told = |deployment: &Value, plain: &Value, pods: &[Value], port: Value, words: &str| {
        let said = judged(deployment, plain, pods, port).unwrap_err();
        assert!(said.iter().any(|said| said.contains(words)), "{said:?}");
    };
    let with = |path: &str, value: Value| {
        let mut object = deployment();
        *object.pointer_mut(path).unwrap() = value;
        object
    };

    let stranger = [pod("legacy-7f9c", "7f9c"), pod("other-2222", "2222")];
    told(
        &deployment(),
        &plain(),
        &stranger,
        json!(8080),
        "selects pod other-2222-x, which is none of Deployment prod/legacy",
    );
    let two = [pod("legacy-7f9c", "7f9c"), pod("legacy-2222", "2222")];
    told(
        &deployment(),
        &plain(),
        &two,
        json!(8080),
        "pods of two templates",
    );
    told(
        &deployment(),
        &plain(),
        &[],
        json!(8080),
        "selects no pod of Deployment prod/legacy",
    );
    told(&deployment(), &plain(), &own(), json!("metrics"), "names no port");
    let on_its_way = with("/status/availableReplicas", json!(1));
    told(
        &on_its_way,
        &plain(),
        &own(),
        json!(8080),
        "1 of 2 replicas available",
    );
    let unseen = with("/metadata/generation", json!(4));
    told(&unseen, &plain(), &own(), json!(8080), "is on its way");
    let asleep = with("/spec/replicas", json!(0));
    told(&asleep, &plain(), &own(), json!(8080), "has no replicas");
    let ours = with(
        "/spec/template/metadata/labels",
        json!({"weir.dev/revision": "r1"}),
    );
    told(
        &ours,
        &plain(),
        &own(),
        json!(8080),
        "`weir.dev/revision`, which is Weir's own",
    );
    let mut split = plain();
    split["spec"]["selector"]["rollouts-pod-template-hash"] = json!("1");
    told(
        &deployment(),
        &split,
        &own(),
        json!(8080),
        "split by Argo Rollouts",
    );
}

#[test]
fn a_selector_selects_what_carries_all_of_it() {
    let labels = json!({"app": "chat", "team": "ml"});
    assert!(selects(&json!({"app": "chat"}), &labels));
    assert!(!selects(
        &json!({"app": "chat", "pod-template-hash": "7"}),
        &labels
    ));
    assert!(!selects(&json!({}), &labels));
    assert!(!selects(&json!({"app": "chat"}), &Value::Null));
}
