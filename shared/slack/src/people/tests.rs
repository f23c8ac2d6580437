use std::sync::Arc;

use serde_json::Value;
use weir_contracts::sample::{ROLLOUT, START, ask, first};
use weir_domain::approval::{Approval, ApprovalState, Given};
use weir_domain::ids::{EnvironmentName, PersonName, RevisionId, RunId};
use weir_domain::people::{Actor, Identity};
use weir_domain::pipeline::{StageWork, StepWork};
use weir_domain::rollout::{Inconclusive, Phase, PlannedStep, Rollout, StableSide, StepKind};
use weir_domain::run::RunStatus;
use weir_domain::seen::{Counts, RevisionSeen, TrafficChange};
use weir_domain::units::Weight;

use super::*;
use crate::message::{Message, RollbackPage, WayBack};

const TOKEN: &str = "apr-secret";

/// A run that asks for an approval of its first stage.
fn asking(change: impl FnOnce(&mut Run, &mut Approval)) -> Run {
    let mut commit = first("a");
    ask(&mut commit, TOKEN);
    let mut run = commit.run;
    let mut approval = run.stages[0].approval.take().unwrap();
    change(&mut run, &mut approval);
    run.stages[0].approval = Some(approval);
    run
}

fn shown(change: impl FnOnce(&mut Run, &mut Approval)) -> String {
    let message = approval::message(&asking(change), 0).unwrap();
    serde_json::to_string_pretty(&message.to_json()).unwrap()
}

/// Every place in a message where the token stands.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, inner)| places(inner, &format!("{path}.{key}"), found)),
        Value::Array(items) => items.iter().for_each(|inner| places(inner, path, found)),
        Value::String(text) if text.contains(TOKEN) => found.push(path.to_owned()),
        _ => {}
    }
}

#[test]
fn an_approval_tells_the_change_the_plan_and_who_is_missing() {
    let text = shown(|_, _| {});
    for part in [
        "pipeline-a #1 wants Production / EU",
        "llm#1% → Production / EU: revision r",
        "a model, \\\"better\\\"",
        "50 → 100 %",
        "at most",
        "revert instant",
        "in all",
        "0/1",
        "Approve",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("waiting costs"), "nothing is held yet");
    assert!(!text.contains('\u{202e}'));
}

#[test]
fn tokens_stand_in_buttons_alone() {
    let message = approval::message(&asking(|_, _| {}), 0).unwrap().to_json();
    let mut found = Vec::new();
    places(&message, "", &mut found);
    assert_eq!(found, [".blocks.elements.value"; 3]);
}

#[test]
fn the_end_takes_the_place_of_the_buttons() {
    let by = |name: &str| PersonName::new(name);
    let ends: [(ApprovalState, RunStatus, &str); 6] = [
        (ApprovalState::Approved, RunStatus::Running, "approved by ana"),
        (
            ApprovalState::Approved,
            RunStatus::RolledBack {
                why: "error_rate 6 %".into(),
            },
            "error_rate 6 %; nothing serves now",
        ),
        (
            ApprovalState::Rejected {
                by: by("ana"),
                reason: "too late".into(),
            },
            RunStatus::Running,
            "rejected by ana: too late",
        ),
        (
            ApprovalState::Expired,
            RunStatus::Running,
            "nobody decided in time",
        ),
        (
            ApprovalState::Superseded {
                by: RunId::new("run-b"),
            },
            RunStatus::Running,
            "run-b took its place",
        ),
        (
            ApprovalState::Withdrawn,
            RunStatus::Cancelled {
                by: Actor::Unknown(Identity::Uid(7)),
                reason: "no".into(),
            },
            "cancelled by user id 7",
        ),
    ];
    for (state, status, words) in ends {
        let text = shown(|run, approval| {
            approval.given.push(Given {
                by: by("ana"),
                at: START,
            });
            (approval.state, run.status) = (state, status);
        });
        assert!(text.contains(words), "{words}: {text}");
        assert!(
            !text.contains("\"approve\"") && !text.contains("\"reject\""),
            "{text}"
        );
        let under_way = words == "approved by ana";
        assert_eq!(
            text.contains("\"roll_back\"") && text.contains(TOKEN),
            under_way,
            "{text}"
        );
    }
}

#[test]
fn nobody_was_asked_nothing_is_shown() {
    let run = first("a").run;
    assert_eq!(approval::message(&run, 1), None);
    assert_eq!(approval::message(&run, 99), None);
}

fn went_back(change: impl FnOnce(&mut Rollout)) -> RollbackPage {
    page::page(&moved(change), ROLLOUT).unwrap()
}

/// A run whose rollout went back.
fn moved(change: impl FnOnce(&mut Rollout)) -> Run {
    let mut run = asking(|_, _| {});
    let mut rollout = Rollout::new(RevisionId::new("r-new"), START);
    rollout.stable = Some(StableSide {
        revision: RevisionId::new("r-old"),
        replicas: 4,
        adopted: None,
    });
    rollout.stable_seen = RevisionSeen {
        desired: 4,
        warm: 4,
        ..RevisionSeen::default()
    };
    rollout.reverted_because = Some("error_rate 6.1 % of 1131 requests; limit 2 %".into());
    rollout.phase = Phase::Reverted { until: START };
    rollout.changes.push(TrafficChange {
        weight: Weight::ZERO,
        fence: weir_domain::ids::Fence(2),
        decided: START,
        accepted: Some(START + Span::millis(40)),
        observed: Some(START + Span::millis(400)),
        effective: None,
    });
    let counts = Counts {
        requests: 1_131,
        bad: 69,
        ..Counts::default()
    };
    rollout.counted.insert(rollout.candidate.clone(), counts);
    change(&mut rollout);
    run.stages[1].steps[0].rollout = Some(Box::new(rollout));
    run
}

#[test]
fn a_step_that_cannot_be_decided_says_what_it_lacks_how_to_answer_and_until_when() {
    let undecided = |vouched| {
        moved(|rollout| {
            rollout.phase = Phase::Watching { step: 0 };
            rollout.reverted_because = None;
            rollout.weight = Weight::new(5).unwrap();
            rollout.inconclusive = Some(Inconclusive {
                lacks: "requests: 31 of 500 requests to the candidate so far".into(),
                asked: Some(START),
                until: Some(START + Span::minutes(15)),
                vouched,
            });
        })
    };
    let message = page::message(&undecided(None), ROLLOUT)
        .unwrap()
        .to_json()
        .to_string();
    for words in [
        "? undecided: ",
        "r-new at 5 %: requests: 31 of 500",
        "weir approve ",
        "weir rollback ",
        "without an answer it goes back",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    let answered = undecided(Some((Actor::Weir, String::new())));
    assert_eq!(
        page::message(&answered, ROLLOUT),
        None,
        "late, and answered meanwhile"
    );
}

#[test]
fn a_page_says_what_was_measured_what_was_done_and_that_one_can_sleep_on() {
    let page = went_back(|_| {});
    assert_eq!(page.way_back, WayBack::Done);
    assert_eq!(
        page.measured,
        [
            "error_rate 6.1 % of 1131 requests; limit 2 %",
            "exposed: 1131 requests, 69 failed"
        ]
    );
    assert_eq!(
        page.done,
        [
            "weight 0 % accepted by the API server 40ms after the verdict",
            "weight 0 % taken up by the gateway 400ms after the verdict",
            "weight 0 % effective: the candidate's own request counter stopped: not seen",
        ]
    );
    assert_eq!(page.serves_now, "r-old at 100 %, 4/4 warm");
    assert!(page.to_do.starts_with("nothing until morning"), "{}", page.to_do);
    assert_eq!(page.token, TOKEN);
}

#[test]
fn a_shadow_is_told_by_its_copies_and_not_by_a_weight_of_nothing() {
    let shadowing = |phase: Phase| {
        went_back(|rollout| {
            rollout.plan.steps = vec![PlannedStep {
                kind: StepKind::Shadowing,
                weight: Weight::new(25).unwrap(),
                asked: None,
                candidate_replicas: 1,
                stable_replicas: 4,
                leaving: Vec::new(),
                hold: Span::minutes(5),
                pause: None,
            }];
            rollout.phase = phase;
        })
    };
    let back = shadowing(Phase::Reverted { until: START });
    assert!(
        back.happened.ends_with("gets no more copies"),
        "{}",
        back.happened
    );
    assert_eq!(
        back.done[0],
        "no more copies: accepted by the API server 40ms after the verdict"
    );
    let stuck = shadowing(Phase::Reverting);
    assert!(
        stuck.happened.contains("must get no more copies") && stuck.to_do.ends_with("that copies to r-new"),
        "{} {}",
        stuck.happened,
        stuck.to_do
    );
}

#[test]
fn a_page_wakes_people_for_a_reason_when_the_old_one_is_cold_or_there_is_none() {
    let cold = went_back(|rollout| rollout.stable_seen.warm = 1);
    assert_eq!(cold.to_do, "look at r-old now: 1 of its 4 replicas are warm");
    let none = went_back(|rollout| rollout.stable = None);
    assert!(none.serves_now.starts_with("nothing"), "{}", none.serves_now);
    let untouched = went_back(|rollout| rollout.changes.clear());
    assert_eq!(untouched.done, ["the route was never touched"]);
}

#[test]
fn a_cluster_that_does_not_answer_while_traffic_must_go_back_is_told_with_the_command() {
    let page = went_back(|rollout| {
        rollout.phase = Phase::Reverting;
        rollout.waits_for = "cluster does not answer: connection refused; a person was called".into();
    });
    assert_eq!(page.way_back, WayBack::Stuck);
    assert!(page.happened.contains("connection refused"), "{}", page.happened);
    assert!(
        page.to_do.contains("kubectl -n production edit httproute llm"),
        "{}",
        page.to_do
    );
    assert!(page.serves_now.starts_with("not known"), "{}", page.serves_now);
    let text = Message::rolled_back(&page).text().to_owned();
    assert!(text.starts_with("✗ cannot roll back yet"), "{text}");
}

#[test]
fn a_page_of_a_release_says_where_traffic_is_back_and_where_it_is_not() {
    let mut run = moved(|rollout| {
        rollout.phase = Phase::Reverting;
        rollout.waits_for = "cluster does not answer: connection refused; a person was called".into();
    });
    let mut pipeline = (*run.pipeline).clone();
    let mut second = pipeline.stages[1].clone();
    if let StageWork::Steps { steps, .. } = &mut second.work
        && let StepWork::Rollout(rule) = &mut steps[0].work
    {
        rule.lane.environment = EnvironmentName::new("US");
    }
    pipeline.stages.push(second);
    run.pipeline = Arc::new(pipeline);
    let mut back = run.stages[1].clone();
    if let Some(rollout) = &mut back.steps[0].rollout {
        rollout.phase = Phase::Removed;
    }
    run.stages.push(back);
    let page = page::page(&run, ROLLOUT).unwrap();
    let cluster = &run.rule(ROLLOUT).unwrap().target.cluster;
    assert!(
        page.to_do.contains(&format!("on cluster {cluster}")),
        "{}",
        page.to_do
    );
    assert_eq!(
        page.done.last().unwrap(),
        "partly back: llm#1% in US; not yet: llm#1% in Production / EU"
    );
}
