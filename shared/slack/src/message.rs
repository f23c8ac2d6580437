//! Messages as values: what an approver, a late clicker and somebody at 3 a.m. get to see.
//!
//! Whatever other people chose (names, commit texts, reasons) stands in plain-text objects and escaped; the only markup
//! is ours: dates, which Slack shows in the reader's own zone.

mod approval;
mod blocks;
mod paused;
mod rollback;
mod undecided;

use serde_json::{Value, json};

use crate::limits::{FALLBACK_CHARS, LIST_LINES, MESSAGE_BLOCKS, SECTION_CHARS};
use crate::text::{lines, plain};

/// A message, within Slack's limits by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    text: String,
    blocks: Vec<Value>,
}

/// An approval as its approvers see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovalView {
    /// The pipeline.
    pub pipeline: String,
    /// The run's number.
    pub number: u64,
    /// Where the change would go.
    pub environment: String,
    /// The commit, whole or short.
    pub commit: String,
    /// Who wrote it.
    pub author: String,
    /// Commit message, model digest, configuration: one line each.
    pub what_changes: Vec<String>,
    /// What is known so far: staging, tests.
    pub evidence: Vec<String>,
    /// Weights, peak GPUs, minutes, how fast it can be reverted.
    pub plan: Vec<String>,
    /// What waiting costs, empty where it costs nothing.
    pub waiting_cost: String,
    /// Every group that must approve.
    pub needs: Vec<GroupProgress>,
    /// Who approved so far.
    pub given: Vec<Given>,
    /// When the approval expires, seconds since 1970.
    pub expires_at_unix: i64,
    /// What the buttons carry.
    pub token: String,
}

/// How far a group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupProgress {
    /// The group.
    pub group: String,
    /// Approvals that it has.
    pub have: u32,
    /// Approvals that it needs.
    pub need: u32,
}

/// One approval given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Who.
    pub by: String,
    /// For which group.
    pub group: String,
    /// When, seconds since 1970.
    pub at_unix: i64,
}

/// How an approval ended. It replaces the buttons and stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every group approved.
    Approved {
        /// By whom.
        by: Vec<String>,
        /// When.
        at_unix: i64,
    },
    /// Somebody said no.
    Rejected {
        /// Who.
        by: String,
        /// Why, empty where not told.
        reason: String,
        /// When.
        at_unix: i64,
    },
    /// Nobody decided in time.
    Expired {
        /// When.
        at_unix: i64,
    },
    /// A newer run took its place.
    Superseded {
        /// Its number, or its id.
        by: String,
        /// When.
        at_unix: i64,
    },
    /// The run ended for another reason before anybody decided.
    Withdrawn {
        /// How the run ended.
        why: String,
        /// When.
        at_unix: i64,
    },
    /// The run was cancelled.
    Cancelled {
        /// By whom.
        by: String,
        /// When.
        at_unix: i64,
    },
    /// It was approved, and later rolled back.
    RolledBack {
        /// What was measured.
        why: String,
        /// What serves now.
        serves_now: String,
        /// When.
        at_unix: i64,
    },
}

/// Where the traffic is when somebody is woken up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WayBack {
    /// It is back.
    #[default]
    Done,
    /// It had to go back and could not yet.
    Stuck,
    /// It is where it should be; what was told to leave has not left.
    LeftBehind,
}

/// What somebody reads who was woken up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RollbackPage {
    /// The pipeline.
    pub pipeline: String,
    /// The run's number.
    pub number: u64,
    /// Where it happened.
    pub environment: String,
    /// Whether the traffic is back.
    pub way_back: WayBack,
    /// What happened, in a sentence.
    pub happened: String,
    /// What was measured, against which limit.
    pub measured: Vec<String>,
    /// What was done, and how long it took.
    pub done: Vec<String>,
    /// What serves now.
    pub serves_now: String,
    /// What to do; usually nothing until morning.
    pub to_do: String,
    /// When, seconds since 1970.
    pub at_unix: i64,
    /// What the "Show evidence" button carries; empty for no button.
    pub token: String,
}

/// A step that asks a person, as that person reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UndecidedPage {
    /// The pipeline.
    pub pipeline: String,
    /// The run's number.
    pub number: u64,
    /// Where.
    pub environment: String,
    /// What the step lacks to pass.
    pub lacks: String,
    /// What was measured all the same.
    pub measured: String,
    /// When traffic goes back if nobody answers, seconds since 1970.
    pub until_unix: i64,
    /// What the "Show evidence" button carries; empty for no button.
    pub token: String,
}

/// A step that waits for a person, as that person reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PausedPage {
    /// The pipeline.
    pub pipeline: String,
    /// The run's number.
    pub number: u64,
    /// Where.
    pub environment: String,
    /// Who has which share, and what comes next.
    pub stands: String,
    /// What was measured.
    pub measured: String,
    /// When traffic goes back if nobody answers, seconds since 1970.
    pub until_unix: i64,
    /// What the buttons carry; empty for no buttons.
    pub token: String,
}

impl Message {
    /// A single line, for instance a refusal: "You are not in ml-team; members: @ada, @ben."
    pub fn line(text: &str) -> Self {
        Self::new(text, vec![blocks::section(&plain(text, SECTION_CHARS))])
    }

    /// Several lines, for instance the evidence so far.
    pub fn lines(text: &str) -> Self {
        let (title, items) = text.split_once('\n').unwrap_or((text, ""));
        let items: Vec<String> = items.lines().map(str::to_owned).collect();
        let blocks = items.chunks(LIST_LINES).map(|part| blocks::section(&lines(part)));
        Self::new(
            title,
            std::iter::once(blocks::section(&plain(title, SECTION_CHARS)))
                .chain(blocks)
                .collect(),
        )
    }

    /// The refusal of somebody who is not in the group.
    pub fn not_a_member(group: &str, members: &[String]) -> Self {
        const SHOWN: usize = 10;
        let mut names: Vec<String> = members
            .iter()
            .take(SHOWN)
            .map(|name| format!("@{name}"))
            .collect();
        if members.len() > SHOWN {
            names.push(format!("and {} more", members.len() - SHOWN));
        }
        match names.is_empty() {
            true => Self::line(&format!("You are not in {group}; it has no members.")),
            false => Self::line(&format!("You are not in {group}; members: {}.", names.join(", "))),
        }
    }

    /// An approval that waits, with its buttons and whatever was given so far.
    pub fn approval(view: &ApprovalView) -> Self {
        approval::waiting(view)
    }

    /// An approval that has ended: the same account of the change, the outcome in place of the buttons.
    pub fn decided(view: &ApprovalView, outcome: &Outcome) -> Self {
        approval::decided(view, outcome)
    }

    /// The page after a rollback.
    pub fn rolled_back(page: &RollbackPage) -> Self {
        rollback::page(page)
    }

    /// The question about a step that the measurements cannot decide.
    pub fn undecided(page: &UndecidedPage) -> Self {
        undecided::page(page)
    }

    /// A step that waits for a person.
    pub fn paused(page: &PausedPage) -> Self {
        paused::page(page)
    }

    /// The line that notifications show.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The fields that posting, updating and answering have in common.
    pub fn to_json(&self) -> Value {
        json!({
            "text": self.text,
            "blocks": self.blocks,
            // The text is shown where blocks cannot be, and holds other people's words: no markup, no links, no names.
            "mrkdwn": false,
            "parse": "none",
            "link_names": false,
            "unfurl_links": false,
            "unfurl_media": false,
        })
    }

    fn new(text: &str, mut blocks: Vec<Value>) -> Self {
        blocks.truncate(MESSAGE_BLOCKS);
        Self {
            text: plain(text, FALLBACK_CHARS),
            blocks,
        }
    }
}

/// The dialog that asks for the reason of a rejection; comes back as a [`crate::ViewSubmission`] with the callback id
/// "reject", the token, and the reason under ("why", "reason").
pub fn reject_dialog(token: &str, pipeline: &str, number: u64) -> Value {
    use crate::limits::{MODAL_TITLE_CHARS, REASON_CHARS};
    json!({
        "type": "modal",
        "callback_id": "reject",
        "private_metadata": token,
        "title": blocks::plain_text("Reject", MODAL_TITLE_CHARS),
        "submit": blocks::plain_text("Reject", MODAL_TITLE_CHARS),
        "close": blocks::plain_text("Cancel", MODAL_TITLE_CHARS),
        "blocks": [
            blocks::section(&plain(&format!("{pipeline} #{number} will not go on."), SECTION_CHARS)),
            {
                "type": "input",
                "block_id": "why",
                "label": blocks::plain_text("Reason", MODAL_TITLE_CHARS),
                "element": {
                    "type": "plain_text_input",
                    "action_id": "reason",
                    "multiline": true,
                    "max_length": REASON_CHARS,
                },
            },
        ],
    })
}

#[cfg(test)]
mod tests;
