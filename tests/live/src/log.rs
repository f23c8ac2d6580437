//! What a run's log must never tell.

use weir_domain::audit::{Action, Entry};

/// How often the candidate was given traffic after it was decided that it gets none.
pub fn raised_after_revert(entries: &[Entry]) -> usize {
    let reverted = entries
        .iter()
        .skip_while(|entry| entry.action != Action::RevertDecided);
    reverted
        .filter(|entry| entry.action == Action::WeightAccepted && !entry.detail.starts_with("weight 0 %"))
        .count()
}
