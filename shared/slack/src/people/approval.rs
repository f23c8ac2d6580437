//! A run that waits for people, as they see it.

use weir_domain::approval::{Approval, ApprovalState, progress};
use weir_domain::ids::LaneKey;
use weir_domain::people::Group;
use weir_domain::pipeline::{ApprovalRule, RolloutRule, StageWork, Step, StepWork};
use weir_domain::rollout::{plan, told};
use weir_domain::run::{PartStatus, Run, RunStatus, StepRun};
use weir_domain::time::Timestamp;

use super::unix;
use crate::message::{ApprovalView, Given, GroupProgress, Message, Outcome};

/// The message as the approval of a stage stands; nothing if nobody was asked.
pub(super) fn message(run: &Run, stage: usize) -> Option<Message> {
    let approval = run.stages.get(stage)?.approval.as_ref()?;
    let view = view(run, stage, approval, run.approval_rule(stage)?);
    Some(match outcome(run, approval) {
        None => Message::approval(&view),
        Some(outcome) => Message::decided(&view, &outcome),
    })
}

fn view(run: &Run, stage: usize, approval: &Approval, rule: &ApprovalRule) -> ApprovalView {
    let groups = &run.pipeline.groups;
    let opened = opened(run, stage);
    let needs = progress(approval, rule, groups).into_iter();
    ApprovalView {
        pipeline: run.pipeline.name.to_string(),
        number: run.number,
        environment: environment(run, stage, rule, &opened),
        commit: run.cause.after.to_string(),
        author: run.cause.actor.to_string(),
        what_changes: what_changes(run, &opened),
        evidence: evidence(run, stage),
        plan: plans(run, &opened),
        waiting_cost: match run.gpus() {
            0 => String::new(),
            n => format!("{n} GPU, held by this run now"),
        },
        needs: needs
            .map(|part| GroupProgress {
                group: part.group.to_string(),
                have: part.have,
                need: part.need,
            })
            .collect(),
        given: given(approval, rule, groups),
        expires_at_unix: unix(approval.expires),
        token: approval.token.to_string(),
    }
}

/// Where the change would go: what the approval opens, else where the rollouts behind it go, else the stage's own name.
fn environment(run: &Run, stage: usize, rule: &ApprovalRule, opened: &[&RolloutRule]) -> String {
    if !rule.opens.is_empty() {
        return rule.opens.join(", ");
    }
    let mut names: Vec<String> = opened
        .iter()
        .map(|rule| rule.lane.environment.to_string())
        .collect();
    names.dedup();
    match names.is_empty() {
        true => run.pipeline.stages[stage].name.clone(),
        false => names.join(", "),
    }
}

/// The rollouts that the approval opens: those up to the next approval.
fn opened(run: &Run, stage: usize) -> Vec<&RolloutRule> {
    let after = run.pipeline.stages.iter().skip(stage + 1);
    let steps = after
        .map_while(|stage| match &stage.work {
            StageWork::Steps { steps, .. } => Some(steps),
            StageWork::Approval(_) => None,
        })
        .flatten();
    steps
        .filter_map(|step| match &step.work {
            StepWork::Rollout(rule) => Some(&**rule),
            _ => None,
        })
        .collect()
}

/// What each of them would do.
fn plans(run: &Run, opened: &[&RolloutRule]) -> Vec<String> {
    let foreseen = |lane: &LaneKey| {
        let mut steps = run.steps().filter_map(|(_, step, state)| match &step.work {
            StepWork::Rollout(rule) if rule.lane == *lane => Some(state.foreseen.as_str()),
            _ => None,
        });
        steps.find(|words| !words.is_empty()).unwrap_or_default()
    };
    opened
        .iter()
        .map(|rule| planned(rule, foreseen(&rule.lane)))
        .collect()
}

fn what_changes(run: &Run, opened: &[&RolloutRule]) -> Vec<String> {
    let mut lines = Vec::new();
    if !run.cause.headline.is_empty() {
        lines.push(run.cause.headline.clone());
    }
    for rule in opened {
        let lane = &rule.lane;
        lines.push(format!(
            "{} → {}: revision {}",
            lane.service,
            lane.environment,
            rule.workload.revision()
        ));
        let inexact = rule.workload.not_exact.iter();
        lines.extend(inexact.map(|why| format!("rollback not exact: {why}")));
    }
    lines
}

/// How every step so far ended, and how long it took.
fn evidence(run: &Run, stage: usize) -> Vec<String> {
    let before = run.steps().filter(|(id, ..)| id.stage < stage);
    before.filter_map(|(_, step, state)| known(step, state)).collect()
}

fn known(step: &Step, state: &StepRun) -> Option<String> {
    let took = match (state.began, state.ended) {
        (Some(began), Some(ended)) => format!(" in {}", ended.since(began)),
        _ => String::new(),
    };
    let mut line = match &state.status {
        PartStatus::Pending | PartStatus::Skipped => return None,
        PartStatus::Running => format!("· {}: running", step.name),
        PartStatus::Succeeded => format!("✓ {}{took}", step.name),
        PartStatus::Stopped => format!("✗ {}: stopped{took}", step.name),
        PartStatus::Failed { why } => format!("✗ {}{took}: {why}", step.name),
    };
    if let (Some(rollout), StepWork::Rollout(rule)) = (&state.rollout, &step.work) {
        line.push_str(&format!(
            ": {} {} {} of {}, {}/{} warm",
            rollout.candidate,
            if rollout.mirrors() {
                "gets copies of"
            } else {
                "serves"
            },
            rollout.weight,
            rule.lane.environment,
            rollout.candidate_seen.warm,
            rollout.candidate_seen.desired
        ));
    }
    Some(line)
}

/// `ai-service in Production: 5 → 25 → 50 → 100 %, at most 8 GPUs; revert instant; about 20m 30s in all`
///
/// Until its cluster was asked, the plan is told for as many replicas serving as the definition asks for.
fn planned(rule: &RolloutRule, foreseen: &str) -> String {
    let lane = &rule.lane;
    match foreseen {
        "" => format!(
            "{lane}: {}",
            told(&plan(rule, Some(rule.workload.replicas)), rule)
        ),
        words => format!("{lane}: {words}"),
    }
}

fn given(approval: &Approval, rule: &ApprovalRule, groups: &[Group]) -> Vec<Given> {
    let asked: Vec<&Group> = groups
        .iter()
        .filter(|group| rule.needs.iter().any(|need| need.group == group.name))
        .collect();
    let names = |by| {
        let of = asked
            .iter()
            .filter(|group| group.members.iter().any(|member| &member.name == by));
        of.map(|group| group.name.to_string())
            .collect::<Vec<_>>()
            .join(" and ")
    };
    approval
        .given
        .iter()
        .map(|given| Given {
            by: given.by.to_string(),
            group: names(&given.by),
            at_unix: unix(given.at),
        })
        .collect()
}

/// How it ended; nothing while it waits.
fn outcome(run: &Run, approval: &Approval) -> Option<Outcome> {
    let at_unix = unix(run.ended.unwrap_or_else(|| last_known(run)));
    let last_given = approval.given.last().map_or(at_unix, |given| unix(given.at));
    Some(match (&approval.state, &run.status) {
        (ApprovalState::Waiting, _) => return None,
        (ApprovalState::Approved, RunStatus::RolledBack { why }) => Outcome::RolledBack {
            why: why.clone(),
            serves_now: serves_now(run),
            at_unix,
        },
        (ApprovalState::Approved, _) => Outcome::Approved {
            by: approval.given.iter().map(|given| given.by.to_string()).collect(),
            at_unix: last_given,
        },
        (ApprovalState::Rejected { by, reason }, _) => Outcome::Rejected {
            by: by.to_string(),
            reason: reason.clone(),
            at_unix,
        },
        (ApprovalState::Expired, _) => Outcome::Expired {
            at_unix: unix(approval.expires),
        },
        (ApprovalState::Superseded { by }, _) => Outcome::Superseded {
            by: by.to_string(),
            at_unix,
        },
        (ApprovalState::Withdrawn, RunStatus::Cancelled { by, .. }) => Outcome::Cancelled {
            by: by.to_string(),
            at_unix,
        },
        (ApprovalState::Withdrawn, status) => Outcome::Withdrawn {
            why: status.words(),
            at_unix,
        },
    })
}

fn serves_now(run: &Run) -> String {
    let back = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
    let stable: Vec<String> = back
        .filter(|rollout| rollout.reverted_because.is_some())
        .filter_map(|rollout| Some(rollout.stable.as_ref()?.revision.to_string()))
        .collect();
    if stable.is_empty() {
        "nothing".to_owned()
    } else {
        stable.join(", ")
    }
}

/// The last moment that the run itself tells of: it ends with an event that has no time of its own in the state.
fn last_known(run: &Run) -> Timestamp {
    let steps = run.steps().flat_map(|(.., state)| [state.began, state.ended]);
    let approvals = run.stages.iter().filter_map(|stage| stage.approval.as_ref());
    let approvals = approvals.flat_map(|approval| {
        let given = approval.given.iter().map(|given| given.at);
        given.chain([approval.asked]).map(Some).collect::<Vec<_>>()
    });
    steps.chain(approvals).flatten().max().unwrap_or(run.began)
}
