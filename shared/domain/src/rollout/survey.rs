//! What fits is asked before anything moves, and the plan follows from the answer.

use super::adopt;
use super::autoscaler::{self, sized};
use super::choice::{Choice, Question, choose};
use super::claims::{ahead, claim, claim_rest};
use super::moves::{enter, leave_lane, start, wait};
use super::phases::{Phase, Rollout};
use super::plan::{Plan, plan};
use super::stable::StableSide;
use crate::audit::Action as Did;
use crate::decide::Draft;
use crate::ids::StepId;
use crate::ladder::Load;
use crate::pipeline::RolloutRule;
use crate::run::PartStatus;
use crate::seen::{GroundSeen, SiteSeen};

/// The rollout has its lane, and asks its cluster what fits. Where the candidate serves already there is nothing to ask.
pub(crate) fn survey(draft: &mut Draft, id: StepId) {
    let (Some(rule), Some(mut rollout)) = (draft.run.rule(id).cloned(), draft.take_rollout(id)) else {
        return;
    };
    let lane = draft.lane_mut(&rule.lane);
    rollout.fence = lane.fence;
    rollout.stable = lane.current.as_ref().map(StableSide::of);
    let serves = rollout
        .stable
        .as_ref()
        .is_some_and(|stable| stable.revision == rollout.candidate);
    enter(draft, &mut rollout, Phase::Surveying);
    if serves {
        start(draft, &mut rollout, id, &rule, Plan::default());
    }
    draft.put_rollout(id, rollout);
}

/// What the rollout needs beside its own objects was looked at. A late look changes nothing.
pub(crate) fn sited(draft: &mut Draft, id: StepId, seen: &SiteSeen) {
    let Some(mut rollout) = draft.take_rollout(id) else {
        return;
    };
    let mut refused = None;
    if let SiteSeen::Seen {
        problems,
        advice,
        adopts,
        scaled,
    } = seen
        && problems.is_empty()
        && rollout.lacks_site()
    {
        for words in advice {
            draft.note(Did::Foreseen, words.clone());
        }
        adopt::found(&mut rollout, adopts.as_deref());
        autoscaler::found(&mut rollout, scaled.as_ref());
    }
    let nothing = nothing_to_copy(draft, &rollout, id);
    match seen {
        _ if !rollout.lacks_site() => {}
        SiteSeen::Unreachable(why) => {
            wait(draft, &mut rollout, &format!("cluster does not answer: {why}"));
        }
        SiteSeen::Seen { .. } if nothing.is_some() => refused = nothing,
        SiteSeen::Seen { problems, .. } if problems.is_empty() => {
            rollout.site_clear = true;
            rollout.waits_for.clear();
        }
        SiteSeen::Seen { problems, .. } => {
            refused = Some(format!("nothing was moved: {}", problems.join("; ")));
        }
    }
    draft.put_rollout(id, rollout);
    if let Some(why) = refused {
        refuse(draft, id, why);
    }
}

/// A shadow where nothing serves.
fn nothing_to_copy(draft: &Draft, rollout: &Rollout, id: StepId) -> Option<String> {
    let rule = draft.run.rule(id)?;
    rule.strategy.mirrored()?;
    // What is to be taken over and is not found is told as that.
    let nothing = rollout.stable.is_none() && rule.adopts.is_none();
    nothing.then(|| no_requests(rule))
}

/// Why a shadow is refused where nothing serves.
pub fn no_requests(rule: &RolloutRule) -> String {
    format!(
        "nothing serves {} yet, so that there are no requests to copy: release it by canary, blue-green or rolling first",
        rule.lane
    )
}

/// The cluster was looked at. A late look changes nothing.
pub(crate) fn surveyed(draft: &mut Draft, id: StepId, rule: &RolloutRule, seen: &GroundSeen) {
    let Some(mut rollout) = draft.take_rollout(id) else {
        return;
    };
    let stable = rollout.stable.as_ref().map(|stable| stable.replicas);
    let rule = &sized(rule, &rollout);
    let choice = match seen {
        _ if rollout.phase != Phase::Surveying || !rollout.site_clear => None,
        GroundSeen::Unreachable(why) => {
            wait(draft, &mut rollout, &format!("cluster does not answer: {why}"));
            None
        }
        GroundSeen::Hidden(why) => {
            draft.note(Did::Waiting, format!("planned without knowing what fits: {why}"));
            Some(Choice::Go(plan(rule, stable)))
        }
        GroundSeen::Known(ground) => {
            let waited = draft.now.since(rollout.since);
            let ahead = ahead(draft, id, rule);
            Some(choose(&Question {
                rule,
                stable,
                ground,
                ahead,
                load: Load::default(),
                waited,
            }))
        }
    };
    let refused = match choice {
        Some(Choice::Go(plan)) => {
            let held = stable.unwrap_or(0) * rule.workload.gpus;
            start(draft, &mut rollout, id, rule, plan);
            claim_rest(draft, &rollout, id, rule, held);
            None
        }
        Some(Choice::Wait { words, gpus }) => {
            // First come, first served: who comes later gives way.
            claim(draft, id, rule, gpus);
            wait(draft, &mut rollout, &words);
            None
        }
        Some(Choice::Refuse(why)) => Some(why),
        None => None,
    };
    draft.put_rollout(id, rollout);
    if let Some(why) = refused {
        refuse(draft, id, why);
    }
}

/// Nothing was written: the lane is given up and the step fails with the verdict.
fn refuse(draft: &mut Draft, id: StepId, why: String) {
    leave_lane(draft, id);
    draft.note(Did::StepFailed, why.clone());
    let now = draft.now;
    let step = draft.step_mut(id);
    step.rollout = None;
    step.ended = Some(now);
    step.waits_for.clear();
    step.status = PartStatus::Failed { why };
}
