//! All canaries of a cluster breach at once: real rollouts on a real API server with its gateway's controller, the host's own
//! store, queue and workers, the shipped rights and the admission policy. Pods are pretended and metrics are played.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod crowd;
mod played;

use weir_domain::rollout::{Phase, Rollout};
use weir_domain::units::Weight;
use weir_live::shared_with;

use crowd::{Crowd, SHARE};

/// Pods that kwok lets a node have, less some for others.
const PODS_OF_A_NODE: usize = 240;
/// Canaries, unless `WEIR_CANARIES` says another number.
const CANARIES: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canaries_that_all_breach_at_once_all_lose_their_traffic() {
    #[expect(clippy::disallowed_methods, reason = "a benchmark's size is its caller's")]
    let asked = std::env::var("WEIR_CANARIES").ok();
    let canaries = asked.map_or(CANARIES, |asked| {
        asked.parse().expect("WEIR_CANARIES is a number")
    });
    shared_with(2 * canaries / PODS_OF_A_NODE + 1);
    let crowd = Crowd::new(canaries).await;
    crowd
        .roll_out("v1", "the first release serves", |rollout| {
            rollout.phase == Phase::Drained
        })
        .await;
    let runs = crowd.roll_out("v2", "the canary has its share", steps).await;
    let shares = crowd.shares().await;
    assert_eq!(shares.len(), canaries);
    assert!(
        shares.values().all(|share| *share == u64::from(SHARE)),
        "{shares:?}"
    );

    let checked = crowd.breach(&runs).await;
    let (mut decided, mut accepted) = (Vec::new(), Vec::new());
    for run in &runs {
        let rollout = crowd.until(run, "the share is back", is_back).await;
        let change = rollout.changes.last().unwrap();
        decided.push(change.decided.since(checked).0);
        accepted.push(change.accepted.unwrap().since(checked).0);
    }
    assert!(crowd.shares().await.values().all(|share| *share == 0));
    println!("{canaries} canaries, from the check");
    println!("to the decision             {}", told(&mut decided));
    println!("to weight 0 at the API      {}", told(&mut accepted));
}

fn steps(rollout: &Rollout) -> bool {
    let settled = rollout
        .changes
        .last()
        .is_some_and(|change| change.observed.is_some());
    rollout.phase == Phase::Watching { step: 0 } && settled
}

fn is_back(rollout: &Rollout) -> bool {
    let accepted = rollout
        .changes
        .last()
        .is_some_and(|change| change.accepted.is_some());
    rollout.weight == Weight::ZERO && accepted
}

/// `min 61 ms, median 1402 ms, p99 2710 ms, max 2755 ms`
fn told(ms: &mut [u64]) -> String {
    ms.sort_unstable();
    let at = |share: f64| ms[((ms.len() - 1) as f64 * share).round() as usize];
    format!(
        "min {} ms, median {} ms, p99 {} ms, max {} ms",
        at(0.0),
        at(0.5),
        at(0.99),
        at(1.0)
    )
}
