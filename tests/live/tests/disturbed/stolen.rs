//! A foreign pod takes the place that stable gave up for the candidate.

use std::sync::Arc;

use weir_domain::rollout::Rollout;
use weir_domain::run::Run;
use weir_domain::seen::PodPhase;
use weir_live::{Host, Load, Mix, Sampler, Shape, ShiftedClock, World, rollout};

use crate::alone;
use crate::nodes::{foreign, holds, leaves, open_all, shrink_pool};

/// GPUs of the pool, and replicas that hold them.
const POOL: u32 = 4;
/// Requests a second.
const RPS: u32 = 40;
/// A place that is free is taken within two minutes, or it is lost: nobody waits for them here.
const LATER_MS: i64 = 125_000;

#[tokio::test]
async fn a_place_that_a_foreign_pod_takes_is_told_and_stable_is_whole_again_once_it_leaves() {
    let _alone = alone().await;
    let world = World::new("stolen").await;
    shrink_pool(&world).await;
    let clock = Arc::new(ShiftedClock::default());
    let host = Host::by_clock(&world, clock.clone());
    let pushed = async |version: &str| {
        let pipeline = Shape::rollout(version, None).canary(&world.namespace, &world.builds, POOL);
        host.start(version, pipeline).await
    };
    let first = pushed("v1").await;
    let run = host.until("the first release", &first, Run::is_over).await;
    assert_eq!(run.status.word(), "succeeded", "{}", run.status.words());
    world.until_answered("v1").await;
    let load = Load::start(&world.host(), Mix::of(RPS)).await;
    let sampler = Sampler::start(&world);

    let second = pushed("v2").await;
    let of = |run: &Run, is: &dyn Fn(&Rollout) -> bool| {
        let mut steps = run.steps();
        steps.any(|(.., state)| state.rollout.as_deref().is_some_and(is))
    };
    let gives = |run: &Run| of(run, &|rollout| rollout.stable_asked == Some(POOL - 1));
    host.until("stable gives up a place", &second, gives).await;
    foreign(&world, "thief").await;
    tokio::select! {
        () = holds(&world, "thief") => {}
        () = host.go_on() => {}
    }
    let without = |run: &Run| {
        of(run, &|rollout| {
            rollout.stable_seen.terminating == 0 && rollout.candidate_seen.phase == PodPhase::Scheduling
        })
    };
    host.until(
        "stable has left, and the candidate has no place",
        &second,
        without,
    )
    .await;

    clock.set_ahead_ms(LATER_MS);
    let decided = |run: &Run| of(run, &|rollout| rollout.reverted_because.is_some());
    let run = host.until("the place is lost", &second, decided).await;
    let why = rollout(&run).reverted_because.clone().unwrap();
    eprintln!("{why}");
    assert!(
        why.contains("a place that stable gave up was taken by somebody else"),
        "{why}"
    );
    host.until("somebody is called", &second, |_| host.called(&second))
        .await;

    // Nobody of Weir's may end a stranger's pod. Once it leaves, stable has its place again.
    leaves(&world, "thief").await;
    let run = host.until("stable is whole", &second, Run::is_over).await;
    assert_eq!(run.status.word(), "rolled_back", "{}", run.status.words());
    let went = rollout(&run);
    assert_eq!((went.stable_seen.warm, went.weight.percent()), (POOL, 0));
    assert_eq!(went.shares(), Vec::<u8>::new());
    let peak = sampler.samples().iter().map(|sample| sample.gpus).max();
    assert_eq!((went.plan.gpu_peak, peak), (POOL, Some(POOL)));
    load.expect_nothing_lost("a place was taken").await;
    drop(load);
    world.clear().await;
    open_all(&world).await;
}
