//! Rollouts on pools of four GPUs that a service holds all of, with users who ask all along: a real scheduler, real pods, a
//! real gateway.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod budgets;

use serde_json::json;
use weir_app::Clusters;
use weir_domain::event::Event;
use weir_domain::ids::RunId;
use weir_domain::people::Identity;
use weir_domain::run::Run;
use weir_domain::seen::{Bounds, GroundSeen};
use weir_domain::time::Span;
use weir_live::{
    Host, Load, Mix, Nodes, ROLLOUT, Role, Shape, World, change_rules, eventually, rollout, shared_with,
};

/// GPUs of the pool, and replicas that hold them.
const POOL: u32 = 4;
/// Requests a second.
const RPS: u32 = 40;

/// A pool for each service that fills one.
const NODES: Nodes = Nodes {
    with_gpus: 4,
    pretended: 0,
};

/// The surroundings of a service.
async fn world(name: &str) -> World {
    shared_with(NODES);
    World::new(name).await
}

/// A service that holds the whole pool, the way on which a new model finds its places, and where it is taken back.
struct Trip {
    name: &'static str,
    /// Its pool: the GPUs of this node.
    node: &'static str,
    /// GPUs of a replica.
    gpus: u32,
    /// The share that is to be judged.
    judged: u8,
    may_swap: bool,
    rung: &'static str,
    shares: &'static [u8],
    /// A person takes the third model back once it has this share.
    back_at: u8,
}

impl Trip {
    fn replicas(&self) -> u32 {
        POOL / self.gpus
    }

    async fn roll_out(&self, host: &Host, world: &World, version: &str) -> RunId {
        let shape = Shape {
            gpus: self.gpus,
            node: Some(self.node),
            ..Shape::rollout(version, None)
        };
        let strategy = json!({"canary": {
            "steps": [{"weight": self.judged, "interval": 10_000}], "threshold": 0.95, "min_samples": 20,
        }});
        let mut pipeline = shape.pipeline(&world.namespace, &world.builds, self.replicas(), strategy);
        change_rules(&mut pipeline, |rule| rule.may_swap = self.may_swap);
        host.start(version, pipeline).await
    }

    async fn there_and_back(&self) {
        let world = world(self.name).await;
        let host = Host::of_admin(&world);

        let first = self.roll_out(&host, &world, "v1").await;
        let run = host.until("the first release", &first, Run::is_over).await;
        assert_eq!(run.status.word(), "succeeded", "{}", run.status.words());
        world.until_answered("v1").await;
        let load = Load::start(&world.host(), Mix::of(RPS)).await;

        // There: the candidate grows in the places of stable.
        let second = self.roll_out(&host, &world, "v2").await;
        let run = host.until("the second model", &second, Run::is_over).await;
        assert_eq!(run.status.word(), "succeeded", "{}", run.status.words());
        let went = rollout(&run);
        assert_eq!((went.plan.rung.as_str(), went.plan.gpu_peak), (self.rung, POOL));
        assert!(went.gpus_peak <= POOL, "{} GPUs held", went.gpus_peak);
        assert_eq!(went.shares(), self.shares);
        load.expect_nothing_lost(self.rung).await;

        // And back: a person stops the third model on its way.
        let third = self.roll_out(&host, &world, "v3").await;
        let on_its_way = |run: &Run| {
            let asked = run.steps().find_map(|(.., state)| state.rollout.as_deref());
            asked.is_some_and(|rollout| rollout.weight.percent() == self.back_at)
        };
        host.until("the third model on its way", &third, on_its_way).await;
        let back = Event::RollbackRequested {
            by: Identity::Slack("U1".into()),
            reason: "wrong language".into(),
            force: false,
        };
        host.tell(&third, &back).await;
        let run = host.until("the way back", &third, Run::is_over).await;
        assert_eq!(run.status.word(), "rolled_back", "{}", run.status.words());
        let went = rollout(&run);
        assert_eq!(
            (went.stable_seen.warm, went.weight.percent()),
            (self.replicas(), 0)
        );
        assert!(went.gpus_peak <= POOL, "{} GPUs held", went.gpus_peak);
        load.expect_nothing_lost("given back").await;
        for entry in host.log(&third).await {
            eprintln!("{} {}", entry.action.as_str(), entry.detail);
        }
        drop(load);
        world.clear().await;
    }
}

#[tokio::test]
async fn without_a_free_gpu_it_goes_there_and_back_and_no_request_is_lost() {
    let trip = Trip {
        name: "room",
        node: "gpu-1",
        gpus: 1,
        judged: 10,
        may_swap: false,
        rung: "borrow",
        shares: &[10, 33, 66, 100],
        back_at: 66,
    };
    trip.there_and_back().await;
}

#[tokio::test]
async fn a_share_that_needs_more_than_fits_is_judged_at_less_there_and_back_and_no_request_is_lost() {
    let trip = Trip {
        name: "smaller",
        node: "gpu-2",
        gpus: 1,
        judged: 50,
        may_swap: false,
        rung: "smaller",
        shares: &[33, 66, 100],
        back_at: 66,
    };
    trip.there_and_back().await;
}

#[tokio::test]
async fn two_replicas_are_swapped_there_and_back_and_no_request_is_lost() {
    let trip = Trip {
        name: "swap",
        node: "gpu-3",
        gpus: 2,
        judged: 10,
        may_swap: true,
        rung: "swap",
        shares: &[10, 100],
        back_at: 100,
    };
    trip.there_and_back().await;
}

#[tokio::test]
async fn who_runs_steps_sees_what_fits_and_who_may_not_is_told_the_fix() {
    let world = world("ground").await;
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
