//! The moves of a rollout: start, next step, new weights, promotion, leaving the lane.

use serde_json::{Value, json};

use super::adopt;
use super::autoscaler::{let_scale, sized};
use super::claims::{claim, let_go};
use super::evidence::power;
use super::forecast::{ForecastStep, Timing, forecast};
use super::phases::{CHANGES_LIMIT, Phase, Rollout};
use super::plan::{Plan, StepKind};
use super::prepare;
use super::restore::scale_stable;
use super::told::told;
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::{CommitState, Effect};
use crate::ids::{RevisionId, StepId};
use crate::ladder::Load;
use crate::lane::Served;
use crate::pipeline::RolloutRule;
use crate::seen::TrafficChange;
use crate::time::{Span, Timestamp};
use crate::units::Weight;

/// Takes the first step of a plan. The rollout has its lane, and knows what is stable.
pub(super) fn start(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule, plan: Plan) {
    rollout.plan = plan;
    if rollout
        .stable
        .as_ref()
        .is_some_and(|stable| stable.revision == rollout.candidate)
    {
        already_serves(draft, rollout, id, rule);
    } else {
        tell_plan(draft, rollout, rule);
        // What is told once is not stored with every look.
        rollout.plan.budgets.clear();
        enter_step(draft, rollout, id, 0);
    }
}

fn already_serves(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule) {
    draft.note(
        Action::Promoted,
        format!(
            "{} already serves {}: nothing to move",
            rollout.candidate, rule.lane
        ),
    );
    enter(draft, rollout, Phase::Drained);
    release(draft, rollout, id, rule);
}

fn tell_plan(draft: &mut Draft, rollout: &Rollout, rule: &RolloutRule) {
    let from = rollout
        .stable
        .as_ref()
        .map_or("nothing".to_owned(), |stable| stable.revision.to_string());
    let words = match &rollout.stable {
        None => format!(
            "first release of {}: 0 → 100 % once warm; a rollback removes it",
            rule.lane
        ),
        Some(_) => format!(
            "{} by {}: {}",
            rule.lane,
            rule.strategy.as_str(),
            told(&rollout.plan, rule)
        ),
    };
    let not_exact = rule.workload.not_exact.join("; ");
    let timing = Timing::of(rollout.plan.bounds.as_ref());
    let foreseen = forecast(&rollout.plan, rule, timing, Load::default(), None);
    let step = |step: &ForecastStep| {
        json!({
            "weight": step.planned.weight,
            "candidate_replicas": step.planned.candidate_replicas,
            "stable_replicas": step.planned.stable_replicas,
            "gpus": step.gpus,
            "seconds": step.takes.as_seconds(),
            "revert_seconds": step.revert.map(Span::as_seconds),
        })
    };
    let steps: Vec<Value> = foreseen.steps.iter().map(step).collect();
    let note = draft.note(Action::LaneTaken, words);
    note.with("gpu_peak", rollout.plan.gpu_peak)
        .with("rung", rollout.plan.rung.as_str())
        .with("why", rollout.plan.why.as_str())
        .with("steps", steps)
        .with("seconds", foreseen.total.as_seconds())
        .moved(from, rollout.candidate.to_string());
    if !not_exact.is_empty() {
        note.with("rollback_not_exact", not_exact);
    }
}

/// Lets the candidate grow to what a step needs, and takes the places it needs from stable. The candidate's pods are asked
/// for first, so that they wait for the places when those open. What stands already is not written.
pub(super) fn enter_step(draft: &mut Draft, rollout: &mut Rollout, id: StepId, step: usize) {
    let planned = rollout.plan.steps[step].clone();
    enter(draft, rollout, Phase::Growing { step });
    // What is taken over must be told from the candidate's pods before there is one, and nobody else may scale meanwhile.
    if prepare::begins(draft, rollout, id) {
        return;
    }
    let has = rollout
        .stable
        .as_ref()
        .map(|stable| rollout.stable_asked.unwrap_or(stable.replicas));
    let gives = has.is_some_and(|has| planned.stable_replicas < has);
    if !(gives && rollout.plan.gives_first) {
        ask_for(draft, rollout, id, planned.candidate_replicas);
    }
    if gives {
        scale_stable(draft, rollout, id, planned.stable_replicas, planned.leaving);
    }
}

/// Asks for what a step needs once stable has left the places, where nothing but the plan keeps the candidate out of them.
/// Says whether it waits for that.
pub(super) fn waits_for_places(draft: &mut Draft, rollout: &mut Rollout, id: StepId, step: usize) -> bool {
    let planned = &rollout.plan.steps[step];
    let (replicas, stays) = (planned.candidate_replicas, planned.stable_replicas);
    if !rollout.plan.gives_first || rollout.candidate_asked >= replicas {
        return false;
    }
    let seen = &rollout.stable_seen;
    if seen.pods <= stays && seen.terminating == 0 {
        ask_for(draft, rollout, id, replicas);
        return false;
    }
    let leaving = (seen.pods + seen.terminating).saturating_sub(stays);
    wait(
        draft,
        rollout,
        &format!("places: {leaving} stable pods are leaving"),
    );
    true
}

pub(super) fn ask_for(draft: &mut Draft, rollout: &mut Rollout, id: StepId, replicas: u32) {
    if replicas != rollout.candidate_asked {
        grow(draft, rollout, id, replicas);
    }
}

fn grow(draft: &mut Draft, rollout: &mut Rollout, id: StepId, replicas: u32) {
    let before = std::mem::replace(&mut rollout.candidate_asked, replicas);
    rollout.fence = rollout.fence.next();
    let (revision, fence) = (rollout.candidate.clone(), rollout.fence);
    let unit = if replicas == 1 { "replica" } else { "replicas" };
    draft.note(
        Action::RevisionScaled,
        format!("{revision} grows from {before} to {replicas} {unit}"),
    );
    draft.effects.push(Effect::EnsureRevision {
        step: id,
        revision,
        replicas,
        fence,
    });
}

/// Enters a phase.
pub(super) fn enter(draft: &Draft, rollout: &mut Rollout, phase: Phase) {
    rollout.phase = phase;
    rollout.since = draft.now;
    rollout.waits_for.clear();
}

/// Decides on the candidate's share. Evidence restarts: what was counted under other weights does not count here.
pub(super) fn set_weight(draft: &mut Draft, rollout: &mut Rollout, id: StepId, weight: Weight, why: &str) {
    let before = rollout.weight;
    rollout.fence = rollout.fence.next();
    rollout.weight = weight;
    rollout.restart_measuring();
    if rollout.changes.len() >= CHANGES_LIMIT {
        rollout.changes.remove(0);
    }
    let (fence, decided) = (rollout.fence, draft.now);
    rollout.changes.push(TrafficChange {
        weight,
        fence,
        decided,
        accepted: None,
        observed: None,
        effective: None,
    });
    let split = split(rollout, weight);
    let copied = rollout.mirrors() && weight > Weight::ZERO;
    let mirror = copied.then(|| (rollout.candidate.clone(), weight));
    draft
        .note(
            Action::WeightDecided,
            format!("{} {weight} for {}: {why}", rollout.gets(), rollout.candidate),
        )
        .with("fence", fence.0)
        .with("warm", rollout.candidate_seen.warm)
        .moved(before.to_string(), weight.to_string());
    draft.effects.push(Effect::SetWeights {
        step: id,
        split,
        mirror,
        keep: None,
        fence,
    });
}

/// Absolute shares of both revisions. Without a stable one and without a share, the route goes back to the plain
/// Service.
fn split(rollout: &Rollout, weight: Weight) -> Vec<(RevisionId, Weight)> {
    // Who gets copies answers nobody.
    let weight = if rollout.mirrors() { Weight::ZERO } else { weight };
    let candidate = (rollout.candidate.clone(), weight);
    match &rollout.stable {
        Some(stable) => vec![(stable.revision.clone(), weight.rest()), candidate],
        None if weight == Weight::ZERO => Vec::new(),
        None => vec![candidate],
    }
}

/// Promotes a rollout that was held for the others of its release.
pub(crate) fn promote_held(draft: &mut Draft, id: StepId) {
    if let (Some(rule), Some(mut rollout)) = (draft.run.rule(id).cloned(), draft.take_rollout(id)) {
        rollout.held_since = None;
        promote(draft, &mut rollout, id, &rule);
        draft.put_rollout(id, rollout);
    }
}

/// The candidate becomes the stable revision of the lane; the old one may leave.
pub(super) fn promote(draft: &mut Draft, rollout: &mut Rollout, id: StepId, rule: &RolloutRule) {
    let (run, commit, now) = (draft.run.id.clone(), draft.run.cause.after.clone(), draft.now);
    let lane = draft.lane_mut(&rule.lane);
    let served = Served {
        revision: rollout.candidate.clone(),
        run,
        commit,
        since: now,
        workload: sized(rule, rollout).workload,
    };
    let oldest = lane.previous.take().map(|served| served.revision);
    let taken_over = adopt::served(rollout, &served);
    lane.previous = lane.current.replace(served).or(taken_over);
    rollout.fence = rollout.fence.next();
    let (revision, fence) = (rollout.candidate.clone(), rollout.fence);
    draft
        .note(Action::Promoted, format!("{revision} serves {} alone", rule.lane))
        .with("gpu_peak", rollout.gpus_peak)
        .moved(
            rollout
                .stable
                .as_ref()
                .map_or("nothing".into(), |s| s.revision.to_string()),
            revision.to_string(),
        );
    draft.effects.push(Effect::RetargetService {
        step: id,
        revision: revision.clone(),
        fence,
    });
    let took = draft.now.since(draft.run.cause.received);
    let description = format!("{} 100 % in {took}", rule.lane.environment);
    draft.effects.push(Effect::ReportStatus {
        state: CommitState::Pending,
        description,
    });
    let stable = rollout.stable.as_ref().map(|stable| stable.revision.clone());
    if let Some(old) = &stable {
        draft.effects.push(Effect::ScaleRevision {
            step: id,
            revision: old.clone(),
            replicas: 0,
            leaving: Vec::new(),
            fence,
        });
    }
    if let Some(oldest) = oldest.filter(|oldest| *oldest != revision && Some(oldest) != stable.as_ref()) {
        draft.effects.push(Effect::RemoveRevision {
            step: id,
            revision: oldest,
            fence,
        });
    }
    // The old revision only gives back from here on; who waits for it sees that by the place that is kept.
    claim(draft, id, rule, 0);
    enter(draft, rollout, Phase::Draining);
}

/// Gives the lane free and wakes who comes next. What was claimed is free too.
pub(super) fn release(draft: &mut Draft, rollout: &Rollout, id: StepId, rule: &RolloutRule) {
    let_go(draft, id, rule);
    let_scale(draft, rollout, id, rule);
    draft.release_lane(id, &rule.lane, rollout.fence);
}

/// Gives up the lane, or the place in its queue, before anything was written.
pub(crate) fn leave_lane(draft: &mut Draft, id: StepId) {
    if let (Some(rule), Some(rollout)) = (draft.run.rule(id).cloned(), draft.take_rollout(id)) {
        release(draft, &rollout, id, &rule);
        draft.put_rollout(id, rollout);
    }
}

/// What the step that is entered is called when it has its share.
pub(super) fn reason(rollout: &Rollout, rule: &RolloutRule, step: usize, now: Timestamp) -> String {
    let Some(planned) = rollout.plan.steps.get(step) else {
        return String::new();
    };
    let mut warm = format!(
        "{} of {} replicas warm",
        rollout.candidate_seen.warm, planned.candidate_replicas
    );
    if let Some(ratio) = rollout.plan.ratio_at(planned, rule) {
        warm.push_str(&format!("; {ratio}"));
    }
    match planned.kind {
        StepKind::Stepping | StepKind::Shadowing => {
            let power = power(rollout, rule, step, now)
                .map(|words| format!("; {words}"))
                .unwrap_or_default();
            format!("judged after {}; {warm}{power}", planned.hold)
        }
        kind => format!("{}; {warm}", kind.as_str()),
    }
}

/// What is waited for is recorded once for each kind of reason, which is the text before the colon.
pub(super) fn wait(draft: &mut Draft, rollout: &mut Rollout, words: &str) {
    let kind = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
    if !words.is_empty() && kind(words) != kind(&rollout.waits_for) {
        draft.note(Action::Waiting, words);
    }
    words.clone_into(&mut rollout.waits_for);
}

/// A person's reason, to follow what they did; nothing if they gave none.
pub(super) fn because(reason: &str) -> String {
    match reason {
        "" => String::new(),
        reason => format!(" ({reason})"),
    }
}
