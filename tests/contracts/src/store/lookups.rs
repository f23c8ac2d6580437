//! What is found by which key.

use serde_json::json;
use weir_app::{Commit, Scrape};
use weir_domain::audit::verify;
use weir_domain::ids::{ApprovalToken, EnvironmentName, LaneKey, PipelineName, StepId};
use weir_domain::lane::Lane;

use super::Fresh;
use crate::sample::{
    ROLLOUT, ask, commit, first, lane, lane_key, log, outbox, push_key, run, run_id, scrape,
};

pub(super) async fn an_approval_is_found_by_its_token(store: Fresh) {
    let token = ApprovalToken::new("t#1");
    let mut asking = first("a");
    ask(&mut asking, token.as_str());
    let mut next = commit(asking.run.clone(), 1);
    store.commit(asking).await.unwrap();
    assert_eq!(store.run_of_approval(&token).await.unwrap(), Some(run_id("a")));
    // Once asked for, it is found for ever: a late tap must be told how it ended.
    next.run.stages[0].approval = None;
    store.commit(next).await.unwrap();
    assert_eq!(store.run_of_approval(&token).await.unwrap(), Some(run_id("a")));
    assert_eq!(
        store.run_of_approval(&ApprovalToken::new("t")).await.unwrap(),
        None
    );
}

pub(super) async fn numbers_are_counted_per_pipeline(store: Fresh) {
    let name = PipelineName::new("p");
    assert_eq!(store.last_number(&name).await.unwrap(), 0);
    // 9 and 10: a store that sorts numbers as text would be wrong from here on.
    for (id, number) in [("a", 9), ("b", 10), ("c", 2)] {
        store.commit(commit(run(id, "p", number), 0)).await.unwrap();
    }
    store.commit(commit(run("d", "p2", 77), 0)).await.unwrap();
    assert_eq!(store.last_number(&name).await.unwrap(), 10);
}

pub(super) async fn entries_come_in_order_and_as_they_were(store: Fresh) {
    let mut begun = first("a");
    log(&mut begun, 9);
    let mut next = commit(begun.run.clone(), 1);
    log(&mut next, 4);
    let written: Vec<_> = begun.entries.iter().chain(&next.entries).cloned().collect();
    store.commit(begun).await.unwrap();
    store.commit(next).await.unwrap();
    let mut other = first("b");
    log(&mut other, 1);
    store.commit(other).await.unwrap();
    let read = store.entries(&run_id("a")).await.unwrap();
    assert_eq!(read, written);
    let lines: Vec<String> = read.iter().map(|e| serde_json::to_string(e).unwrap()).collect();
    let verified = verify(&lines.join("\n")).unwrap();
    assert!(verified.valid && verified.entries == 13, "{verified:?}");
}

pub(super) async fn runs_come_newest_first(store: Fresh) {
    for name in ["z", "a", "m"] {
        store.commit(first(name)).await.unwrap();
    }
    // A later commit of an old run does not make it new.
    store.commit(commit(run("z", "pipeline-z", 1), 1)).await.unwrap();
    let ids = |runs: Vec<weir_domain::run::Run>| runs.into_iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(
        ids(store.runs(9).await.unwrap()),
        [run_id("m"), run_id("a"), run_id("z")]
    );
    assert_eq!(ids(store.runs(2).await.unwrap()), [run_id("m"), run_id("a")]);
    assert!(store.runs(0).await.unwrap().is_empty());
}

pub(super) async fn a_scrape_is_replaced_per_step(store: Fresh) {
    let id = run_id("a");
    let with = |expected, step, value| Commit {
        scrape: Some(Scrape { step, value }),
        ..commit(run("a", "pipeline-a", 1), expected)
    };
    let other = StepId { stage: 1, step: 10 };
    store.commit(with(0, ROLLOUT, json!({ "n": 1 }))).await.unwrap();
    store.commit(with(1, other, json!([0.1]))).await.unwrap();
    store.commit(with(2, ROLLOUT, json!({ "n": 2 }))).await.unwrap();
    // A commit without one leaves it as it is.
    store.commit(commit(run("a", "pipeline-a", 1), 3)).await.unwrap();
    assert_eq!(scrape(&*store, &id, ROLLOUT).await, Some(json!({ "n": 2 })));
    assert_eq!(scrape(&*store, &id, other).await, Some(json!([0.1])));
}

pub(super) async fn lanes_come_as_asked_for(store: Fresh) {
    let quiet = LaneKey {
        environment: EnvironmentName::new("Staging"),
        ..lane_key()
    };
    let commit = Commit {
        lanes: vec![(lane(3), 0), (Lane::new(quiet.clone()), 0)],
        ..first("a")
    };
    store.commit(commit).await.unwrap();
    let absent = LaneKey {
        environment: EnvironmentName::new("Nowhere"),
        ..lane_key()
    };
    let found = store.lanes(&[quiet.clone(), absent, lane_key()]).await.unwrap();
    assert_eq!(found, [(Lane::new(quiet), 1), (lane(3), 1)]);
    // Only the lanes that its definition names come with a run.
    assert_eq!(
        store
            .load(&run_id("a"))
            .await
            .unwrap()
            .expect("it is there")
            .lanes,
        [(lane_key(), 1)]
    );
}

pub(super) async fn what_is_not_there_is_nothing(store: Fresh) {
    let id = run_id("none");
    assert!(store.load(&id).await.unwrap().is_none());
    assert!(store.lanes(&[lane_key()]).await.unwrap().is_empty());
    assert!(
        store
            .run_of_push(&PipelineName::new("p"), &push_key("x"))
            .await
            .unwrap()
            .is_none()
    );
    assert!(outbox(&*store, &id).await.is_empty());
    assert!(store.entries(&id).await.unwrap().is_empty());
    assert!(scrape(&*store, &id, ROLLOUT).await.is_none());
    assert!(store.runs(9).await.unwrap().is_empty());
    assert!(store.next_due().await.unwrap().is_none());
}
