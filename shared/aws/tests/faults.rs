//! What DynamoDB does at its worst: answers that get lost, writers that meet.
#![allow(clippy::unwrap_used, reason = "everything in here is a test, its helpers too")]

mod kit;

use std::sync::Arc;

use serde_json::json;
use weir_app::{Classified, Commit, Retry, Store, StoreError};
use weir_aws::DynamoStore;
use weir_aws::store::table;
use weir_contracts::sample::{START, commit, effect, first, lane, log, outbox, run, run_id};
use weir_domain::Duty;
use weir_domain::time::Span;
use weir_emulators::{Canned, Lossy};

/// A store whose answers can get lost.
async fn lossy_store() -> (DynamoStore, Lossy) {
    let lossy = Lossy::to(kit::dynamodb().address()).await.unwrap();
    let client = aws_sdk_dynamodb::Client::new(&kit::config(&lossy.url()).await);
    let name = kit::fresh_name("lossy");
    table::create(&kit::dynamodb_client().await, &name).await.unwrap();
    (DynamoStore::new(client, name, kit::clock()), lossy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_was_stored_although_nobody_heard_is_stored_once() {
    let (store, lossy) = lossy_store().await;
    let mut begun = first("a");
    log(&mut begun, 2);
    begun.lanes.push((lane(1), 0));
    begun.push = Some(weir_contracts::sample::push_key("a"));
    lossy.lose_the_answer_to("TransactWriteItems");
    store.commit(begun.clone()).await.unwrap();
    assert_eq!(lossy.lost(), 1);
    let loaded = store.load(&run_id("a")).await.unwrap().unwrap();
    assert_eq!((loaded.version, loaded.lanes[0].1), (1, 1));
    assert_eq!(store.entries(&run_id("a")).await.unwrap(), begun.entries);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_was_stored_although_nobody_heard_is_no_conflict() {
    let (store, lossy) = lossy_store().await;
    store.commit(first("a")).await.unwrap();
    lossy.lose_the_answer_to("UpdateItem");
    store.commit(commit(first("a").run, 1)).await.unwrap();
    assert_eq!(lossy.lost(), 1);
    let loaded = store.load(&run_id("a")).await.unwrap().unwrap();
    assert_eq!(loaded.version, 2);
    // Somebody else's commit at that version is one all the same.
    let late = store.commit(commit(first("a").run, 1)).await.unwrap_err();
    assert!(matches!(late, StoreError::Conflict(_)), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_and_waking_may_be_repeated_when_nobody_heard() {
    let (store, lossy) = lossy_store().await;
    let mut begun = first("a");
    let row = effect(&run_id("a"), 1, 0, true, START);
    begun.outbox.push(row.clone());
    store.commit(begun).await.unwrap();
    lossy.lose_the_answer_to("DeleteItem");
    store.settle(&row.key).await.unwrap();
    assert_eq!(outbox(&store, &run_id("a")).await, []);
    lossy.lose_the_answer_to("UpdateItem");
    store.wake(&run_id("a"), Duty::Steps, START).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(START));
    assert_eq!(lossy.lost(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_answers_never_arrive_is_unavailable() {
    let (store, lossy) = lossy_store().await;
    for _ in 0..3 {
        lossy.lose_the_answer_to("Query");
    }
    let error = store.load(&run_id("a")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert_eq!(error.retry(), Retry::Now);
    assert_eq!(lossy.lost(), 3);
}

/// How a call is throttled, and how an action of a transaction is.
const CALL_CODES: [&str; 5] = [
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "TransactionInProgressException",
    "LimitExceededException",
];
const ACTION_CODES: [&str; 2] = ["ThrottlingError", "ProvisionedThroughputExceeded"];

/// A store whose table says this, and nothing else, each time that it is asked.
async fn refusing(body: serde_json::Value) -> (DynamoStore, Canned) {
    // The client tries three times.
    let server = Canned::serve(vec![(400, body.to_string()); 3]).await;
    let client = aws_sdk_dynamodb::Client::new(&kit::config(&server.url).await);
    (DynamoStore::new(client, "weir", kit::clock()), server)
}

/// It is left in peace for a second, whatever it was asked.
fn expect_patience(error: &StoreError, code: &str) {
    assert!(matches!(error, StoreError::Busy { .. }), "{code}: {error}");
    assert_eq!(error.retry(), Retry::After(Span::seconds(1)), "{code}");
}

#[tokio::test]
async fn a_table_that_is_throttled_is_left_in_peace() {
    let each = CALL_CODES.map(|code| async move {
        let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
        let (store, server) = refusing(json!({"__type": kind, "message": "slower"})).await;
        expect_patience(&store.load(&run_id("a")).await.unwrap_err(), code);
        assert_eq!(server.requests().len(), 3, "{code}: the client tried again first");
    });
    futures::future::join_all(each).await;
}

#[tokio::test]
async fn a_transaction_of_which_an_action_is_throttled_is_tried_later() {
    for code in ACTION_CODES {
        let (store, server) = refusing(json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "cancelled",
            "CancellationReasons": [{"Code": "None"}, {"Code": code, "Message": "slower"}],
        }))
        .await;
        let mut begun = first("a");
        log(&mut begun, 1);
        expect_patience(&store.commit(begun).await.unwrap_err(), code);
        assert_eq!(server.requests().len(), 1, "{code}");
    }
}

/// Commits until it is stored, as the loop does.
async fn insist(store: &DynamoStore, name: &str) -> u32 {
    let mut conflicts = 0;
    loop {
        let loaded = store.load(&run_id(name)).await.unwrap().unwrap();
        let lane_version = loaded.lanes.first().map_or(0, |(_, version)| *version);
        let mut next = commit(loaded.state.run, loaded.version);
        log(&mut next, 1);
        next.lanes.push((lane(lane_version + 1), lane_version));
        match store.commit(next).await {
            Ok(()) => return conflicts,
            Err(StoreError::Conflict(_)) => conflicts += 1,
            Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_meet_on_a_lane_take_turns_and_lose_nothing() {
    const WRITERS: u64 = 6;
    const ROUNDS: u64 = 5;
    let store = Arc::new(kit::store().await.0);
    for n in 0..WRITERS {
        store
            .commit(commit(run(&n.to_string(), "p", n + 1), 0))
            .await
            .unwrap();
    }
    let tasks: Vec<_> = (0..WRITERS)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut conflicts = 0;
                for _ in 0..ROUNDS {
                    conflicts += insist(&store, &n.to_string()).await;
                }
                conflicts
            })
        })
        .collect();
    let mut conflicts = 0;
    for task in tasks {
        conflicts += task.await.unwrap();
    }
    let lanes = store.lanes(&[weir_contracts::sample::lane_key()]).await.unwrap();
    assert_eq!(lanes[0].1, WRITERS * ROUNDS, "every turn was one version");
    assert!(conflicts > 0, "they did meet");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_woken_while_it_is_being_written() {
    let store = Arc::new(kit::store().await.0);
    store.commit(first("a")).await.unwrap();
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for version in 1..=30 {
                let mut next = Commit {
                    looks: [(Duty::Traffic, Some(START + Span::hours(1))), (Duty::Steps, None)],
                    ..commit(first("a").run, version)
                };
                // Effects make it a transaction, which is what wakes collide with.
                next.outbox
                    .push(effect(&run_id("a"), version + 1, 0, true, START));
                while let Err(error) = store.commit(next.clone()).await {
                    assert!(matches!(error, StoreError::Conflict(_)), "{error}");
                }
            }
        })
    };
    for _ in 0..60 {
        match store.wake(&run_id("a"), Duty::Steps, START).await {
            Ok(()) => {}
            Err(error) => assert!(matches!(error.retry(), Retry::After(_)), "{error}"),
        }
    }
    writer.await.unwrap();
    store.wake(&run_id("a"), Duty::Steps, START).await.unwrap();
    let loaded = store.load(&run_id("a")).await.unwrap().unwrap();
    assert_eq!(loaded.due(Duty::Steps), Some(START));
    assert_eq!(loaded.version, 31);
}

#[tokio::test]
async fn a_decision_with_too_many_parts_is_refused_and_stores_nothing() {
    let (store, ..) = kit::store().await;
    let mut wide = first("a");
    wide.outbox = (0..200)
        .map(|n| effect(&run_id("a"), 1, n, true, START))
        .collect();
    let error = store.commit(wide).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Never);
    assert!(store.load(&run_id("a")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_run_as_large_as_an_item_may_be_is_stored() {
    let (store, ..) = kit::store().await;
    let mut large = first("a");
    large.run.cause.headline = "x".repeat(390 * 1_024);
    store.commit(large.clone()).await.unwrap();
    let loaded = store.load(&run_id("a")).await.unwrap().unwrap();
    assert_eq!(loaded.state.run, large.run);
}
