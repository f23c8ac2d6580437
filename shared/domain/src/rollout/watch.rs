//! A look at a rollout, and what follows from it.

use super::baking::baking;
use super::claims::claim_rest;
use super::draining::draining;
use super::evidence::weigh_block;
use super::growing::growing;
use super::landing::land;
use super::phases::{Away, Phase, Rollout};
use super::revert::{remove, removing, revert_now, reverting};
use super::settle::settle;
use super::shadow::{kept, leaving};
use super::watching::watching;
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::Effect;
use crate::ids::StepId;
use crate::people::Actor;
use crate::pipeline::RolloutRule;
use crate::seen::{Scene, TrafficSeen};
use crate::time::{Span, Timestamp};

/// A cluster that does not answer while traffic must go back is a matter for a person after this time.
const PAGE_AFTER: Span = Span::seconds(10);
/// What is said of it then.
const CALLED: &str = "; a person was called";

/// The cluster did not answer: the rollout stays as it is and says so. A person is called if traffic had to go back.
pub(crate) fn unreachable(draft: &mut Draft, rollout: &mut Rollout, id: StepId, why: &str) {
    let words = format!("cluster does not answer: {why}");
    // Nobody sees whether the gateway follows, or what the candidate does.
    (rollout.unfollowed_since, rollout.held_since) = (None, None);
    if rollout.away.is_none() {
        draft.note(Action::Waiting, words.clone());
    }
    let since = draft.now;
    rollout.away.get_or_insert(Away { since, paged: false });
    rollout.waits_for = words;
    call_if_overdue(draft, rollout, id);
}

/// Calls a person for every cluster that does not answer and must give traffic back. Nobody waits for the next look at it:
/// one may take as long as its patience.
pub(crate) fn call_people(draft: &mut Draft) {
    let silent = |rollout: &Rollout| rollout.away.is_some_and(|away| !away.paged);
    for id in draft.rollouts(silent) {
        if let Some(mut rollout) = draft.take_rollout(id) {
            call_if_overdue(draft, &mut rollout, id);
            draft.put_rollout(id, rollout);
        }
    }
}

fn call_if_overdue(draft: &mut Draft, rollout: &mut Rollout, id: StepId) {
    let overdue = rollout.call_at().is_some_and(|at| draft.now >= at);
    let Some(away) = rollout.away.as_mut() else { return };
    if overdue && !away.paged {
        away.paged = true;
        draft.effects.push(Effect::Page { step: id });
    }
    if away.paged && !rollout.waits_for.ends_with(CALLED) {
        rollout.waits_for.push_str(CALLED);
    }
}

/// What there is was seen.
pub(crate) fn observe(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
) {
    rollout.away = None;
    settle(draft, rollout, rule, scene);
    weigh_block(rollout, rule, scene, draft.now);
    remember(draft, rollout, scene);
    land(draft, rollout, rule, scene);
    if rollout.can_revert() || rollout.phase == Phase::Reverting {
        claim_rest(draft, rollout, id, rule, rollout.gpus());
    }
    match rollout.phase {
        Phase::Growing { step } => growing(draft, rollout, id, rule, scene, step),
        Phase::Watching { step } => watching(draft, rollout, id, rule, scene, step),
        Phase::Baking => baking(draft, rollout, id, rule, scene),
        Phase::Draining => draining(draft, rollout, id, rule),
        Phase::Leaving => leaving(draft, rollout, id, rule, scene),
        Phase::Kept { until } => kept(draft, rollout, id, rule, until),
        Phase::Reverting => reverting(draft, rollout, id, rule, scene),
        Phase::Reverted { until } if draft.now >= until => remove(draft, rollout, id),
        Phase::Removing => removing(draft, rollout, id, rule, scene),
        // A late look; nothing is waited for.
        Phase::Queued
        | Phase::Comparing
        | Phase::Surveying
        | Phase::Drained
        | Phase::Reverted { .. }
        | Phase::Removed => {}
    }
}

impl Rollout {
    /// When a person is called if its cluster goes on not to answer; nothing while no traffic must go back.
    pub(super) fn call_at(&self) -> Option<Timestamp> {
        (self.phase == Phase::Reverting).then(|| self.since + PAGE_AFTER)
    }
}

fn remember(draft: &Draft, rollout: &mut Rollout, scene: &Scene) {
    rollout.candidate_seen = scene.candidate.clone();
    rollout.hardware.see(&scene.replicas);
    let phase = rollout.candidate_seen.phase;
    if rollout.stands_since.is_none_or(|(before, _)| before != phase) {
        rollout.stands_since = Some((phase, draft.now));
    }
    rollout.stable_seen = scene.stable.clone().unwrap_or_default();
    rollout.gpus_peak = rollout.gpus_peak.max(rollout.gpus());
    match &scene.traffic {
        TrafficSeen::Counts(counts) => {
            rollout.counted.clone_from(counts);
            rollout.counted_since.get_or_insert(draft.now);
            if let Some(since) = rollout.blind_since.take() {
                rollout.blind_before = rollout.blind_before + draft.now.since(since);
            }
        }
        TrafficSeen::NoData(_) | TrafficSeen::SourceError(_) => {
            rollout.blind_since.get_or_insert(draft.now);
        }
    }
}

/// Sends traffic back because of what was seen of the candidate.
pub(super) fn doubt(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule, why: &str) {
    rollout.distrusted = true;
    revert_now(draft, rollout, id, rule, why, Actor::Weir);
}
