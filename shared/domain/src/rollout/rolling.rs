//! Rolling within limits: so many GPUs beside those of stable, and so many fewer than it takes.
//!
//! It is the ramp of a pool without room (`borrow`), except that the room is what the definition allows where the pool has
//! more. Then nothing but the plan keeps the candidate out of the places of stable, so stable leaves them first.

use super::lending::Making;
use super::plan::{Plan, made_of};
use crate::budget::Floor;
use crate::ladder::{Action, Place, Room};
use crate::pipeline::RolloutRule;

/// How many replicas there may be on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Limits {
    /// Stable replicas before the rollout.
    stable: u32,
    /// Replicas beside those of stable, at most.
    beside: u32,
    /// As the definition says it, in GPUs, for words.
    surge: u32,
    /// Replicas that must be warm at any time.
    carries: u32,
}

impl Limits {
    /// The limits of a rule, if it sets any that matter.
    pub(super) fn of(rule: &RolloutRule, stable: u32) -> Option<Self> {
        let rolling = rule.strategy.rolling()?;
        let (surge, full) = (rolling.surge?, rule.workload.replicas);
        let replicas = |gpus: u32| gpus / rule.workload.gpus.max(1);
        // A service that grows needs what it grows by.
        let beside = replicas(surge) + full.saturating_sub(stable);
        if beside >= full {
            return None;
        }
        let carries = stable.min(full).saturating_sub(replicas(rolling.unavailable));
        Some(Self {
            stable,
            // One replica without another beside it cannot be replaced while somebody answers.
            beside: if stable < 2 { beside.max(1) } else { beside },
            surge,
            carries: carries.max(1),
        })
    }

    /// The plan in a pool of which nothing is known.
    pub(super) fn plan(self, rule: &RolloutRule) -> Plan {
        let endless = Room {
            beside: u64::MAX,
            places: Vec::new(),
        };
        let made = self.plan_in(rule, &endless, &Floor::default());
        made.expect("where all pods have a place, each that leaves makes room for the next")
    }

    /// The plan in this room, with what budgets ask for.
    pub(super) fn plan_in(self, rule: &RolloutRule, room: &Room, floor: &Floor) -> Result<Plan, String> {
        let mut making = Making {
            room: &self.within(room),
            stable: self.stable,
            reserve: self.carries,
            floor,
            steps: Vec::new(),
        };
        making.ramp(rule)?;
        let (rung, surge) = match self.surge {
            0 => (Action::Swap, "none".to_owned()),
            some => (Action::Borrow, some.to_string()),
        };
        let mut why = format!(
            "at most {surge} more GPUs than stable holds, and {} replicas warm at any time",
            self.carries
        );
        if floor.replicas > self.carries {
            why.push_str(&format!("; {}", floor.words()));
        }
        let plan = made_of(making.steps, rule, self.carries, rung, why);
        let gives_first = room.beside > u64::from(self.beside);
        Ok(Plan { gives_first, ..plan })
    }

    /// What is allowed of a room.
    fn within(self, room: &Room) -> Room {
        let beside = u64::from(self.beside);
        let after = |gone: usize| match gone.checked_sub(1) {
            None => room.beside,
            Some(last) => room
                .places
                .get(last)
                .or(room.places.last())
                .map_or(room.beside, |place| place.replicas),
        };
        let place = |gone: usize| {
            let known = room.places.get(gone - 1);
            Place {
                pod: known.map(|place| place.pod.clone()).unwrap_or_default(),
                node: known.map(|place| place.node.clone()).unwrap_or_default(),
                replicas: after(gone).min(beside + gone as u64),
            }
        };
        Room {
            beside: room.beside.min(beside),
            places: (1..=self.stable as usize).map(place).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::plan;
    use crate::rollout::testing::{asks_for, rule_of, sides};
    use crate::strategy::{Pause, Rolling, Strategy};
    use crate::time::Span;
    use crate::units::Weight;

    fn rolling(surge: u32, unavailable: u32, full: u32) -> RolloutRule {
        let rolling = Rolling {
            surge: Some(surge),
            unavailable,
            pause: None,
        };
        rule_of(Strategy::Rolling(rolling), full)
    }

    #[test]
    fn one_more_and_all_warm_is_replica_by_replica() {
        let made = plan(&rolling(1, 0, 4), Some(4));
        assert_eq!(sides(&made), [(25, 1, 4), (50, 2, 3), (75, 3, 2), (100, 4, 1)]);
        assert_eq!(
            (made.gpu_peak, made.rung, made.gives_first),
            (5, Action::Borrow, true)
        );
    }

    #[test]
    fn no_more_and_one_fewer_is_a_swap() {
        let made = plan(&rolling(0, 1, 4), Some(4));
        assert_eq!(sides(&made), [(33, 1, 3), (66, 2, 2), (100, 3, 1), (100, 4, 0)]);
        assert_eq!((made.gpu_peak, made.rung, made.carries), (4, Action::Swap, 3));
    }

    #[test]
    fn fewer_than_a_budget_asks_for_may_not_be_missing_whatever_the_definition_allows() {
        let rule = rolling(1, 2, 4);
        let limits = Limits::of(&rule, 4).unwrap();
        let room = Room {
            beside: 4,
            places: Vec::new(),
        };
        let free = limits.plan_in(&rule, &room, &asks_for(2)).unwrap();
        assert_eq!(sides(&free), [(50, 1, 4), (100, 2, 3), (100, 4, 1)]);
        let kept = limits.plan_in(&rule, &room, &asks_for(4)).unwrap();
        assert_eq!(sides(&kept), [(50, 1, 4), (100, 2, 3), (100, 3, 2), (100, 4, 1)]);
        assert!(kept.why.ends_with("(minAvailable 4) asks"), "{}", kept.why);
        let none = rolling(0, 1, 4);
        let limits = Limits::of(&none, 4).unwrap();
        let why = limits.plan_in(&none, &room, &asks_for(4)).unwrap_err();
        assert!(why.ends_with("(minAvailable 4) asks for 4"), "{why}");
    }

    #[test]
    fn what_is_allowed_counts_gpus_and_not_replicas() {
        let mut rule = rolling(9, 0, 4);
        rule.workload.gpus = 4;
        assert_eq!(
            sides(&plan(&rule, Some(4))),
            [(25, 1, 4), (50, 2, 4), (100, 4, 2)]
        );
        assert_eq!(plan(&rule, Some(4)).gpu_peak, 24);
        // All of it: nothing is limited.
        rule.strategy = rolling(16, 0, 4).strategy;
        assert_eq!(plan(&rule, Some(4)).rung, Action::Surge);
    }

    #[test]
    fn a_pause_is_a_step_of_its_share() {
        let mut rule = rolling(1, 0, 4);
        for (at, expected) in [
            (50, vec![25, 50, 75, 100]),
            (30, vec![25, 30, 50, 75, 100]),
            (10, vec![10, 25, 50, 75, 100]),
        ] {
            let pause = Pause {
                at: Weight::new(at).unwrap(),
                within: Span::hours(1),
            };
            rule.strategy = Strategy::Rolling(Rolling {
                surge: Some(1),
                unavailable: 0,
                pause: Some(pause),
            });
            let made = plan(&rule, Some(4));
            let weights: Vec<u8> = made.steps.iter().map(|step| step.weight.percent()).collect();
            assert_eq!(weights, expected);
            let paused: Vec<u8> = made
                .steps
                .iter()
                .filter(|step| step.pause == Some(Span::hours(1)))
                .map(|step| step.weight.percent())
                .collect();
            assert_eq!(paused, [at]);
        }
    }

    #[test]
    fn no_plan_holds_more_than_is_allowed_or_leaves_fewer_warm() {
        for (surge, unavailable) in (0..6).flat_map(|s| (0..6).map(move |u| (s, u))) {
            if surge + unavailable == 0 {
                continue;
            }
            for (full, stable) in (1..24).flat_map(|full| (1..24).map(move |stable| (full, stable))) {
                let rule = rolling(surge, unavailable, full);
                let Some(limits) = Limits::of(&rule, stable) else {
                    continue;
                };
                let made = limits.plan(&rule);
                let (mut share, mut stays) = (0, stable);
                for step in &made.steps {
                    assert!(
                        step.candidate_replicas + step.stable_replicas <= stable + limits.beside,
                        "{made:?}"
                    );
                    let carried = Weight::carried_by(step.candidate_replicas, made.carries);
                    assert!(step.weight <= carried, "{made:?}");
                    // What stable had to carry when it gave up its places, one percent of rounding aside.
                    let rest = u32::from(Weight::carried_by(step.stable_replicas, made.carries).percent());
                    assert!(rest + share + 1 >= 100, "{made:?}");
                    assert!(step.stable_replicas <= stays);
                    (share, stays) = (u32::from(step.weight.percent()), step.stable_replicas);
                }
                let last = made.steps.last().unwrap();
                assert_eq!(
                    (last.weight, last.candidate_replicas),
                    (Weight::FULL, full),
                    "{made:?}"
                );
            }
        }
    }

    #[test]
    fn a_pool_with_less_than_is_allowed_sets_the_limit() {
        let rule = rolling(2, 0, 4);
        let limits = Limits::of(&rule, 4).unwrap();
        let place = |n: u64| Place {
            pod: format!("p{n}"),
            node: String::new(),
            replicas: n,
        };
        // Nothing is free, and nothing may be missing.
        let full = Room {
            beside: 0,
            places: (1..=4).map(place).collect(),
        };
        assert!(limits.plan_in(&rule, &full, &Floor::default()).is_err());
        let one = Room {
            beside: 1,
            places: (1..=4)
                .map(|n| Place {
                    replicas: n + 1,
                    ..place(n)
                })
                .collect(),
        };
        let made = limits.plan_in(&rule, &one, &Floor::default()).unwrap();
        assert_eq!((made.gpu_peak, made.gives_first), (5, false));
        assert_eq!(made.steps[1].leaving, ["p1"]);
    }
}
