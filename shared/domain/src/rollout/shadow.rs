//! The end of a shadow that has shown what it was to show: the copies end, and then the candidate goes.
//!
//! A shadow is a test, so nothing of it stays. Where a later step of the run moves the service to the same revision, its
//! replicas are warm already: they are kept for it, as long as a revision that was rolled back is. The later step finds
//! them by their name, which is made of their content, and its fences are higher, so that nothing here can undo it.

use super::claims::{claim, let_go};
use super::moves::{enter, release, set_weight};
use super::phases::{Phase, Rollout};
use super::revert::{foreign_share, has_left, remove};
use crate::audit::Action;
use crate::decide::Draft;
use crate::ids::StepId;
use crate::pipeline::{RolloutRule, StepWork};
use crate::run::Run;
use crate::seen::Scene;
use crate::time::Timestamp;
use crate::units::Weight;

/// It passed: no request is copied any more.
pub(super) fn over(draft: &mut Draft, rollout: &mut Rollout, id: StepId) {
    set_weight(draft, rollout, id, Weight::ZERO, "the shadow is over");
    enter(draft, rollout, Phase::Leaving);
}

/// A look while the copies end.
pub(super) fn leaving(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
) {
    if foreign_share(draft, rollout, id, scene) {
        return;
    }
    if !has_left(draft, rollout, scene) {
        if let Some(problem) = &scene.route.problem {
            rollout.waits_for.clone_from(problem);
        }
        return;
    }
    release(draft, rollout, id, rule);
    // It holds GPUs until it is removed, and then gives them back.
    claim(draft, id, rule, 0);
    match draft.run.ending.is_none() && goes_on(&draft.run, rollout, id, rule) {
        true => {
            let (candidate, keep) = (&rollout.candidate, rule.keep);
            let words =
                format!("{candidate} keeps its replicas for {keep}, for the step that moves traffic to it");
            draft.note(Action::Waiting, words);
            let until = draft.now + keep;
            enter(draft, rollout, Phase::Kept { until });
        }
        false => remove(draft, rollout, id),
    }
}

/// A look while its replicas are kept.
pub(super) fn kept(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    until: Timestamp,
) {
    if is_taken_over(draft, rollout, rule) {
        // Whoever has it now removes it, or lets it serve.
        let_go(draft, id, rule);
        enter(draft, rollout, Phase::Removed);
    } else if draft.now >= until {
        remove(draft, rollout, id);
    }
}

/// Whether a later step of the run is to move the service to the same revision.
fn goes_on(run: &Run, rollout: &Rollout, id: StepId, rule: &RolloutRule) -> bool {
    run.steps().any(|(later, step, state)| {
        let StepWork::Rollout(other) = &step.work else {
            return false;
        };
        let after = (later.stage, later.step) > (id.stage, id.step);
        after
            && !state.status.is_over()
            && other.lane == rule.lane
            && other.workload.revision() == rollout.candidate
    })
}

/// Whether another step of the run has begun to move the service to the same revision, or somebody's has moved it there.
fn is_taken_over(draft: &mut Draft, rollout: &Rollout, rule: &RolloutRule) -> bool {
    let serves = draft.lane_mut(&rule.lane).current.as_ref();
    if serves.is_some_and(|served| served.revision == rollout.candidate) {
        return true;
    }
    // This rollout is taken out of its step while it is looked at.
    let begun = draft.rollouts(|other| {
        let waits = matches!(other.phase, Phase::Queued | Phase::Comparing | Phase::Surveying);
        other.candidate == rollout.candidate && !waits
    });
    begun
        .into_iter()
        .any(|other| draft.run.rule(other).is_some_and(|other| other.lane == rule.lane))
}
