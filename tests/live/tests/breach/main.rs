//! Canaries breach, all at once or each at a moment of its own: real rollouts on a real API server with its gateway's controller, the host's own
//! store, queue and workers in a process of its own, the shipped rights and the admission policy. Pods are pretended. What a
//! look reads is read, the gateway's counters too; what it counts is played.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod shares;
mod spent;
mod storm;

use weir_live::{Nodes, World, asked, shared_with};

use shares::{furnish, shares};
use spent::Spent;
use storm::{Back, Breach, Storm, between};

/// Pods that kwok lets a node have, less some for others.
const PODS_OF_A_NODE: usize = 240;
/// Canaries that breach at once, unless `WEIR_CANARIES` says another number.
const CANARIES: usize = 30;
/// Canaries that breach in turn, unless `WEIR_BREACHES` says another number.
const BREACHES: usize = 3;
/// The candidates' share, in percent.
const SHARE: u8 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canaries_that_all_breach_at_once_all_lose_their_traffic() {
    let (world, mut storm) = rolled_out("storm", asked("WEIR_CANARIES", CANARIES), None).await;
    let before = Spent::now();
    let back = storm.breach(Breach::Together).await;
    let spent = Spent::now().since(&before);
    assert!(shares(&world).await.values().all(|share| *share == 0));

    println!("{} canaries, from the check", back.accepted.len());
    println!("to the decision             {}", told(&back.decided));
    println!(
        "from there to weight 0      {}",
        told(&between(&back.decided, &back.accepted))
    );
    println!("to weight 0 at the API      {}", told(&back.accepted));
    println!("CPU until all were there    {spent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_breaches_at_any_moment_loses_its_traffic() {
    for (name, check_every) in [("ten", Some(10_000)), ("usual", None)] {
        let (world, mut storm) = rolled_out(name, asked("WEIR_BREACHES", BREACHES), check_every).await;
        let back = storm.breach(Breach::InTurn).await;
        assert!(shares(&world).await.values().all(|share| *share == 0));

        match check_every {
            Some(ms) => println!("{} breaches, a look every {} s", back.told.len(), ms / 1_000),
            None => println!("{} breaches, looks as a host takes them", back.told.len()),
        }
        let Back {
            told: seen,
            decided,
            accepted,
        } = &back;
        for (words, ms) in [
            ("from the breach to the source's answer", seen.clone()),
            ("from there to the decision", between(seen, decided)),
            ("from there to weight 0 at the API", between(decided, accepted)),
            ("from the source's answer to weight 0", between(seen, accepted)),
            ("in all", accepted.clone()),
        ] {
            println!("{words:<39} {}", told(&ms));
        }
    }
}

/// Services with a canary each that has its share, on a cluster of their own.
async fn rolled_out(name: &str, canaries: usize, check_every: Option<u64>) -> (World, Storm) {
    shared_with(Nodes {
        pretended: 2 * canaries / PODS_OF_A_NODE + 1,
        ..Nodes::default()
    });
    let world = World::new(name).await;
    let services: Vec<String> = (0..canaries).map(|n| format!("chat-{n:03}")).collect();
    furnish(&world, &services).await;
    let storm = Storm::start(&world, &services, SHARE, check_every).await;
    let had = shares(&world).await;
    assert_eq!(had.len(), canaries);
    assert!(had.values().all(|share| *share == u64::from(SHARE)), "{had:?}");
    (world, storm)
}

/// `min 61 ms, median 1402 ms, p99 2710 ms, max 2755 ms`
fn told(ms: &[u64]) -> String {
    let mut ms = ms.to_vec();
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
