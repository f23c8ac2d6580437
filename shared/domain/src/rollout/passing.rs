//! The end of a judged step: on, back, or neither.
//!
//! A step passes by what was measured (invariant 5). One that lacks something is inconclusive: it is extended, then a
//! person is asked, and if nobody answers traffic goes back. Who lets it pass is recorded, and so is that nothing
//! showed the candidate to be good: `unverified`.

use serde::{Deserialize, Serialize};

use super::landing::incomparable;
use super::moves::{because, wait};
use super::phases::Rollout;
use super::revert::revert_now;
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::{CommitState, Effect};
use crate::ids::StepId;
use crate::judge::Promote;
use crate::people::Actor;
use crate::pipeline::{Canary, RolloutRule};
use crate::seen::{Counts, Scene};
use crate::time::{Span, Timestamp};

/// A step that ended and could not be decided.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Inconclusive {
    /// What it lacks.
    pub lacks: String,
    /// When a person was asked.
    pub asked: Option<Timestamp>,
    /// When traffic goes back if nobody answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Who lets it pass all the same, and why.
    pub vouched: Option<(Actor, String)>,
}

/// A judged step with its times.
pub(super) struct Ended<'a> {
    pub(super) id: StepId,
    pub(super) rule: &'a RolloutRule,
    pub(super) scene: &'a Scene,
    /// How long the share has been what it is.
    pub(super) watched: Span,
    /// How long the step asks for.
    pub(super) hold: Span,
}

/// Whether the step may be left for the next.
pub(super) fn passes(draft: &mut Draft, rollout: &mut Rollout, step: &Ended<'_>) -> bool {
    let Some(canary) = step.rule.strategy.judged() else {
        return true;
    };
    let counts = rollout.candidate_counts();
    if counts.requests >= canary.min_samples && success(&counts) < canary.threshold.value() {
        let why = format!(
            "success rate {:.1} % of {} requests is under the threshold of {}",
            success(&counts) * 100.0,
            counts.requests,
            canary.threshold
        );
        revert_now(draft, rollout, step.id, step.rule, &why, Actor::Weir);
        return false;
    }
    match lacks(rollout, step, canary, &counts) {
        Some(lacks) => vouched(draft, rollout, &lacks) || inconclusive(draft, rollout, step, lacks),
        None => {
            note_passed(draft, rollout, (step.rule, canary), &counts);
            rollout.passed_alone = rollout.alone(step.scene).map(|replica| replica.pod.clone());
            true
        }
    }
}

fn success(counts: &Counts) -> f64 {
    match counts.requests {
        0 => 0.0,
        all => 1.0 - counts.bad as f64 / all as f64,
    }
}

/// What the step lacks to pass, in words that begin with its kind.
fn lacks(rollout: &Rollout, step: &Ended<'_>, canary: &Canary, counts: &Counts) -> Option<String> {
    if let Some(words) = incomparable(rollout, step.rule) {
        return Some(words);
    }
    let (asked, seen) = (canary.min_samples, counts.requests);
    if seen < asked {
        return Some(format!(
            "requests: {seen} of {asked} requests to the candidate so far"
        ));
    }
    let Some(condition) = step.rule.rollback.as_ref() else {
        let fails = canary.threshold.value() > 0.0;
        return (!fails)
            .then(|| "too little: without a condition and a threshold no harm could have shown".into());
    };
    let missing = rollout.weighing.missing(condition, &step.scene.values);
    if !missing.is_empty() {
        return Some(format!("no data: nothing was measured of {}", missing.join(", ")));
    }
    if !rollout.weighing.could_show(rollout.alpha(step.rule)) {
        return Some(format!(
            "too little: {seen} requests to the candidate could not have shown any harm"
        ));
    }
    if let Some(words) = rollout
        .weighing
        .answers_show_nothing(condition, rollout.alpha(step.rule))
    {
        return Some(format!("answers: {words}"));
    }
    match canary.promote {
        Promote::Article => None,
        Promote::Proven => rollout
            .weighing
            .unproven(condition, canary.margin, step.rule.alpha)
            .map(|why| format!("not proven: {why}")),
    }
}

fn note_passed(
    draft: &mut Draft,
    rollout: &Rollout,
    (rule, canary): (&RolloutRule, &Canary),
    counts: &Counts,
) {
    let success = success(counts);
    let resolution = rollout.weighing.resolution(rollout.alpha(rule));
    let seen = resolution.map(|words| format!("; {words}")).unwrap_or_default();
    let answers = match counts.compared {
        0 => String::new(),
        all => format!("; {} of {all} answers differ from stable's", counts.differing),
    };
    let words = format!(
        "success rate {:.1} % of {} requests{answers}{seen}",
        success * 100.0,
        counts.requests
    );
    draft
        .note(Action::StepPassed, words)
        .with("success_rate", success)
        .with("threshold", canary.threshold.value())
        .with("requests", counts.requests)
        .with("bad", counts.bad);
}

/// A person lets the step pass, by name.
fn vouched(draft: &mut Draft, rollout: &mut Rollout, lacks: &str) -> bool {
    let Some((actor, reason)) = rollout
        .inconclusive
        .take_if(|kept| kept.vouched.is_some())
        .and_then(|kept| kept.vouched)
    else {
        return false;
    };
    let words = format!("unverified: {actor} lets it pass{}; {lacks}", because(&reason));
    draft
        .note_by(actor, Action::StepPassed, words)
        .with("unverified", true);
    true
}

/// A person takes the rollout to its end, by name.
pub(super) fn note_skipped(draft: &mut Draft, rollout: &Rollout) {
    let Some((actor, reason)) = rollout.skipped.clone() else {
        return;
    };
    let counts = rollout.candidate_counts();
    let words = format!(
        "unverified: {actor} does not wait for it{}; {} requests so far, {} failed",
        because(&reason),
        counts.requests,
        counts.bad
    );
    draft
        .note_by(actor, Action::StepPassed, words)
        .with("unverified", true)
        .with("requests", counts.requests)
        .with("bad", counts.bad);
}

/// Extended, then a person is asked, then back. Never on.
fn inconclusive(draft: &mut Draft, rollout: &mut Rollout, step: &Ended<'_>, lacks: String) -> bool {
    // A hold with traffic lasts at most `hold_exposure`; where there is data, as long as the step again.
    let room = match lacks.starts_with("not proven") {
        true => step.rule.hold_exposure.max(step.hold),
        false => step.rule.hold_exposure,
    };
    if step.watched >= step.hold + room {
        let why = format!(
            "inconclusive after {}, and nobody let it pass: {lacks}",
            step.watched
        );
        revert_now(draft, rollout, step.id, step.rule, &why, Actor::Weir);
        return false;
    }
    let mut state = rollout.inconclusive.take().unwrap_or_default();
    let ask = step.watched >= step.hold + Span(room.0 / 2);
    if ask && state.asked.is_none() {
        state.asked = Some(draft.now);
        state.until = Some(draft.now + Span((step.hold + room).0.saturating_sub(step.watched.0)));
        draft.effects.push(Effect::Page { step: step.id });
        let description = format!("inconclusive, asks a person: {lacks}");
        draft.effects.push(Effect::ReportStatus {
            state: CommitState::Pending,
            description,
        });
    }
    state.lacks.clone_from(&lacks);
    let asked = state.asked.is_some();
    rollout.inconclusive = Some(state);
    let words = match asked {
        true => format!("inconclusive, a person is asked (`weir approve` lets it pass unverified): {lacks}"),
        false => lacks,
    };
    wait(draft, rollout, &words);
    false
}
