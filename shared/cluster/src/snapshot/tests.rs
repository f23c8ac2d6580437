//! Objects as kubectl prints them, read into the domain's words.

use serde_json::{Value, json};
use weir_domain::fit::{Fits, Hold, fit};

use super::*;

fn node(name: &str, gpus: &str) -> Value {
    json!({"kind": "Node", "metadata": {"name": name},
        "status": {"allocatable": {"cpu": "8", "memory": "64Gi", "pods": "20", "nvidia.com/gpu": gpus}}})
}

fn list(items: &[Value]) -> Value {
    json!({"kind": "List", "items": items})
}

fn deployment(spec: &Value) -> Value {
    json!({"kind": "Deployment", "metadata": {"name": "web", "namespace": "prod"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": spec}}})
}

fn gpus(count: u32) -> Value {
    json!({"containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": count}}}]})
}

#[test]
fn a_pod_asks_for_containers_and_sidecars_or_for_the_largest_step_before() {
    let spec = json!({
        "containers": [
            {"name": "a", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}},
            {"name": "b", "resources": {"requests": {"cpu": "500m"}}},
        ],
        "initContainers": [
            {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": "250m"}}},
            {"name": "fetch", "resources": {"requests": {"cpu": "100m", "memory": "4Gi"}}},
        ],
        "overhead": {"cpu": "10m"},
    });
    let all = pod::requests(&spec, &Value::Null, "pod").unwrap();
    assert_eq!(
        all.iter().collect::<Vec<_>>(),
        [("cpu", 1_760), ("memory", 4 << 30)]
    );
}

#[test]
fn a_resize_under_way_counts_with_the_larger_amount() {
    let spec = json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}]});
    let status = json!({"containerStatuses": [
        {"name": "a", "resources": {"requests": {"cpu": "3"}}, "allocatedResources": {"cpu": "2"}}]});
    assert_eq!(pod::requests(&spec, &status, "pod").unwrap().get("cpu"), 3_000);
}

#[test]
fn pods_hold_wait_or_have_ended() {
    let pod = |name: &str, spec: Value, status: Value| json!({"kind": "Pod", "metadata": {"name": name, "namespace": "prod"}, "spec": spec, "status": status});
    let mut leaving = pod(
        "leaving",
        json!({"nodeName": "n", "containers": []}),
        json!({"phase": "Running"}),
    );
    leaving["metadata"]["deletionTimestamp"] = json!("2026-11-24T10:00:00Z");
    let read = read_cluster(&list(&[
        node("n", "4"),
        leaving,
        pod(
            "promised",
            json!({"containers": []}),
            json!({"phase": "Pending", "nominatedNodeName": "n"}),
        ),
        pod("waiting", json!({"containers": []}), json!({"phase": "Pending"})),
        pod(
            "ended",
            json!({"nodeName": "n", "containers": []}),
            json!({"phase": "Succeeded"}),
        ),
    ]))
    .unwrap();
    let holds: Vec<&Hold> = read.snapshot.pods.iter().map(|pod| &pod.hold).collect();
    assert_eq!(
        holds,
        [
            &Hold::Terminating {
                by: "2026-11-24T10:00:00Z".into()
            },
            &Hold::Nominated
        ]
    );
    assert_eq!(read.snapshot.waiting.len(), 1);
}

#[test]
fn any_object_with_a_pod_template_is_a_workload() {
    let cluster = read_cluster(&list(&[node("n", "4")])).unwrap();
    let objects = [
        deployment(&gpus(2)),
        json!({"kind": "Pod", "metadata": {"name": "web"}, "spec": gpus(2)}),
        json!({"kind": "PodTemplate", "metadata": {"name": "web"}, "template": {"spec": gpus(2)}}),
        json!({"metadata": {"labels": {"app": "web"}}, "spec": gpus(2)}),
        list(&[json!({"kind": "Service"}), deployment(&gpus(2))]),
    ];
    for object in objects {
        let workload = cluster.workload(&object, None).unwrap();
        assert_eq!(
            fit(&cluster.snapshot, &workload.ask, 2).fits,
            Fits::Yes,
            "{object}"
        );
        assert_eq!(
            fit(&cluster.snapshot, &workload.ask, 3).fits,
            Fits::No,
            "{object}"
        );
    }
    assert!(
        cluster
            .workload(&json!({"kind": "Service", "spec": {}}), None)
            .is_err()
    );
    assert!(
        cluster
            .workload(&list(&[deployment(&gpus(1)), deployment(&gpus(1))]), None)
            .is_err()
    );
}

#[test]
fn what_cannot_be_read_is_told_with_its_object() {
    let error = |items: &[Value]| read_cluster(&list(items)).err().unwrap().to_string();
    let mut bad = node("n", "4");
    bad["status"]["allocatable"]["memory"] = json!("much");
    assert_eq!(
        error(&[bad]),
        "cannot read \"much\" as an amount of memory of node n: expected an amount such as 4, 500m or 40Gi"
    );
    let spec = json!({"nodeName": "n", "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
        [{"topologyKey": "zone", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}]}}});
    let pod = json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": spec});
    assert!(error(&[node("n", "4"), pod]).starts_with("cannot read the requirement `a Near []`"));
}

#[test]
fn classes_ranges_and_overhead_are_added_as_the_api_server_adds_them() {
    let cluster = read_cluster(&list(&[
        node("n", "4"),
        json!({"kind": "PriorityClass", "metadata": {"name": "high"}, "value": 700}),
        json!({"kind": "RuntimeClass", "metadata": {"name": "boxed"}, "overhead": {"podFixed": {"cpu": "1"}}}),
        json!({"kind": "LimitRange", "metadata": {"name": "d", "namespace": "prod"}, "spec": {"limits": [
            {"type": "Container", "default": {"memory": "2Gi"}, "defaultRequest": {"cpu": "2", "memory": "1Gi"}}]}}),
    ]))
    .unwrap();
    let mut spec = gpus(1);
    spec["priorityClassName"] = json!("high");
    spec["runtimeClassName"] = json!("boxed");
    let ask = cluster.workload(&deployment(&spec), None).unwrap().ask;
    assert_eq!(ask.priority, 700);
    assert_eq!(
        (ask.requests.get("cpu"), ask.requests.get("memory")),
        (3_000, 1 << 30)
    );
    assert_eq!(ask.limits.get("memory"), 2 << 30);
}

/// A node with two devices of a driver, one of them allocated.
fn devices(extended: bool) -> Vec<Value> {
    let mut class = json!({"kind": "DeviceClass", "metadata": {"name": "gpu"},
        "spec": {"selectors": [{"cel": {"expression": "device.driver == 'gpu.nvidia.com'"}}]}});
    if extended {
        class["spec"]["extendedResourceName"] = json!("nvidia.com/gpu");
    }
    let mut bare = node("n", "0");
    bare["status"]["allocatable"]
        .as_object_mut()
        .unwrap()
        .remove("nvidia.com/gpu");
    vec![
        bare,
        class,
        json!({"kind": "ResourceSlice", "spec": {"driver": "gpu.nvidia.com", "nodeName": "n",
            "pool": {"name": "n", "generation": 2, "resourceSliceCount": 1}, "devices": [{"name": "g0"}, {"name": "g1"}]}}),
        json!({"kind": "ResourceSlice", "spec": {"driver": "gpu.nvidia.com", "nodeName": "n",
            "pool": {"name": "n", "generation": 1, "resourceSliceCount": 1}, "devices": [{"name": "gone"}]}}),
        json!({"kind": "ResourceClaim", "metadata": {"name": "c", "namespace": "prod"}, "status": {
            "reservedFor": [{"resource": "pods", "name": "p"}],
            "allocation": {"devices": {"results": [{"driver": "gpu.nvidia.com", "pool": "n", "device": "g0"}]}}}}),
        json!({"kind": "Pod", "metadata": {"name": "p", "namespace": "prod"}, "spec": {"nodeName": "n"}}),
        json!({"kind": "ResourceClaimTemplate", "metadata": {"name": "one", "namespace": "prod"}, "spec": {"spec": {
            "devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu"}}]}}}}),
    ]
}

#[test]
fn claimed_devices_are_counted_once_and_only_in_the_newest_complete_pool() {
    let cluster = read_cluster(&list(&devices(false))).unwrap();
    let spec = json!({"containers": [{"name": "main"}],
        "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one"}]});
    let ask = cluster.workload(&deployment(&spec), None).unwrap().ask;
    let answer = fit(&cluster.snapshot, &ask, 1);
    assert_eq!((answer.fits, answer.max_replicas), (Fits::Yes, 1));
}

#[test]
fn a_gpu_that_allocatable_does_not_name_is_found_by_its_class() {
    let cluster = read_cluster(&list(&devices(true))).unwrap();
    let ask = cluster.workload(&deployment(&gpus(1)), None).unwrap().ask;
    assert_eq!(fit(&cluster.snapshot, &ask, 1).max_replicas, 1);
}

#[test]
fn a_device_request_that_is_not_understood_is_no_yes() {
    let mut objects = devices(false);
    objects[1]["spec"]["selectors"] = json!([{"cel": {"expression": "device.attributes['x'].y > 1"}}]);
    let cluster = read_cluster(&list(&objects)).unwrap();
    let spec = json!({"containers": [{"name": "main"}],
        "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one"}]});
    let ask = cluster.workload(&deployment(&spec), None).unwrap().ask;
    let answer = fit(&cluster.snapshot, &ask, 1);
    assert_eq!(answer.fits, Fits::No);
    assert!(
        answer.reasons[0]
            .reason
            .to_string()
            .contains("expression that is not judged")
    );
}

#[test]
fn a_volume_keeps_a_pod_where_it_can_be_reached() {
    let mut there = node("a", "4");
    there["metadata"]["labels"] = json!({"zone": "a"});
    let cluster = read_cluster(&list(&[
        there,
        node("b", "4"),
        json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "models", "namespace": "prod"}, "spec": {"volumeName": "v"}}),
        json!({"kind": "PersistentVolume", "metadata": {"name": "v"}, "spec": {"nodeAffinity": {"required": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]}}}}),
    ]))
    .unwrap();
    let mut spec = gpus(1);
    spec["volumes"] = json!([{"name": "m", "persistentVolumeClaim": {"claimName": "models"}}]);
    let ask = cluster.workload(&deployment(&spec), None).unwrap().ask;
    let answer = fit(&cluster.snapshot, &ask, 1);
    assert_eq!(
        (answer.max_replicas, answer.placements[0].node.as_str()),
        (4, "a")
    );
}

#[test]
fn what_kubernetes_would_not_take_is_no_amount() {
    let pod = |gpus: &str| {
        json!({"kind": "Pod", "metadata": {"name": "p", "namespace": "prod"}, "spec": {"nodeName": "a", "containers": [
            {"resources": {"limits": {"nvidia.com/gpu": gpus}}}]}})
    };
    for (amount, expected) in [
        ("-4", "0 or more"),
        ("1.5", "a whole number"),
        ("500m", "a whole number"),
        ("x", "an amount such as"),
    ] {
        let told = [
            read_cluster(&list(&[node("a", amount)]))
                .err()
                .unwrap()
                .to_string(),
            read_cluster(&list(&[node("a", "8"), pod(amount)]))
                .err()
                .unwrap()
                .to_string(),
        ];
        for told in told {
            assert!(
                told.contains("nvidia.com/gpu") && told.contains(expected),
                "{amount}: {told}"
            );
        }
    }
    let cluster = read_cluster(&list(&[node("a", "8"), pod("2.0")])).unwrap();
    let asked = |count: &Value| {
        let spec = json!({"containers": [{"resources": {"limits": {"nvidia.com/gpu": count}}}]});
        cluster
            .workload(&deployment(&spec), None)
            .map(|workload| workload.ask.requests.get("nvidia.com/gpu"))
    };
    assert_eq!(asked(&json!("1k")).unwrap(), 1_000);
    for wrong in [json!(-1), json!(1.5), json!("1500m")] {
        assert!(asked(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_node_has_a_name_and_stands_once() {
    let cluster = read_cluster(&json!([list(&[node("a", "8")]), list(&[node("a", "8")])])).unwrap();
    assert_eq!(cluster.snapshot.nodes.len(), 1, "two outputs may hold the same");
    let told = |items: &[Value]| read_cluster(&list(items)).err().unwrap().to_string();
    assert!(told(&[node("a", "8"), node("a", "4")]).starts_with("Node a stands twice, and not alike"));
    assert!(told(&[node("", "8")]).contains("a Node without a name"));
}

#[test]
fn replicas_are_a_number_that_somebody_can_have() {
    let cluster = read_cluster(&list(&[node("a", "8")])).unwrap();
    let replicas = |written: Value| {
        let mut object = deployment(&gpus(1));
        object["spec"]["replicas"] = written;
        cluster
            .workload(&object, None)
            .map(|workload| workload.replicas)
            .map_err(|error| error.to_string())
    };
    assert_eq!(replicas(json!(0)), Ok(Some(0)));
    assert_eq!(replicas(Value::Null), Ok(None));
    for wrong in [json!(-3), json!(1.5), json!("3"), json!(4_294_967_295_u64)] {
        let told = replicas(wrong.clone()).unwrap_err();
        assert!(
            told.contains(&format!("web asks for {wrong} replicas: expected 0 to 100000")),
            "{told}"
        );
    }
}

#[test]
fn a_workload_whose_parts_are_of_another_kind_is_read_as_if_they_were_not_there() {
    let ranges = json!({"kind": "LimitRange", "metadata": {"namespace": "prod"}, "spec": {"limits": [
        {"type": "Container", "default": {"cpu": "2"}, "defaultRequest": {"cpu": "1"}}]}});
    let class = json!({"kind": "RuntimeClass", "metadata": {"name": "r"}, "scheduling": {"nodeSelector": {"a": "b"}}});
    let cluster = read_cluster(&list(&[node("a", "8"), ranges, class])).unwrap();
    let spec = json!({"runtimeClassName": "r", "nodeSelector": "x", "containers": [{"resources": []}, "x"]});
    let mut object = deployment(&spec);
    object["spec"]["template"]["metadata"] = json!([1]);
    let workload = cluster.workload(&object, None).unwrap();
    assert_eq!(workload.ask.requests.get("cpu"), 2_000);
}

fn budget(spec: &Value) -> Value {
    json!({"kind": "PodDisruptionBudget", "metadata": {"name": "web", "namespace": "prod", "generation": 2}, "spec": spec})
}

#[test]
fn budgets_are_read_with_what_the_cluster_has_counted_for_their_present_form() {
    use weir_domain::budget::{Asks, Part};
    let read = |object: Value| {
        let cluster = read_cluster(&list(&[node("n", "1"), object]));
        cluster.map(|cluster| cluster.snapshot.budgets[0].clone())
    };
    let table = [
        (json!({"minAvailable": 2}), Asks::Available(Part::Count(2))),
        (json!({"minAvailable": "50%"}), Asks::Available(Part::Percent(50))),
        (json!({"maxUnavailable": 0}), Asks::Unavailable(Part::Count(0))),
        (
            json!({"maxUnavailable": "1%"}),
            Asks::Unavailable(Part::Percent(1)),
        ),
        (json!({}), Asks::Nothing),
    ];
    for (spec, asks) in table {
        assert_eq!(read(budget(&spec)).unwrap().asks, asks, "{spec}");
    }
    let selects = read(budget(&json!({"selector": {"matchLabels": {"app": "web"}}}))).unwrap();
    let selector = selects.selector.unwrap();
    assert!(selector.matches(&[("app".to_owned(), "web".to_owned())].into()));
    assert!(!selector.matches(&Default::default()));
    // Absent selects nothing, empty everything.
    assert_eq!(read(budget(&json!({}))).unwrap().selector, None);
    let all = read(budget(&json!({"selector": {}}))).unwrap();
    assert!(all.selector.unwrap().matches(&Default::default()));

    let mut counted = budget(&json!({"minAvailable": 1}));
    counted["status"] = json!({"observedGeneration": 2, "disruptionsAllowed": 0});
    assert_eq!(read(counted.clone()).unwrap().allowed, Some(0));
    counted["status"]["observedGeneration"] = json!(1);
    assert_eq!(read(counted).unwrap().allowed, None);

    let bad = read(budget(&json!({"minAvailable": "half"})))
        .unwrap_err()
        .to_string();
    assert_eq!(
        bad,
        "cannot read \"half\" as an amount of minAvailable of PodDisruptionBudget web: expected a number of pods, or a percentage \
         such as 50%"
    );
}
