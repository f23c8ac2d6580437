//! A look at a rollout, and what follows from it.

use super::claims::claim_rest;
use super::evidence::{danger, held_blind, held_unfair, weigh_block};
use super::moves::{enter, enter_step, promote, reason, release, set_weight, wait, waits_for_places};
use super::passing::{Ended, passes};
use super::pause::paused;
use super::phases::{Away, Phase, Rollout};
use super::plan::StepKind;
use super::preview::previewing;
use super::revert::{remove, removing, revert_now, reverting};
use super::settle::settle;
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::Effect;
use crate::event::Limits;
use crate::ids::StepId;
use crate::people::Actor;
use crate::pipeline::RolloutRule;
use crate::seen::{PodPhase, Scene, TrafficSeen};
use crate::time::{Span, Timestamp};
use crate::units::Weight;

/// Crashes while loading after which a candidate is given up: one may be the node's fault.
const LOADING_CRASHES: u32 = 3;
/// A cluster that does not answer while traffic must go back is a matter for a person after this time.
const PAGE_AFTER: Span = Span::seconds(10);
/// The scheduler places a pod within seconds of its place being free; after this time somebody else has it.
const TAKEN_WITHIN: Span = Span::minutes(2);
/// While a promoted revision is watched, looks are this many times as far apart: one a minute.
const WATCH_PACE: u64 = 4;
/// Promotion waits this long after the bake for the gateway to have followed: a promoted revision is one that is asked.
const STILL_WITHIN: Span = Span::seconds(60);

/// The cluster did not answer: the rollout stays as it is and says so. A person is called if traffic had to go back.
pub(crate) fn unreachable(draft: &mut Draft, rollout: &mut Rollout, id: StepId, why: &str) {
    let words = format!("cluster does not answer: {why}");
    if rollout.away.is_none() {
        draft.note(Action::Waiting, words.clone());
    }
    let overdue = rollout.phase == Phase::Reverting && draft.now.since(rollout.since) >= PAGE_AFTER;
    let since = draft.now;
    let away = rollout.away.get_or_insert(Away { since, paged: false });
    if overdue && !away.paged {
        away.paged = true;
        draft.effects.push(Effect::Page { step: id });
    }
    let told = if away.paged { "; a person was called" } else { "" };
    rollout.waits_for = words + told;
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
    settle(draft, rollout, scene);
    weigh_block(rollout, rule, scene, draft.now);
    remember(draft, rollout, scene);
    if rollout.can_revert() || rollout.phase == Phase::Reverting {
        claim_rest(draft, rollout, id, rule, rollout.gpus());
    }
    match rollout.phase {
        Phase::Growing { step } => growing(draft, rollout, id, rule, scene, step),
        Phase::Watching { step } => watching(draft, rollout, id, rule, scene, step),
        Phase::Baking => baking(draft, rollout, id, rule, scene),
        Phase::Draining => draining(draft, rollout, id, rule),
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

fn remember(draft: &Draft, rollout: &mut Rollout, scene: &Scene) {
    rollout.candidate_seen = scene.candidate.clone();
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

fn growing(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
    step: usize,
) {
    let planned = rollout.plan.steps[step].clone();
    if let Some(why) = danger(rollout, rule) {
        doubt(draft, rollout, id, rule, &why);
    } else if correct_weight(draft, rollout, id, rule, scene, held(rollout, step)) {
        // What goes on is decided at the next look, on what the new share shows.
    } else if waits_for_places(draft, rollout, id, step) {
        // The time to become warm begins when the places are there.
        rollout.since = draft.now;
    } else if rollout.weight == Weight::ZERO && rollout.candidate_seen.crashes >= LOADING_CRASHES {
        let crash = rollout.candidate_seen.last_crash.clone().unwrap_or_default();
        doubt(
            draft,
            rollout,
            id,
            rule,
            &format!("crashes while loading: {crash}"),
        );
    } else if rollout.candidate_seen.warm >= planned.candidate_replicas {
        warm(draft, rollout, id, step);
    } else if let Some(why) = overdue(draft, rollout, rule) {
        revert_now(draft, rollout, id, rule, &why, Actor::Weir);
    } else if draft.now.since(rollout.since) >= rule.warm_within {
        let words = rollout.candidate_seen.told();
        let why = format!("not warm within {}: {words}", rule.warm_within);
        revert_now(draft, rollout, id, rule, &why, Actor::Weir);
    } else if let Some(why) = borrow_lost(draft, rollout) {
        revert_now(draft, rollout, id, rule, &why, Actor::Weir);
    } else {
        wait(draft, rollout, &rollout.candidate_seen.told());
    }
}

/// The slowest pod has been in one phase for longer than that may last.
fn overdue(draft: &Draft, rollout: &Rollout, rule: &RolloutRule) -> Option<String> {
    let (phase, since) = rollout.stands_since?;
    let limit = rule.deadlines.of(phase)?;
    // What stood there before this step began to grow is not held against it.
    let stood = draft.now.since(since.max(rollout.since));
    let told = rollout.candidate_seen.told();
    (stood >= limit).then(|| format!("{} for {stood}, {limit} at most: {told}", phase.as_str()))
}

fn warm(draft: &mut Draft, rollout: &mut Rollout, id: StepId, step: usize) {
    let took = draft.now.since(rollout.since);
    let words = format!(
        "{}: {} of {} replicas warm after {took}",
        rollout.candidate, rollout.candidate_seen.warm, rollout.plan.steps[step].candidate_replicas
    );
    draft
        .note(Action::RevisionWarm, words)
        .with("seconds", took.as_seconds());
    if rollout.weight == Weight::ZERO {
        rollout.crashes_before = rollout.candidate_seen.crashes;
    }
    let weight = rollout.plan.steps[step].weight;
    if weight != rollout.weight {
        set_weight(draft, rollout, id, weight, &reason(rollout, step, draft.now));
    }
    enter(draft, rollout, Phase::Watching { step });
}

fn watching(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
    step: usize,
) {
    let planned = rollout.plan.steps[step].clone();
    if let Some(why) = danger(rollout, rule) {
        return doubt(draft, rollout, id, rule, &why);
    }
    if correct_weight(draft, rollout, id, rule, scene, planned.weight) {
        return;
    }
    if planned.kind == StepKind::Previewing {
        return previewing(draft, rollout, id, rule, step);
    }
    if held_blind(draft, rollout, id, rule, scene) || held_unfair(draft, rollout, id, rule) {
        return;
    }
    let set_at = rollout
        .changes
        .last()
        .and_then(|change| change.accepted)
        .map(|at| at.max(rollout.since));
    let Some(watched) = set_at
        .map(|at| draft.now.since(at))
        .filter(|watched| *watched >= planned.hold)
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
    if planned.kind == StepKind::Stepping && !passes(draft, rollout, &ended) {
        return;
    }
    if takes_places(rollout, step + 1) && !has_followed(draft, rollout) {
        return wait(
            draft,
            rollout,
            "the gateway: stable gives up replicas once it has followed",
        );
    }
    if planned
        .pause
        .is_some_and(|within| paused(draft, rollout, id, rule, within))
    {
        return;
    }
    draft.note(
        Action::StepPassed,
        format!("{} at {} for {watched}", planned.kind.as_str(), planned.weight),
    );
    if step + 1 < rollout.plan.steps.len() {
        enter_step(draft, rollout, id, step + 1);
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

/// Writes the share again if it is not what it should be: somebody else changed it, or fewer replicas are warm than it
/// needs (invariant 3). Says whether it did.
fn correct_weight(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
    planned: Weight,
) -> bool {
    let carried = rollout.plan.carried_by(rollout.candidate_seen.warm, rule);
    let wanted = match (&rollout.stable, rollout.has_lent()) {
        (None, _) => planned,
        (Some(_), false) => planned.min(carried),
        (Some(_), true) => {
            // Stable gave up places: what it cannot carry stays here.
            let rest = rollout.plan.carried_by(rollout.stable_warm(), rule).rest();
            planned.min(carried.max(rest))
        }
    };
    if wanted != rollout.weight {
        let words = format!(
            "{} of {} replicas warm",
            rollout.candidate_seen.warm,
            rollout.plan.needed(rule)
        );
        set_weight(draft, rollout, id, wanted, &words);
        return true;
    }
    let written = scene.route.fence
        >= rollout
            .changes
            .last()
            .map(|change| change.fence)
            .unwrap_or_default();
    if written
        && scene
            .route
            .weights
            .get(&rollout.candidate)
            .copied()
            .unwrap_or_default()
            != rollout.weight
    {
        set_weight(draft, rollout, id, wanted, "somebody else changed the route");
        return true;
    }
    false
}

fn baking(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule, scene: &Scene) {
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

fn draining(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule) {
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

/// Sends traffic back because of what was seen of the candidate.
pub(super) fn doubt(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule, why: &str) {
    rollout.distrusted = true;
    revert_now(draft, rollout, id, rule, why, Actor::Weir);
}

/// Whether a step looks at a candidate that has no traffic.
fn previews(rollout: &Rollout, step: usize) -> bool {
    let planned = rollout.plan.steps.get(step);
    planned.is_some_and(|planned| planned.kind == StepKind::Previewing)
}

/// The share that stands while the candidate grows for a step: that of the step before.
fn held(rollout: &Rollout, step: usize) -> Weight {
    let before = step
        .checked_sub(1)
        .and_then(|before| rollout.plan.steps.get(before));
    before.map_or(Weight::ZERO, |before| before.weight)
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

/// Whether the last change of traffic has reached the requests, or nothing shows that for so long that it must have.
fn has_followed(draft: &Draft, rollout: &Rollout) -> bool {
    let Some(change) = rollout.changes.last() else {
        return true;
    };
    let observed = change.observed.map(|at| draft.now.since(at));
    change.effective.is_some() || observed.is_some_and(|ago| ago >= STILL_WITHIN)
}

/// Somebody else took a place that stable gave up: stable has left, and the candidate still has no node.
fn borrow_lost(draft: &Draft, rollout: &Rollout) -> Option<String> {
    let lent = rollout.has_lent() && rollout.stable_seen.terminating == 0;
    let waits = rollout.candidate_seen.phase == PodPhase::Scheduling;
    let long = draft.now.since(rollout.since) >= TAKEN_WITHIN;
    (lent && waits && long).then(|| {
        format!(
            "a place that stable gave up was taken by somebody else: {}",
            rollout.candidate_seen.words
        )
    })
}

/// When the rollout is to be looked at again, if at all.
pub fn look_again(
    rollout: &Rollout,
    rule: &RolloutRule,
    limits: &Limits,
    now: Timestamp,
) -> Option<Timestamp> {
    let quick = now.since(rollout.since) < limits.quick_for;
    let pace = if quick { limits.quick } else { limits.slow };
    // A boundary that has passed undecided, as of a step that is held, is no reason to hurry.
    let boundary = |at: Timestamp| match at > now {
        true => (now + pace).min(at.max(now + limits.settle)),
        false => now + pace,
    };
    let settled = rollout
        .changes
        .last()
        .is_none_or(|change| change.observed.is_some());
    match rollout.phase {
        Phase::Drained | Phase::Removed => None,
        _ if rollout.away.is_some() => rollout
            .away
            .map(|away| now + away.pace(&rollout.phase, limits, now)),
        Phase::Queued => Some(now + limits.slow),
        Phase::Surveying if rollout.waits_for.is_empty() => Some(now + limits.settle),
        Phase::Surveying => Some(now + pace),
        Phase::Growing { .. } => Some(now + if quick { limits.settle } else { limits.quick }),
        Phase::Reverted { until } => Some(until.max(now + limits.settle)),
        Phase::Watching { .. } | Phase::Baking | Phase::Reverting if !settled => Some(now + limits.settle),
        Phase::Watching { step } if previews(rollout, step) => {
            let preview = rollout.preview.as_ref().filter(|preview| !preview.is_checked());
            let due = preview.and_then(|preview| preview.due(rule));
            Some(due.map_or(now + pace, boundary))
        }
        // Streams that end and pods that come back take seconds, or as long as they take.
        Phase::Comparing | Phase::Reverting | Phase::Draining | Phase::Removing => {
            Some(now + if quick { limits.settle } else { pace })
        }
        Phase::Watching { step } => {
            let hold = rollout.plan.steps.get(step).map_or(Span::ZERO, |step| step.hold);
            Some(boundary(
                rollout
                    .changes
                    .last()
                    .and_then(|c| c.accepted)
                    .unwrap_or(rollout.since)
                    + hold,
            ))
        }
        // The watch after the bake is long, and nothing but a breach or its end is waited for.
        Phase::Baking if rule.watch > Span::ZERO && now >= rollout.since + rule.bake + STILL_WITHIN => {
            let end = rollout.since + rule.bake + rule.watch;
            Some((now + Span(limits.slow.0 * WATCH_PACE)).min(end.max(now + limits.settle)))
        }
        Phase::Baking => Some(boundary(rollout.since + rule.bake)),
    }
}
