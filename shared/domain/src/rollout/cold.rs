//! Replicas that have just begun to answer.
//!
//! Ready means that the model is loaded and has generated; caches fill with the first requests, and kernels are compiled for
//! their shapes. Such answers are slow and right. So latencies are left out until a replica has answered for a while, on
//! both sides, so that the same time is compared; failures never are: a cold cache fails nobody, and who fails everybody is
//! sent back at once. The time is set before anything is measured, so leaving it out makes no verdict likelier.

use super::phases::Rollout;
use crate::pipeline::RolloutRule;
use crate::time::{Span, Timestamp};
use crate::units::Weight;

/// Whether latencies of the time since the last look are left out. More warm replicas than there ever were, since the candidate
/// has traffic, are new ones: one that comes and goes does not keep them out for ever.
pub(super) fn is_cold(rollout: &mut Rollout, rule: &RolloutRule, warm: u32, now: Timestamp) -> bool {
    if rollout.weight == Weight::ZERO || rule.warm_up == Span::ZERO {
        (rollout.warm_most, rollout.cold_until) = (0, None);
        return false;
    }
    if warm > rollout.warm_most {
        rollout.warm_most = warm;
        rollout.cold_until = Some(now + rule.warm_up);
    }
    let Some(until) = rollout.cold_until else {
        return false;
    };
    // What was counted up to the first look after it began before its end.
    if now >= until {
        rollout.cold_until = None;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RevisionId;
    use crate::rollout::testing::rule;

    fn at(second: i64) -> Timestamp {
        Timestamp(1_000 * second)
    }

    /// Whether it is cold at looks of `(second, weight, warm replicas)`, with a warm-up of 30 s.
    fn cold(warm_up: Span, looks: &[(i64, u8, u32)]) -> Vec<bool> {
        let mut rule = rule(&[5], 4);
        rule.warm_up = warm_up;
        let mut rollout = Rollout::new(RevisionId::new("r2"), at(0));
        let look = |(second, weight, warm): &(i64, u8, u32)| {
            rollout.weight = Weight::new(*weight).unwrap();
            is_cold(&mut rollout, &rule, *warm, at(*second))
        };
        looks.iter().map(look).collect()
    }

    #[test]
    fn latencies_are_left_out_from_the_first_request_of_a_new_replica_on() {
        let half = Span::seconds(30);
        let looks = [
            (0, 0, 1),
            (5, 5, 1),
            (20, 5, 1),
            (34, 5, 1),
            (36, 5, 1),
            (40, 5, 1),
        ];
        assert_eq!(cold(half, &looks), [false, true, true, true, true, false]);
        let grows = [
            (0, 5, 1),
            (40, 5, 1),
            (50, 5, 1),
            (60, 5, 2),
            (80, 25, 2),
            (95, 25, 2),
            (110, 25, 2),
        ];
        assert_eq!(cold(half, &grows), [true, true, false, true, true, true, false]);
        assert_eq!(cold(Span::ZERO, &grows), [false; 7]);
    }

    #[test]
    fn a_replica_that_comes_and_goes_does_not_keep_them_out() {
        let flaps: Vec<(i64, u8, u32)> = (0..20)
            .map(|look| (15 * look, 50, 2 - u32::try_from(look % 2).unwrap()))
            .collect();
        let out = cold(Span::seconds(30), &flaps);
        assert_eq!(out.iter().filter(|cold| **cold).count(), 3, "{out:?}");
        // A candidate that lost its traffic begins again.
        let again = [(0, 5, 1), (40, 5, 1), (50, 0, 1), (60, 5, 1), (70, 5, 1)];
        assert_eq!(cold(Span::seconds(30), &again), [true, true, false, true, true]);
    }
}
