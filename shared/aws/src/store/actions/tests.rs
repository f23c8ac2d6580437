use weir_contracts::sample::{START, ask, commit, effect, first, lane, log};
use weir_domain::Duty;

use super::*;
use crate::store::item::ITEM_LIMIT;
use crate::store::pack::unpack;

fn written(commit: &Commit) -> Vec<String> {
    let actions = of(commit, "token", START).unwrap();
    actions
        .iter()
        .map(|action| name(&action.pk, &action.sk))
        .collect()
}

#[test]
fn a_decision_that_only_says_when_to_look_next_writes_one_item() {
    let mut quiet = commit(first("a").run, 4);
    ask(&mut quiet, "asked-before");
    quiet.looks = [(Duty::Traffic, Some(START)), (Duty::Steps, None)];
    quiet.scrape = Some(weir_app::Scrape {
        step: weir_contracts::sample::ROLLOUT,
        value: serde_json::json!([1]),
    });
    assert!(is_quiet(&quiet));
    assert_eq!(written(&quiet), ["RUN#run-a/STATE"]);
}

#[test]
fn the_entries_of_a_commit_share_an_item() {
    let mut long = first("a");
    log(&mut long, 300);
    long.lanes.push((lane(1), 0));
    assert_eq!(
        written(&long),
        [
            "RUN#run-a/STATE",
            "RUN#run-a/STATE#PIPELINE",
            "NUMBER#pipeline-a/000000000001",
            "LANE#llm%231%25#Production / EU/STATE",
            "APPROVAL#token-a/STATE",
            "RUN#run-a/EVENT#000000000001",
        ]
    );
}

#[test]
fn entries_that_do_not_fit_one_item_take_the_next() {
    let mut long = first("a");
    log(&mut long, 2_000);
    let events: Vec<String> = written(&long)
        .into_iter()
        .filter(|name| name.contains("/EVENT#"))
        .collect();
    assert!(events.len() > 1, "{events:?}");
    assert_eq!(events[0], "RUN#run-a/EVENT#000000000001");
    for action in of(&long, "token", START).unwrap() {
        if let Write::Put { item, .. } = action.write {
            assert!(size(&item) < ITEM_LIMIT);
        }
    }
}

/// Text that does not shrink to less than half.
fn unlike(length: usize) -> String {
    let steps = std::iter::successors(Some(1_u32), |x| {
        Some(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
    });
    steps
        .map(|x| char::from(b' ' + 3 + (x >> 26) as u8))
        .take(length)
        .collect()
}

#[test]
fn what_is_too_large_is_refused_before_it_is_sent() {
    let mut long = first("a");
    long.run.log_tail = unlike(2 * ITEM_LIMIT);
    let error = of(&long, "token", START).err().unwrap();
    assert!(error.to_string().starts_with("RUN#run-a/STATE has 6"), "{error}");
    let mut talkative = first("a");
    talkative.run.cause.headline = unlike(2 * ITEM_LIMIT);
    let error = of(&talkative, "token", START).err().unwrap();
    assert!(
        error.to_string().starts_with("RUN#run-a/STATE#PIPELINE has 6"),
        "{error}"
    );
    let mut wide = first("a");
    wide.outbox = (0..200)
        .map(|n| effect(&wide.run.id, 1, n, true, START))
        .collect();
    let error = of(&wide, "token", START).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("one decision of run run-a has 204 parts; the store takes 100"),
        "{error}"
    );
}

#[test]
fn what_never_changes_is_no_part_of_the_state() {
    let body = moving(&first("a").run).unwrap();
    let read: Value = unpack("a", "body", Some(&body)).unwrap();
    let fields = ["pipeline", "cause"].map(|name| read.get(name));
    assert!(fields == [None, None] && read["schema"] == 1, "{read}");
}
