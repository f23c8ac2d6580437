//! The verdict of `weir fit` is the real scheduler's.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

use weir_fit_oracle::{BATCH, ControlPlane, Report, binaries, play};

/// Clusters in an ordinary test run; `make fit-oracle` plays 10,000.
const CASES: u64 = 320;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_verdict_is_what_the_real_scheduler_does() {
    let control = ControlPlane::start(&binaries().await.unwrap()).await.unwrap();
    let mut report = Report::default();
    let seeds: Vec<u64> = (1..=CASES).collect();
    for batch in seeds.chunks(BATCH) {
        for outcome in play(&control.api, batch).await.unwrap() {
            report.add(&outcome);
        }
    }
    control.stop().await.unwrap();
    println!("{report}");
    assert_eq!(report.faults(), Vec::<String>::new());
}
