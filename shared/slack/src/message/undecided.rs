//! A step that the measurements cannot decide: what they lack, how to answer, and what happens if nobody does.

use super::blocks::{actions, context, evidence, header, line, moment, roll_back};
use super::{Message, UndecidedPage};

pub(super) fn page(page: &UndecidedPage) -> Message {
    let run = format!("{}#{}", page.pipeline, page.number);
    let title = format!(
        "? undecided: {} #{} in {}",
        page.pipeline, page.number, page.environment
    );
    let mut blocks = vec![
        header(&title),
        line("What it lacks", &page.lacks),
        line("What was measured", &page.measured),
        line(
            "To let it pass, unverified and in your name",
            &format!("weir approve {run} --reason …"),
        ),
        line(
            "To send traffic back now",
            &format!("weir rollback {run} --reason …"),
        ),
        context(vec![moment("without an answer it goes back", page.until_unix)]),
    ];
    if !page.token.is_empty() {
        blocks.push(actions(&[roll_back(&page.token, &run), evidence(&page.token)]));
    }
    Message::new(&format!("{title}. {}", page.lacks), blocks)
}
