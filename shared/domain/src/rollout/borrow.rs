//! A plan for a pool without room: the candidate grows in the places of stable replicas.
//!
//! While the candidate is judged, stable keeps what carries all traffic, so the way back is instant. Only the ramp goes below
//! that.

use super::lending::Lending;
use super::plan::{Plan, made_of};
use crate::ladder::Action;

/// Makes the plan out of one that has all the room it wants. Nothing if a judged step would leave stable too little for the
/// way back, or if no place opens.
pub(super) fn borrowing(lending: &Lending<'_>) -> Result<Plan, String> {
    let mut making = lending.making(lending.reserve());
    for judged in lending.roomy.judged() {
        making.judged(judged)?;
    }
    making.ramp(lending.rule)?;
    let why = format!("{}; they give up their places one after another", lending.words());
    Ok(made_of(
        making.steps,
        lending.rule,
        making.reserve,
        Action::Borrow,
        why,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Floor;
    use crate::rollout::testing::{asks_for, lent, rule, sides};
    use crate::units::Weight;

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
        lent(borrowing, &rule(weights, full), floor, beside, stable)
    }

    #[test]
    fn four_replicas_on_four_gpus_are_replaced_one_by_one_and_judged_with_a_way_back() {
        let plan = made(0, 4, 4, &[5]).unwrap();
        assert_eq!(
            sides(&plan),
            [(5, 1, 3), (33, 1, 3), (66, 2, 2), (100, 3, 1), (100, 4, 0)]
        );
        assert_eq!((plan.gpu_peak, plan.instant_revert, plan.carries), (4, false, 3));
        assert_eq!(plan.steps[0].leaving, ["p1"]);
        assert_eq!(plan.steps[1].leaving, Vec::<String>::new());
        assert_eq!(plan.steps[4].leaving, ["p4"]);
    }

    #[test]
    fn a_judged_step_that_would_take_the_way_back_is_refused_with_the_numbers() {
        let why = made(0, 2, 2, &[5]).unwrap_err();
        assert!(why.contains("leave 1 of stable, and a way back needs 2"), "{why}");
    }

    #[test]
    fn what_a_budget_asks_for_stays_ready_and_what_carries_everything_sets_the_shares() {
        // Three of four carry everything, and a budget asks for as many: nothing changes.
        assert_eq!(made_within(asks_for(3), 0, 4, 4, &[5]), made(0, 4, 4, &[5]));
        let why = made_within(asks_for(4), 0, 4, 4, &[5]).unwrap_err();
        assert_eq!(
            why,
            "1 of the candidate would leave 3 of stable, and PodDisruptionBudget prod/llm (minAvailable 4) asks for 4"
        );
        // Room for one beside them: its replica is ready before one of stable leaves.
        let plan = made_within(asks_for(4), 1, 4, 4, &[5]).unwrap();
        assert_eq!(
            sides(&plan),
            [(5, 1, 4), (33, 1, 4), (66, 2, 3), (100, 3, 2), (100, 4, 1)]
        );
        assert_eq!((plan.carries, plan.instant_revert), (3, false));
        assert_eq!(
            plan.why,
            "1 fit beside 4 stable replicas, of which 3 carry everything at 70 % load (assumed); at least 4 stay ready, as \
             PodDisruptionBudget prod/llm (minAvailable 4) asks; they give up their places one after another"
        );
    }

    #[test]
    fn no_step_takes_both_sides_below_what_a_budget_asks_for() {
        for (beside, stable, asked) in
            (0..4).flat_map(|b| (3..16).flat_map(move |s| (1..=s).map(move |a| (b, s, a))))
        {
            let Ok(plan) = made_within(asks_for(asked), beside, stable, stable, &[5, 20]) else {
                continue;
            };
            let mut warm = 0;
            for step in &plan.steps {
                assert!(
                    step.stable_replicas + warm >= asked,
                    "{asked} of {stable}: {plan:?}"
                );
                warm = step.candidate_replicas;
            }
        }
    }

    #[test]
    fn no_step_holds_more_than_the_pool_and_every_share_is_carried() {
        for (beside, stable, full) in
            (0..4).flat_map(|b| (3..40).flat_map(move |s| (2..40).map(move |f| (b, s, f))))
        {
            let Ok(plan) = made(beside, stable, full, &[5, 20]) else {
                continue;
            };
            let pool = stable + u32::try_from(beside).unwrap();
            let mut share = 0;
            for step in &plan.steps {
                assert!(step.candidate_replicas + step.stable_replicas <= pool, "{plan:?}");
                let carried = Weight::carried_by(step.candidate_replicas, plan.carries);
                assert!(step.weight <= carried.max(Weight::new(5).unwrap()), "{plan:?}");
                // What stable had to carry when it gave up its places, one percent of rounding aside.
                let rest = u32::from(Weight::carried_by(step.stable_replicas, plan.carries).percent());
                assert!(rest + share + 1 >= 100, "{plan:?}");
                share = u32::from(step.weight.percent());
            }
            let last = plan.steps.last().unwrap();
            assert_eq!((last.weight, last.candidate_replicas), (Weight::FULL, full));
        }
    }
}
