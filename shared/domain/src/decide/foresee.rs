//! People are asked: they are told what the rollouts they open would do, as the clusters stand now.

use super::Draft;
use crate::approval::ApprovalState;
use crate::audit::Action;
use crate::effect::Effect;
use crate::ids::StepId;
use crate::ladder::Load;
use crate::pipeline::{RolloutRule, StepWork, Strategy};
use crate::rollout::claims::ahead;
use crate::rollout::{Choice, Question, StableSide, choose, told};
use crate::run::{PartStatus, State};
use crate::seen::GroundSeen;
use crate::time::Span;

/// Rollout steps that an approval which waits would open, and of which nothing is foreseen yet; with what is stable there.
pub(super) fn unforeseen(state: &State) -> impl Iterator<Item = (StepId, Option<StableSide>)> {
    let asks = |stage: usize| {
        let approval = state.run.stages[stage].approval.as_ref();
        approval.is_some_and(|approval| approval.state == ApprovalState::Waiting)
    };
    let asking = (0..state.run.stages.len()).find(|stage| asks(*stage));
    let steps = state.run.steps().filter(move |(id, _, step)| {
        asking.is_some_and(|asking| id.stage > asking)
            && step.status == PartStatus::Pending
            && step.foreseen.is_empty()
    });
    steps.filter_map(|(id, step, _)| match &step.work {
        // Variants run already: nothing has to fit.
        StepWork::Rollout(rule) if !matches!(rule.strategy, Strategy::Variant { .. }) => {
            let lane = state.lanes.get(&rule.lane);
            let current = lane.and_then(|lane| lane.current.as_ref());
            Some((id, current.map(StableSide::of)))
        }
        _ => None,
    })
}

/// Writes down what would be done, and shows it to those who are asked. A cluster that does not answer is asked again.
pub(super) fn foresee(draft: &mut Draft, id: StepId, rule: &RolloutRule, seen: &GroundSeen) {
    let pending = draft.step_mut(id).status == PartStatus::Pending && draft.step_mut(id).foreseen.is_empty();
    let stable = draft.lane_mut(&rule.lane).current.as_ref();
    let stable = stable.map(|served| served.workload.replicas);
    let words = match seen {
        _ if !pending => return,
        GroundSeen::Unreachable(_) => return,
        GroundSeen::Hidden(why) => format!("what fits is not known: {why}"),
        GroundSeen::Known(_) if stable.is_none() && rule.adopts.is_some() => format!(
            "takes over Deployment `{}`, and is planned when that is looked at",
            rule.adopts.as_deref().unwrap_or_default()
        ),
        GroundSeen::Known(ground) => match choose(&Question {
            rule,
            stable,
            ground,
            ahead: ahead(draft, id, rule),
            load: Load::default(),
            waited: Span::ZERO,
        }) {
            Choice::Go(plan) => told(&plan, rule),
            Choice::Wait { words, .. } => format!("would wait for {words}"),
            Choice::Refuse(why) => format!("would be refused as the cluster stands now: {why}"),
        },
    };
    draft.note(Action::Foreseen, format!("{}: {words}", rule.lane));
    draft.step_mut(id).foreseen = words;
    let asks = |stage: &crate::run::StageRun| {
        stage
            .approval
            .as_ref()
            .is_some_and(|approval| approval.state == ApprovalState::Waiting)
    };
    if let Some(stage) = draft.run.stages.iter().position(asks) {
        draft.effects.push(Effect::ShowApproval { stage });
    }
}
