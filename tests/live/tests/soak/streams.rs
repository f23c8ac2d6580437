//! Streams of several seconds that are under way while the pods that write them are told to leave.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use weir_domain::ids::RunId;
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::Rollout;
use weir_domain::time::Span;
use weir_live::{Api, GPUS_OF_A_NODE, Load, Mix, Nodes, Stage, World, asked, shared_with};

/// Streams that are to be through a drain, unless `WEIR_STREAMS` says another number.
const STREAMS: usize = 10_000;
/// Services side by side.
const SERVICES: usize = 4;
/// Replicas of each.
const REPLICAS: u32 = 3;
/// What users ask for: nothing but streams.
const MIX: Mix = Mix {
    rps: 30,
    streams: 100,
    seconds: (5.0, 8.0),
    tokens: 5,
};
/// Time that a pod has to leave: until the gateway has noticed, the longest stream, and as long again on a busy machine.
const GRACE_S: u64 = 25;
/// Time between two looks at who leaves.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What was drained, in all services.
#[derive(Default)]
struct Drained {
    streams: Cell<u64>,
    pods: Cell<u64>,
    rollouts: Cell<u64>,
}

#[tokio::test]
async fn no_stream_is_cut_by_a_drain() {
    LocalSet::new().run_until(drain()).await;
}

async fn drain() {
    let wanted = asked("WEIR_STREAMS", STREAMS) as u64;
    shared_with(Nodes {
        with_gpus: (SERVICES * 2 * REPLICAS as usize).div_ceil(GPUS_OF_A_NODE),
        ..Nodes::default()
    });
    let (began, drained) = (Instant::now(), Rc::new(Drained::default()));
    let mut services = JoinSet::new();
    for number in 1..=SERVICES {
        let drained = drained.clone();
        services.spawn_local(async move {
            let service = Service::open(number, &drained).await;
            service.move_until(wanted, drained).await
        });
    }
    let (mut all, mut lost) = (0, 0);
    while let Some(service) = services.join_next().await {
        let totals = service.expect("a service that panics has said why");
        let count = |key: &str| totals["total"][key].as_u64().unwrap();
        all += count("sent");
        lost += count("failed") + count("cut");
        if lost > 0 {
            println!("{totals}");
        }
    }
    let told = json!({
        "streams_drained": drained.streams.get(), "pods_drained": drained.pods.get(), "rollouts": drained.rollouts.get(),
        "streams": all, "lost": lost, "seconds": began.elapsed().as_secs(),
    });
    println!("{told}");
    assert_eq!(lost, 0, "{told}");
}

/// A service whose users ask for streams.
struct Service {
    stage: Stage,
    load: Load,
    looks: JoinHandle<()>,
}

impl Service {
    async fn open(number: usize, drained: &Rc<Drained>) -> Self {
        let stage = Stage::of(&format!("streams-{number}"), json!("rolling"), REPLICAS, 2).await;
        let stage = stage.of_groups().await;
        let run = push(&stage, "v0", json!("rolling")).await;
        stage.ends(&run, "succeeded").await;
        Self {
            load: stage.users_of("v0", MIX).await,
            looks: look_on(&stage.world, drained.clone()),
            stage,
        }
    }

    /// Moves it there and back until enough streams were under way on a pod that left; what the users say.
    async fn move_until(self, wanted: u64, drained: Rc<Drained>) -> Value {
        let stage = &self.stage;
        for number in 1.. {
            if drained.streams.get() >= wanted {
                break;
            }
            let version = format!("v{number}");
            let (strategy, back) = match number % 3 {
                0 => (blue_green(), false),
                n => (json!({"rolling": {"surge": 1}}), n == 2),
            };
            let run = push(stage, &version, strategy).await;
            if back {
                stage
                    .until(&run, "two of three", |rollout| rollout.weight.percent() == 66)
                    .await;
                stage.roll_back(&run).await;
            }
            stage
                .ends(&run, if back { "rolled_back" } else { "succeeded" })
                .await;
            stage.until(&run, "all have left", Rollout::is_over).await;
            add(&drained.rollouts, 1);
            println!("{} streams drained of {wanted}", drained.streams.get());
        }
        self.looks.abort();
        self.load.totals().await
    }
}

/// The old colour is told to leave while streams of before the switch are under way.
fn blue_green() -> Value {
    json!({"blue-green": {
        "preview": 1_000,
        "switch": {"steps": [{"weight": 100, "interval": 3_000}], "threshold": 0.95, "min_samples": 20},
    }})
}

async fn push(stage: &Stage, version: &str, strategy: Value) -> RunId {
    let model = json!({"tokens": {"per_second": MIX.tokens}, "capacity_concurrent": 512});
    let change = |rule: &mut RolloutRule| {
        rule.bake = Span::seconds(1);
        rule.workload.template["spec"]["terminationGracePeriodSeconds"] = json!(GRACE_S);
    };
    stage.push_changed(version, model, strategy, change).await
}

/// Counts the streams of every pod at the moment in which it is seen to leave.
fn look_on(world: &World, drained: Rc<Drained>) -> JoinHandle<()> {
    let (admin, pods) = (world.admin.clone(), world.core("pods"));
    tokio::task::spawn_local(async move {
        let mut left = BTreeSet::new();
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let all = admin.get(&pods).await.ok();
            for pod in all["items"].as_array().into_iter().flatten() {
                let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                if !pod["metadata"]["deletionTimestamp"].is_null() && left.insert(name.clone()) {
                    add(&drained.pods, 1);
                    add(&drained.streams, running(&admin, &format!("{pods}/{name}")).await);
                }
            }
        }
    })
}

/// Generations that a pod has under way, as it says itself.
async fn running(admin: &Api, pod: &str) -> u64 {
    let page = admin.get(&format!("{pod}:8000/proxy/metrics")).await.body;
    let lines = page.as_str().unwrap_or_default().lines();
    let mut counts = lines.filter(|line| line.starts_with("vllm:num_requests_running"));
    let last = counts
        .next()
        .and_then(|line| line.rsplit(' ').next()?.parse().ok());
    last.unwrap_or(0)
}

fn add(to: &Cell<u64>, more: u64) {
    to.set(to.get() + more);
}
