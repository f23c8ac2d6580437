//! A step that has passed and waits for a person: how it stands, and the buttons that let it go on or send it back.

use super::blocks::{actions, button, confirm, context, evidence, header, line, moment, roll_back};
use super::{Message, PausedPage};
use crate::interaction::Action;

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
        resume["confirm"] = confirm("Let it go on?", &page.stands, "Go on");
        blocks.push(actions(&[
            resume,
            roll_back(&page.token, &run),
            evidence(&page.token),
        ]));
    }
    Message::new(&format!("{title}. {}", page.stands), blocks)
}
