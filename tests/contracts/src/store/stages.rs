//! Stages in which nothing moves any more may be kept apart; whoever reads a run does not see it.

use serde_json::json;
use weir_app::{Commit, Scrape};
use weir_domain::run::{PartStatus, Run};

use super::Fresh;
use crate::sample::{ROLLOUT, commit, first, run_id, scrape};

/// What a decision changes of a run.
type Change = fn(&mut Run, PartStatus);

/// The approval of a sample run.
const APPROVAL: usize = 0;

pub(super) async fn closed_stages_are_read_as_they_stand(store: Fresh) {
    let begun = first("a");
    let mut run = begun.run.clone();
    store.commit(begun).await.unwrap();
    let failed = || PartStatus::Failed { why: "late".into() };
    let decisions: [(Change, PartStatus, Vec<usize>); 6] = [
        (approval, PartStatus::Succeeded, vec![APPROVAL]),
        // Decides nothing about the closed one.
        (rollout, PartStatus::Running, Vec::new()),
        // Rare, and not forbidden: what has ended is corrected, and opened again.
        (approval, failed(), vec![APPROVAL]),
        (approval, PartStatus::Running, Vec::new()),
        (approval, PartStatus::Succeeded, vec![APPROVAL]),
        (rollout, PartStatus::Stopped, vec![ROLLOUT.stage]),
    ];
    for (version, (change, status, closed)) in (1..).zip(decisions) {
        change(&mut run, status);
        for stage in &closed {
            assert!(run.is_closed(*stage));
        }
        let decision = Commit {
            closed,
            ..commit(run.clone(), version)
        };
        store.commit(decision).await.unwrap();
        let loaded = store.load(&run.id).await.unwrap().unwrap();
        assert_eq!((loaded.version, &loaded.state.run), (version + 1, &run));
        assert_eq!(store.runs(9).await.unwrap(), [run.clone()]);
    }
}

pub(super) async fn what_was_scraped_in_a_closed_stage_is_forgotten(store: Fresh) {
    let id = run_id("a");
    let counted = |n: u64| {
        Some(Scrape {
            step: ROLLOUT,
            value: json!({ "n": n }),
        })
    };
    let begun = Commit {
        scrape: counted(1),
        ..first("a")
    };
    let mut run = begun.run.clone();
    store.commit(begun).await.unwrap();
    assert_eq!(scrape(&*store, &id, ROLLOUT).await, Some(json!({ "n": 1 })));
    approval(&mut run, PartStatus::Succeeded);
    let other = Commit {
        closed: vec![APPROVAL],
        ..commit(run.clone(), 1)
    };
    store.commit(other).await.unwrap();
    assert_eq!(scrape(&*store, &id, ROLLOUT).await, Some(json!({ "n": 1 })));
    // The look that ends a stage has counted, too.
    rollout(&mut run, PartStatus::Succeeded);
    let last = Commit {
        scrape: counted(2),
        closed: vec![ROLLOUT.stage],
        ..commit(run.clone(), 2)
    };
    store.commit(last).await.unwrap();
    assert_eq!(scrape(&*store, &id, ROLLOUT).await, None);
    // And so has one that comes late.
    let late = Commit {
        scrape: counted(3),
        ..commit(run, 3)
    };
    store.commit(late).await.unwrap();
    assert_eq!(scrape(&*store, &id, ROLLOUT).await, None);
}

fn approval(run: &mut Run, status: PartStatus) {
    run.stages[APPROVAL].status = status;
}

fn rollout(run: &mut Run, status: PartStatus) {
    run.stages[ROLLOUT.stage].steps[ROLLOUT.step].status = status.clone();
    run.stages[ROLLOUT.stage].status = status;
}
