//! A plan in which the candidate is judged with fewer replicas than its shares ask for, because no more fit while stable keeps
//! what a way back needs.
//!
//! Each step that the definition asks to be judged is judged, for its interval and with its pause, at a share that its replicas
//! carry; what it must show to pass stays what was asked for. From there on it is the ramp of a pool without room (`borrow`):
//! it ends with all replicas, never with fewer than the definition asks for.

use super::lending::Lending;
use super::plan::{Plan, PlannedStep, made_of};
use crate::ladder::Action;
use crate::units::Weight;

/// Makes the plan out of one that has all the room it wants. Nothing if not one replica fits, or if no place opens.
pub(super) fn smaller(lending: &Lending<'_>) -> Result<Plan, String> {
    let reserve = lending.reserve();
    let mut making = lending.making(reserve);
    for judged in lending.roomy.judged() {
        if !making.judged_within(judged, making.stays()) {
            return Err(format!(
                "no replica of the candidate that carries a share fits while stable keeps what it must: {}",
                making.asked()
            ));
        }
    }
    let judged = making.steps.last().cloned();
    making.ramp(lending.rule)?;
    let why = format!(
        "{}; {}; then stable gives up its places one after another",
        told(lending.roomy.judged().last(), judged.as_ref()),
        lending.words()
    );
    Ok(made_of(making.steps, lending.rule, reserve, Action::Smaller, why))
}

/// The same of a shadow, which takes no places: as many copies as the replicas carry that fit beside what answers.
pub(super) fn fewer_copies(lending: &Lending<'_>) -> Result<Plan, String> {
    let (rule, beside) = (
        lending.rule,
        u32::try_from(lending.room.beside).unwrap_or(u32::MAX),
    );
    let Some(asked) = lending.roomy.steps.first() else {
        return Err("a shadow has a step".to_owned());
    };
    let replicas = asked.candidate_replicas.min(beside);
    let weight = asked
        .weight
        .min(Weight::carried_by(replicas, lending.roomy.needed(rule)));
    if weight == Weight::ZERO {
        return Err("no replica that carries copies fits beside what answers".to_owned());
    }
    let step = PlannedStep {
        weight,
        candidate_replicas: replicas,
        ..asked.clone()
    };
    let why = told(Some(asked), Some(&step));
    Ok(made_of(
        vec![step],
        rule,
        lending.roomy.needed(rule),
        Action::Smaller,
        why,
    ))
}

/// `judged at 33 % with 1 replica, not at 50 % with 2`
fn told(asked: Option<&PlannedStep>, got: Option<&PlannedStep>) -> String {
    let (Some(asked), Some(got)) = (asked, got) else {
        return String::new();
    };
    let unit = if got.candidate_replicas == 1 {
        "replica"
    } else {
        "replicas"
    };
    format!(
        "judged at {} with {} {unit}, not at {} with {}",
        got.weight, got.candidate_replicas, asked.weight, asked.candidate_replicas
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Floor;
    use crate::ladder::Load;
    use crate::rollout::testing::{asks_for, lent, pool, rule, rule_of, sides};
    use crate::rollout::{StepKind, plan};
    use crate::strategy::{Shadow, Strategy};

    fn made(beside: u64, stable: u32, full: u32, weights: &[u8]) -> Result<Plan, String> {
        made_within(Floor::default(), beside, stable, full, weights)
    }

    fn made_within(
        floor: Floor,
        beside: u64,
        stable: u32,
        full: u32,
        weights: &[u8],
    ) -> Result<Plan, String> {
        lent(smaller, &rule(weights, full), floor, beside, stable)
    }

    #[test]
    fn a_step_that_asks_for_more_than_fits_is_judged_with_what_fits_and_the_ramp_borrows() {
        let plan = made(0, 4, 4, &[50]).unwrap();
        assert_eq!(sides(&plan), [(33, 1, 3), (66, 2, 2), (100, 3, 1), (100, 4, 0)]);
        assert_eq!((plan.gpu_peak, plan.instant_revert, plan.carries), (4, false, 3));
        assert_eq!(
            plan.why,
            "judged at 33 % with 1 replica, not at 50 % with 2; 0 fit beside 4 stable replicas, of which 3 carry everything at \
             70 % load (assumed); then stable gives up its places one after another"
        );
    }

    #[test]
    fn a_budget_that_asks_for_more_than_a_way_back_needs_is_kept() {
        let why = made_within(asks_for(4), 0, 4, 4, &[50]).unwrap_err();
        assert_eq!(
            why,
            "no replica of the candidate that carries a share fits while stable keeps what it must: PodDisruptionBudget prod/llm \
             (minAvailable 4) asks for 4"
        );
        let plan = made_within(asks_for(4), 1, 4, 4, &[50]).unwrap();
        assert_eq!(sides(&plan), [(33, 1, 4), (66, 2, 3), (100, 3, 2), (100, 4, 1)]);
    }

    #[test]
    fn every_step_that_is_asked_for_is_judged_with_its_pause() {
        let mut rule = rule(&[5, 50, 75], 4);
        if let Strategy::Canary(canary) = &mut rule.strategy {
            canary.steps[1].pause = Some(crate::time::Span::hours(1));
        }
        let made = smaller(&Lending {
            roomy: &plan(&rule, Some(4)),
            rule: &rule,
            stable: 4,
            room: pool(1, 4),
            load: Load::default(),
            floor: Floor::default(),
        });
        let plan = made.unwrap();
        assert_eq!(sides(&plan), [(5, 1, 4), (50, 2, 3), (66, 2, 3), (100, 4, 1)]);
        let judged = |step: &&PlannedStep| step.kind == StepKind::Stepping;
        let judged: Vec<bool> = plan
            .steps
            .iter()
            .filter(judged)
            .map(|s| s.pause.is_some())
            .collect();
        assert_eq!(judged, [false, true, false]);
    }

    #[test]
    fn where_not_one_replica_fits_beside_what_a_way_back_needs_there_is_none() {
        for stable in 1..4 {
            let why = made(0, stable, stable, &[50]).unwrap_err();
            assert!(
                why.contains(&format!("keeps what it must: a way back needs {stable}")),
                "{why}"
            );
        }
    }

    #[test]
    fn no_step_holds_more_than_the_pool_and_every_share_is_carried_and_goes_back_at_once_while_judged() {
        let weights: [&[u8]; 4] = [&[5], &[50], &[20, 75], &[10, 60, 100]];
        let pools = (0..4).flat_map(|b| (1..24).flat_map(move |s| (1..24).map(move |f| (b, s, f))));
        let mut plans = 0;
        for ((beside, stable, full), weights) in pools.flat_map(|pool| weights.map(|weights| (pool, weights)))
        {
            let Ok(plan) = made(beside, stable, full, weights) else {
                continue;
            };
            plans += 1;
            let pool = stable + u32::try_from(beside).unwrap();
            let (mut share, mut stays) = (0, stable);
            for step in &plan.steps {
                assert!(step.candidate_replicas + step.stable_replicas <= pool, "{plan:?}");
                assert!(step.stable_replicas <= stays, "{plan:?}");
                let carried = Weight::carried_by(step.candidate_replicas, plan.carries);
                assert!(step.weight <= carried && step.weight > Weight::ZERO, "{plan:?}");
                if step.kind == StepKind::Stepping {
                    assert!(step.stable_replicas >= plan.carries, "{plan:?}");
                }
                let rest = u32::from(Weight::carried_by(step.stable_replicas, plan.carries).percent());
                assert!(rest + share + 1 >= 100, "{plan:?}");
                (share, stays) = (u32::from(step.weight.percent()), step.stable_replicas);
            }
            let judged = plan.judged().count();
            assert_eq!(judged, weights.len(), "{plan:?}");
            let last = plan.steps.last().unwrap();
            assert_eq!(
                (last.weight, last.candidate_replicas),
                (Weight::FULL, full),
                "{plan:?}"
            );
        }
        assert!(plans > 1_000, "{plans} plans");
    }

    #[test]
    fn a_shadow_copies_what_the_replicas_carry_that_fit_beside_what_answers() {
        let mut shadow = Shadow::default();
        shadow.copied.steps[0].weight = Weight::new(75).unwrap();
        let rule = rule_of(Strategy::Shadow(shadow), 4);
        let made = |beside| {
            fewer_copies(&Lending {
                roomy: &plan(&rule, Some(4)),
                rule: &rule,
                stable: 4,
                room: pool(beside, 4),
                load: Load::default(),
                floor: Floor::default(),
            })
        };
        let plan = made(2).unwrap();
        assert_eq!(sides(&plan), [(50, 2, 4)]);
        assert_eq!(plan.why, "judged at 50 % with 2 replicas, not at 75 % with 3");
        assert!(plan.instant_revert && !plan.lends() && plan.gpu_peak == 6);
        assert!(made(0).is_err());
    }
}
