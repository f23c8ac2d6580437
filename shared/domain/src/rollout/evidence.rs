//! What was measured of a candidate, and what follows from it: back at once, hold, or on.

use std::collections::BTreeMap;

use super::cold::is_cold;
use super::moves::wait;
use super::phases::{Phase, Rollout};
use super::revert::revert_now;
use crate::decide::Draft;
use crate::ids::{RevisionId, StepId};
use crate::judge::carried::Apart;
use crate::judge::condition::Block;
use crate::judge::{Tally, power};
use crate::people::Actor;
use crate::pipeline::{NoData, RolloutRule};
use crate::seen::{Counts, Scene, TrafficSeen};
use crate::time::{Span, Timestamp};
use crate::units::Weight;

/// After a change is in effect everywhere, requests of before may still be on their way: they are left out of the split.
const SETTLED: Span = Span::seconds(30);

/// What was counted since the last look is one block of evidence. A look that is repeated finds nothing new in the
/// counters, and so changes nothing. Before the candidate has traffic, the stable revision's level is learned.
pub(super) fn weigh_block(rollout: &mut Rollout, rule: &RolloutRule, scene: &Scene, now: Timestamp) {
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
    let stable = stable.unwrap_or_default();
    // What a candidate without traffic has in its queue says nothing of it.
    let idle = BTreeMap::new();
    let values = match rollout.weight {
        Weight::ZERO => &idle,
        _ => &scene.values,
    };
    let block = Block {
        candidate: &candidate,
        stable: &stable,
        values,
        at: now,
        cold: is_cold(rollout, rule, scene.candidate.warm, now),
    };
    rollout.weighing.add(condition, &block);
    let apart = Apart::of(scene);
    rollout
        .carried
        .see(condition, &mut rollout.weighing, &apart, block.cold);
    let watched = rollout.phase == Phase::Baking && now >= rollout.since + rule.bake;
    if watched && rule.watch > Span::ZERO {
        let shown = rollout.watching.add(condition, &block);
        rollout.alarm = rollout.alarm.take().or(shown);
    }
    weigh_split(rollout, rule, &candidate, &stable, now);
}

/// Requests that were sent under the present weights alone, once they are in effect everywhere.
fn weigh_split(
    rollout: &mut Rollout,
    rule: &RolloutRule,
    candidate: &Counts,
    stable: &Counts,
    now: Timestamp,
) {
    // Copies are beside what stable answers, not a part of it.
    if rollout.mirrors() {
        return;
    }
    let effective = rollout.changes.last().and_then(|change| change.effective);
    if effective.is_some_and(|at| now.since(at) >= SETTLED) {
        let weight = rollout.given_part(rule);
        rollout.split.add(candidate.started, stable.started, weight);
    }
}

/// What the step that begins can show, from the traffic seen so far. `None`: no traffic was seen.
pub(super) fn power(rollout: &Rollout, rule: &RolloutRule, step: usize, now: Timestamp) -> Option<String> {
    let planned = rollout.plan.steps.get(step)?;
    let seconds = now.since(rollout.counted_since?).as_seconds();
    let counted = rollout.counted.values();
    let all = counted.fold(Tally::default(), |sum, counts| {
        sum.and(Tally::new(counts.bad, counts.requests))
    });
    let (requests, bad) = (all.total, all.bad);
    let alpha = rollout.alpha(rule);
    let step = power::Step {
        rate: requests as f64 / seconds,
        weight: f64::from(planned.weight.percent()) / 100.0,
        seconds: planned.hold.as_seconds(),
        level: (bad as f64 + 0.5) / (requests as f64 + 1.0),
    };
    (requests > 0 && seconds > 0.0).then(|| step.statement(alpha))
}

/// Why the candidate must not keep its traffic, if so. A crash and silence need no metric; a breach needs evidence.
pub(super) fn danger(rollout: &Rollout, rule: &RolloutRule) -> Option<String> {
    failure(rollout).or_else(|| breach(rollout, rule))
}

/// Why the version is not to be trusted, whatever was measured of its replicas.
pub(super) fn failure(rollout: &Rollout) -> Option<String> {
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
    rollout.alarm.clone()
}

/// What the condition shows, if it shows a breach.
pub(super) fn breach(rollout: &Rollout, rule: &RolloutRule) -> Option<String> {
    if rollout.weight == Weight::ZERO {
        return None;
    }
    let alpha = rollout.alpha(rule);
    let evidence = rollout.weighing.weigh(rule.rollback.as_ref()?)?;
    evidence.shows_breach(alpha).then(|| evidence.told(alpha))
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
    let judged = rule.strategy.judged().is_some() || rule.rollback.is_some();
    let (Some(since), true) = (rollout.blind_since, judged && rollout.stable.is_some()) else {
        return false;
    };
    let why = match &scene.traffic {
        TrafficSeen::Counts(_) => return false,
        TrafficSeen::NoData(why) => format!("no data: {why}"),
        TrafficSeen::SourceError(why) => format!("the source does not answer: {why}"),
    };
    if matches!(scene.traffic, TrafficSeen::NoData(_)) && rule.no_data == NoData::Fail {
        let why = format!("{why}; the definition says that no data fails");
        revert_now(draft, rollout, id, rule, &why, Actor::Weir);
        return true;
    }
    // What was missing before counts too: a source that fails now and then is not a way around the limit.
    let blind = rollout.blind_before + draft.now.since(since);
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

/// A route that does not split as it was told makes every comparison wrong: nothing is judged, for at most
/// `hold_exposure`, then weight 0 and a person. Says whether it is so.
pub(super) fn held_unfair(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule) -> bool {
    let Some(fault) = rollout.split.fault() else {
        rollout.unfair_since = None;
        return false;
    };
    let since = *rollout.unfair_since.get_or_insert(draft.now);
    let held = draft.now.since(since);
    if held >= rule.hold_exposure {
        let why = format!("the split was wrong for {held}: {fault}");
        revert_now(draft, rollout, id, rule, &why, Actor::Weir);
    } else {
        wait(draft, rollout, &format!("held, the split is wrong: {fault}"));
    }
    true
}
