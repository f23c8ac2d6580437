//! The few block shapes that messages are built from.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::interaction::Action;
use crate::limits::{
    BUTTON_CHARS, CONFIRM_BUTTON_CHARS, CONFIRM_TEXT_CHARS, CONFIRM_TITLE_CHARS, CONTEXT_ELEMENTS,
    HEADER_CHARS, SECTION_CHARS,
};
use crate::text::plain;

/// A plain-text object: nothing in it is markup, and `:names:` stay what they are.
pub(super) fn plain_text(text: &str, limit: usize) -> Value {
    json!({"type": "plain_text", "text": plain(text, limit), "emoji": false})
}

pub(super) fn header(text: &str) -> Value {
    json!({"type": "header", "text": plain_text(text, HEADER_CHARS)})
}

/// A section of text that was already made plain; may have several lines.
pub(super) fn section(ready: &str) -> Value {
    let text: String = ready.chars().take(SECTION_CHARS).collect();
    json!({"type": "section", "text": {"type": "plain_text", "text": text, "emoji": false}})
}

/// `What happened: …`, in words of others.
pub(super) fn line(label: &str, text: &str) -> Value {
    section(&plain(&format!("{label}: {text}"), SECTION_CHARS))
}

pub(super) fn context(mut elements: Vec<Value>) -> Value {
    elements.truncate(CONTEXT_ELEMENTS);
    json!({"type": "context", "elements": elements})
}

/// A moment in the reader's own zone, after a word of ours. The only markup in any message.
pub(super) fn moment(word: &'static str, at_unix: i64) -> Value {
    let text = format!(
        "{word} <!date^{at_unix}^{{date_short_pretty}} {{time}}|{}>",
        utc(at_unix)
    );
    json!({"type": "mrkdwn", "text": text})
}

/// For clients that cannot show dates, and for the line in notifications.
pub(super) fn utc(at_unix: i64) -> String {
    match Timestamp::from_second(at_unix) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => format!("{at_unix} s after 1970"),
    }
}

pub(super) fn button(action: Action, label: &str, token: &str, style: Option<&str>) -> Value {
    let mut button = json!({
        "type": "button",
        "action_id": action.as_str(),
        "value": token,
        "text": plain_text(label, BUTTON_CHARS),
    });
    if let Some(style) = style {
        button["style"] = style.into();
    }
    button
}

/// What Slack asks before a press counts.
pub(super) fn confirm(title: &str, text: &str, yes: &str) -> Value {
    json!({
        "title": plain_text(title, CONFIRM_TITLE_CHARS),
        "text": plain_text(text, CONFIRM_TEXT_CHARS),
        "confirm": plain_text(yes, CONFIRM_BUTTON_CHARS),
        "deny": plain_text("Cancel", CONFIRM_BUTTON_CHARS),
    })
}

/// Shows what is known of a run to whoever asks.
pub(super) fn evidence(token: &str) -> Value {
    button(Action::Details, "Show evidence", token, None)
}

/// Sends the traffic of a run that is under way back.
pub(super) fn roll_back(token: &str, run: &str) -> Value {
    let mut button = button(Action::RollBack, "Roll back", token, Some("danger"));
    let text = format!("What {run} brings loses its traffic to what served before.");
    button["confirm"] = confirm("Send traffic back?", &text, "Roll back");
    button
}

pub(super) fn actions(elements: &[Value]) -> Value {
    json!({"type": "actions", "block_id": "weir:v1", "elements": elements})
}
