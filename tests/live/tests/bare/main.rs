//! A cluster that lacks what Weir relies on. It is another than those of the other tests: it loses a policy and a kind.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::Arc;

use weir_app::{Clusters, SystemClock};
use weir_cluster::conformance::{Probe, measure, printed};
use weir_cluster::{Access, Fleet, Places};
use weir_domain::ids::ClusterName;
use weir_domain::run::Run;
use weir_domain::seen::SiteSeen;
use weir_live::{Host, ROLLOUT, Role, SIMULATOR, Shape, World, eventually};

const KINDS: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/httproutes.gateway.networking.k8s.io";
const FENCE: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/weir-fence";
const TOLD: &str = "the cluster has no gateway.networking.k8s.io/v1: install the Gateway API's CRDs and a gateway that serves them";

/// In this order: without the kind there is no route on which a fence could fall.
#[tokio::test]
async fn what_a_cluster_lacks_is_told_before_anything_moves() {
    let world = World::new("bare").await;
    without_the_policy_a_fence_may_fall_and_that_is_measured(&world).await;
    without_the_kind_of_routes_a_rollout_ends_and_says_what_to_install(&world).await;
}

async fn without_the_policy_a_fence_may_fall_and_that_is_measured(world: &World) {
    let access = Access::kubeconfig(&world.cluster.kubeconfig, None);
    let fleet = Fleet::new(Places::all(access), Arc::new(SystemClock));
    let probe = Probe {
        cluster: ClusterName::new("main"),
        namespace: world.namespace.clone(),
        route: "chat".into(),
        builds: None,
        gateways: None,
        image: SIMULATOR.into(),
        // Nothing answers.
        serve: "true".into(),
        changes: 1,
        starts: 1,
    };
    assert!(measure(&fleet, &probe).await.unwrap().fence_holds);
    world.admin.delete(FENCE).await.ok();
    let report = eventually("the policy is gone", async || {
        match measure(&fleet, &probe).await? {
            report if report.fence_holds => Err("a fence may not fall".to_owned()),
            report => Ok(report),
        }
    })
    .await;
    let said = printed("main", &report);
    let fix = said["fence_policy"]["fix"].as_str().unwrap();
    assert!(fix.starts_with("apply infra/cluster/admission.yaml"), "{fix}");
    let unreached = report.unreached.unwrap();
    assert!(unreached.contains("connection refused"), "{unreached}");
}

async fn without_the_kind_of_routes_a_rollout_ends_and_says_what_to_install(world: &World) {
    world.admin.delete(KINDS).await.ok();
    let run = world.run(&Shape::rollout("v1", None));
    eventually("the kind is gone", async || {
        match world.fleet(Role::MetricCheck).site(&run, ROLLOUT).await {
            SiteSeen::Seen { problems, .. } if problems == [TOLD] => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    let host = Host::of_admin(world);
    let shape = Shape::rollout("v1", None);
    let pipeline = shape.canary(&world.namespace, &world.builds, 1);
    let run = host.start("v1", pipeline).await;
    let run = host.until("it is over", &run, Run::is_over).await;
    assert_eq!(run.status.word(), "failed");
    let why = run.status.words();
    assert!(why.contains("nothing was moved: ") && why.contains(TOLD), "{why}");
    let pods = world.admin.get(&world.core("pods")).await.ok();
    assert_eq!(pods["items"].as_array().map(Vec::len), Some(0), "no pod was made");
    let deployments = world.admin.get(&world.path("apps/v1", "deployments")).await.ok();
    assert_eq!(deployments["items"].as_array().map(Vec::len), Some(0));
}
