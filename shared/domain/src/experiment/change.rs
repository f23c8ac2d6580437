//! A change of the shares: decided, and the three times that it is reported by.

use super::end::split_back;
use super::kept::{Keep, keep};
use super::state::{CHANGES_LIMIT, Experiment};
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::Effect;
use crate::ids::{Fence, RevisionId, StepId};
use crate::seen::{Counts, ExperimentScene, TrafficChange, TrafficSeen};
use crate::time::{Span, Timestamp};
use crate::units::Weight;

/// Once the controller has taken up a route that nobody asks, its data plane is taken to have followed after this time. See
/// the same of rollouts.
const QUIET: Span = Span::seconds(10);

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
    let weight = if experiment.split.is_empty() {
        Weight::ZERO
    } else {
        Weight::FULL
    };
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
        .moved(before, after);
    let keep = kept_callers(draft, experiment, id);
    let split = match experiment.split.is_empty() {
        true => split_back(experiment),
        // What served before stays in the route without a share, so that everybody sees where traffic goes back to.
        false => {
            let back = experiment.back.iter().map(|back| (back.clone(), Weight::ZERO));
            back.chain(experiment.split.iter().cloned()).collect()
        }
    };
    draft.effects.push(Effect::SetWeights {
        mirror: None,
        step: id,
        split,
        keep,
        fence: experiment.fence,
    });
}

/// Who stays with whom under the present shares, where callers stay. Once traffic goes back nobody does.
pub(super) fn kept_callers(draft: &Draft, experiment: &Experiment, id: StepId) -> Option<Keep> {
    let by = draft.run.rule(id)?.strategy.sticky()?;
    (!experiment.split.is_empty()).then(|| keep(by, &experiment.sides, &experiment.split))
}

/// Reads the three times of the last change off a look.
pub(super) fn settle(draft: &mut Draft, experiment: &mut Experiment, scene: &ExperimentScene) {
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
            mark(
                draft,
                experiment,
                Action::WeightObserved,
                "observed by the gateway's controller",
            );
        }
        return;
    };
    let asked =
        |(id, _): &(RevisionId, Weight)| started(&scene.traffic, id) > started_of(experiment.counted.get(id));
    if !experiment.split.is_empty() && experiment.split.iter().all(asked) {
        mark(
            draft,
            experiment,
            Action::WeightEffective,
            "effective: the counters agree",
        );
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
    pub(crate) fn accept(&mut self, draft: &mut Draft, fence: Fence, at: Timestamp) {
        let Some(change) = self.changes.iter_mut().find(|change| change.fence == fence) else {
            return;
        };
        if change.accepted.is_some() {
            return;
        }
        change.accepted = Some(at);
        let took = at.since(change.decided);
        draft
            .note(
                Action::WeightAccepted,
                format!("shares accepted {took} after the decision"),
            )
            .with("fence", fence.0)
            .with("after_ms", took.0);
    }
}
