//! A step has its share, and is watched until it passes or is given up.

use super::evidence::{breach, failure, held_blind, held_unfair};
use super::growing::enter_next;
use super::lost::waits_for_node;
use super::moves::{enter, wait};
use super::passing::{Ended, note_skipped, passes};
use super::pause::waits_for_person;
use super::phases::{Phase, Rollout};
use super::plan::StepKind;
use super::preview::previewing;
use super::replace::{replace, replace_for_gpu};
use super::revert::revert_now;
use super::serving::{Followed, followed};
use super::shadow::over;
use super::share::{correct_weight, has_followed};
use super::watch::doubt;
use crate::audit::Action;
use crate::decide::Draft;
use crate::ids::StepId;
use crate::people::Actor;
use crate::pipeline::RolloutRule;
use crate::seen::Scene;

pub(super) fn watching(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
    step: usize,
) {
    let planned = rollout.plan.steps[step].clone();
    if let Some(why) = failure(rollout) {
        if !replace_for_gpu(draft, rollout, id, rule, scene, step, &why)
            && !waits_for_node(draft, rollout, id, rule, scene, (step, &why))
        {
            doubt(draft, rollout, id, rule, &why);
        }
        return;
    }
    if let Some(why) = breach(rollout, rule) {
        if !replace_for_gpu(draft, rollout, id, rule, scene, step, &why)
            && !waits_for_node(draft, rollout, id, rule, scene, (step, &why))
            && !replace(draft, rollout, id, rule, scene, step, &why)
        {
            let why = rollout.blamed(why);
            doubt(draft, rollout, id, rule, &why);
        }
        return;
    }
    if correct_weight(draft, rollout, id, rule, scene, planned.weight) {
        return;
    }
    if planned.kind == StepKind::Previewing {
        return previewing(draft, rollout, id, rule, step);
    }
    let unfollowed = match followed(draft, rollout, rule, scene) {
        Followed::Overdue(why) => return revert_now(draft, rollout, id, rule, &why, Actor::Weir),
        Followed::Waits(words) => Some(words),
        Followed::Yes => None,
    };
    if held_blind(draft, rollout, id, rule, scene) || held_unfair(draft, rollout, id, rule) {
        return;
    }
    // A step that no gateway has taken up has shown nothing.
    if let Some(words) = unfollowed {
        return wait(draft, rollout, &words);
    }
    let judged = matches!(planned.kind, StepKind::Stepping | StepKind::Shadowing);
    let skipped = rollout.skips(step);
    let set_at = rollout
        .changes
        .last()
        .and_then(|change| change.accepted)
        .map(|at| at.max(rollout.since));
    let Some(watched) = set_at
        .map(|at| draft.now.since(at))
        .filter(|watched| *watched >= planned.hold || skipped)
    else {
        rollout.waits_for.clear();
        return;
    };
    let ended = Ended {
        id,
        rule,
        scene,
        watched,
        hold: planned.hold,
    };
    if skipped {
        note_skipped(draft, rollout);
    } else if judged && !passes(draft, rollout, &ended) {
        return;
    }
    if takes_places(rollout, step + 1) && !has_followed(draft, rollout) {
        return wait(
            draft,
            rollout,
            "the gateway: stable gives up replicas once it has followed",
        );
    }
    let pause = planned.pause.filter(|_| !skipped);
    if waits_for_person(draft, rollout, id, rule, pause) {
        return;
    }
    draft.note(
        Action::StepPassed,
        format!("{} at {} for {watched}", planned.kind.as_str(), planned.weight),
    );
    if planned.kind == StepKind::Shadowing {
        over(draft, rollout, id);
    } else if step + 1 < rollout.plan.steps.len() {
        enter_next(draft, rollout, id, rule, step + 1);
    } else {
        draft.note(
            Action::Baking,
            format!(
                "{} serves everything, watched for {}",
                rollout.candidate, rule.bake
            ),
        );
        enter(draft, rollout, Phase::Baking);
    }
}

/// Whether stable gives up replicas at a step.
fn takes_places(rollout: &Rollout, step: usize) -> bool {
    let Some(stable) = &rollout.stable else {
        return false;
    };
    let has = rollout.stable_asked.unwrap_or(stable.replicas);
    let planned = rollout.plan.steps.get(step);
    planned.is_some_and(|planned| planned.stable_replicas < has)
}
