//! A look at an experiment: its pods, the route, the requests of each variant.

use super::end::{end_now, over, split_back};
use super::shares::{Side, shares};
use super::start::wait;
use super::state::{CHANGES_LIMIT, Ending, Experiment, Phase};
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::Effect;
use crate::event::Limits;
use crate::ids::{RevisionId, StepId};
use crate::judge::experiment::Experiment as Judged;
use crate::judge::{Alpha, Arms, Tally};
use crate::people::Actor;
use crate::run::PartStatus;
use crate::seen::{Counts, ExperimentScene, ExperimentSeen, RouteSeen, TrafficChange, TrafficSeen};
use crate::time::{Span, Timestamp};
use crate::units::Weight;

/// Once the controller has taken up a route that nobody asks, its data plane is taken to have followed after this time. See
/// the same of rollouts.
const QUIET: Span = Span::seconds(10);
/// Failures and split are judged in blocks of this length.
const BLOCK: Span = Span::minutes(5);
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
            judge(draft.now, experiment);
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
            let since = begins.into_iter().flatten().fold(experiment.since, Timestamp::max);
            let within = draft.run.rule(id).map_or(Span::ZERO, |rule| rule.warm_within);
            let running = experiment.sides.iter().any(|side| {
                let waits = !side.is_warm() && draft.step_mut(side.step).status == PartStatus::Running;
                waits
            });
            if running && draft.now.since(since) >= within {
                let why = format!("not warm within {within}: {words}");
                let ending = Ending { why, complete: false };
                end_now(draft, experiment, id, ending, Actor::Weir);
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
        return format!("no pod has the label version={}; it is selected, not made here", side.version);
    }
    format!("{} of {} pods warm; {}", seen.warm, seen.pods, seen.words)
}

/// Shares follow the warm pods; what is written differently by others is corrected.
fn running(draft: &mut Draft, experiment: &mut Experiment, id: StepId, route: &RouteSeen) {
    let Some(split) = shares(&experiment.sides) else {
        let why = format!("no variant is warm: {}", lost(experiment).join("; "));
        let ending = Ending { why, complete: false };
        end_now(draft, experiment, id, ending, Actor::Weir);
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
    let written = experiment.changes.last().is_some_and(|change| change.accepted.is_some());
    let deviates = |(id, weight): &(RevisionId, Weight)| route.weights.get(id) != Some(weight);
    if let Some(problem) = &route.problem {
        wait(draft, experiment, problem);
    } else if written && experiment.split.iter().any(deviates) {
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
        format!("{} has {} of {} pods warm{crash}", side.version, seen.warm, seen.pods)
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
        && experiment
            .sides
            .iter()
            .any(|side| route.weights.get(&side.revision).is_some_and(|w| *w > Weight::ZERO));
    if overwritten || (change.accepted.is_none() && draft.now.since(change.decided) >= AGAIN) {
        set_shares(draft, experiment, id, Vec::new(), "the route does not say so yet");
    }
}

/// Decides on the shares of all variants; none: traffic goes back. What was counted under others does not count.
pub(super) fn set_shares(
    draft: &mut Draft,
    experiment: &mut Experiment,
    id: StepId,
    split: Vec<(RevisionId, Weight)>,
    why: &str,
) {
    let before = experiment.shares_in_words();
    experiment.fence = experiment.fence.next();
    experiment.split = split;
    experiment.block = None;
    if experiment.changes.len() >= CHANGES_LIMIT {
        experiment.changes.remove(1);
    }
    let weight = if experiment.split.is_empty() { Weight::ZERO } else { Weight::FULL };
    experiment.changes.push(TrafficChange {
        weight,
        fence: experiment.fence,
        decided: draft.now,
        accepted: None,
        observed: None,
        effective: None,
    });
    let after = match experiment.split.is_empty() {
        true => experiment.back_in_words(),
        false => experiment.shares_in_words(),
    };
    draft
        .note(Action::WeightDecided, format!("{after}: {why}"))
        .with("fence", experiment.fence.0)
        .moved(before, after.clone());
    let split = match experiment.split.is_empty() {
        true => split_back(experiment),
        // What served before stays in the route without a share, so that everybody sees where traffic goes back to.
        false => {
            let back = experiment.back.iter().map(|back| (back.clone(), Weight::ZERO));
            back.chain(experiment.split.iter().cloned()).collect()
        }
    };
    draft.effects.push(Effect::SetWeights {
        step: id,
        split,
        fence: experiment.fence,
    });
}

/// Reads the three times of the last change off a look.
fn settle(draft: &mut Draft, experiment: &mut Experiment, scene: &ExperimentScene) {
    let Some(change) = experiment.changes.last().cloned() else {
        return;
    };
    if scene.route.fence < change.fence || change.effective.is_some() {
        return;
    }
    experiment.accept(draft, change.fence, draft.now);
    let now = draft.now;
    let Some(observed) = change.observed else {
        if scene.route.observed {
            mark(draft, experiment, Action::WeightObserved, "observed by the gateway's controller");
        }
        return;
    };
    let asked = |(id, _): &(RevisionId, Weight)| started(&scene.traffic, id) > started_of(experiment.counted.get(id));
    if !experiment.split.is_empty() && experiment.split.iter().all(asked) {
        mark(draft, experiment, Action::WeightEffective, "effective: the counters agree");
    } else if now.since(observed) >= QUIET {
        mark(draft, experiment, Action::WeightEffective, "taken as effective");
    }
}

fn started(traffic: &TrafficSeen, id: &RevisionId) -> u64 {
    match traffic {
        TrafficSeen::Counts(counts) => started_of(counts.get(id)),
        _ => 0,
    }
}

fn started_of(counts: Option<&Counts>) -> u64 {
    counts.map_or(0, |counts| counts.started)
}

fn mark(draft: &mut Draft, experiment: &mut Experiment, action: Action, words: &str) {
    let now = draft.now;
    let shares = match experiment.split.is_empty() {
        true => experiment.back_in_words(),
        false => experiment.shares_in_words(),
    };
    let Some(change) = experiment.changes.last_mut() else {
        return;
    };
    match action {
        Action::WeightObserved => change.observed = Some(now),
        _ => change.effective = Some(now),
    }
    let (fence, took) = (change.fence, now.since(change.decided));
    draft
        .note(action, format!("{shares} {words}, {took} after the decision"))
        .with("fence", fence.0)
        .with("after_ms", took.0);
}

impl Experiment {
    /// The API server took a write. A repeat, or a write that was overtaken, changes nothing.
    pub(crate) fn accept(&mut self, draft: &mut Draft, fence: crate::ids::Fence, at: Timestamp) {
        let Some(change) = self.changes.iter_mut().find(|change| change.fence == fence) else {
            return;
        };
        if change.accepted.is_some() {
            return;
        }
        change.accepted = Some(at);
        let took = at.since(change.decided);
        draft
            .note(Action::WeightAccepted, format!("shares accepted {took} after the decision"))
            .with("fence", fence.0)
            .with("after_ms", took.0);
    }
}

/// Adds what each variant answered since the last block, against the first.
fn judge(now: Timestamp, experiment: &mut Experiment) {
    if !experiment.changes.last().is_some_and(|change| change.effective.is_some()) {
        return;
    }
    let (since, before) = experiment
        .block
        .get_or_insert_with(|| (now, experiment.counted.clone()))
        .clone();
    if now.since(since) < BLOCK {
        return;
    }
    let added = |id: &RevisionId| {
        let (now, then) = (experiment.counted.get(id)?, before.get(id));
        let counts = then.map_or_else(|| now.clone(), |then| now.since(then));
        Some(Tally::new(counts.bad, counts.requests))
    };
    let share = |id: &RevisionId| {
        let has = experiment.split.iter().find(|(own, _)| own == id);
        has.map(|(_, weight)| f64::from(weight.percent()))
    };
    let Some((first, others)) = experiment.sides.split_first() else {
        return;
    };
    let alpha = Alpha::new(0.05).unwrap_or_default().of_steps(others.len());
    let mut read = Vec::new();
    for side in others {
        if let (Some(stable), Some(candidate), Some(a), Some(b)) = (
            added(&first.revision),
            added(&side.revision),
            share(&first.revision),
            share(&side.revision),
        ) {
            read.push((side.revision.clone(), Arms { stable, candidate }, b / (a + b)));
        }
    }
    for (id, arms, weight) in read {
        let judged = experiment.judged.entry(id);
        judged.or_insert_with(|| Judged::new(alpha)).add(arms, weight);
    }
    experiment.block = Some((now, experiment.counted.clone()));
}
