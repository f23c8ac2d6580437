//! A step that has passed and waits for a person: how it stands, and the button that lets it go on.

use serde_json::json;

use super::blocks::{actions, button, context, header, line, moment, plain_text};
use super::{Message, PausedPage};
use crate::interaction::Action;
use crate::limits::{CONFIRM_BUTTON_CHARS, CONFIRM_TEXT_CHARS, CONFIRM_TITLE_CHARS};

pub(super) fn page(page: &PausedPage) -> Message {
    let run = format!("{}#{}", page.pipeline, page.number);
    let title = format!(
        "‖ paused: {} #{} in {}",
        page.pipeline, page.number, page.environment
    );
    let mut blocks = vec![
        header(&title),
        line("How it stands", &page.stands),
        line("What was measured", &page.measured),
        line(
            "From a terminal",
            &format!("weir approve {run} lets it go on, weir rollback {run} --reason … sends traffic back"),
        ),
        context(vec![moment("without an answer it goes back", page.until_unix)]),
    ];
    if !page.token.is_empty() {
        let mut resume = button(Action::Resume, "Go on", &page.token, Some("primary"));
        resume["confirm"] = json!({
            "title": plain_text("Let it go on?", CONFIRM_TITLE_CHARS),
            "text": plain_text(&page.stands, CONFIRM_TEXT_CHARS),
            "confirm": plain_text("Go on", CONFIRM_BUTTON_CHARS),
            "deny": plain_text("Cancel", CONFIRM_BUTTON_CHARS),
        });
        let evidence = button(Action::Details, "Show evidence", &page.token, None);
        blocks.push(actions(&[resume, evidence]));
    }
    Message::new(&format!("{title}. {}", page.stands), blocks)
}
