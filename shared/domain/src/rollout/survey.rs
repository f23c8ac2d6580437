//! What fits is asked before anything moves, and the plan follows from the answer.

use super::adopt;
use super::autoscaler::{self, sized};
use super::borrow::borrowing;
use super::claims::{Ahead, ahead, claim, claim_rest};
use super::moves::{enter, leave_lane, start, wait};
use super::phases::{Phase, Rollout};
use super::plan::{Plan, plan};
use super::rolling::Limits;
use super::stable::StableSide;
use crate::audit::Action as Did;
use crate::decide::Draft;
use crate::fit::{Counted, Fits, fit, other_hardware, stable_pods};
use crate::ids::StepId;
use crate::ladder::{Action, Ladder, Load, ladder, room};
use crate::pipeline::{Parity, RolloutRule};
use crate::run::PartStatus;
use crate::seen::{Ground, GroundSeen, SiteSeen};
use crate::time::Span;

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
        adopts,
        scaled,
    } = seen
        && problems.is_empty()
        && rollout.lacks_site()
    {
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
            Some(choose(rule, stable, ground, ahead, Load::default(), waited))
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

/// What the ground lets a rollout do.
#[derive(Clone, PartialEq, Debug)]
pub enum Choice {
    /// Begin, with this plan.
    Go(Plan),
    /// Look again later: what would make room is on its way.
    Wait {
        /// What is waited for.
        words: String,
        /// GPUs that are waited for, beside those that stable holds.
        gpus: u32,
    },
    /// Do not begin; why, and what would make it fit.
    Refuse(String),
}

/// What the ground lets a rollout do, and whether that is on the hardware of stable. First what fits, then that.
pub fn choose(
    rule: &RolloutRule,
    stable: Option<u32>,
    ground: &Ground,
    ahead: Ahead,
    load: Load,
    waited: Span,
) -> Choice {
    let choice = first_rung(rule, stable, ground, ahead, load, waited);
    let Choice::Go(plan) = choice else {
        return choice;
    };
    match other_hardware(&ground.snapshot, &ground.ask) {
        Some(words) if rule.strategy.compares() && rule.parity == Parity::Refuse => Choice::Refuse(format!(
            "nothing was moved: the candidate would be compared with stable on other hardware: {words}; or say `parity: report`"
        )),
        found => Choice::Go(Plan {
            other_hardware: found.unwrap_or_default(),
            bounds: ground.bounds,
            ..plan
        }),
    }
}

/// The first rung of the ladder on which the rollout can stand. `ahead`: who came before in the pool;
/// `waited`: for how long it has waited for room.
fn first_rung(
    rule: &RolloutRule,
    stable: Option<u32>,
    ground: &Ground,
    ahead: Ahead,
    load: Load,
    waited: Span,
) -> Choice {
    let roomy = plan(rule, stable);
    let (snapshot, ask) = (&ground.snapshot, &ground.ask);
    let here = u32::try_from(stable_pods(snapshot, ask).len()).unwrap_or(u32::MAX);
    // Stable pods that are missing will want their places back.
    let unseen = u64::from(stable.unwrap_or(0).saturating_sub(here));
    let most = roomy.steps.iter().map(|step| step.candidate_replicas).max();
    let needed = u64::from(most.unwrap_or(0)) + unseen;
    let given_way = u64::from(ahead.gpus.div_ceil(rule.workload.gpus.max(1)));
    let verdict = fit(snapshot, ask, needed + given_way);
    let gpus = most.unwrap_or(0) * rule.workload.gpus;
    let limits = stable.and_then(|stable| Limits::of(rule, stable));
    if verdict.fits == Fits::Yes && limits.is_none() {
        let why = format!("{needed} of {} replicas that fit", verdict.sure_replicas);
        return Choice::Go(Plan { why, ..roomy });
    }
    if given_way > 0
        && limits.is_none()
        && waited < rule.warm_within
        && fit(snapshot, ask, needed).fits == Fits::Yes
    {
        let words = format!(
            "room: rollouts that came before have a claim on {} GPUs",
            ahead.gpus
        );
        return Choice::Wait { words, gpus };
    }
    let found = ladder(snapshot, ask, &verdict, load);
    let rung = |action| {
        found
            .rungs
            .iter()
            .find(|rung| rung.action == action && rung.possible)
    };
    let mut not = Vec::new();
    if let Some(limits) = limits {
        let places = room(
            snapshot,
            ask,
            u64::from(rule.workload.replicas) + given_way + unseen,
        );
        match limits.plan_in(rule, &places.less(given_way + unseen)) {
            Ok(plan) => return Choice::Go(plan),
            Err(why) => not.push(why),
        }
    }
    if let Some(rung) = rung(Action::Wait).filter(|_| waited < rule.warm_within) {
        let words = format!("room: {}", rung.why);
        return Choice::Wait { words, gpus };
    }
    if let Some(stable) = stable.filter(|_| unseen == 0 && limits.is_none()) {
        let places = room(snapshot, ask, u64::from(rule.workload.replicas) + given_way).less(given_way);
        match borrowing(&roomy, rule, stable, &places, load) {
            _ if rule.strategy.mirrored().is_some() => {
                not.push("borrow: a shadow takes no places of what answers; lower `gpus` or `percent`".to_owned());
            }
            _ if !rule.strategy.may_borrow() => not.push(format!(
                "borrow: {} keeps all replicas of both revisions; canary and rolling take the places of stable",
                rule.strategy.as_str()
            )),
            Ok(plan) => return Choice::Go(plan),
            Err(why) => not.push(format!("borrow: {why}")),
        }
    }
    if ahead.rollouts > 0 && waited < rule.warm_within {
        let words = "room: rollouts that came before hold GPUs that they may give back".to_owned();
        return Choice::Wait { words, gpus };
    }
    if let Some(grows) = rung(Action::ScaleUp) {
        let (rung, why) = (Action::ScaleUp, grows.why.clone());
        return Choice::Go(Plan { rung, why, ..roomy });
    }
    Choice::Refuse(refusal(
        &found,
        &verdict.reasons,
        snapshot.nodes.len(),
        needed,
        &not,
    ))
}

/// `4 replicas do not fit: 12 nodes: 8 taint …, 4 have 2 of 4 GPUs free; smallest change: …`
fn refusal(found: &Ladder, reasons: &[Counted], nodes: usize, needed: u64, not: &[String]) -> String {
    let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    let mut words = format!(
        "{needed} replicas do not fit, and nothing was moved: {nodes} nodes: {}",
        reasons.join(", ")
    );
    for why in not {
        words.push_str(&format!("; {why}"));
    }
    if !found.changes.is_empty() {
        words.push_str(&format!("; smallest change: {}", found.changes.join(", or ")));
    }
    words
}
