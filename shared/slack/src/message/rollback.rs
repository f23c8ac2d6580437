//! The page at 3 a.m.: what happened, what was measured, what was done, what serves now, what to do.

use super::blocks::{actions, context, evidence, header, line, moment, section};
use super::{Message, RollbackPage, WayBack};
use crate::text::bullets;

pub(super) fn page(page: &RollbackPage) -> Message {
    let (state, since) = match page.way_back {
        WayBack::Done => ("rolled back", "rolled back"),
        WayBack::Stuck => ("cannot roll back yet", "decided"),
        WayBack::LeftBehind => ("pods do not leave", "told to leave"),
    };
    let title = format!(
        "✗ {state}: {} #{} in {}",
        page.pipeline, page.number, page.environment
    );
    let mut blocks = vec![header(&title), line("What happened", &page.happened)];
    for (label, items) in [
        ("What was measured", &page.measured),
        ("What was done", &page.done),
    ] {
        if !items.is_empty() {
            blocks.push(section(&bullets(label, items)));
        }
    }
    blocks.push(line("Serving now", &page.serves_now));
    blocks.push(line("What to do", &page.to_do));
    blocks.push(context(vec![moment(since, page.at_unix)]));
    if !page.token.is_empty() {
        blocks.push(actions(&[evidence(&page.token)]));
    }
    Message::new(
        &format!("{title}. {} Serving now: {}", page.happened, page.serves_now),
        blocks,
    )
}
