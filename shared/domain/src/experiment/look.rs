//! A look at an experiment: its pods, the route, the requests of each variant.

use super::change::{kept_callers, set_shares, settle};
use super::compare::judge;
use super::end::{end_now, over};
use super::shares::{Side, shares};
use super::start::wait;
use super::state::{Ending, Experiment, Phase};
use crate::decide::Draft;
use crate::effect::Effect;
use crate::event::Limits;
use crate::ids::{RevisionId, StepId};
use crate::people::Actor;
use crate::run::PartStatus;
use crate::seen::{ExperimentScene, ExperimentSeen, RouteSeen, TrafficChange, TrafficSeen};
use crate::time::{Span, Timestamp};
use crate::units::Weight;

/// A write of the route that was refused is decided again after this time, for as long as traffic must go back.
const AGAIN: Span = Span::seconds(30);
/// While variants have their shares, pods and route are looked at this often: four times the pace of a rollout's.
const PACE: u64 = 4;

/// When an experiment is to be looked at again, if at all.
pub fn look_again(experiment: &Experiment, limits: &Limits, now: Timestamp) -> Option<Timestamp> {
    let quick = now.since(experiment.since) < limits.quick_for;
    let settled = |change: &TrafficChange| change.effective.is_some();
    let pace = match experiment.phase {
        Phase::Over => return None,
        Phase::Queued => limits.slow,
        _ if experiment.away_since.is_some() => match experiment.phase {
            Phase::Ending => limits.quick,
            _ => limits.slow,
        },
        Phase::Surveying if experiment.waits_for.is_empty() => limits.settle,
        Phase::Surveying | Phase::Warming if !quick => limits.slow,
        Phase::Surveying | Phase::Warming => limits.quick,
        Phase::Running | Phase::Ending if !experiment.changes.last().is_none_or(settled) => limits.settle,
        Phase::Ending => limits.settle,
        Phase::Running if quick => limits.quick,
        Phase::Running => Span(limits.slow.0 * PACE),
    };
    Some(now + pace)
}

/// What a look showed. A late look at one that is over changes nothing.
pub(crate) fn observe(draft: &mut Draft, id: StepId, seen: &ExperimentSeen) {
    let Some(mut experiment) = draft.take_experiment(id) else {
        return;
    };
    match seen {
        _ if !experiment.moves() => {}
        ExperimentSeen::Unreachable(why) => {
            experiment.away_since.get_or_insert(draft.now);
            wait(draft, &mut experiment, &format!("cluster does not answer: {why}"));
        }
        ExperimentSeen::Scene(scene) => {
            if experiment.away_since.take().is_some() {
                experiment.waits_for.clear();
            }
            look(draft, &mut experiment, id, scene);
        }
    }
    draft.put_experiment(id, experiment);
}

fn look(draft: &mut Draft, experiment: &mut Experiment, id: StepId, scene: &ExperimentScene) {
    for side in &mut experiment.sides {
        side.seen = scene.variants.get(&side.revision).cloned().unwrap_or_default();
    }
    settle(draft, experiment, scene);
    if let TrafficSeen::Counts(counts) = &scene.traffic {
        experiment.counted.clone_from(counts);
    }
    match experiment.phase {
        Phase::Warming => warming(draft, experiment, id),
        Phase::Running => {
            let by_share = kept_callers(draft, experiment, id).is_none();
            judge(draft.now, experiment, by_share);
            running(draft, experiment, id, &scene.route);
        }
        Phase::Ending => ending(draft, experiment, id, &scene.route),
        Phase::Queued | Phase::Surveying | Phase::Over => {}
    }
}

/// All variants are given their shares at once, when the last is warm and the last step has begun.
fn warming(draft: &mut Draft, experiment: &mut Experiment, id: StepId) {
    let cold = experiment.sides.iter().find(|side| !side.is_warm());
    let cold = cold.map(|side| format!("{}: {}", side.version, described(side)));
    let begun = |draft: &mut Draft, side: &Side| draft.step_mut(side.step).began;
    let begins: Vec<Option<Timestamp>> = experiment.sides.iter().map(|side| begun(draft, side)).collect();
    let all_begun = begins.iter().all(Option::is_some);
    match (cold, shares(&experiment.sides)) {
        (None, Some(split)) if all_begun => {
            let why = "all variants are warm";
            set_shares(draft, experiment, id, split, why);
            (experiment.phase, experiment.since) = (Phase::Running, draft.now);
            experiment.waits_for.clear();
        }
        (Some(words), _) => {
            let since = begins
                .into_iter()
                .flatten()
                .fold(experiment.since, Timestamp::max);
            let within = draft.run.rule(id).map_or(Span::ZERO, |rule| rule.warm_within);
            let running = experiment
                .sides
                .iter()
                .any(|side| !side.is_warm() && draft.step_mut(side.step).status == PartStatus::Running);
            if running && draft.now.since(since) >= within {
                let why = format!("not warm within {within}: {words}");
                end_now(draft, experiment, id, Ending::early(why), Actor::Weir);
            } else {
                wait(draft, experiment, &words);
            }
        }
        _ => wait(draft, experiment, "the other variants' steps have not begun"),
    }
}

fn described(side: &Side) -> String {
    let seen = &side.seen;
    if seen.pods == 0 {
        return format!(
            "no pod has the label version={}; it is selected, not made here",
            side.version
        );
    }
    format!("{} of {} pods warm; {}", seen.warm, seen.pods, seen.words)
}

/// Shares follow the warm pods; what is written differently by others is corrected.
fn running(draft: &mut Draft, experiment: &mut Experiment, id: StepId, route: &RouteSeen) {
    let Some(split) = shares(&experiment.sides) else {
        let why = format!("no variant is warm: {}", lost(experiment).join("; "));
        end_now(draft, experiment, id, Ending::early(why), Actor::Weir);
        draft.effects.push(Effect::Page { step: id });
        return;
    };
    if split != experiment.split {
        let lost = lost(experiment);
        let why = match lost.is_empty() {
            true => "all variants are warm again".to_owned(),
            false => lost.join("; "),
        };
        set_shares(draft, experiment, id, split, &why);
        return;
    }
    let written = experiment
        .changes
        .last()
        .is_some_and(|change| change.accepted.is_some());
    let deviates = |(id, weight): &(RevisionId, Weight)| route.weights.get(id) != Some(weight);
    let keep = kept_callers(draft, experiment, id);
    let mut callers = keep.iter().flat_map(|keep| &keep.callers);
    let unkept = callers.any(|callers| route.kept.get(&callers.revision) != Some(&callers.weight));
    if let Some(problem) = &route.problem {
        wait(draft, experiment, problem);
    } else if written && (unkept || experiment.split.iter().any(deviates)) {
        set_shares(draft, experiment, id, split, "somebody else wrote the route");
    } else {
        experiment.waits_for = lost(experiment).join("; ");
    }
}

/// Variants that do not carry their share, in words.
fn lost(experiment: &Experiment) -> Vec<String> {
    let cold = experiment.sides.iter().filter(|side| !side.is_warm());
    cold.map(|side| {
        let crash = side.seen.last_crash.as_ref();
        let crash = crash.map(|crash| format!(" ({crash})")).unwrap_or_default();
        let seen = &side.seen;
        format!(
            "{} has {} of {} pods warm{crash}",
            side.version, seen.warm, seen.pods
        )
    })
    .collect()
}

fn ending(draft: &mut Draft, experiment: &mut Experiment, id: StepId, route: &RouteSeen) {
    let Some(change) = experiment.changes.last().cloned() else {
        return over(draft, experiment, id);
    };
    if change.effective.is_some() {
        return over(draft, experiment, id);
    }
    let overwritten = change.observed.is_some()
        && experiment.sides.iter().any(|side| {
            route
                .weights
                .get(&side.revision)
                .is_some_and(|w| *w > Weight::ZERO)
        });
    if overwritten || (change.accepted.is_none() && draft.now.since(change.decided) >= AGAIN) {
        set_shares(draft, experiment, id, Vec::new(), "the route does not say so yet");
    }
}
