//! A plan for a pool without room: the candidate grows in the places of stable replicas.
//!
//! While the candidate is judged, stable keeps what carries all traffic, so the way back is instant. On the ramp each
//! side keeps what its share needs: the candidate's share is raised to what its warm replicas carry, then stable gives up
//! as much, then the candidate grows into the places.

use super::plan::{Plan, PlannedStep, StepKind, made_of, ramp_hold};
use crate::ladder::{Action, Load, Room};
use crate::pipeline::RolloutRule;
use crate::units::Weight;

/// Makes the plan out of one that has all the room it wants. `stable`: replicas that serve now. Nothing if a judged step
/// would leave stable too little for the way back, or if no place opens.
pub(super) fn borrowing(
    roomy: &Plan,
    rule: &RolloutRule,
    stable: u32,
    room: &Room,
    load: Load,
) -> Result<Plan, String> {
    let reserve = u32::try_from(load.reserve(u64::from(stable))).unwrap_or(u32::MAX);
    let full = rule.workload.replicas;
    let mut making = Making {
        room,
        stable,
        reserve: reserve.min(full),
        steps: Vec::new(),
    };
    for judged in roomy.steps.iter().filter(|step| step.kind == StepKind::Stepping) {
        making.judged(judged)?;
    }
    making.ramp(rule)?;
    let used = (load.used * 100.0).round();
    let known = if load.measured { "measured" } else { "assumed" };
    let why = format!(
        "{} fit beside {stable} stable replicas, which give up their places one after another; {} carry everything at \
         {used} % load ({known})",
        room.beside, making.reserve
    );
    Ok(made_of(making.steps, rule, making.reserve, Action::Borrow, why))
}

/// A plan while it is made.
pub(super) struct Making<'a> {
    pub(super) room: &'a Room,
    /// Stable replicas before the rollout.
    pub(super) stable: u32,
    /// Replicas that carry all traffic.
    pub(super) reserve: u32,
    pub(super) steps: Vec<PlannedStep>,
}

impl Making<'_> {
    /// What stays of stable when the candidate holds so many.
    fn left(&self, candidate: u32) -> Option<u32> {
        let borrowed = self.room.borrowed_for(u64::from(candidate))?;
        self.stable.checked_sub(u32::try_from(borrowed).ok()?)
    }

    fn judged(&mut self, step: &PlannedStep) -> Result<(), String> {
        let replicas = step.candidate_replicas;
        let left = self
            .left(replicas)
            .ok_or_else(|| format!("the places of stable do not take {replicas} of the candidate"))?;
        if left < self.reserve {
            return Err(format!(
                "{replicas} of the candidate would leave {left} of stable, and a way back needs {}",
                self.reserve
            ));
        }
        self.push(StepKind::Stepping, step.weight, replicas, left, step.hold);
        Ok(())
    }

    /// From the last judged step to all, as much at a time as what is not on the candidate yet lets stable give up.
    pub(super) fn ramp(&mut self, rule: &RolloutRule) -> Result<(), String> {
        let (full, hold) = (rule.workload.replicas, ramp_hold(rule));
        let mut grown = self.steps.last().map_or(0, |step| step.candidate_replicas);
        let mut weight = self.steps.last().map_or(Weight::ZERO, |step| step.weight);
        while grown < full {
            let carried = Weight::carried_by(grown, self.reserve);
            if carried > weight {
                let left = self.steps.last().map_or(self.stable, |step| step.stable_replicas);
                self.push(StepKind::Ramping, carried, grown, left, hold);
            }
            let stays = self.reserve.saturating_sub(grown);
            let most = (grown * 2).clamp(grown + 1, full);
            let next = (grown + 1..=most)
                .rev()
                .find_map(|next| Some((next, self.left(next).filter(|left| *left >= stays)?)));
            let Some((next, left)) = next else {
                return Err(format!(
                    "stable would keep too little for its share while replica {} of the candidate takes a place",
                    grown + 1
                ));
            };
            (grown, weight) = (next, Weight::carried_by(next, self.reserve));
            self.push(StepKind::Ramping, weight, grown, left, hold);
        }
        Ok(())
    }

    fn push(&mut self, kind: StepKind, weight: Weight, candidate: u32, stable: u32, hold: crate::time::Span) {
        let before = self.steps.last().map_or(self.stable, |step| step.stable_replicas);
        let given = (self.stable - before) as usize..(self.stable - stable.min(before)) as usize;
        let places = self.room.places.get(given).unwrap_or_default();
        self.steps.push(PlannedStep {
            kind,
            weight,
            candidate_replicas: candidate,
            stable_replicas: stable,
            // A place without a name is that of any pod.
            leaving: places
                .iter()
                .map(|place| place.pod.clone())
                .filter(|pod| !pod.is_empty())
                .collect(),
            hold,
            pause: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::Place;
    use crate::rollout::plan;
    use crate::rollout::testing::rule;

    /// A pool where `beside` fit, and each stable pod's place takes one more.
    fn pool(beside: u64, stable: u64) -> Room {
        let place = |n: u64| Place {
            pod: format!("p{n}"),
            node: format!("n{n}"),
            replicas: beside + n,
        };
        Room {
            beside,
            places: (1..=stable).map(place).collect(),
        }
    }

    fn made(beside: u64, stable: u32, full: u32, weights: &[u8]) -> Result<Plan, String> {
        let rule = rule(weights, full);
        let roomy = plan(&rule, Some(stable));
        borrowing(
            &roomy,
            &rule,
            stable,
            &pool(beside, stable.into()),
            Load::default(),
        )
    }

    fn told(plan: &Plan) -> Vec<(u8, u32, u32)> {
        plan.steps
            .iter()
            .map(|s| (s.weight.percent(), s.candidate_replicas, s.stable_replicas))
            .collect()
    }

    #[test]
    fn four_replicas_on_four_gpus_are_replaced_one_by_one_and_judged_with_a_way_back() {
        let plan = made(0, 4, 4, &[5]).unwrap();
        assert_eq!(
            told(&plan),
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
