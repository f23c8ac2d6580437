//! Rollouts on a pool of four GPUs that four replicas hold, with users who ask all along: a real scheduler, real pods, a
//! real gateway.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use serde_json::{Value, json};
use weir_app::Clusters;
use weir_domain::event::Event;
use weir_domain::ids::RunId;
use weir_domain::people::Identity;
use weir_domain::rollout::Rollout;
use weir_domain::run::Run;
use weir_domain::seen::{Bounds, GroundSeen};
use weir_domain::time::Span;
use weir_live::{Host, Load, Mix, ROLLOUT, Role, Shape, World, eventually};

/// GPUs of the pool, and replicas that hold them.
const POOL: u32 = 4;
/// Requests a second.
const RPS: u32 = 40;

/// Leaves one node with GPUs open.
async fn shrink_pool(world: &World) {
    let nodes = world.admin.get("/api/v1/nodes").await.ok();
    let gpus = |node: &&Value| {
        let count = node["status"]["allocatable"]["nvidia.com/gpu"].as_str();
        count.is_some_and(|count| count != "0")
    };
    let all = nodes["items"].as_array().unwrap();
    let mut with: Vec<&Value> = all.iter().filter(gpus).collect();
    let kept = with.pop().expect("the cluster has GPUs");
    assert_eq!(kept["status"]["allocatable"]["nvidia.com/gpu"], POOL.to_string());
    for node in with {
        let path = format!("/api/v1/nodes/{}", node["metadata"]["name"].as_str().unwrap());
        world
            .admin
            .merge(&path, &json!({"spec": {"unschedulable": true}}))
            .await
            .ok();
    }
}

async fn roll_out(host: &Host, world: &World, version: &str) -> RunId {
    let shape = Shape::rollout(version, None);
    host.start(version, shape.canary(&world.namespace, &world.builds, POOL))
        .await
}

fn rollout(run: &Run) -> &Rollout {
    let mut all = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
    all.next().expect("the run rolls out")
}

#[tokio::test]
async fn without_a_free_gpu_it_goes_there_and_back_and_no_request_is_lost() {
    let world = World::new("room").await;
    shrink_pool(&world).await;
    let host = Host::of_admin(&world);

    let first = roll_out(&host, &world, "v1").await;
    let run = host.until("the first release", &first, Run::is_over).await;
    assert_eq!(run.status.word(), "succeeded", "{}", run.status.words());
    eventually("users are answered", async || match world.ask().await {
        Ok(version) if version == "v1" => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let load = Load::start(&world.host(), Mix::of(RPS)).await;

    // There: the candidate grows in the places of stable.
    let second = roll_out(&host, &world, "v2").await;
    let run = host.until("the second model", &second, Run::is_over).await;
    assert_eq!(run.status.word(), "succeeded", "{}", run.status.words());
    let went = rollout(&run);
    assert_eq!((went.plan.rung.as_str(), went.plan.gpu_peak), ("borrow", POOL));
    assert!(went.gpus_peak <= POOL, "{} GPUs held", went.gpus_peak);
    let shares = went.shares();
    assert_eq!(shares, [10, 33, 66, 100]);
    load.expect_nothing_lost("borrowed").await;

    // And back: a person stops the third model when it has half of the places.
    let third = roll_out(&host, &world, "v3").await;
    let half = |run: &Run| {
        let asked = run.steps().find_map(|(.., state)| state.rollout.as_deref());
        asked.is_some_and(|rollout| rollout.weight.percent() == 66)
    };
    host.until("half of the third model", &third, half).await;
    let back = Event::RollbackRequested {
        by: Identity::Slack("U1".into()),
        reason: "wrong language".into(),
        force: false,
    };
    host.tell(&third, &back).await;
    let run = host.until("the way back", &third, Run::is_over).await;
    assert_eq!(run.status.word(), "rolled_back", "{}", run.status.words());
    let went = rollout(&run);
    assert_eq!((went.stable_seen.warm, went.weight.percent()), (POOL, 0));
    assert!(went.gpus_peak <= POOL, "{} GPUs held", went.gpus_peak);
    load.expect_nothing_lost("given back").await;
    for entry in host.log(&third).await {
        eprintln!("{} {}", entry.action.as_str(), entry.detail);
    }
}

#[tokio::test]
async fn who_runs_steps_sees_what_fits_and_who_may_not_is_told_the_fix() {
    let world = World::new("ground").await;
    let run = world.run(&Shape::rollout("v1", None));
    let executor = world.fleet(Role::StageExecutor);
    match executor.ground(&run, ROLLOUT, None).await {
        GroundSeen::Hidden(why) => assert!(why.contains("infra/cluster/ground.yaml"), "{why}"),
        other => panic!("without the binding nothing is seen: {other:?}"),
    }
    world.bind_everywhere("ground.yaml").await.unwrap();
    let seen = eventually("the binding is known", async || {
        match executor.ground(&run, ROLLOUT, None).await {
            GroundSeen::Known(ground) => Ok(ground),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(
        seen.snapshot.nodes.len() >= 2,
        "{} nodes",
        seen.snapshot.nodes.len()
    );
    assert_eq!(seen.ask.requests.get("nvidia.com/gpu"), 1);

    // What was measured of the cluster beforehand comes with it, for the plan to count on.
    assert_eq!(seen.bounds, None);
    let bounds = Bounds {
        observed: Span::millis(56),
        job: Span::seconds(1),
        pod: Span::millis(84),
        answer: Span::millis(23),
        endpoint: None,
        drain: None,
    };
    let measured = world.fleet(Role::StageExecutor).measured(None, bounds);
    match measured.ground(&run, ROLLOUT, None).await {
        GroundSeen::Known(ground) => assert_eq!(ground.bounds, Some(bounds)),
        other => panic!("it was seen before: {other:?}"),
    }
}
