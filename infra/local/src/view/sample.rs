//! Runs to look at.

use std::collections::BTreeMap;

use serde_json::json;
use weir_contracts::sample::{ROLLOUT, START, run};
use weir_domain::audit::{Action, Entry, Note, chain, genesis};
use weir_domain::condition::Condition;
use weir_domain::ids::{Fence, PersonName, RevisionId};
use weir_domain::judge::condition::Block;
use weir_domain::people::{Actor, Identity};
use weir_domain::pipeline::{StageWork, StepWork};
use weir_domain::rollout::{Phase, Rollout, StableSide, plan};
use weir_domain::run::{PartStatus, Run, RunStatus};
use weir_domain::seen::{Counts, RevisionSeen, TrafficChange};
use weir_domain::time::{Span, Timestamp};
use weir_domain::units::Weight;

use super::{Look, Zone};

pub(crate) fn look() -> Look {
    Look {
        zone: Zone::east(8),
        width: 80,
        height: 24,
        color: false,
        now: at(400),
    }
}

fn at(seconds: u64) -> Timestamp {
    START + Span::seconds(seconds)
}

/// A log from who, what, when, why, GPUs.
fn log(run: &mut Run, notes: &[(Actor, Action, u64, &str, u32)]) -> Vec<Entry> {
    run.log_tail = genesis(&run.id);
    let mut entries = Vec::new();
    for (n, (actor, action, seconds, detail, gpus)) in (1..).zip(notes) {
        let note = Note {
            actor: actor.clone(),
            action: *action,
            detail: (*detail).into(),
            evidence: match action {
                Action::WeightAccepted => [("weight".to_owned(), json!(5))].into(),
                _ => [].into(),
            },
            before: None,
            after: None,
        };
        let entry = chain(note, &run.id, n, at(*seconds), *gpus, &run.log_tail);
        run.log_tail.clone_from(&entry.hash);
        entries.push(entry);
    }
    entries
}

fn person(name: &str) -> Actor {
    Actor::Person {
        name: PersonName::new(name),
        identity: Identity::Uid(1000),
    }
}

/// At 5 % of its traffic.
pub(crate) fn stepping() -> (Run, Vec<Entry>) {
    let mut run = run("a", "LLM-Model-Update", 43);
    run.cause.actor = person("ana");
    run.cause.headline = "models: v43, \"faster\"".into();
    run.stages[0].status = PartStatus::Succeeded;
    run.stages[1].status = PartStatus::Running;
    let mut rollout = Rollout::new(RevisionId::new("r0123456789"), at(60));
    rollout.stable = Some(StableSide {
        revision: RevisionId::new("r9876543210"),
        replicas: 4,
        adopted: None,
    });
    rollout.plan = plan(run.rule(ROLLOUT).expect("it is a rollout"), Some(4));
    rollout.phase = Phase::Watching { step: 0 };
    rollout.weight = Weight::new(5).expect("5 is under 100");
    rollout.candidate_seen = RevisionSeen {
        desired: 1,
        pods: 1,
        warm: 1,
        gpus: 1,
        ..RevisionSeen::default()
    };
    rollout.stable_seen = RevisionSeen {
        desired: 4,
        pods: 4,
        warm: 4,
        gpus: 4,
        ..RevisionSeen::default()
    };
    rollout.counted.insert(
        rollout.candidate.clone(),
        Counts {
            requests: 1_131,
            bad: 69,
            ..Counts::default()
        },
    );
    rollout.changes.push(TrafficChange {
        weight: rollout.weight,
        fence: Fence(1),
        decided: at(60),
        accepted: Some(at(60) + Span::millis(120)),
        observed: Some(at(60) + Span::millis(480)),
        effective: None,
    });
    let step = &mut run.stages[1].steps[0];
    (step.status, step.began, step.rollout) = (PartStatus::Running, Some(at(60)), Some(Box::new(rollout)));
    let notes = [
        (
            person("ana"),
            Action::RunStarted,
            0,
            "LLM-Model-Update #43 on aaaaaaaaaa: branch main matches branches: main",
            0,
        ),
        (
            Actor::Weir,
            Action::ApprovalRequested,
            1,
            "ml-team 0/1; expires in 24h",
            0,
        ),
        (
            person("bo"),
            Action::ApprovalGiven,
            59,
            "approved by bo: ml-team 1/1",
            0,
        ),
        (
            Actor::Weir,
            Action::WeightDecided,
            60,
            "candidate r0123456789 to 5 %: its first replica is warm",
            5,
        ),
        (
            Actor::Weir,
            Action::WeightAccepted,
            60,
            "the API server took 5 %",
            5,
        ),
    ];
    let entries = log(&mut run, &notes);
    (run, entries)
}

/// The same where the article's condition was weighed on what was counted, and the source does not answer any more.
pub(crate) fn judged() -> (Run, Vec<Entry>) {
    let (mut run, entries) = stepping();
    let leaf = |metric: &str, value: f64, written: &str| {
        json!({"compare": {
            "metric": metric, "op": ">", "line": {"value": value, "dimension": "ratio", "written": written},
        }})
    };
    let condition = json!({"or": [leaf("error_rate", 0.02, "2%"), leaf("latency_p99", 1.0, "1000ms")]});
    let condition: Condition = serde_json::from_value(condition).expect("it is one");
    let pipeline = std::sync::Arc::make_mut(&mut run.pipeline);
    let StageWork::Steps { steps, .. } = &mut pipeline.stages[ROLLOUT.stage].work else {
        panic!("a stage of steps")
    };
    let StepWork::Rollout(rule) = &mut steps[ROLLOUT.step].work else {
        panic!("a rollout")
    };
    rule.rollback = Some(condition.clone());
    let rollout = run.stages[ROLLOUT.stage].steps[ROLLOUT.step].rollout.as_mut();
    let rollout = rollout.expect("it has one");
    rollout.plan.steps[0].hold = Span::minutes(10);
    rollout.blind_since = Some(at(390));
    rollout.counted.insert(
        rollout.candidate.clone(),
        Counts {
            requests: 1_500,
            bad: 10,
            ..Counts::default()
        },
    );
    let counts = |requests, bad, slow| Counts {
        requests,
        bad,
        timed: requests,
        within_ms: [(1_000, requests - slow), (2_500, requests)].into(),
        ..Counts::default()
    };
    for _ in 0..10 {
        rollout.weighing.add(
            &condition,
            &Block {
                candidate: &counts(150, 1, 2),
                stable: &counts(2_850, 28, 31),
                values: &BTreeMap::new(),
                at: at(390),
                cold: false,
            },
        );
    }
    (run, entries)
}

/// At 5 % of its traffic, after it went back by itself.
pub(crate) fn rolled_back() -> (Run, Vec<Entry>) {
    let (mut run, _) = stepping();
    let why = "error_rate 6.1 % of 1,131 requests is over 2 %";
    run.status = RunStatus::RolledBack { why: why.into() };
    run.ended = Some(at(140));
    let step = &mut run.stages[1].steps[0];
    step.status = PartStatus::Failed { why: why.into() };
    step.ended = Some(at(140));
    let rollout = step.rollout.as_mut().expect("it has one");
    rollout.phase = Phase::Reverted { until: at(740) };
    rollout.weight = Weight::ZERO;
    rollout.reverted_because = Some(why.into());
    let mut back = rollout.changes[0].clone();
    (back.weight, back.fence, back.decided) = (Weight::ZERO, Fence(2), at(138));
    (back.accepted, back.observed, back.effective) =
        (Some(at(138)), Some(at(138) + Span::millis(400)), Some(at(140)));
    rollout.changes.push(back);
    let notes = [
        (
            person("ana"),
            Action::RunStarted,
            0,
            "LLM-Model-Update #43 on aaaaaaaaaa: branch main matches branches: main",
            0,
        ),
        (
            Actor::Weir,
            Action::WeightAccepted,
            60,
            "the API server took 5 %",
            5,
        ),
        (Actor::Weir, Action::RevertDecided, 138, why, 5),
        (
            Actor::Weir,
            Action::Reverted,
            140,
            "traffic is on r9876543210 again, 2s after the verdict",
            5,
        ),
        (
            Actor::Unknown(Identity::Uid(65534)),
            Action::ApprovalRefused,
            86_400,
            "user id 65534 is not mapped to a person",
            4,
        ),
    ];
    let entries = log(&mut run, &notes);
    (run, entries)
}

/// A run whose every text tries to write on the terminal.
pub(crate) fn hostile() -> (Run, Vec<Entry>) {
    let evil = "\u{1b}[2J\u{202e}evil\nline\u{7} ";
    let long = evil.repeat(20);
    let (mut run, _) = rolled_back();
    run.cause.headline = long.clone();
    run.cause.git_ref = format!("refs/heads/{long}");
    run.cause.reason = long.clone();
    run.cause.actor = Actor::Unknown(Identity::Github(long.clone()));
    let pipeline = std::sync::Arc::make_mut(&mut run.pipeline);
    pipeline.stages[0].name = evil.into();
    pipeline.warnings = vec![evil.into()];
    run.status = RunStatus::Failed { why: long.clone() };
    run.stages[1].steps[0].waits_for = long.clone();
    run.stages[1].steps[0].status = PartStatus::Failed { why: long.clone() };
    let notes = [(
        Actor::Unknown(Identity::Slack(long.clone())),
        Action::Waiting,
        1,
        long.as_str(),
        0,
    )];
    let entries = log(&mut run, &notes);
    (run, entries)
}
