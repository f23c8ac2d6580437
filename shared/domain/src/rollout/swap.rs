//! A plan that replaces stable replicas one after another in their own places, below what a way back needs.
//!
//! Going back is not instant then: stable has to become warm again first. So it is the last thing before a refusal, and only where
//! the definition allows it.

use super::lending::Lending;
use super::plan::{Plan, made_of};
use crate::ladder::Action;

/// Makes the plan, with as many replicas warm at any time as the places let there be. Nothing if nobody would answer meanwhile.
fn swapped(lending: &Lending<'_>) -> Result<Plan, String> {
    // What is left of stable while the first of the candidate becomes warm.
    let left = lending
        .making(1)
        .left(1)
        .ok_or("the places of stable do not take one of the candidate")?;
    if left == 0 {
        return Err("nobody would answer while the first of the candidate becomes warm".to_owned());
    }
    let floor = &lending.floor;
    if left < floor.replicas {
        return Err(format!(
            "{left} would be ready while the first of the candidate becomes warm, and {} asks for {}",
            floor.by, floor.replicas
        ));
    }
    let most = left.min(lending.rule.workload.replicas);
    let mut not = String::new();
    for warm in (floor.replicas.max(1)..=most).rev() {
        match with(lending, warm, left) {
            Ok(plan) => return Ok(plan),
            Err(why) => not = why,
        }
    }
    Err(not)
}

/// The plan in which so many replicas carry everything. While the candidate is judged it takes no more places than its first
/// replica needs.
fn with(lending: &Lending<'_>, warm: u32, left: u32) -> Result<Plan, String> {
    let mut making = lending.making(warm);
    for judged in lending.roomy.judged() {
        if !making.judged_within(judged, left) {
            return Err("the places of stable do not take one of the candidate".to_owned());
        }
    }
    making.ramp(lending.rule)?;
    let reserve = lending.reserve();
    let why = format!(
        "stable replicas are replaced one after another, so that {warm} of {} answer everything meanwhile and going back is not \
         instant: that needs {reserve} at {}",
        lending.stable,
        lending.load.words()
    );
    let plan = made_of(making.steps, lending.rule, warm, Action::Swap, why);
    Ok(plan.with_reserve(reserve, lending.rule))
}

/// The plan, if the definition allows it; else what it would do, and how it is allowed.
pub(super) fn swapping(lending: &Lending<'_>) -> Result<Plan, String> {
    let plan = swapped(lending)?;
    if lending.rule.may_swap {
        let why = format!("{}; `allow: swap` allows it", plan.why);
        return Ok(Plan { why, ..plan });
    }
    Err(format!(
        "{}; write `allow: swap` beside the strategy to allow it",
        plan.why
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Floor;
    use crate::pipeline::RolloutRule;
    use crate::rollout::StepKind;
    use crate::rollout::testing::{asks_for, lent, rule, rule_of, sides};
    use crate::strategy::{Rolling, Strategy};
    use crate::units::Weight;

    fn made_for(rule: &RolloutRule, beside: u64, stable: u32) -> Result<Plan, String> {
        made_within(Floor::default(), rule, beside, stable)
    }

    fn made_within(floor: Floor, rule: &RolloutRule, beside: u64, stable: u32) -> Result<Plan, String> {
        lent(swapping, rule, floor, beside, stable)
    }

    fn made(beside: u64, stable: u32, full: u32, weights: &[u8]) -> Result<Plan, String> {
        let rule = RolloutRule {
            may_swap: true,
            ..rule(weights, full)
        };
        made_for(&rule, beside, stable)
    }

    #[test]
    fn replicas_are_replaced_one_by_one_and_no_step_has_an_instant_way_back() {
        let two = made(0, 2, 2, &[5]).unwrap();
        assert_eq!(sides(&two), [(5, 1, 1), (100, 1, 1), (100, 2, 0)]);
        let three = made(0, 3, 3, &[5]).unwrap();
        assert_eq!(sides(&three), [(5, 1, 2), (50, 1, 2), (100, 2, 1), (100, 3, 0)]);
        for plan in [two, three] {
            let rule = rule(&[5], 3);
            assert!(!plan.instant_revert && plan.lends());
            assert!(
                plan.steps.iter().all(|step| !plan.instant_at(step, &rule)),
                "{plan:?}"
            );
        }
    }

    #[test]
    fn a_share_that_one_place_does_not_carry_is_judged_at_what_it_carries() {
        assert_eq!(
            sides(&made(0, 3, 3, &[80]).unwrap()),
            [(50, 1, 2), (100, 2, 1), (100, 3, 0)]
        );
    }

    #[test]
    fn without_consent_it_says_what_it_would_do_and_how_it_is_allowed() {
        let why = made_for(&rule(&[5], 2), 0, 2).unwrap_err();
        assert_eq!(
            why,
            "stable replicas are replaced one after another, so that 1 of 2 answer everything meanwhile and going back is not \
             instant: that needs 2 at 70 % load (assumed); write `allow: swap` beside the strategy to allow it"
        );
    }

    #[test]
    fn consent_to_a_swap_is_none_to_less_than_a_budget_asks_for() {
        let rule = RolloutRule {
            may_swap: true,
            ..rule(&[5], 3)
        };
        let why = made_within(asks_for(3), &rule, 0, 3).unwrap_err();
        assert_eq!(
            why,
            "2 would be ready while the first of the candidate becomes warm, and PodDisruptionBudget prod/llm (minAvailable 3) asks for 3"
        );
        let two = made_within(asks_for(2), &rule, 0, 3).unwrap();
        assert_eq!(sides(&two), [(5, 1, 2), (50, 1, 2), (100, 2, 1), (100, 3, 0)]);
    }

    #[test]
    fn the_only_stable_replica_is_not_replaced_because_nobody_would_answer() {
        let why = made(0, 1, 1, &[5]).unwrap_err();
        assert!(why.contains("nobody would answer"), "{why}");
    }

    #[test]
    fn rolling_without_limits_may_swap_too() {
        let rule = RolloutRule {
            may_swap: true,
            ..rule_of(Strategy::Rolling(Rolling::default()), 2)
        };
        let plan = made_for(&rule, 0, 2).unwrap();
        assert_eq!(sides(&plan), [(100, 1, 1), (100, 2, 0)]);
    }

    #[test]
    fn no_step_holds_more_than_the_pool_every_share_is_carried_and_somebody_always_answers() {
        let weights: [&[u8]; 3] = [&[5], &[50], &[20, 75]];
        let pools = (0..3).flat_map(|b| (1..16).flat_map(move |s| (1..16).map(move |f| (b, s, f))));
        let mut plans = 0;
        for ((beside, stable, full), weights) in pools.flat_map(|pool| weights.map(|weights| (pool, weights)))
        {
            let Ok(plan) = made(beside, stable, full, weights) else {
                continue;
            };
            plans += 1;
            let pool = stable + u32::try_from(beside).unwrap();
            let mut share = 0;
            for step in &plan.steps {
                assert!(step.candidate_replicas + step.stable_replicas <= pool, "{plan:?}");
                let carried = Weight::carried_by(step.candidate_replicas, plan.carries);
                assert!(step.weight <= carried, "{plan:?}");
                if step.kind == StepKind::Stepping {
                    assert!(step.stable_replicas > 0, "{plan:?}");
                }
                let rest = u32::from(Weight::carried_by(step.stable_replicas, plan.carries).percent());
                assert!(rest + share + 1 >= 100, "{plan:?}");
                share = u32::from(step.weight.percent());
            }
            let last = plan.steps.last().unwrap();
            assert_eq!(
                (last.weight, last.candidate_replicas),
                (Weight::FULL, full),
                "{plan:?}"
            );
        }
        assert!(plans > 500, "{plans} plans");
    }
}
