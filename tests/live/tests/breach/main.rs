//! All canaries of a cluster breach at once: real rollouts on a real API server with its gateway's controller, the host's own
//! store, queue and workers in a process of its own, the shipped rights and the admission policy. Pods are pretended. What a
//! look reads is read, the gateway's counters too; what it counts is played.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod shares;
mod spent;
mod storm;

use weir_live::{World, shared_with};

use shares::{furnish, shares};
use spent::Spent;
use storm::Storm;

/// Pods that kwok lets a node have, less some for others.
const PODS_OF_A_NODE: usize = 240;
/// Canaries, unless `WEIR_CANARIES` says another number.
const CANARIES: usize = 30;
/// The candidates' share, in percent.
const SHARE: u8 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canaries_that_all_breach_at_once_all_lose_their_traffic() {
    #[expect(clippy::disallowed_methods, reason = "a benchmark's size is its caller's")]
    let asked = std::env::var("WEIR_CANARIES").ok();
    let canaries = asked.map_or(CANARIES, |asked| {
        asked.parse().expect("WEIR_CANARIES is a number")
    });
    shared_with(2 * canaries / PODS_OF_A_NODE + 1);
    let world = World::new("breach").await;
    let services: Vec<String> = (0..canaries).map(|n| format!("chat-{n:03}")).collect();
    furnish(&world, &services).await;

    let mut storm = Storm::start(&world, &services, SHARE).await;
    let had = shares(&world).await;
    assert_eq!(had.len(), canaries);
    assert!(had.values().all(|share| *share == u64::from(SHARE)), "{had:?}");
    let before = Spent::now();
    let mut back = storm.breach().await;
    let spent = Spent::now().since(&before);
    assert!(shares(&world).await.values().all(|share| *share == 0));

    let mut write = back.writes();
    println!("{canaries} canaries, from the check");
    println!("to the decision             {}", told(&mut back.decided));
    println!("from there to weight 0      {}", told(&mut write));
    println!("to weight 0 at the API      {}", told(&mut back.accepted));
    println!("CPU until all were there    {spent}");
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
