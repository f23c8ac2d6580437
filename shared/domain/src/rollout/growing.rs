//! The candidate grows to what a step needs, and is waited for until it is warm.

use super::evidence::danger;
use super::lost::waits_for_node;
use super::moves::{enter, enter_step, reason, set_weight, wait, waits_for_places};
use super::pause::waits_for_person;
use super::phases::{Phase, Rollout};
use super::plan::StepKind;
use super::prepare;
use super::replace::waits_for_leaving;
use super::revert::revert_now;
use super::share::correct_weight;
use super::watch::doubt;
use crate::audit::Action;
use crate::decide::Draft;
use crate::ids::StepId;
use crate::people::Actor;
use crate::pipeline::RolloutRule;
use crate::seen::{PodPhase, Scene};
use crate::time::Span;
use crate::units::Weight;

/// Crashes while loading after which a candidate is given up: one may be the node's fault.
const LOADING_CRASHES: u32 = 3;

/// The scheduler places a pod within seconds of its place being free; after this time somebody else has it.
const TAKEN_WITHIN: Span = Span::minutes(2);

pub(super) fn growing(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    scene: &Scene,
    step: usize,
) {
    let planned = rollout.plan.steps[step].clone();
    if let Some(why) = danger(rollout, rule) {
        if !waits_for_node(draft, rollout, id, rule, scene, (step, &why)) {
            doubt(draft, rollout, id, rule, &why);
        }
    } else if correct_weight(draft, rollout, id, rule, scene, held(rollout, step)) {
        // What goes on is decided at the next look, on what the new share shows.
    } else if prepare::waits(draft, rollout, id, rule, scene, step) {
        // Without a candidate, until what it needs beside itself stands.
    } else if waits_for_leaving(draft, rollout, id, rule, scene, planned.candidate_replicas) {
        // Without traffic, until another replica is warm.
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
        if !waits_for_person(draft, rollout, id, rule, None) {
            warm(draft, rollout, id, rule, step);
        }
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
    // What serves or leaves is not on its way.
    if matches!(phase, PodPhase::Serving | PodPhase::Draining) {
        return None;
    }
    let limit = rule.deadlines.of(phase)?;
    // What stood there before this step began to grow is not held against it.
    let stood = draft.now.since(since.max(rollout.since));
    let told = rollout.candidate_seen.told();
    (stood >= limit).then(|| format!("{} for {stood}, {limit} at most: {told}", phase.as_str()))
}

fn warm(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule, step: usize) {
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
    give_share(draft, rollout, id, rule, step);
}

/// What a step needs is warm.
fn give_share(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule, step: usize) {
    let planned = &rollout.plan.steps[step];
    let (weight, judged) = (planned.weight, planned.kind == StepKind::Stepping);
    if weight != rollout.weight {
        set_weight(
            draft,
            rollout,
            id,
            weight,
            &reason(rollout, rule, step, draft.now),
        );
    } else if judged {
        // Each judged step stands on what it measured itself, also where no greater share fits than that of the one before.
        rollout.restart_measuring();
    }
    enter(draft, rollout, Phase::Watching { step });
}

/// Enters the next step. One that asks nothing of the cluster, and for which this look has seen enough warm replicas, gets its
/// share at once.
pub(super) fn enter_next(
    draft: &mut Draft,
    rollout: &mut Rollout,
    id: StepId,
    rule: &RolloutRule,
    step: usize,
) {
    let before = draft.effects.len();
    enter_step(draft, rollout, id, step);
    let asks = draft.effects.len() > before || rollout.is_replacing(step);
    let needs = rollout.plan.steps[step].candidate_replicas;
    if !asks && rollout.candidate_asked >= needs && rollout.candidate_seen.warm >= needs {
        give_share(draft, rollout, id, rule, step);
    }
}

/// The share that stands while the candidate grows for a step: that of the step before, and none while a replica is
/// replaced.
fn held(rollout: &Rollout, step: usize) -> Weight {
    if rollout.is_replacing(step) {
        return Weight::ZERO;
    }
    let before = step
        .checked_sub(1)
        .and_then(|before| rollout.plan.steps.get(before));
    before.map_or(Weight::ZERO, |before| before.weight)
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
