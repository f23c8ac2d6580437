//! A revision that does not fit says why.

use weir_app::Clusters;
use weir_domain::effect::Effect;
use weir_domain::ids::Fence;
use weir_domain::seen::PodPhase;
use weir_live::{ROLLOUT, Role, Shape, World, eventually};

#[tokio::test]
async fn a_revision_that_no_node_can_take_says_why() {
    let world = World::new("capacity").await;
    let mut shape = Shape::rollout("v1", None);
    // More than the four of a node.
    shape.gpus = 5;
    let (run, revision) = (world.run(&shape), shape.revision("v1"));
    let ensure = Effect::EnsureRevision {
        step: ROLLOUT,
        revision,
        replicas: 1,
        fence: Fence(1),
    };
    world.perform(&run, &[ensure]).await;
    let fleet = world.fleet(Role::MetricCheck);
    let seen = eventually("the scheduler has looked", async || {
        let seen = fleet.scenery(&run, ROLLOUT).await?.candidate;
        if seen.words.contains("nodes are available") {
            Ok(seen)
        } else {
            Err(seen.words)
        }
    })
    .await;
    assert_eq!(
        (seen.phase, seen.desired, seen.pods, seen.warm),
        (PodPhase::Scheduling, 1, 1, 0)
    );
    assert!(
        seen.words.contains("Insufficient nvidia.com/gpu"),
        "{}",
        seen.words
    );
    assert_eq!(seen.gpus, 0, "a pod without a node holds nothing");
}
