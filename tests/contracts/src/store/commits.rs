//! A commit is one transaction, conditioned on everything it names.

use weir_app::{Commit, Scrape, Store, StoreError};
use weir_domain::Duty;
use weir_domain::audit::verify;
use weir_domain::time::Span;

use super::Fresh;
use crate::sample::{
    ROLLOUT, START, ask, commit, effect, first, lane, lane_key, log, outbox, pool, pool_key, push_key, run,
    run_id, scrape,
};

/// One commit that uses every part.
fn everything() -> Commit {
    let mut commit = first("a");
    log(&mut commit, 2);
    ask(&mut commit, "token");
    commit.lanes.push((lane(0), 0));
    commit.pools.push((pool(2), 0));
    commit
        .outbox
        .push(effect(&run_id("a"), 1, 0, true, START + Span::seconds(10)));
    commit.looks = [
        (Duty::Traffic, Some(START + Span::seconds(1))),
        (Duty::Steps, Some(START + Span::seconds(2))),
    ];
    commit.scrape = Some(Scrape {
        step: ROLLOUT,
        value: serde_json::json!({ "up": [1, 2.5] }),
    });
    commit.push = Some(push_key("a"));
    commit
}

async fn conflicts(store: &dyn Store, commit: Commit) {
    match store.commit(commit).await {
        Err(StoreError::Conflict(item)) => assert!(!item.is_empty(), "a conflict names its item"),
        other => panic!("a conflict was expected, there came {other:?}"),
    }
}

pub(super) async fn what_was_committed_is_read_back(store: Fresh) {
    let mut commit = everything();
    commit
        .run
        .unknown
        .insert("of_a_newer_schema".into(), serde_json::json!({ "kept": true }));
    store.commit(commit.clone()).await.unwrap();
    let loaded = store.load(&run_id("a")).await.unwrap().expect("it was committed");
    assert_eq!(loaded.state.run, commit.run);
    assert_eq!(loaded.version, 1);
    assert_eq!(loaded.lanes, [(lane_key(), 1)]);
    assert_eq!(loaded.state.lanes.get(&lane_key()), Some(&lane(0)));
    assert_eq!(loaded.pools, [(pool_key(), 1)]);
    assert_eq!(loaded.state.pools.get(&pool_key()), Some(&pool(2)));
    assert_eq!(loaded.due(Duty::Traffic), Some(START + Span::seconds(1)));
    assert_eq!(loaded.due(Duty::Steps), Some(START + Span::seconds(2)));
    assert_eq!(outbox(&*store, &run_id("a")).await, commit.outbox);
    assert_eq!(
        scrape(&*store, &run_id("a"), ROLLOUT).await,
        commit.scrape.map(|scrape| scrape.value)
    );
    assert_eq!(
        store
            .run_of_push(&commit.run.pipeline.name, &push_key("a"))
            .await
            .unwrap(),
        Some(run_id("a"))
    );
}

pub(super) async fn a_run_is_committed_at_its_expected_version_only(store: Fresh) {
    store.commit(first("a")).await.unwrap();
    let next = |expected| commit(run("a", "pipeline-a", 1), expected);
    conflicts(&*store, next(2)).await;
    store.commit(next(1)).await.unwrap();
    conflicts(&*store, next(1)).await;
    assert_eq!(
        store
            .load(&run_id("a"))
            .await
            .unwrap()
            .expect("it is there")
            .version,
        2
    );
    // A run that was never begun cannot go on.
    conflicts(&*store, commit(run("b", "pipeline-b", 1), 1)).await;
}

pub(super) async fn a_run_that_exists_cannot_begin_again(store: Fresh) {
    store.commit(first("a")).await.unwrap();
    conflicts(&*store, commit(run("a", "pipeline-a", 2), 0)).await;
    assert_eq!(store.runs(9).await.unwrap().len(), 1);
}

pub(super) async fn a_lane_is_committed_at_its_expected_version_only(store: Fresh) {
    let with_lane = |name: &str, fence, expected| Commit {
        lanes: vec![(lane(fence), expected)],
        ..first(name)
    };
    store.commit(with_lane("a", 0, 0)).await.unwrap();
    conflicts(&*store, with_lane("b", 1, 0)).await;
    conflicts(&*store, with_lane("b", 1, 2)).await;
    store.commit(with_lane("b", 1, 1)).await.unwrap();
    assert_eq!(store.lanes(&[lane_key()]).await.unwrap(), [(lane(1), 2)]);
}

/// Two rollouts that found the same GPUs free: the second one to say so must look again.
pub(super) async fn a_pool_is_committed_at_its_expected_version_only(store: Fresh) {
    let claims = |name: &str, gpus, expected| Commit {
        pools: vec![(pool(gpus), expected)],
        ..first(name)
    };
    store.commit(claims("a", 1, 0)).await.unwrap();
    conflicts(&*store, claims("b", 2, 0)).await;
    conflicts(&*store, claims("b", 2, 2)).await;
    assert!(
        store.load(&run_id("b")).await.unwrap().is_none(),
        "a conflict stores nothing"
    );
    store.commit(claims("b", 2, 1)).await.unwrap();
    let loaded = store.load(&run_id("a")).await.unwrap().expect("it was committed");
    assert_eq!(loaded.pools, [(pool_key(), 2)]);
    assert_eq!(loaded.state.pools.get(&pool_key()), Some(&pool(2)));
}

pub(super) async fn a_number_is_given_once_per_pipeline(store: Fresh) {
    store.commit(commit(run("a", "p", 7), 0)).await.unwrap();
    conflicts(&*store, commit(run("b", "p", 7), 0)).await;
    store.commit(commit(run("b", "q", 7), 0)).await.unwrap();
    store.commit(commit(run("c", "p", 8), 0)).await.unwrap();
}

pub(super) async fn a_push_starts_a_pipeline_once(store: Fresh) {
    let pushed = |name: &str, pipeline: &str, number| Commit {
        push: Some(push_key("x")),
        ..commit(run(name, pipeline, number), 0)
    };
    store.commit(pushed("a", "p", 1)).await.unwrap();
    match store.commit(pushed("b", "p", 2)).await {
        Err(StoreError::Duplicate(run)) => assert_eq!(run, run_id("a")),
        other => panic!("a duplicate was expected, there came {other:?}"),
    }
    assert!(store.load(&run_id("b")).await.unwrap().is_none());
    store.commit(pushed("c", "q", 1)).await.unwrap();
}

pub(super) async fn a_commit_that_conflicts_stores_nothing(store: Fresh) {
    // The lane is another's by now: the last condition to be looked at fails.
    let taken = Commit {
        lanes: vec![(lane(5), 0)],
        ..first("z")
    };
    store.commit(taken).await.unwrap();
    conflicts(&*store, everything()).await;
    let id = run_id("a");
    assert!(store.load(&id).await.unwrap().is_none());
    assert!(store.entries(&id).await.unwrap().is_empty());
    assert!(outbox(&*store, &id).await.is_empty());
    assert!(scrape(&*store, &id, ROLLOUT).await.is_none());
    assert!(store.due(START + Span::hours(9), 9).await.unwrap().is_empty());
    assert_eq!(
        store
            .run_of_push(&everything().run.pipeline.name, &push_key("a"))
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        store.last_number(&everything().run.pipeline.name).await.unwrap(),
        0
    );
    assert_eq!(store.lanes(&[lane_key()]).await.unwrap(), [(lane(5), 1)]);
    let token = everything().run.stages[0]
        .approval
        .clone()
        .expect("it asks")
        .token;
    assert_eq!(store.run_of_approval(&token).await.unwrap(), None);
}

pub(super) async fn of_many_commits_at_one_version_exactly_one_wins(store: Fresh) {
    const WRITERS: u64 = 16;
    const ROUNDS: u64 = 5;
    store.commit(first("a")).await.unwrap();
    for round in 1..=ROUNDS {
        let tasks: Vec<_> = (0..WRITERS)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let before = store.load(&run_id("a")).await.unwrap().expect("it is there");
                    let mut next = commit(before.state.run, round);
                    log(&mut next, 1);
                    store.commit(next).await
                })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            match task.await.expect("no writer panics") {
                Ok(()) => won += 1,
                Err(StoreError::Conflict(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won, 1, "round {round}");
    }
    let entries = store.entries(&run_id("a")).await.unwrap();
    assert_eq!(entries.len() as u64, ROUNDS);
    let lines: Vec<String> = entries
        .iter()
        .map(|e| serde_json::to_string(e).unwrap())
        .collect();
    assert!(verify(&lines.join("\n")).unwrap().valid);
}

pub(super) async fn runs_that_race_for_a_lane_lose_whole(store: Fresh) {
    let tasks: Vec<_> = (0..12_u64)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut racer = first(&n.to_string());
                log(&mut racer, 1);
                racer.lanes.push((lane(n), 0));
                store.commit(racer).await.is_ok()
            })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        won += u32::from(task.await.expect("no writer panics"));
    }
    assert_eq!(won, 1);
    let runs = store.runs(99).await.unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(store.entries(&runs[0].id).await.unwrap().len(), 1);
}
