//! What was measured of a candidate, and what follows from it: back at once, hold, or on.

use super::moves::wait;
use super::phases::Rollout;
use super::revert::revert_now;
use crate::audit::Action;
use crate::decide::Draft;
use crate::ids::{RevisionId, StepId};
use crate::people::Actor;
use crate::pipeline::{RolloutRule, Strategy};
use crate::seen::{Scene, TrafficSeen};
use crate::time::Span;
use crate::units::Weight;

/// What was counted since the last look is one block of evidence. A look that is repeated finds nothing new in the
/// counters, and so changes nothing. Before the candidate has traffic, the stable revision's level is learned.
pub(super) fn weigh_block(rollout: &mut Rollout, rule: &RolloutRule, scene: &Scene) {
    let (Some(condition), TrafficSeen::Counts(counts)) = (&rule.rollback, &scene.traffic) else {
        return;
    };
    if !rollout.can_revert() {
        return;
    }
    let block = |revision: &RevisionId| {
        let now = counts.get(revision).cloned().unwrap_or_default();
        match rollout.counted.get(revision) {
            Some(before) => now.since(before),
            None => now,
        }
    };
    let candidate = block(&rollout.candidate);
    let stable = rollout.stable.as_ref().map(|side| block(&side.revision));
    rollout
        .weighing
        .add(condition, &candidate, &stable.unwrap_or_default());
}

/// Why the candidate must not keep its traffic, if so. A crash and silence need no metric; a breach needs evidence.
pub(super) fn danger(rollout: &Rollout, rule: &RolloutRule) -> Option<String> {
    if rollout.weight == Weight::ZERO {
        return None;
    }
    let seen = &rollout.candidate_seen;
    if seen.crashes > rollout.crashes_before {
        return Some(format!(
            "crashed while serving: {}",
            seen.last_crash.clone().unwrap_or_default()
        ));
    }
    if seen.warm == 0 {
        return Some(format!("no replica answers: {}", seen.words));
    }
    let parts = rollout.plan.steps.len() + 1;
    let evidence = rollout.weighing.weigh(rule.rollback.as_ref()?)?;
    evidence.shows_breach(parts).then(|| evidence.told(parts))
}

/// The article's form of promotion: at the end of the interval enough samples, success rate at the threshold, no
/// breach (invariant 5).
pub(super) fn passes(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    watched: Span,
    hold: Span,
) -> bool {
    let Strategy::Canary(canary) = &rule.strategy else {
        return true;
    };
    let counts = rollout.candidate_counts();
    if counts.requests < canary.min_samples {
        let words = format!(
            "{} of {} requests to the candidate so far",
            counts.requests, canary.min_samples
        );
        if watched >= hold + rule.hold_exposure {
            let why = format!("too little to judge after {watched}: {words}");
            revert_now(draft, rollout, id, rule, &why, Actor::Weir);
        } else {
            wait(draft, rollout, &format!("requests: {words}"));
        }
        return false;
    }
    let success = 1.0 - counts.bad as f64 / counts.requests as f64;
    if success < canary.threshold.value() {
        let why = format!(
            "success rate {:.1} % of {} requests is under the threshold of {}",
            success * 100.0,
            counts.requests,
            canary.threshold
        );
        revert_now(draft, rollout, id, rule, &why, Actor::Weir);
        return false;
    }
    let threshold = canary.threshold.value();
    draft
        .note(
            Action::StepPassed,
            format!(
                "success rate {:.1} % of {} requests",
                success * 100.0,
                counts.requests
            ),
        )
        .with("success_rate", success)
        .with("threshold", threshold)
        .with("requests", counts.requests)
        .with("bad", counts.bad);
    true
}

/// No data and a source that does not answer hold, for at most `hold_exposure`, then weight 0 and a person
/// (invariant 5). A rollout that rests on no metric is not held. Says whether it is.
pub(super) fn held_blind(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
) -> bool {
    let judged = matches!(rule.strategy, Strategy::Canary(_)) || rule.rollback.is_some();
    let (Some(since), true) = (rollout.blind_since, judged && rollout.stable.is_some()) else {
        return false;
    };
    let why = match &scene.traffic {
        TrafficSeen::Counts(_) => return false,
        TrafficSeen::NoData(why) => format!("no data: {why}"),
        TrafficSeen::SourceError(why) => format!("the source does not answer: {why}"),
    };
    let blind = draft.now.since(since);
    if blind >= rule.hold_exposure {
        revert_now(
            draft,
            rollout,
            id,
            rule,
            &format!("nothing could be measured for {blind}: {why}"),
            Actor::Weir,
        );
    } else {
        wait(draft, rollout, &format!("held: {why}"));
    }
    true
}
