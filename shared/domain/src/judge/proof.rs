//! What a proof needs that a candidate is hardly worse than stable, said before a step begins: a step whose traffic cannot give
//! it would keep a good candidate until it is sent back.
//!
//! The proof is tried on the counts that a candidate just as good as stable would have, without chance and without bursts, at
//! the share of bad requests at which it is easiest. Where it fails there, only luck would give it.

use super::bounds::RatioBounds;
use super::condition::asks_over;
use super::power::{Step, least};
use super::share::bounds_of_parts;
use super::{Alpha, Arms, Tally};
use crate::condition::Condition;

/// Shares of bad requests at which a proof is tried, up to its line: few bad ones say little of the ratio to stable, and many
/// come near the line.
const LEVELS: u32 = 20;
/// Longest step that is advised: 30 days, in seconds.
const LONGEST: f64 = 2_592_000.0;
/// Most requests a second that are advised.
const FASTEST: f64 = 1e7;

/// What one comparison must be shown to be within.
#[derive(Clone, PartialEq, Debug)]
pub struct Proof {
    /// As it is written: `error_rate > 2%`.
    pub comparison: String,
    /// The share of bad requests that must be ruled out.
    pub line: f64,
    /// The ratio to stable that must be.
    pub margin: f64,
    /// Chance that bounds may be wrong.
    pub alpha: Alpha,
}

/// What would make a proof possible, each alone.
#[derive(Clone, PartialEq, Debug)]
pub struct Needs {
    /// The candidate's share, 0 to 1; `None`: no share would do at this length.
    pub weight: Option<f64>,
    /// Length in seconds.
    pub seconds: Option<f64>,
    /// Requests a second to both together.
    pub rate: Option<f64>,
}

/// What a proven promotion under this condition is asked for.
pub fn proofs(condition: &Condition, margin: f64, alpha: Alpha) -> Vec<Proof> {
    let proof = |(comparison, line)| Proof {
        comparison,
        line,
        margin,
        alpha,
    };
    asks_over(&condition.plain()).into_iter().map(proof).collect()
}

impl Proof {
    /// Whether a candidate as good as stable gives it in such a step, at any level.
    pub fn is_within(&self, step: &Step) -> bool {
        let level = |n: u32| self.line * f64::from(n) / f64::from(LEVELS + 1);
        (1..=LEVELS).any(|n| self.is_given(step, level(n)))
    }

    /// What it would take.
    pub fn needs(&self, step: &Step) -> Needs {
        let with = |change: &dyn Fn(f64) -> Step, from, to| least(from, to, |x| self.is_within(&change(x)));
        let weight = with(&|weight| Step { weight, ..*step }, step.weight, 0.5);
        Needs {
            weight: weight.filter(|weight| *weight > step.weight),
            seconds: with(&|seconds| Step { seconds, ..*step }, step.seconds, LONGEST),
            rate: with(&|rate| Step { rate, ..*step }, step.rate, FASTEST),
        }
    }

    fn is_given(&self, step: &Step, level: f64) -> bool {
        let candidate = step.candidate_requests();
        let stable = step.rate * step.seconds - candidate;
        let (_, share) = bounds_of_parts(candidate * level, candidate, self.alpha.value());
        if share >= self.line {
            return false;
        }
        let tally = |requests: f64| Tally::new((requests * level).round() as u64, requests.round() as u64);
        let mut bounds = RatioBounds::default();
        let arms = Arms {
            candidate: tally(candidate),
            stable: tally(stable),
        };
        bounds.add(arms, 1.0);
        bounds
            .at(self.alpha.value())
            .1
            .is_some_and(|ratio| ratio < self.margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(line: f64, margin: f64) -> Proof {
        Proof {
            comparison: "error_rate > 2%".into(),
            line,
            margin,
            alpha: Alpha::default(),
        }
    }

    fn step(rate: f64, weight: f64, seconds: f64) -> Step {
        Step {
            rate,
            weight,
            seconds,
            level: 0.0,
        }
    }

    #[test]
    fn what_is_advised_is_enough_and_a_little_less_is_not() {
        let (proof, small) = (proof(0.02, 1.25), step(50.0, 0.05, 600.0));
        assert!(!proof.is_within(&small), "1500 requests");
        let needs = proof.needs(&small);
        assert_eq!(needs.weight, None, "half of 30000 is not enough");
        let (seconds, rate) = (needs.seconds.unwrap(), needs.rate.unwrap());
        assert!(proof.is_within(&Step { seconds, ..small }));
        assert!(!proof.is_within(&Step {
            seconds: 0.9 * seconds,
            ..small
        }));
        assert!(proof.is_within(&Step { rate, ..small }));
        assert!(!proof.is_within(&Step {
            rate: 0.9 * rate,
            ..small
        }));
        let busy = step(500.0, 0.01, 600.0);
        let weight = proof.needs(&busy).weight.unwrap();
        assert!(
            weight > 0.01 && proof.is_within(&Step { weight, ..busy }),
            "{weight}"
        );
    }

    #[test]
    fn a_wider_margin_and_a_line_that_more_requests_cross_need_less() {
        let small = step(50.0, 0.05, 600.0);
        let seconds = |line, margin| proof(line, margin).needs(&small).seconds.unwrap();
        assert!(seconds(0.02, 1.25) > seconds(0.02, 1.5) && seconds(0.02, 1.5) > seconds(0.02, 3.0));
        assert!(seconds(0.01, 1.25) > seconds(0.02, 1.25) && seconds(0.02, 1.25) > seconds(0.5, 1.25));
    }

    #[test]
    fn nothing_is_proven_against_nobody() {
        let whole = step(1e6, 1.0, 1e6);
        assert!(!proof(0.02, 1.25).is_within(&whole));
        let needs = proof(0.02, 1.25).needs(&whole);
        assert_eq!((needs.weight, needs.seconds, needs.rate), (None, None, None));
    }
}
