//! The message that asks for an approval, through its whole life.

use serde_json::Value;

use super::blocks::{
    actions, button, confirm, context, evidence, header, moment, plain_text, roll_back, section, utc,
};
use super::{ApprovalView, Given, GroupProgress, Message, Outcome};
use crate::interaction::Action;
use crate::limits::{LINE_CHARS, SECTION_CHARS};
use crate::text::{bullets, plain};

/// Approvals that are named one by one; each takes two of the ten elements of a context block.
const GIVEN_SHOWN: usize = 4;

/// Characters of a commit's name that people compare.
const COMMIT_CHARS: usize = 12;

pub(super) fn waiting(view: &ApprovalView) -> Message {
    let title = format!("{} #{} wants {}", view.pipeline, view.number, view.environment);
    let mut blocks = vec![header(&title)];
    blocks.extend(change(view));
    if !view.waiting_cost.is_empty() {
        blocks.push(context(vec![plain_text(
            &format!("waiting costs {}", view.waiting_cost),
            LINE_CHARS,
        )]));
    }
    blocks.push(context(vec![plain_text(&needs(&view.needs), LINE_CHARS)]));
    if !view.given.is_empty() {
        blocks.push(given(&view.given));
    }
    blocks.push(context(vec![moment("expires", view.expires_at_unix)]));
    blocks.push(buttons(view));
    let expires = utc(view.expires_at_unix);
    Message::new(
        &format!("{title}: {}, expires {expires}", needs(&view.needs)),
        blocks,
    )
}

pub(super) fn decided(view: &ApprovalView, outcome: &Outcome) -> Message {
    let (state, detail, at_unix) = describe(outcome);
    let title = format!(
        "{} #{} → {}: {state}",
        view.pipeline, view.number, view.environment
    );
    let mut blocks = vec![header(&title)];
    blocks.extend(change(view));
    if !view.given.is_empty() {
        blocks.push(given(&view.given));
    }
    if !detail.is_empty() {
        blocks.push(section(&plain(&detail, SECTION_CHARS)));
    }
    blocks.push(context(vec![moment(state_word(outcome), at_unix)]));
    // What was let through is on its way now, and may be sent back from here.
    if matches!(outcome, Outcome::Approved { .. }) {
        let run = format!("{} #{}", view.pipeline, view.number);
        blocks.push(actions(&[roll_back(&view.token, &run), evidence(&view.token)]));
    }
    let text = if detail.is_empty() {
        title
    } else {
        format!("{title}. {detail}")
    };
    Message::new(&text, blocks)
}

/// What the change is and what is known of it: the same before and after the decision.
fn change(view: &ApprovalView) -> Vec<Value> {
    let commit: String = view.commit.chars().take(COMMIT_CHARS).collect();
    let mut blocks = vec![context(vec![plain_text(
        &format!("{commit} by {}", view.author),
        LINE_CHARS,
    )])];
    let lists = [
        ("What changes", &view.what_changes),
        ("Evidence so far", &view.evidence),
        ("Plan", &view.plan),
    ];
    for (title, items) in lists {
        if !items.is_empty() {
            blocks.push(section(&bullets(title, items)));
        }
    }
    blocks
}

/// "needs: ml-team 0/1, product 1/1; missing: ml-team 1"
fn needs(groups: &[GroupProgress]) -> String {
    let all: Vec<String> = groups
        .iter()
        .map(|g| format!("{} {}/{}", g.group, g.have, g.need))
        .collect();
    let missing: Vec<String> = groups
        .iter()
        .filter(|g| g.have < g.need)
        .map(|g| format!("{} more of {}", g.need - g.have, g.group))
        .collect();
    let started = groups.iter().any(|g| g.have > 0);
    match (all.is_empty(), started && !missing.is_empty()) {
        (true, _) => "needs: one approval".to_owned(),
        (false, true) => format!("needs: {}; missing: {}", all.join(", "), missing.join(", ")),
        (false, false) => format!("needs: {}", all.join(", ")),
    }
}

fn given(approvals: &[Given]) -> Value {
    let mut elements = Vec::new();
    for approval in approvals.iter().take(GIVEN_SHOWN) {
        elements.push(plain_text(
            &format!("✓ {} for {}", approval.by, approval.group),
            LINE_CHARS,
        ));
        elements.push(moment("at", approval.at_unix));
    }
    if approvals.len() > GIVEN_SHOWN {
        elements.push(plain_text(
            &format!("and {} more", approvals.len() - GIVEN_SHOWN),
            LINE_CHARS,
        ));
    }
    context(elements)
}

fn buttons(view: &ApprovalView) -> Value {
    let commit: String = view.commit.chars().take(COMMIT_CHARS).collect();
    let mut approve = button(Action::Approve, "Approve", &view.token, Some("primary"));
    approve["confirm"] = confirm(
        &format!("Let it go to {}?", view.environment),
        &format!("{} #{}, {commit}", view.pipeline, view.number),
        "Approve",
    );
    actions(&[
        approve,
        button(Action::Reject, "Reject", &view.token, Some("danger")),
        button(Action::Details, "Details", &view.token, None),
    ])
}

fn state_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Approved { .. } => "approved",
        Outcome::Rejected { .. } => "rejected",
        Outcome::Expired { .. } => "expired",
        Outcome::Superseded { .. } => "superseded",
        Outcome::Withdrawn { .. } => "withdrawn",
        Outcome::Cancelled { .. } => "cancelled",
        Outcome::RolledBack { .. } => "rolled back",
    }
}

/// The state for the title, a sentence, and the moment.
fn describe(outcome: &Outcome) -> (String, String, i64) {
    let word = state_word(outcome);
    match outcome {
        Outcome::Approved { by, at_unix } => (
            format!("✓ {word}"),
            format!("approved by {}", by.join(", ")),
            *at_unix,
        ),
        Outcome::Rejected { by, reason, at_unix } if reason.is_empty() => {
            (format!("✗ {word}"), format!("rejected by {by}"), *at_unix)
        }
        Outcome::Rejected { by, reason, at_unix } => (
            format!("✗ {word}"),
            format!("rejected by {by}: {reason}"),
            *at_unix,
        ),
        Outcome::Expired { at_unix } => (
            format!("✗ {word}"),
            "nobody decided in time; nothing moved".to_owned(),
            *at_unix,
        ),
        Outcome::Superseded { by, at_unix } => (
            format!("{word} by {by}"),
            format!("{by} took its place"),
            *at_unix,
        ),
        Outcome::Withdrawn { why, at_unix } => (format!("✗ {word}"), format!("the run {why}"), *at_unix),
        Outcome::Cancelled { by, at_unix } => (format!("✗ {word}"), format!("cancelled by {by}"), *at_unix),
        Outcome::RolledBack {
            why,
            serves_now,
            at_unix,
        } => (
            format!("✗ {word}"),
            format!("{why}; {serves_now} serves now"),
            *at_unix,
        ),
    }
}
