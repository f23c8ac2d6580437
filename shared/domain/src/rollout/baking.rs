//! The candidate serves everything, and is watched on while the old revision stays warm.

use super::evidence::{danger, held_blind};
use super::moves::{promote, wait};
use super::phases::Rollout;
use super::share::{STILL_WITHIN, correct_weight};
use super::watch::doubt;
use crate::decide::Draft;
use crate::decide::release;
use crate::ids::StepId;
use crate::pipeline::RolloutRule;
use crate::seen::Scene;
use crate::time::Timestamp;
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
    // Held is what the last look showed: one that finds a reason to wait does not let a release go on.
    let held = rollout.held_since.take();
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
    // Stable leaves with the promotion: what the candidate cannot carry at the moment is not to be left with it.
    let whole = rollout.weight == Weight::FULL;
    let due = whole && baked >= rule.bake && (still || baked >= rule.bake + STILL_WITHIN);
    if due && rule.release.is_some() {
        return hold(draft, rollout, id, rule, held);
    }
    // A newer release ends the watch.
    if due && (is_watched(draft, rollout, rule) || !draft.lane_mut(&rule.lane).waiting.is_empty()) {
        promote(draft, rollout, id, rule);
    } else if due {
        wait(draft, rollout, &goes_on(rule));
    }
}

/// Whether the watch after the bake is over. Without a revision to go back to there is nothing to watch for.
pub(crate) fn is_watched(draft: &Draft, rollout: &Rollout, rule: &RolloutRule) -> bool {
    rollout.stable.is_none() || draft.now.since(rollout.since) >= rule.bake + rule.watch
}

fn goes_on(rule: &RolloutRule) -> String {
    format!("watched: for {}, the old revision stays warm", rule.watch)
}

/// It is through its bake, and waits for all of its release, watched as before. What the watch after the bake gains, an
/// instant way back, it has meanwhile: so that watch is the release's, and ends for all at once.
fn hold(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule, held: Option<Timestamp>) {
    rollout.held_since = held.or(Some(draft.now));
    match release::others(&draft.run, id, rule) {
        Some(others) => {
            let words = format!("through its bake; waits for the other clusters of release {others}");
            wait(draft, rollout, &words);
        }
        None if !is_watched(draft, rollout, rule) => wait(draft, rollout, &goes_on(rule)),
        None => {}
    }
}
