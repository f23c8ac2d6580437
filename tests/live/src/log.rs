//! What a run's log must never tell.

use weir_domain::audit::{Action, Entry};

/// How often the candidate was given more traffic, or more copies, after it was decided that it gets none.
pub fn raised_after_revert(entries: &[Entry]) -> usize {
    let (mut share, mut reverted, mut raised) = (0, false, 0);
    for entry in entries {
        reverted |= entry.action == Action::RevertDecided;
        if let Some(accepted) = accepted(entry) {
            raised += usize::from(reverted && accepted > share);
            share = accepted;
        }
    }
    raised
}

/// `weight 25 % accepted 23ms after the decision`
fn accepted(entry: &Entry) -> Option<u8> {
    let told = (entry.action == Action::WeightAccepted).then_some(&entry.detail)?;
    told.split(' ').nth(1)?.parse().ok()
}
