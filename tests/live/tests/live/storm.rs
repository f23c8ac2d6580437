//! Another controller writes the same route all the time.

use serde_json::{Value, json};
use weir_domain::rollout::Rollout;
use weir_live::{ROLLOUT, Role, Shape, World, eventually};

/// Writes of the other controller.
const FOREIGN: u64 = 50;
/// Writes of Weir in the same time.
const OURS: u64 = 10;

#[tokio::test]
async fn fifty_foreign_writes_and_ten_of_ours_all_survive() {
    let world = World::new("storm").await;
    let shape = Shape::rollout("v2", Some("v1"));
    let run = world.run(&shape);
    let (old, new) = (shape.revision("v1"), shape.revision("v2"));
    let foreign = async {
        for n in 1..=FOREIGN {
            // As a controller does: read, change something of its own, write the whole object; again on a conflict.
            eventually("the other controller writes", async || {
                let mut route = world.route().await;
                route["metadata"]["annotations"][format!("other/{n}")] = json!(n.to_string());
                route["spec"]["rules"][1]["timeouts"]["request"] = json!(format!("{n}s"));
                match world.admin.replace(&world.route_path(), &route).await {
                    answer if answer.status.is_success() => Ok(()),
                    answer => Err(answer.body.to_string()),
                }
            })
            .await;
        }
    };
    let fleet = world.fleet(Role::MetricCheck);
    let ours = async {
        for n in 1..=OURS {
            let share = u8::try_from(n).unwrap();
            let effect = world.weights(&[(&old, 100 - share), (&new, share)], n);
            // The loop performs again what others were in the way of.
            eventually("Weir writes", async || {
                let done = weir_app::Clusters::perform(&fleet, &run, &effect).await;
                done.map_err(|error| error.to_string())
            })
            .await;
        }
    };
    tokio::join!(foreign, ours);
    let route = world.route().await;
    let annotations = &route["metadata"]["annotations"];
    let kept = (1..=FOREIGN)
        .filter(|n| annotations[format!("other/{n}")] == json!(n.to_string()))
        .count();
    assert_eq!(kept, 50, "{annotations}");
    assert_eq!(annotations["weir.dev/fence"], OURS.to_string());
    assert_eq!(route["spec"]["rules"][1]["timeouts"]["request"], "50s");
    let weights: Vec<&Value> = route["spec"]["rules"][1]["backendRefs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|backend| &backend["weight"])
        .collect();
    assert_eq!(weights, [&json!(0), &json!(90), &json!(10)]);
    assert_eq!(
        run.rollout(ROLLOUT).map(|rollout: &Rollout| &rollout.candidate),
        Some(&new)
    );
}
