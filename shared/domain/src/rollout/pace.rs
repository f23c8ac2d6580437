//! When a rollout is looked at again.

use super::phases::{Phase, Rollout};
use super::plan::StepKind;
use super::share::STILL_WITHIN;
use crate::event::Limits;
use crate::pipeline::RolloutRule;
use crate::time::{Span, Timestamp};
use crate::units::Weight;

/// While a promoted revision is watched, looks are this many times as far apart: one a minute.
const WATCH_PACE: u64 = 4;

/// Part of the way to a breach from which on looks are quick. Evidence gets half the way (in factors) in one good rollout of as
/// many as the root of the odds that are needed, 17 of 300 : 1, so an ordinary look stays as rare as it was.
const NEAR_BREACH: f64 = 0.5;

/// When the rollout is to be looked at again, if at all.
pub fn look_again(
    rollout: &Rollout,
    rule: &RolloutRule,
    limits: &Limits,
    now: Timestamp,
) -> Option<Timestamp> {
    let quick = now.since(rollout.since) < limits.quick_for;
    let near = near_breach(rollout, rule);
    let pace = if quick || near { limits.quick } else { limits.slow };
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
        _ if rollout.away.is_some() => {
            let away = rollout.away?;
            let call = rollout.call_at().filter(|at| !away.paged && *at > now);
            let again = now + away.pace(&rollout.phase, limits, now);
            Some(call.map_or(again, |call| again.min(call)))
        }
        Phase::Queued => Some(now + limits.slow),
        Phase::Surveying if rollout.waits_for.is_empty() => Some(now + limits.settle),
        Phase::Surveying => Some(now + pace),
        Phase::Growing { .. } => Some(now + if quick { limits.settle } else { limits.quick }),
        Phase::Reverted { until } | Phase::Kept { until } => Some(until.max(now + limits.settle)),
        Phase::Watching { .. } | Phase::Baking | Phase::Leaving | Phase::Reverting if !settled => {
            Some(now + limits.settle)
        }
        Phase::Watching { step } if previews(rollout, step) => {
            let preview = rollout.preview.as_ref().filter(|preview| !preview.is_checked());
            let due = preview.and_then(|preview| preview.due(rule));
            Some(due.map_or(now + pace, boundary))
        }
        // Streams that end and pods that come back take seconds, or as long as they take.
        Phase::Comparing | Phase::Leaving | Phase::Reverting | Phase::Draining | Phase::Removing => {
            Some(now + if quick { limits.settle } else { pace })
        }
        Phase::Watching { step } if rollout.skips(step) => Some(now + limits.settle),
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
        // It is watched on for as long as the others of its release take.
        Phase::Baking if !near && rollout.is_held() && now >= rollout.since + rule.bake + rule.watch => {
            Some(now + limits.slow)
        }
        // The watch after the bake is long, and nothing but a breach or its end is waited for.
        Phase::Baking
            if !near && rule.watch > Span::ZERO && now >= rollout.since + rule.bake + STILL_WITHIN =>
        {
            let end = rollout.since + rule.bake + rule.watch;
            Some((now + Span(limits.slow.0 * WATCH_PACE)).min(end.max(now + limits.settle)))
        }
        Phase::Baking => Some(boundary(rollout.since + rule.bake)),
    }
}

/// Whether evidence has come so far that the next few requests may make a breach of it.
fn near_breach(rollout: &Rollout, rule: &RolloutRule) -> bool {
    let judged = matches!(rollout.phase, Phase::Watching { .. } | Phase::Baking);
    let condition = rule
        .rollback
        .as_ref()
        .filter(|_| judged && rollout.weight > Weight::ZERO);
    let evidence = condition.and_then(|condition| rollout.weighing.weigh(condition));
    evidence.is_some_and(|evidence| evidence.part_of_breach(rollout.alpha(rule)) >= NEAR_BREACH)
}

/// Whether a step looks at a candidate that has no traffic.
fn previews(rollout: &Rollout, step: usize) -> bool {
    let planned = rollout.plan.steps.get(step);
    planned.is_some_and(|planned| planned.kind == StepKind::Previewing)
}
