//! An experiment begins: its turn in the lane, what it needs beside its own objects, a Service for each variant.

use super::end::leave_lane;
use super::grouping::{leader_of, variants_from};
use super::state::{Experiment, Phase};
use crate::audit::Action;
use crate::decide::Draft;
use crate::effect::Effect;
use crate::ids::StepId;
use crate::lane::Turn;
use crate::run::PartStatus;
use crate::seen::SiteSeen;

/// A step that names a variant begins: the first of an experiment asks for the lane, the others join it.
pub(crate) fn join(draft: &mut Draft, id: StepId) {
    let leader = leader_of(&draft.run.pipeline, id).unwrap_or(id);
    if leader == id {
        let sides = variants_from(&draft.run.pipeline, id);
        draft.put_experiment(id, Box::new(Experiment::new(sides, draft.now)));
        take_turn(draft, id);
        return;
    }
    let alive = draft
        .run
        .experiment(leader)
        .is_some_and(|experiment| experiment.phase != Phase::Over);
    if !alive {
        let why = "the experiment that it is part of is over already".to_owned();
        draft.note(Action::StepFailed, why.clone());
        draft.step_mut(id).status = PartStatus::Failed { why };
    }
}

/// Asks for the lane; goes on if it is free.
pub(super) fn take_turn(draft: &mut Draft, id: StepId) {
    let (Some(rule), Some(mut experiment)) = (draft.run.rule(id).cloned(), draft.take_experiment(id)) else {
        return;
    };
    match draft.ask_for_lane(id, &rule.lane) {
        Turn::Mine(_) => {
            let lane = draft.lane_mut(&rule.lane);
            experiment.fence = lane.fence;
            experiment.back = lane.current.as_ref().map(|served| served.revision.clone());
            (experiment.phase, experiment.since) = (Phase::Surveying, draft.now);
            experiment.waits_for.clear();
        }
        Turn::Behind(other) => {
            let words = format!("{} is moved by {other}", rule.lane);
            wait(draft, &mut experiment, &words);
        }
    }
    draft.put_experiment(id, experiment);
}

/// What it needs beside its own objects was looked at. A late look changes nothing.
pub(crate) fn sited(draft: &mut Draft, id: StepId, seen: &SiteSeen) {
    let Some(mut experiment) = draft.take_experiment(id) else {
        return;
    };
    let surveys = experiment.phase == Phase::Surveying;
    let mut refused = None;
    match seen {
        _ if !surveys => {}
        SiteSeen::Unreachable(why) => {
            wait(draft, &mut experiment, &format!("cluster does not answer: {why}"));
        }
        SiteSeen::Seen { problems, .. } if problems.is_empty() => begin(draft, &mut experiment, id),
        SiteSeen::Seen { problems, .. } => {
            refused = Some(format!("nothing was moved: {}", problems.join("; ")));
        }
    }
    draft.put_experiment(id, experiment);
    if let Some(why) = refused {
        leave_lane(draft, id);
        draft.step_mut(id).experiment = None;
        draft.fail_step(id, &why);
    }
}

/// Everything is there: each variant gets a Service, and nothing moves until all are warm.
fn begin(draft: &mut Draft, experiment: &mut Experiment, id: StepId) {
    let Some(rule) = draft.run.rule(id).cloned() else {
        return;
    };
    let planned = experiment.sides.iter();
    let planned: Vec<String> = planned
        .map(|side| format!("{} {}", side.version, side.weight))
        .collect();
    let (back, planned) = (experiment.back_in_words(), planned.join(", "));
    let sticky = rule.strategy.sticky().map_or_else(String::new, |by| {
        format!("; callers stay with their variant by {}", by.words())
    });
    draft
        .note(
            Action::LaneTaken,
            format!(
                "experiment on {}: {planned}, once all are warm{sticky}; traffic goes back to {back} when it ends",
                rule.lane
            ),
        )
        .moved(back, planned);
    experiment.fence = experiment.fence.next();
    for side in &experiment.sides {
        draft.effects.push(Effect::EnsureRevision {
            step: side.step,
            revision: side.revision.clone(),
            replicas: 0,
            fence: experiment.fence,
        });
    }
    (experiment.phase, experiment.since) = (Phase::Warming, draft.now);
    experiment.waits_for.clear();
}

/// What is waited for is recorded once for each kind of reason, which is the text before the colon.
pub(super) fn wait(draft: &mut Draft, experiment: &mut Experiment, words: &str) {
    let kind = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
    if !words.is_empty() && kind(words) != kind(&experiment.waits_for) {
        draft.note(Action::Waiting, words);
    }
    words.clone_into(&mut experiment.waits_for);
}
