//! Decisions a second on DynamoDB Local, and what each costs there. Figures are printed, not asserted; DynamoDB's own
//! latency is another, its requests and units are the same.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints and measures"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::Region;
use aws_credential_types::Credentials;
use weir_app::{Clock, Store};
use weir_aws::DynamoStore;
use weir_aws::store::table;
use weir_contracts::sample::{START, commit, effect, first, log};
use weir_domain::Duty;
use weir_domain::time::Timestamp;

/// Decisions of one measurement.
const DECISIONS: u64 = 400;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        START
    }
}

#[tokio::main]
async fn main() {
    let emulator = weir_emulators::dynamodb().expect("DynamoDB Local starts");
    let config = weir_aws::config::loader()
        .endpoint_url(emulator.url())
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "bench"))
        .load()
        .await;
    let client = aws_sdk_dynamodb::Client::new(&config);
    for (writers, table_name) in [(1, "warm-up"), (1, "one"), (8, "eight")] {
        table::create(&client, table_name)
            .await
            .expect("the table is new");
        let store = Arc::new(DynamoStore::new(client.clone(), table_name, Arc::new(Still)));
        for quiet in [false, true] {
            let began = Instant::now();
            let tasks: Vec<_> = (0..writers)
                .map(|writer| tokio::spawn(decide(store.clone(), writer, quiet, DECISIONS / writers)))
                .collect();
            let mut times = Vec::new();
            for task in tasks {
                times.extend(task.await.expect("no writer panics"));
            }
            times.sort();
            let rate = times.len() as f64 / began.elapsed().as_secs_f64();
            let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1_000.0;
            let what = if quiet { "looks" } else { "decisions" };
            println!(
                "{what:>9} on DynamoDB Local, {writers} at once ({table_name}): {rate:>5.0} a second with their reads; commit p50 {:.1} ms, p99 {:.1} ms",
                at(0.5),
                at(0.99)
            );
        }
    }
}

/// Loads and commits, as the loop does; how long each commit took.
async fn decide(store: Arc<DynamoStore>, writer: u64, quiet: bool, decisions: u64) -> Vec<Duration> {
    let begun = first(&format!("{writer}-{quiet}"));
    let id = begun.run.id.clone();
    store.commit(begun).await.expect("the run is new");
    let mut times = Vec::new();
    for version in 1..=decisions {
        let loaded = store
            .load(&id)
            .await
            .expect("the store answers")
            .expect("it is there");
        let mut next = commit(loaded.state.run, version);
        next.looks = [(Duty::Traffic, Some(START)), (Duty::Steps, None)];
        let row = effect(&id, version + 1, 0, true, START);
        if !quiet {
            log(&mut next, 1);
            next.outbox.push(row.clone());
        }
        let began = Instant::now();
        store.commit(next).await.expect("nobody else writes this run");
        times.push(began.elapsed());
        if !quiet {
            store.settle(&row.key).await.expect("the store answers");
        }
    }
    times
}
