//! Who did what, when, why, and which GPUs were held.

use weir_domain::audit::Entry;

use super::Look;
use super::text::{clean, columns, fit, wrap};

/// Columns before the reasons: time, GPUs, who, what.
const WHEN: usize = 8;
const GPUS: usize = 3;
const WHO: usize = 10;
const WHAT: usize = 18;

/// The table. A day, or a change of the zone's offset, has a line of its own.
pub(crate) fn timeline(entries: &[Entry], look: &Look) -> String {
    let before = WHEN + GPUS + WHO + WHAT + 4;
    let room = look.width.saturating_sub(before).max(20);
    let mut out = format!(
        "  {:WHEN$} {:>GPUS$} {:WHO$} {:WHAT$} WHY\n",
        "TIME", "GPU", "WHO", "WHAT"
    );
    let mut day = String::new();
    for entry in entries {
        let today = look.zone.day(entry.at);
        if today != day {
            out.push_str(&format!("{today}\n"));
            day = today;
        }
        let what = entry.action.as_str().replace('_', " ");
        let mut why = wrap(&clean(&entry.detail), room - 2).into_iter();
        out.push_str(&format!(
            "  {} {:>GPUS$} {} {} {}\n",
            look.zone.time(entry.at),
            entry.gpus,
            fit(&who(entry), WHO),
            fit(&what, WHAT),
            why.next().unwrap_or_default(),
        ));
        for more in why {
            out.push_str(&format!("{}{more}\n", " ".repeat(before + 2)));
        }
    }
    out
}

/// The person's name, or the identity that nobody carries.
pub(super) fn who(entry: &Entry) -> String {
    let who = clean(&entry.actor.to_string());
    match columns(&who) > WHO && entry.actor.person().is_none() {
        // `user id 1000 (not in any group)` says the same in the reason.
        true => who.split(" (").next().unwrap_or(&who).to_owned(),
        false => who,
    }
}
