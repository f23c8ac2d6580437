//! Names of items: those of every store, and what SQLite keeps in items of their own.

pub(super) use weir_app::names::{
    STATE, approval, event, lane, number, numbers, outbox, outbox_of, pool, push, run, run_of,
};
use weir_domain::Duty;
use weir_domain::ids::StepId;

pub(super) fn timer(duty: Duty) -> String {
    format!("TIMER#{}", duty.as_str())
}

pub(super) fn scrape(step: StepId) -> String {
    format!("SCRAPE#{step}")
}

/// The step that a sort key of a scrape names.
pub(super) fn scrape_of(sk: &str) -> Option<StepId> {
    sk.strip_prefix("SCRAPE#")?.parse().ok()
}
