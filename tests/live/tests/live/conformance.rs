//! What a cluster takes, and whether what Weir relies on is there, on objects of its own.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use weir_app::SystemClock;
use weir_cluster::conformance::{Probe, Report, What, bounds, measure, printed};
use weir_cluster::{Access, Fleet, Places};
use weir_domain::ids::ClusterName;
use weir_domain::time::Span;
use weir_live::{Role, SIMULATOR, World, eventually};

/// Longest that any of it may take on a machine that has other things to do.
const LONGEST: Span = Span::minutes(1);
/// What answers in an image that has no httpd.
const SERVE: &str = r#"weir-simulator --port 8080 --model-json '{"version":"probe","warm_up_generations":0,"load_seconds":0.0}'"#;

fn probe(world: &World) -> Probe {
    Probe {
        cluster: ClusterName::new("main"),
        namespace: world.namespace.clone(),
        route: "chat".into(),
        builds: Some(world.builds.clone()),
        gateways: Some("envoy-gateway-system".into()),
        image: SIMULATOR.into(),
        serve: SERVE.into(),
        changes: 10,
        starts: 2,
    }
}

async fn measured(kubeconfig: &Path, probe: &Probe) -> Result<Report, String> {
    let access = Access::kubeconfig(kubeconfig, None);
    measure(&Fleet::new(Places::all(access), Arc::new(SystemClock)), probe).await
}

async fn expect_nothing_left(world: &World) {
    for path in [
        world.path("gateway.networking.k8s.io/v1", "httproutes"),
        world.path("batch/v1", "jobs"),
        world.core("services"),
        world.core("pods"),
    ] {
        let left = world.admin.get(&path).await.ok();
        let names = left["items"].as_array().into_iter().flatten();
        let ours = names.filter(|object| object["metadata"]["name"] == "weir-conformance");
        assert_eq!(ours.count(), 0, "{path}");
    }
}

#[tokio::test]
async fn a_cluster_is_measured_on_objects_of_its_own_and_nothing_of_them_is_left() {
    let world = World::new("measured").await;
    let before = world.asked().await;
    // Twice: what is left of one does not hinder the next.
    for _ in 0..2 {
        let report = measured(&world.cluster.kubeconfig, &probe(&world)).await.unwrap();
        let what: Vec<(What, usize)> = report
            .measured
            .iter()
            .map(|measured| (measured.what, measured.took.len()))
            .collect();
        assert_eq!(what[0].0, What::Answer);
        let expected = [
            (What::Observed, 10),
            (What::Job, 2),
            (What::Pod, 2),
            (What::Endpoint, 2),
            (What::Drain, 2),
            (What::Proxy, 10),
        ];
        assert_eq!(what[1..], expected);
        for measured in &report.measured {
            let (bound, median) = (measured.bound(), measured.median());
            eprintln!("{}: {bound}, half of them {median}", measured.what.words());
            assert!(median <= bound && bound < LONGEST, "{measured:?}");
        }
        let bound = |what: What| {
            let of = report.measured.iter().find(|measured| measured.what == what);
            of.unwrap().bound()
        };
        for what in [What::Pod, What::Endpoint, What::Drain] {
            assert!(bound(what) > Span::ZERO, "{what:?}");
        }
        assert_eq!(report.unreached, None);
        assert!(report.fence_holds);
        // The administrator may do everything.
        assert_eq!(report.rights, Default::default());
        let read = bounds(&printed("main", &report)).unwrap();
        assert_eq!(read.drain, Some(bound(What::Drain)));
    }
    assert_eq!(world.asked().await, before, "the service's route is not touched");
    expect_nothing_left(&world).await;
}

/// Lets stage-executor do what measuring needs in the namespace, and nothing else of what moving traffic does.
async fn let_it_measure(world: &World) {
    let group = "rbac.authorization.k8s.io";
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let makes = ["get", "create", "delete"];
    let role = json!({
        "apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": "measures"},
        "rules": [
            rule("gateway.networking.k8s.io", &["httproutes"], &["get", "create", "patch", "delete"]),
            rule("batch", &["jobs"], &makes),
            rule("", &["pods", "services"], &makes),
            rule("discovery.k8s.io", &["endpointslices"], &["list"]),
        ],
    });
    let roles = world.path("rbac.authorization.k8s.io/v1", "roles");
    world.admin.create(&roles, &role).await.ok();
    let account = Role::StageExecutor.account();
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": "measures"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "measures"},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": world.namespace}],
    });
    let bindings = world.path("rbac.authorization.k8s.io/v1", "rolebindings");
    world.admin.create(&bindings, &binding).await.ok();
}

#[tokio::test]
async fn rights_that_are_missing_and_a_pod_that_is_not_reached_are_told_with_the_fix() {
    let world = World::new("unmeasured").await;
    let identity = world.identity(Role::StageExecutor);
    let few = Probe {
        gateways: None,
        changes: 1,
        starts: 1,
        ..probe(&world)
    };
    // Who may not make a route is told so, and has made nothing.
    let refused = measured(&identity.kubeconfig, &few).await.unwrap_err();
    assert!(
        refused.contains("httproutes") && refused.contains("cannot"),
        "{refused}"
    );
    expect_nothing_left(&world).await;

    let_it_measure(&world).await;
    let report = eventually("it may measure", async || {
        measured(&identity.kubeconfig, &few).await
    })
    .await;
    let unreached = report.unreached.as_deref().unwrap_or_default();
    assert!(
        unreached.contains("the API server refused the pod proxy"),
        "{unreached}"
    );
    assert!(report.fence_holds);
    assert_eq!(report.rights.unasked, ["weir-gateway-view"]);
    let lacks: Vec<(&str, String)> = report
        .rights
        .lacks
        .iter()
        .map(|lack| (lack.role, lack.rights.join(", ")))
        .collect();
    let traffic = "get/create/patch/delete deployments, patch services, get/list/create/patch/delete configmaps, list/patch pods, \
                   get/list/patch horizontalpodautoscalers, get/list/patch scaledobjects, list events, raise traffic";
    assert_eq!(lacks[0], ("weir-traffic", traffic.to_owned()));
    let roles: Vec<&str> = lacks.iter().map(|(role, _)| *role).collect();
    // What runs steps may do so in their namespace.
    assert_eq!(
        roles,
        [
            "weir-traffic",
            "weir-ground",
            "weir-nodes",
            "weir-classes",
            "weir-pod-proxy"
        ]
    );
    assert_eq!(
        report.rights.lacks[0].fix,
        "apply infra/cluster/rbac.yaml, and infra/cluster/namespace.yaml with `-n live-unmeasured` and this identity among its \
         subjects"
    );
    let said: Value = printed("main", &report);
    assert_eq!(said["proxy"]["reaches"], false);
    assert_eq!(said["rights"]["missing"].as_array().map(Vec::len), Some(5));
    expect_nothing_left(&world).await;
}
