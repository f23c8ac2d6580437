//! Which steps are one experiment: those that follow one another, name variants, and move in one lane.

use super::shares::Side;
use super::state::variant_revision;
use crate::ids::StepId;
use crate::pipeline::{Pipeline, RolloutRule, StageWork, StepWork, Strategy};
use crate::seen::RevisionSeen;

/// The first step of the experiment that a step is part of.
pub fn leader_of(pipeline: &Pipeline, id: StepId) -> Option<StepId> {
    let groups = groups(pipeline).into_iter();
    let mut with = groups.filter(|group| group.iter().any(|(step, ..)| *step == id));
    with.next().and_then(|group| Some(group.first()?.0))
}

/// The variants of the experiment that this step is the first of.
pub fn variants_from(pipeline: &Pipeline, leader: StepId) -> Vec<Side> {
    let groups = groups(pipeline).into_iter();
    let mut led = groups.filter(|group| group.first().is_some_and(|(step, ..)| *step == leader));
    let side = |(step, rule): (StepId, &RolloutRule)| match &rule.strategy {
        Strategy::Variant { version, weight, .. } => Some(Side {
            step,
            version: version.clone(),
            revision: variant_revision(&rule.lane, version),
            weight: *weight,
            seen: RevisionSeen::default(),
        }),
        _ => None,
    };
    led.next()
        .map(|group| group.into_iter().filter_map(side).collect())
        .unwrap_or_default()
}

/// Steps of each experiment, in order.
fn groups(pipeline: &Pipeline) -> Vec<Vec<(StepId, &RolloutRule)>> {
    let mut groups: Vec<Vec<(StepId, &RolloutRule)>> = Vec::new();
    let mut open = false;
    for (stage, definition) in pipeline.stages.iter().enumerate() {
        // People who are asked between two variants do not part them.
        let StageWork::Steps { steps, .. } = &definition.work else {
            continue;
        };
        for (step, definition) in steps.iter().enumerate() {
            let rule = match &definition.work {
                StepWork::Rollout(rule) if matches!(rule.strategy, Strategy::Variant { .. }) => rule,
                _ => {
                    open = false;
                    continue;
                }
            };
            let here = (StepId { stage, step }, &**rule);
            match groups
                .last_mut()
                .filter(|group| open && group[0].1.lane == rule.lane)
            {
                Some(group) => group.push(here),
                None => groups.push(vec![here]),
            }
            open = true;
        }
    }
    groups
}
