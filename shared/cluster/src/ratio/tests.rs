//! A Service and the pods of two revisions, as they are read and written.

use super::*;
use weir_domain::ids::{EnvironmentName, ServiceName};

fn lane() -> LaneKey {
    LaneKey {
        service: ServiceName::new("web"),
        environment: EnvironmentName::new("Production"),
    }
}

fn old() -> RevisionId {
    RevisionId::new("r1")
}

fn new() -> RevisionId {
    RevisionId::new("r2")
}

/// A pod that answers; `serves`: it has the label.
fn pod(name: &str, revision: &RevisionId, serves: bool) -> Value {
    let mut labels = json!({"weir.dev/lane": names::lane_label(&lane()), "weir.dev/revision": revision});
    if serves {
        labels[names::SERVES] = json!(names::lane_label(&lane()));
    }
    json!({
        "metadata": {"name": name, "labels": labels, "resourceVersion": "7"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn waiting(mut pod: Value) -> Value {
    pod["status"]["conditions"][0]["status"] = json!("False");
    pod
}

fn shares(of_new: u8) -> Shares {
    let weight = Weight::new(of_new).unwrap();
    [(old(), weight.rest()), (new(), weight)].into()
}

/// A Service that was given this share of the candidate.
fn service(selector: &Value, of_new: u8) -> Value {
    json!({
        "metadata": {"resourceVersion": "3", "annotations": {
            "weir.dev/fence": "6", "weir.dev/split": json!(shares(of_new)).to_string(),
        }},
        "spec": {"selector": selector},
    })
}

fn slices(pods: &[&str]) -> Vec<Value> {
    let endpoint = |name: &&str| json!({"targetRef": {"name": name}, "conditions": {"ready": true}});
    vec![json!({"endpoints": pods.iter().map(endpoint).collect::<Vec<_>>()})]
}

/// The candidate's share as it is read, and whether the endpoints are those.
fn read(service: &Value, endpoints: &[&str], all: &[Value]) -> (u8, bool) {
    let (lane, new) = (lane(), new());
    let pods = Pods {
        lane: &lane,
        candidate: &new,
        all,
        needed: 2,
    };
    let seen = stands(service, &slices(endpoints), &pods);
    assert_eq!((seen.fence, &seen.problem), (Fence(6), &None));
    (seen.weights[&new].percent(), seen.observed)
}

#[test]
fn a_share_is_read_as_it_was_given_where_service_and_labels_say_so() {
    let both = both(&lane());
    let split = [
        pod("a", &old(), true),
        pod("b", &old(), true),
        pod("c", &new(), true),
    ];
    // One of three, told as the share that was asked for.
    assert_eq!(read(&service(&both, 34), &["a", "b", "c"], &split), (34, true));
    assert_eq!(read(&service(&both, 34), &["a", "b"], &split), (34, false));
    let all_old = selector(&lane(), &old());
    assert_eq!(read(&service(&all_old, 0), &["a", "b"], &split), (0, true));
    assert_eq!(read(&service(&all_old, 0), &["a", "b", "c"], &split), (0, false));
    let all_new = selector(&lane(), &new());
    assert_eq!(read(&service(&all_new, 100), &["c"], &split), (100, true));
}

#[test]
fn what_somebody_else_changed_is_read_as_what_it_is() {
    // A second pod of the candidate was given the label.
    let more = [
        pod("a", &old(), true),
        pod("b", &old(), true),
        pod("c", &new(), true),
        pod("d", &new(), true),
    ];
    let given = service(&both(&lane()), 34);
    assert_eq!(read(&given, &["a", "b", "c", "d"], &more), (50, true));
    // The Service selects by something else, which both have.
    let foreign = service(&json!({"weir.dev/lane": names::lane_label(&lane())}), 0);
    assert_eq!(read(&foreign, &["a", "b", "c", "d"], &more), (50, true));
    // One that selects nothing has no endpoints of its own.
    assert_eq!(read(&service(&json!({}), 34), &[], &more), (0, true));
}

#[test]
fn pods_that_have_traffic_keep_it_and_those_that_do_not_answer_get_none() {
    let all = [
        pod("a", &old(), false),
        pod("b", &old(), true),
        waiting(pod("c", &old(), true)),
        pod("d", &new(), false),
        pod("e", &new(), true),
    ];
    let (lane, new) = (lane(), new());
    let pods = Pods {
        lane: &lane,
        candidate: &new,
        all: &all,
        needed: 2,
    };
    let chosen = |percent: u8| {
        pods.chosen(Weight::new(percent).unwrap())
            .into_iter()
            .collect::<Vec<_>>()
    };
    assert_eq!(chosen(34), ["a", "b", "e"]);
    assert_eq!(chosen(50), ["a", "b", "d", "e"]);
    assert_eq!(chosen(67), ["b", "d", "e"]);
}

#[test]
fn the_way_back_is_one_write_of_the_service_and_a_late_order_changes_nothing() {
    let given = service(&both(&lane()), 34);
    let Ok(Change::Patch(patch)) = pointed(&given, &lane(), &shares(0), Fence(7)) else {
        panic!("it is written");
    };
    let selector = selector(&lane(), &old());
    assert!(
        patch.contains(&json!({"op": "add", "path": "/spec/selector", "value": selector})),
        "{patch:?}"
    );
    assert_eq!(
        patch[0],
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": "3"})
    );
    assert_eq!(
        pointed(&given, &lane(), &shares(50), Fence(5)),
        Ok(Change::Overtaken)
    );
    let back = service(&selector, 0);
    assert_eq!(pointed(&back, &lane(), &shares(0), Fence(6)), Ok(Change::Nothing));
}

#[test]
fn a_first_release_that_goes_back_leaves_the_service_as_it_was() {
    let before = json!({"metadata": {"resourceVersion": "1"}, "spec": {"selector": {"app": "web"}}});
    let alone: Shares = [(new(), Weight::FULL)].into();
    let Ok(Change::Patch(patch)) = pointed(&before, &lane(), &alone, Fence(1)) else {
        panic!("it is written");
    };
    let kept = json!({"op": "add", "path": "/metadata/annotations/weir.dev~1selector", "value": "{\"app\":\"web\"}"});
    assert!(patch.contains(&kept), "{patch:?}");
    let given = json!({
        "metadata": {"resourceVersion": "2", "annotations": {
            "weir.dev/fence": "1", "weir.dev/split": "{\"r2\":100}", "weir.dev/selector": "{\"app\":\"web\"}",
        }},
        "spec": {"selector": selector(&lane(), &new())},
    });
    let Ok(Change::Patch(patch)) = pointed(&given, &lane(), &Shares::new(), Fence(2)) else {
        panic!("it is written");
    };
    let back = json!({"op": "add", "path": "/spec/selector", "value": {"app": "web"}});
    assert!(patch.contains(&back), "{patch:?}");
}

#[test]
fn a_pod_is_put_in_and_taken_out_by_a_label_that_a_late_order_leaves_alone() {
    let out = pod("a", &old(), false);
    let Ok(Change::Patch(patch)) = labelled(&out, &lane(), true, Fence(3)) else {
        panic!("it is written");
    };
    let value = names::lane_label(&lane());
    let edit = json!({"op": "add", "path": "/metadata/labels/weir.dev~1serves", "value": value});
    assert!(patch.contains(&edit), "{patch:?}");
    let mut taken = pod("a", &old(), true);
    assert_eq!(labelled(&taken, &lane(), true, Fence(3)), Ok(Change::Nothing));
    taken["metadata"]["annotations"] = json!({"weir.dev/fence": "4"});
    assert_eq!(labelled(&taken, &lane(), false, Fence(3)), Ok(Change::Overtaken));
    assert!(matches!(
        labelled(&taken, &lane(), false, Fence(4)),
        Ok(Change::Patch(_))
    ));
}
