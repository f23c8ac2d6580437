//! The outbox, and who must look when.

use weir_app::{Commit, EffectKey, Lookout};
use weir_domain::Duty;
use weir_domain::time::{Span, Timestamp};

use super::Fresh;
use crate::sample::{START, commit, effect, first, outbox, run, run_id};

fn at(seconds: u64) -> Timestamp {
    START + Span::seconds(seconds)
}

fn key(version: u64, n: u32) -> EffectKey {
    EffectKey {
        run: run_id("a"),
        version,
        n,
    }
}

fn lookout(seconds: u64, name: &str, duty: Duty) -> Lookout {
    Lookout {
        at: at(seconds),
        run: run_id(name),
        duty,
    }
}

pub(super) async fn effects_come_in_the_order_they_were_decided(store: Fresh) {
    let id = run_id("a");
    let rows = |version, count| {
        (0..count)
            .map(|n| effect(&id, version, n, n % 2 == 0, at(9)))
            .collect::<Vec<_>>()
    };
    store
        .commit(Commit {
            outbox: rows(1, 12),
            ..first("a")
        })
        .await
        .unwrap();
    for version in 2..=10 {
        let next = commit(run("a", "pipeline-a", 1), version - 1);
        store
            .commit(Commit {
                outbox: rows(version, 1),
                ..next
            })
            .await
            .unwrap();
    }
    let read: Vec<EffectKey> = outbox(&*store, &id)
        .await
        .into_iter()
        .map(|row| row.key)
        .collect();
    let decided = (0..12)
        .map(|n| key(1, n))
        .chain((2..=10).map(|version| key(version, 0)));
    assert_eq!(read, decided.collect::<Vec<_>>());
}

pub(super) async fn a_settled_effect_is_gone_for_good(store: Fresh) {
    let id = run_id("a");
    let rows = vec![effect(&id, 1, 0, true, at(0)), effect(&id, 1, 1, false, at(0))];
    store
        .commit(Commit {
            outbox: rows,
            ..first("a")
        })
        .await
        .unwrap();
    store.settle(&key(1, 0)).await.unwrap();
    store.settle(&key(1, 0)).await.unwrap();
    store.postpone(&key(1, 0), at(1)).await.unwrap();
    let left: Vec<EffectKey> = outbox(&*store, &id)
        .await
        .into_iter()
        .map(|row| row.key)
        .collect();
    assert_eq!(left, [key(1, 1)]);
}

pub(super) async fn a_postponed_effect_counts_its_tries(store: Fresh) {
    let id = run_id("a");
    let row = effect(&id, 1, 0, true, at(10));
    store
        .commit(Commit {
            outbox: vec![row.clone()],
            ..first("a")
        })
        .await
        .unwrap();
    for seconds in [20, 40] {
        store.postpone(&key(1, 0), at(seconds)).await.unwrap();
    }
    let read = outbox(&*store, &id).await;
    assert_eq!(
        read,
        [weir_app::OutboxRow {
            due: at(40),
            attempts: 2,
            ..row
        }]
    );
}

pub(super) async fn due_comes_longest_due_first_and_once_per_duty(store: Fresh) {
    let looks = [(Duty::Traffic, Some(at(30))), (Duty::Steps, Some(at(5)))];
    let outbox = vec![
        effect(&run_id("a"), 1, 0, true, at(20)),
        effect(&run_id("a"), 1, 1, true, at(25)),
    ];
    store
        .commit(Commit {
            looks,
            outbox,
            ..first("a")
        })
        .await
        .unwrap();
    let looks = [(Duty::Traffic, None), (Duty::Steps, Some(at(10)))];
    store.commit(Commit { looks, ..first("b") }).await.unwrap();
    let all = [
        lookout(5, "a", Duty::Steps),
        lookout(10, "b", Duty::Steps),
        lookout(20, "a", Duty::Traffic),
    ];
    assert_eq!(store.due(at(4), 9).await.unwrap(), []);
    assert_eq!(store.due(at(5), 9).await.unwrap(), all[..1]);
    assert_eq!(store.due(at(99), 9).await.unwrap(), all);
    assert_eq!(store.due(at(99), 2).await.unwrap(), all[..2]);
    // To be told does not make it less due.
    assert_eq!(store.due(at(99), 9).await.unwrap(), all);
    store.settle(&key(1, 0)).await.unwrap();
    assert_eq!(
        store.due(at(99), 9).await.unwrap()[2],
        lookout(25, "a", Duty::Traffic)
    );
}

pub(super) async fn a_commit_replaces_both_looks(store: Fresh) {
    let looks = [(Duty::Traffic, Some(at(1))), (Duty::Steps, Some(at(2)))];
    store.commit(Commit { looks, ..first("a") }).await.unwrap();
    let looks = [(Duty::Traffic, None), (Duty::Steps, Some(at(7)))];
    store
        .commit(Commit {
            looks,
            ..commit(run("a", "pipeline-a", 1), 1)
        })
        .await
        .unwrap();
    assert_eq!(
        store.due(at(99), 9).await.unwrap(),
        [lookout(7, "a", Duty::Steps)]
    );
    store.commit(commit(run("a", "pipeline-a", 1), 2)).await.unwrap();
    assert_eq!(store.due(at(99), 9).await.unwrap(), []);
    assert_eq!(
        store
            .load(&run_id("a"))
            .await
            .unwrap()
            .expect("it is there")
            .looks,
        []
    );
}

pub(super) async fn waking_makes_due_earlier_and_never_later(store: Fresh) {
    let id = run_id("a");
    let looks = [(Duty::Traffic, None), (Duty::Steps, Some(at(50)))];
    store.commit(Commit { looks, ..first("a") }).await.unwrap();
    let due = async |duty| store.load(&id).await.unwrap().expect("it is there").due(duty);
    store.wake(&id, Duty::Steps, at(60)).await.unwrap();
    assert_eq!(due(Duty::Steps).await, Some(at(50)));
    store.wake(&id, Duty::Steps, at(3)).await.unwrap();
    assert_eq!(due(Duty::Steps).await, Some(at(3)));
    store.wake(&id, Duty::Traffic, at(4)).await.unwrap();
    assert_eq!(due(Duty::Traffic).await, Some(at(4)));
    // It moves no version, so it takes nothing from whoever decides at the same time.
    store.commit(commit(run("a", "pipeline-a", 1), 1)).await.unwrap();
    store.wake(&run_id("none"), Duty::Steps, at(1)).await.unwrap();
    assert_eq!(store.due(at(99), 9).await.unwrap(), []);
}

pub(super) async fn the_next_due_is_the_earliest_of_looks_and_effects(store: Fresh) {
    let looks = [(Duty::Traffic, None), (Duty::Steps, Some(at(50)))];
    store.commit(Commit { looks, ..first("a") }).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(50)));
    let looks = [(Duty::Traffic, None), (Duty::Steps, Some(at(70)))];
    let outbox = vec![effect(&run_id("a"), 2, 0, true, at(20))];
    let next = commit(run("a", "pipeline-a", 1), 1);
    store
        .commit(Commit {
            looks,
            outbox,
            ..next
        })
        .await
        .unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(20)));
    store.settle(&key(2, 0)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(70)));
}
