//! A cluster that lacks what every rollout needs. It is another than those of the other tests: it loses a kind.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use weir_app::Clusters;
use weir_domain::run::Run;
use weir_domain::seen::SiteSeen;
use weir_live::{Host, ROLLOUT, Role, Shape, World, eventually};

const KINDS: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/httproutes.gateway.networking.k8s.io";
const TOLD: &str = "the cluster has no gateway.networking.k8s.io/v1: install the Gateway API's CRDs and a gateway that serves them";

#[tokio::test]
async fn without_the_kind_of_routes_a_rollout_ends_before_anything_moves_and_says_what_to_install() {
    let world = World::new("bare").await;
    world.admin.delete(KINDS).await.ok();
    let run = world.run(&Shape::rollout("v1", None));
    eventually("the kind is gone", async || {
        match world.fleet(Role::MetricCheck).site(&run, ROLLOUT).await {
            SiteSeen::Seen { problems, .. } if problems == [TOLD] => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    let host = Host::of_admin(&world);
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
