//! Shares without a gateway: one Service has pods of both revisions, and each of them gets as much as every other.
//!
//! So a share is a ratio of counts, and only some can be had. A plan has those that are nearest to what was asked and not
//! above; less than one replica of the candidate is none, so the least share is that of one beside all of stable.

use super::plan::{Plan, PlannedStep};
use crate::pipeline::RolloutRule;
use crate::units::Weight;

/// How many pods of each revision the Service has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ratio {
    /// Pods of the candidate.
    pub candidate: u32,
    /// Pods of stable.
    pub stable: u32,
}

impl Ratio {
    /// The ratio for a share, of so many warm pods of each. It is the nearest that is not above the share, with as many pods as
    /// are needed to carry everything where there are as many; where each is above, one replica of the candidate beside all
    /// of stable.
    pub fn of(weight: Weight, candidate: u32, stable: u32, needed: u32) -> Self {
        let asked = u64::from(weight.percent());
        match weight {
            Weight::ZERO => return Self { candidate: 0, stable },
            Weight::FULL => return Self { candidate, stable: 0 },
            _ => {}
        }
        let needed = needed.min(candidate.saturating_add(stable));
        let beside = |candidate: u32| {
            let least = (u64::from(candidate) * (100 - asked)).div_ceil(asked);
            let least = u32::try_from(least).unwrap_or(u32::MAX);
            let stands = least.max(needed.saturating_sub(candidate));
            (stands <= stable).then_some(Self {
                candidate,
                stable: stands,
            })
        };
        let found = (1..=candidate).filter_map(beside);
        let nearest = found.max_by(|one, other| {
            let (this, that) = (one.cross(*other), other.cross(*one));
            this.cmp(&that).then(one.all().cmp(&other.all()))
        });
        nearest.unwrap_or(Self {
            candidate: candidate.min(1),
            stable,
        })
    }

    /// Pods of both.
    pub fn all(self) -> u32 {
        self.candidate.saturating_add(self.stable)
    }

    /// What is compared of two shares, without a division.
    fn cross(self, other: Self) -> u64 {
        u64::from(self.candidate) * u64::from(other.all())
    }

    /// The candidate's part of the requests.
    pub fn part(self) -> f64 {
        f64::from(self.candidate) / f64::from(self.all().max(1))
    }

    /// The same in percent, rounded up, so that the ratio is found again for it. Only all is 100 %.
    pub fn share(self) -> Weight {
        let percent = (u64::from(self.candidate) * 100).div_ceil(u64::from(self.all().max(1)));
        let most = if self.stable > 0 { 99 } else { 100 };
        let percent = u8::try_from(percent.min(most)).ok();
        percent.and_then(Weight::new).unwrap_or(Weight::FULL)
    }
}

/// The share that so many of the replicas that carry everything may have. The pods beside them are as many as are missing.
pub(super) fn carried_by(warm: u32, needed: u32) -> Weight {
    let candidate = warm.min(needed.max(1));
    let stable = needed.saturating_sub(candidate);
    Ratio { candidate, stable }.share()
}

/// Steps with the shares that their replicas can have. `carries`: replicas that carry all traffic.
pub(super) fn reachable(steps: Vec<PlannedStep>, rule: &RolloutRule, carries: u32) -> Vec<PlannedStep> {
    if !rule.target.is_by_replicas() {
        return steps;
    }
    let mut before = Weight::ZERO;
    let reach = |mut step: PlannedStep| {
        let ratio = Ratio::of(
            step.weight,
            step.candidate_replicas,
            step.stable_replicas,
            carries,
        );
        // A share that was given is not taken back because other counts come nearer to the next.
        let share = ratio.share().max(before);
        before = share;
        if share != step.weight {
            step.asked = Some(step.weight);
            step.weight = share;
        }
        step
    };
    steps.into_iter().map(reach).collect()
}

impl Plan {
    /// What a step gives where there is no gateway: `5 % asked, 20 % achieved: 1 of 5 replicas`.
    pub(super) fn ratio_at(&self, step: &PlannedStep, rule: &RolloutRule) -> Option<String> {
        if !rule.target.is_by_replicas() || matches!(step.weight, Weight::ZERO | Weight::FULL) {
            return None;
        }
        let (candidate, stable) = (step.candidate_replicas, step.stable_replicas);
        let ratio = Ratio::of(step.weight, candidate, stable, self.needed(rule));
        let shares = match step.asked {
            Some(asked) => format!("{asked} asked, {} achieved", step.weight),
            None => step.weight.to_string(),
        };
        Some(format!(
            "{shares}: {} of {} replicas",
            ratio.candidate,
            ratio.all()
        ))
    }

    /// The same of all steps, and which of them are above what was asked.
    pub(super) fn ratios(&self, rule: &RolloutRule) -> Option<String> {
        let steps: Vec<String> = self
            .steps
            .iter()
            .filter_map(|step| self.ratio_at(step, rule))
            .collect();
        if steps.is_empty() {
            return None;
        }
        let above = self
            .steps
            .iter()
            .any(|step| step.asked.is_some_and(|asked| asked < step.weight));
        let why = match above {
            true => "; less than one replica beside all of stable cannot be had",
            false => "",
        };
        Some(format!(
            "by replicas, without a gateway: {}{why}",
            steps.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::SplitBy;
    use crate::rollout::plan;
    use crate::rollout::testing::{rule, rule_of, sides};
    use crate::rollout::told;
    use crate::strategy::{BlueGreen, Rolling, Strategy};

    fn percent(percent: u8) -> Weight {
        Weight::new(percent).unwrap()
    }

    #[test]
    fn the_ratio_is_the_nearest_that_is_not_above() {
        for ((asked, candidate, stable, needed), expected) in [
            ((0, 4, 4, 4), (0, 4)),
            ((100, 4, 4, 4), (4, 0)),
            // No ratio of five reaches 5 %.
            ((5, 1, 4, 4), (1, 4)),
            ((5, 4, 4, 4), (1, 4)),
            ((20, 1, 4, 4), (1, 4)),
            ((25, 1, 4, 4), (1, 3)),
            ((33, 2, 4, 4), (1, 3)),
            ((34, 2, 4, 4), (2, 4)),
            ((50, 4, 4, 4), (4, 4)),
            ((50, 2, 4, 4), (2, 2)),
            ((75, 3, 4, 4), (3, 1)),
            ((5, 1, 20, 20), (1, 19)),
            ((10, 2, 20, 20), (2, 18)),
            ((99, 4, 4, 4), (4, 1)),
            // What carries everything stays, where it is there.
            ((50, 1, 1, 4), (1, 1)),
            ((34, 1, 3, 3), (1, 2)),
            ((33, 1, 3, 3), (1, 3)),
            // Nobody to give it to, and nobody beside.
            ((50, 0, 4, 4), (0, 4)),
            ((20, 2, 0, 4), (1, 0)),
        ] {
            let ratio = Ratio::of(percent(asked), candidate, stable, needed);
            let found = (ratio.candidate, ratio.stable);
            assert_eq!(
                found, expected,
                "{asked} % of {candidate} and {stable}, {needed} needed"
            );
        }
    }

    #[test]
    fn a_ratio_is_found_again_for_its_share_and_has_room_for_everything() {
        for (candidate, stable) in (1..24).flat_map(|c| (1..24).map(move |s| (c, s))) {
            for asked in 1..100 {
                let needed = candidate.max(stable);
                let ratio = Ratio::of(percent(asked), candidate, stable, needed);
                let is_least = (ratio.candidate, ratio.stable) == (1, stable);
                assert!(is_least || ratio.all() >= needed, "{ratio:?}");
                let above = ratio.part() > f64::from(asked) / 100.0;
                assert!(
                    is_least || !above,
                    "{asked} % of {candidate} and {stable}: {ratio:?}"
                );
                if !above {
                    assert_eq!(Ratio::of(ratio.share(), candidate, stable, needed), ratio);
                }
            }
        }
    }

    fn without_gateway(mut rule: RolloutRule) -> RolloutRule {
        rule.target.split = SplitBy::Replicas;
        rule
    }

    #[test]
    fn a_canary_says_what_it_asked_for_and_what_it_gets() {
        let rule = without_gateway(rule(&[5, 25], 4));
        let made = plan(&rule, Some(4));
        assert_eq!(sides(&made), [(20, 1, 4), (25, 1, 4), (50, 2, 4), (100, 4, 4)]);
        assert_eq!(made.steps[0].asked, Some(percent(5)));
        assert_eq!((made.gpu_peak, made.instant_revert), (8, true));
        let words = told(&made, &rule);
        assert!(
            words.contains(
                "by replicas, without a gateway: 5 % asked, 20 % achieved: 1 of 5 replicas, 25 %: 1 of 4 replicas, 50 %: 2 of 4 \
                 replicas; less than one replica beside all of stable cannot be had"
            ),
            "{words}"
        );
    }

    #[test]
    fn no_step_is_above_what_warm_replicas_carry_and_shares_do_not_fall() {
        let rolling = |surge| {
            Strategy::Rolling(Rolling {
                surge,
                unavailable: 1,
                pause: None,
            })
        };
        for strategy in [
            rule(&[5], 1).strategy,
            rule(&[1, 20, 50], 1).strategy,
            rolling(None),
            rolling(Some(1)),
            Strategy::BlueGreen(Box::<BlueGreen>::default()),
        ] {
            for (full, stable) in (2..70).flat_map(|full| (2..6).map(move |stable| (full, stable))) {
                let rule = without_gateway(rule_of(strategy.clone(), full));
                let made = plan(&rule, Some(stable));
                let mut before = Weight::ZERO;
                for step in &made.steps {
                    assert!(step.weight >= before, "{made:?}");
                    before = step.weight;
                    let ratio = Ratio::of(
                        step.weight,
                        step.candidate_replicas,
                        step.stable_replicas,
                        made.needed(&rule),
                    );
                    assert!(
                        ratio.candidate <= step.candidate_replicas && ratio.stable <= step.stable_replicas
                    );
                }
                assert_eq!(before, Weight::FULL);
            }
        }
    }
}
