//! A plan for a pool without room, while it is made: what stable could lend, and the steps in which it does.
//!
//! On the ramp each side keeps what its share needs: the candidate's share is raised to what its warm replicas carry, then
//! stable gives up as much, then the candidate grows into the places.

use super::plan::{Plan, PlannedStep, StepKind, ramp_hold};
use crate::budget::Floor;
use crate::ladder::{Load, Room};
use crate::pipeline::RolloutRule;
use crate::time::Span;
use crate::units::Weight;

/// What stable could lend to a candidate.
pub(super) struct Lending<'a> {
    /// The plan that has all the room it wants.
    pub(super) roomy: &'a Plan,
    pub(super) rule: &'a RolloutRule,
    /// Replicas that serve now.
    pub(super) stable: u32,
    /// Room beside them and in their places.
    pub(super) room: Room,
    pub(super) load: Load,
    /// What budgets ask of both sides together.
    pub(super) floor: Floor,
}

impl Lending<'_> {
    /// Stable replicas that carry all traffic at the present load.
    pub(super) fn reserve(&self) -> u32 {
        let reserve = u32::try_from(self.load.reserve(u64::from(self.stable))).unwrap_or(u32::MAX);
        reserve.min(self.rule.workload.replicas)
    }

    /// A plan without steps, in which so many replicas carry all traffic.
    pub(super) fn making(&self, reserve: u32) -> Making<'_> {
        Making {
            room: &self.room,
            stable: self.stable,
            reserve,
            floor: &self.floor,
            steps: Vec::new(),
        }
    }

    /// `0 fit beside 4 stable replicas, of which 3 carry everything at 70 % load (assumed)`
    pub(super) fn words(&self) -> String {
        let mut words = format!(
            "{} fit beside {} stable replicas, of which {} carry everything at {}",
            self.room.beside,
            self.stable,
            self.reserve(),
            self.load.words()
        );
        if self.floor.replicas > self.reserve() {
            words.push_str(&format!("; {}", self.floor.words()));
        }
        words
    }
}

/// A plan while it is made.
pub(super) struct Making<'a> {
    pub(super) room: &'a Room,
    /// Stable replicas before the rollout.
    pub(super) stable: u32,
    /// Replicas that carry all traffic.
    pub(super) reserve: u32,
    /// What budgets ask of both sides together.
    pub(super) floor: &'a Floor,
    pub(super) steps: Vec<PlannedStep>,
}

impl Making<'_> {
    /// Replicas that must be warm at any time, on whichever side.
    pub(super) fn stays(&self) -> u32 {
        self.reserve.max(self.floor.replicas)
    }

    /// Who asks for them: `a way back needs 3`
    pub(super) fn asked(&self) -> String {
        match self.floor.replicas > self.reserve {
            true => format!("{} asks for {}", self.floor.by, self.floor.replicas),
            false => format!("a way back needs {}", self.reserve),
        }
    }

    /// What stays of stable when the candidate holds so many.
    pub(super) fn left(&self, candidate: u32) -> Option<u32> {
        let borrowed = self.room.borrowed_for(u64::from(candidate))?;
        self.stable.checked_sub(u32::try_from(borrowed).ok()?)
    }

    /// A judged step as it is asked for, if stable keeps what carries all traffic and what budgets ask for.
    pub(super) fn judged(&mut self, step: &PlannedStep) -> Result<(), String> {
        let replicas = step.candidate_replicas;
        let left = self
            .left(replicas)
            .ok_or_else(|| format!("the places of stable do not take {replicas} of the candidate"))?;
        if left < self.stays() {
            return Err(format!(
                "{replicas} of the candidate would leave {left} of stable, and {}",
                self.asked()
            ));
        }
        self.push(StepKind::Stepping, step.weight, replicas, left, step.hold);
        Ok(())
    }

    /// The same with as many replicas as leave stable `floor`, and with no greater share than they carry (invariant 3). Says
    /// whether there is one.
    pub(super) fn judged_within(&mut self, step: &PlannedStep, floor: u32) -> bool {
        let fits = |replicas: u32| {
            let left = self.left(replicas).filter(|left| *left >= floor)?;
            Some((replicas, left))
        };
        let Some((replicas, left)) = (1..=step.candidate_replicas).rev().find_map(fits) else {
            return false;
        };
        let weight = step.weight.min(Weight::carried_by(replicas, self.reserve));
        if weight == Weight::ZERO {
            return false;
        }
        self.push(StepKind::Stepping, weight, replicas, left, step.hold);
        true
    }

    /// From the last judged step to all, as much at a time as what is not on the candidate yet lets stable give up.
    pub(super) fn ramp(&mut self, rule: &RolloutRule) -> Result<(), String> {
        let (full, hold) = (rule.workload.replicas, ramp_hold(rule));
        let mut grown = self.steps.last().map_or(0, |step| step.candidate_replicas);
        let mut weight = self.steps.last().map_or(Weight::ZERO, |step| step.weight);
        loop {
            let carried = Weight::carried_by(grown, self.reserve);
            if carried > weight {
                let left = self.steps.last().map_or(self.stable, |step| step.stable_replicas);
                self.push(StepKind::Ramping, carried, grown, left, hold);
            }
            if grown >= full {
                return Ok(());
            }
            let stays = self.stays().saturating_sub(grown);
            let most = (grown * 2).clamp(grown + 1, full);
            let next = (grown + 1..=most)
                .rev()
                .find_map(|next| Some((next, self.left(next).filter(|left| *left >= stays)?)));
            let Some((next, left)) = next else {
                let first = grown + 1;
                return Err(match self.floor.replicas > self.reserve {
                    true => format!(
                        "fewer than that would be ready while replica {first} of the candidate takes a place, and {}",
                        self.asked()
                    ),
                    false => format!(
                        "stable would keep too little for its share while replica {first} of the candidate takes a place"
                    ),
                });
            };
            (grown, weight) = (next, Weight::carried_by(next, self.reserve));
            self.push(StepKind::Ramping, weight, grown, left, hold);
        }
    }

    fn push(&mut self, kind: StepKind, weight: Weight, candidate: u32, stable: u32, hold: Span) {
        let before = self.steps.last().map_or(self.stable, |step| step.stable_replicas);
        let given = (self.stable - before) as usize..(self.stable - stable.min(before)) as usize;
        let places = self.room.places.get(given).unwrap_or_default();
        self.steps.push(PlannedStep {
            kind,
            weight,
            asked: None,
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
