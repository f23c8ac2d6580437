//! The candidate serves everything, and is watched on while the old revision stays warm.

use super::evidence::{danger, held_blind};
use super::moves::{promote, wait};
use super::phases::Rollout;
use super::share::{STILL_WITHIN, correct_weight};
use super::watch::doubt;
use crate::decide::Draft;
use crate::ids::StepId;
use crate::pipeline::RolloutRule;
use crate::seen::Scene;
use crate::units::Weight;

pub(super) fn baking(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
) {
    if let Some(why) = danger(rollout, rule) {
        return doubt(draft, rollout, id, rule, &why);
    }
    if correct_weight(draft, rollout, id, rule, scene, Weight::FULL)
        || held_blind(draft, rollout, id, rule, scene)
    {
        return;
    }
    let baked = draft.now.since(rollout.since);
    let still = rollout
        .changes
        .last()
        .is_none_or(|change| change.effective.is_some());
    let due = baked >= rule.bake && (still || baked >= rule.bake + STILL_WITHIN);
    // Without a revision to go back to there is nothing to watch for, and a newer release ends the watch.
    let watched = rollout.stable.is_none() || baked >= rule.bake + rule.watch;
    if due && (watched || !draft.lane_mut(&rule.lane).waiting.is_empty()) {
        promote(draft, rollout, id, rule);
    } else if due {
        let rest = rule.watch;
        wait(
            draft,
            rollout,
            &format!("watched: for {rest}, the old revision stays warm"),
        );
    }
}
