//! State commits a second on SQLite, each durable when it returns. Figures are printed, not asserted.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints and measures"
)]

use std::sync::Arc;
use std::time::Instant;

use weir_app::Store;
use weir_contracts::sample::{START, commit, effect, first, log};
use weir_local::SqliteStore;

/// Commits of one measurement.
const COMMITS: u64 = 2_000;

#[tokio::main]
async fn main() {
    let dir =
        tempfile::tempdir_in(std::env::current_dir().expect("there is a current folder")).expect("a folder");
    for writers in [1, 8, 64] {
        let path = dir.path().join(format!("{writers}.db"));
        let store = Arc::new(SqliteStore::open(&path).expect("the file is new"));
        let began = Instant::now();
        let tasks: Vec<_> = (0..writers)
            .map(|writer| tokio::spawn(decide(store.clone(), writer, COMMITS / writers)))
            .collect();
        for task in tasks {
            task.await.expect("no writer panics");
        }
        let rate = COMMITS as f64 / began.elapsed().as_secs_f64();
        println!("commits on SQLite, {writers:>2} runs at once: {rate:>7.0} a second");
    }
}

/// Loads and commits, as the loop does: a state, a log entry, an effect, both looks.
async fn decide(store: Arc<SqliteStore>, writer: u64, commits: u64) {
    let begun = first(&format!("{writer}"));
    let id = begun.run.id.clone();
    store.commit(begun).await.expect("the run is new");
    for version in 1..commits {
        let loaded = store
            .load(&id)
            .await
            .expect("the store answers")
            .expect("it is there");
        let mut next = commit(loaded.state.run, version);
        log(&mut next, 1);
        let row = effect(&id, version + 1, 0, true, START);
        next.outbox.push(row.clone());
        next.looks = next.looks.map(|(duty, _)| (duty, Some(START)));
        store.commit(next).await.expect("nobody else writes this run");
        store.settle(&row.key).await.expect("the store answers");
    }
}
