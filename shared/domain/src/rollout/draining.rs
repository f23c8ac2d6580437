//! The old revision gives up its pods once their generations have ended.

use super::moves::{enter, release, wait};
use super::phases::{Phase, Rollout};
use crate::audit::Action;
use crate::decide::Draft;
use crate::ids::StepId;
use crate::pipeline::RolloutRule;

pub(super) fn draining(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule) {
    if rollout.stable_seen.pods == 0 && rollout.stable_seen.terminating == 0 {
        if let Some(stable) = &rollout.stable {
            draft.note(
                Action::Drained,
                format!("{} holds nothing any more", stable.revision),
            );
        }
        enter(draft, rollout, Phase::Drained);
        release(draft, rollout, id, rule);
    } else {
        wait(
            draft,
            rollout,
            &format!("draining: {} pods left", rollout.stable_seen.terminating),
        );
    }
}
