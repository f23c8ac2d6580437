//! The store on SQLite keeps the contract, and what it was told survives.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use rusqlite::Connection;
use weir_app::{Store, StoreError};
use weir_contracts::sample::{START, commit, effect, first, lane, log, outbox};
use weir_contracts::store::{Fresh, suite};
use weir_domain::ids::RunId;
use weir_local::SqliteStore;

#[tokio::test(flavor = "multi_thread")]
async fn the_store_on_sqlite_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let made = std::sync::atomic::AtomicU32::new(0);
    suite(async || {
        let n = made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let store = SqliteStore::open(&dir.path().join(format!("{n}.db"))).unwrap();
        Arc::new(store) as Fresh
    })
    .await;
}

fn open(dir: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(&dir.path().join("weir.db")).unwrap()
}

/// Another look at the same file, for damage.
fn damage(dir: &tempfile::TempDir, sql: &str) {
    let db = Connection::open(dir.path().join("weir.db")).unwrap();
    assert_eq!(db.execute(sql, []).unwrap(), 1, "{sql}");
}

#[tokio::test]
async fn what_was_committed_survives_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut commit = first("a");
    log(&mut commit, 3);
    commit.outbox.push(effect(&commit.run.id, 1, 0, true, START));
    commit.lanes.push((lane(4), 0));
    open(&dir).commit(commit.clone()).await.unwrap();
    let store = open(&dir);
    let loaded = store.load(&commit.run.id).await.unwrap().unwrap();
    assert_eq!((loaded.state.run, loaded.version), (commit.run.clone(), 1));
    assert_eq!(store.entries(&commit.run.id).await.unwrap(), commit.entries);
    assert_eq!(outbox(&store, &commit.run.id).await, commit.outbox);
    assert_eq!(store.lanes(&[lane(4).key]).await.unwrap(), [(lane(4), 1)]);
}

#[tokio::test]
async fn a_run_of_the_next_schema_is_read_and_kept_and_a_later_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut next = first("a");
    next.run.schema = weir_domain::run::SCHEMA + 1;
    next.run.unknown.insert("colour".into(), "green".into());
    let store = open(&dir);
    store.commit(next.clone()).await.unwrap();
    let loaded = store.load(&next.run.id).await.unwrap().unwrap();
    store.commit(commit(loaded.state.run, 1)).await.unwrap();
    assert_eq!(
        store.load(&next.run.id).await.unwrap().unwrap().state.run,
        next.run
    );
    damage(
        &dir,
        "update item set body = json_set(body, '$.schema', 9) where pk = 'RUN#run-a' and sk = 'STATE'",
    );
    let error = store.load(&next.run.id).await.unwrap_err();
    assert!(matches!(error, StoreError::Decode { .. }));
    assert_eq!(
        error.to_string(),
        "RUN#run-a cannot be read: it has schema 9; this weir reads 1 to 2: use the weir that wrote it, or a newer one"
    );
}

#[tokio::test]
async fn a_row_that_contradicts_itself_is_an_error_and_never_a_default() {
    let damages = [
        "update item set body = json_set(body, '$.id', 'run-b') where sk = 'STATE' and pk = 'RUN#run-a'",
        "update item set body = json_set(body, '$.stages', json('[]')) where sk = 'STATE' and pk = 'RUN#run-a'",
        "update item set body = json_remove(body, '$.number') where sk = 'STATE' and pk = 'RUN#run-a'",
        "update item set body = '{' where sk = 'STATE' and pk = 'RUN#run-a'",
        "update item set version = 0 where sk = 'STATE' and pk = 'RUN#run-a'",
        "update item set body = json_set(body, '$.fence', -1) where pk like 'LANE#%'",
        "update item set body = json_set(body, '$.key.service', 'x') where pk like 'LANE#%'",
        "update item set due = null where sk = 'TIMER#steps'",
    ];
    for sql in damages {
        let dir = tempfile::tempdir().unwrap();
        let mut whole = first("a");
        whole.lanes.push((lane(4), 0));
        whole.looks[1].1 = Some(START);
        let store = open(&dir);
        store.commit(whole).await.unwrap();
        damage(&dir, sql);
        let answer = store.load(&RunId::new("run-a")).await;
        assert!(
            matches!(answer, Err(StoreError::Decode { .. })),
            "{sql}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn damage_to_log_and_outbox_is_told_with_the_item() {
    let damages = [
        (
            "update item set body = json_set(body, '$.n', 2) where sk like 'EVENT#%'",
            "EVENT#000000000001",
        ),
        (
            "update item set body = json_set(body, '$.run', 'x') where sk like 'EVENT#%'",
            "EVENT#000000000001",
        ),
        (
            "update item set version = 0 where sk like 'OUTBOX#%'",
            "OUTBOX#000000000001#000000",
        ),
        (
            "update item set body = '{\"fly\":{}}' where sk like 'OUTBOX#%'",
            "OUTBOX#000000000001#000000",
        ),
        (
            "update item set duty = 'idle' where sk like 'OUTBOX#%'",
            "RUN#run-a",
        ),
    ];
    for (sql, item) in damages {
        let dir = tempfile::tempdir().unwrap();
        let mut whole = first("a");
        log(&mut whole, 1);
        whole.outbox.push(effect(&whole.run.id, 1, 0, true, START));
        let store = open(&dir);
        store.commit(whole).await.unwrap();
        damage(&dir, sql);
        let id = RunId::new("run-a");
        let errors = [
            store.entries(&id).await.err(),
            store.load(&id).await.err(),
            store.due(START, 9).await.err(),
        ];
        let told = errors.into_iter().flatten().map(|error| error.to_string());
        let told: Vec<String> = told.collect();
        assert!(told.len() == 1 && told[0].contains(item), "{sql}: {told:?}");
    }
}
