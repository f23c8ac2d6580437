//! Two services want the last GPU at the same moment: one has it, and the other waits for it, and says so.

use serde_json::json;
use weir_domain::audit::{Action, Entry};
use weir_domain::ids::{RunId, ServiceName};
use weir_domain::rollout::Phase;
use weir_domain::run::Run;
use weir_domain::time::{Span, Timestamp};
use weir_live::{Host, Load, Mix, Sampler, Shape, World, change_rules, rollout};

use crate::alone;
use crate::nodes::{foreign, holds, leaves, open_all, shrink_pool};

/// Requests a second of each service.
const RPS: u32 = 30;
/// The pool: one GPU for each service, one for a stranger, and one that both want.
const FREE: u32 = 1;

/// A service of one replica.
struct Service {
    world: World,
    sampler: Sampler,
}

impl Service {
    async fn new(name: &str) -> Self {
        let world = World::new(name).await;
        let sampler = Sampler::start(&world);
        Self { world, sampler }
    }

    async fn roll_out(&self, host: &Host, version: &str) -> RunId {
        let strategy = json!({"canary": {
            "steps": [{"weight": 50, "interval": 4_000}], "threshold": 0.95, "min_samples": 20,
        }});
        let (namespace, builds) = (&self.world.namespace, &self.world.builds);
        let shape = Shape::rollout(version, None);
        let mut pipeline = shape.pipeline(namespace, builds, 1, strategy);
        change_rules(&mut pipeline, |rule| {
            rule.lane.service = ServiceName::new(namespace.as_str());
            rule.bake = Span::seconds(2);
        });
        host.start(&format!("{namespace}-{version}"), pipeline).await
    }

    async fn users(&self) -> Load {
        self.world.until_answered("v1").await;
        Load::start(&self.world.host(), Mix::of(RPS)).await
    }

    fn gpus_peak(&self) -> u32 {
        let samples = self.sampler.samples();
        samples.iter().map(|sample| sample.gpus).max().unwrap_or(0)
    }
}

fn waits(run: &Run) -> Option<String> {
    let mut steps = run.steps();
    let step = steps.find_map(|(.., state)| state.rollout.as_deref())?;
    (step.phase == Phase::Surveying && step.waits_for.contains("rollouts that came before"))
        .then(|| step.waits_for.clone())
}

async fn first_of(host: &Host, run: &RunId, action: Action) -> Timestamp {
    let log = host.log(run).await;
    let found = log.iter().find(|entry: &&Entry| entry.action == action);
    found.unwrap_or_else(|| panic!("{action:?} in {log:?}")).at
}

#[tokio::test]
async fn of_two_services_that_want_the_last_gpu_one_waits_and_both_are_promoted() {
    let _alone = alone().await;
    let services = [Service::new("last-a").await, Service::new("last-b").await];
    let stranger = &services[0].world;
    shrink_pool(stranger).await;
    foreign(stranger, "stranger").await;
    holds(stranger, "stranger").await;
    let host = Host::of_admin(stranger);
    let mut loads = Vec::new();
    for service in &services {
        let run = service.roll_out(&host, "v1").await;
        let run = host.until("a first release", &run, Run::is_over).await;
        assert_eq!(run.status.word(), "succeeded", "{}", run.status.words());
        loads.push(service.users().await);
    }

    // Both at once: one waits, with what for.
    let runs = [
        services[0].roll_out(&host, "v2").await,
        services[1].roll_out(&host, "v2").await,
    ];
    let goes = |run: &Run| {
        let mut steps = run.steps();
        steps.any(|(.., state)| state.rollout.as_deref().is_some_and(|r| r.candidate_asked > 0))
    };
    host.until("the one goes", &runs[0], goes).await;
    let waiting = host
        .until("the other waits", &runs[1], |run| waits(run).is_some())
        .await;
    eprintln!("the second waits for {}", waits(&waiting).unwrap());

    for run in &runs {
        let ended = host.until("it is promoted", run, Run::is_over).await;
        assert_eq!(ended.status.word(), "succeeded", "{}", ended.status.words());
        let went = rollout(&ended);
        assert_eq!(went.shares(), [50, 100]);
        assert_eq!((went.plan.gpu_peak, went.gpus_peak), (1 + FREE, 1 + FREE));
    }
    // The second asked for a pod when the first had given its GPU back, and not before.
    let given = first_of(&host, &runs[0], Action::Drained).await;
    let taken = first_of(&host, &runs[1], Action::RevisionWarm).await;
    assert!(taken >= given, "warm {taken:?}, given back {given:?}");
    eprintln!(
        "the second was warm {} after the first had drained",
        taken.since(given)
    );

    for (service, load) in services.iter().zip(&loads) {
        load.expect_nothing_lost(&service.world.namespace).await;
        eprintln!(
            "{}: {} GPUs at most",
            service.world.namespace,
            service.gpus_peak()
        );
    }
    // The stranger's is seen among those of the first.
    assert_eq!(services.each_ref().map(Service::gpus_peak), [3, 2]);
    drop(loads);
    leaves(stranger, "stranger").await;
    for service in &services {
        service.world.clear().await;
    }
    open_all(stranger).await;
}
