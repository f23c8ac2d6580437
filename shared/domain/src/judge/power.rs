//! What a step can show, said before it begins: a step that could not have failed proves nothing.
//!
//! Evidence grows as a random walk with drift; the chance that it reaches the bound within the step is that of the
//! inverse Gaussian law (Wald 1947), with the drift and spread of the likelihood ratio at the true ratio.

use serde::{Deserialize, Serialize};

use super::budget::Alpha;
use super::relative::MIXTURE_COST;
use super::share::ln_e_over;
use super::special::{ln_mean, normal_below};
use super::{Arms, Tally, ln_e_by_arm};

/// Chance with which a step must be able to see a harm to be said to show it.
pub const POWER: f64 = 0.8;
/// Ratio that most people want to see: doubled errors.
pub const ASKED_RATIO: f64 = 2.0;
/// Greatest ratio that is looked for.
const GREATEST: f64 = 1_000.0;

/// A step before it begins.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Requests per second to both arms together.
    pub rate: f64,
    /// The candidate's share of them, 0 to 1.
    pub weight: f64,
    /// Length in seconds.
    pub seconds: f64,
    /// Share of bad requests of the stable revision.
    pub level: f64,
}

impl Step {
    /// Requests that the candidate will get.
    pub fn candidate_requests(&self) -> f64 {
        self.rate * self.weight * self.seconds
    }

    /// Smallest ratio of the shares that the step shows with chance [`POWER`]; `None`: none at all.
    pub fn shows(&self, alpha: Alpha) -> Option<f64> {
        let requests = self.rate * self.seconds;
        smallest(
            requests * self.weight,
            requests * (1.0 - self.weight),
            self.level,
            alpha,
        )
    }

    /// Seconds after which a ratio would be shown at this weight.
    pub fn seconds_for(&self, ratio: f64, alpha: Alpha) -> Option<f64> {
        least(self.seconds.min(1.0), 1e8, |seconds| {
            Self { seconds, ..*self }.shows(alpha).is_some_and(|r| r <= ratio)
        })
    }

    /// Share of traffic at which a ratio would be shown in this time, up to one half.
    pub fn weight_for(&self, ratio: f64, alpha: Alpha) -> Option<f64> {
        least(1e-4, 0.5, |weight| {
            Self { weight, ..*self }.shows(alpha).is_some_and(|r| r <= ratio)
        })
    }

    /// The statement that is printed before a step, with what would show doubled errors.
    pub fn statement(&self, alpha: Alpha) -> String {
        let requests = self.candidate_requests();
        let weight = |share: f64| format!("{:.0} %", (share * 100.0).ceil());
        let Some(shown) = self.shows(alpha) else {
            return format!("{requests:.0} requests to the candidate cannot show any harm");
        };
        let mut words = format!(
            "{requests:.0} requests at {} can show {shown:.1}× errors",
            weight(self.weight)
        );
        if shown > ASKED_RATIO {
            let more = Self {
                weight: (4.0 * self.weight).min(0.5),
                ..*self
            };
            if let Some(ratio) = more.shows(alpha).filter(|_| more.weight > self.weight) {
                words.push_str(&format!("; {} would show {ratio:.1}×", weight(more.weight)));
            }
            let share = self
                .weight_for(ASKED_RATIO, alpha)
                .map(|share| format!("{} of the traffic", weight(share)));
            let time = self
                .seconds_for(ASKED_RATIO, alpha)
                .map(|seconds| format!("{:.0} minutes at this share", (seconds / 60.0).ceil()));
            let needs: Vec<String> = share.into_iter().chain(time).collect();
            if !needs.is_empty() {
                words.push_str(&format!("; {ASKED_RATIO:.0}× needs {}", needs.join(" or ")));
            }
        }
        words
    }
}

/// The least value for which it holds, within a thousandth; it holds from there on.
pub(super) fn least(from: f64, to: f64, holds: impl Fn(f64) -> bool) -> Option<f64> {
    let (mut low, mut high) = (from, to);
    if !holds(high) {
        return None;
    }
    while high / low > 1.001 {
        let middle = (low * high).sqrt();
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

/// Smallest ratio that these many requests show, at the stable arm's own level.
pub(super) fn smallest_ratio(counted: Arms, alpha: Alpha) -> Option<f64> {
    let stable = counted.stable;
    // A level of nothing is one that half a bad request more would have shown.
    let level = (stable.bad as f64 + 0.5) / (stable.total as f64 + 1.0);
    smallest(counted.candidate.total as f64, stable.total as f64, level, alpha)
}

fn smallest(candidate: f64, stable: f64, level: f64, alpha: Alpha) -> Option<f64> {
    if candidate <= 0.0 || stable <= 0.0 || !(level > 0.0 && level < 1.0) {
        return None;
    }
    let greatest = GREATEST.min(0.999 / level);
    least(1.001, greatest.max(1.002), |ratio| {
        chance(candidate, stable, level, ratio, alpha) >= POWER
    })
}

/// Chance that the evidence reaches its bound if the candidate's share is `ratio` times the level.
pub fn chance(candidate: f64, stable: f64, level: f64, ratio: f64, alpha: Alpha) -> f64 {
    let (p_a, p_b) = ((level * ratio).min(0.999), level);
    let t0 = (candidate * p_a + stable * p_b) / (candidate + stable);
    let arm = |p: f64| {
        let (bad, good) = ((p / t0).ln(), ((1.0 - p) / (1.0 - t0)).ln());
        (
            p * bad + (1.0 - p) * good,
            p * (1.0 - p) * (bad - good) * (bad - good),
        )
    };
    let ((mean_a, spread_a), (mean_b, spread_b)) = (arm(p_a), arm(p_b));
    let drift = candidate * mean_a + stable * mean_b;
    let spread = (candidate * spread_a + stable * spread_b).sqrt();
    // A step of the walk overshoots the bound by about a half of what one bad request is worth.
    let bound = (alpha.ln_needed() + MIXTURE_COST + 0.5 * (p_a / t0).ln()).max(0.1);
    let above = normal_below((drift - bound) / spread);
    let mirrored = (2.0 * bound * drift / (spread * spread)).exp() * normal_below(-(drift + bound) / spread);
    above + if mirrored.is_finite() { mirrored } else { 0.0 }
}

/// Whether the step could have failed: had every request to the candidate been bad, would that have been shown?
pub(super) fn could_show(counted: Arms, limit: Option<f64>, alpha: Alpha) -> bool {
    let all_bad = Tally::new(counted.candidate.total, counted.candidate.total);
    let arms = Arms {
        candidate: all_bad,
        ..counted
    };
    let relative = if counted.stable.total > 0 {
        ln_e_by_arm(arms, 1.0, 15.0)
    } else {
        0.0
    };
    let limit = limit.map(|line| ln_e_over(all_bad, line));
    let both = [Some(relative), limit]
        .into_iter()
        .flatten()
        .map(|ln_e| (ln_e, 1.0));
    ln_mean(both.collect::<Vec<_>>().into_iter()) >= alpha.ln_needed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(rate: f64, weight: f64) -> Step {
        Step {
            rate,
            weight,
            seconds: 600.0,
            level: 0.01,
        }
    }

    #[test]
    fn more_requests_show_less_harm() {
        let alpha = Alpha::default();
        let few = step(5.0, 0.05).shows(alpha).unwrap();
        let more = step(50.0, 0.05).shows(alpha).unwrap();
        let most = step(50.0, 0.2).shows(alpha).unwrap();
        assert!(few > more && more > most && most > 1.0, "{few} {more} {most}");
        assert!(step(0.0, 0.05).shows(alpha).is_none());
    }

    #[test]
    fn what_is_advised_is_enough() {
        let (alpha, step) = (Alpha::default(), step(50.0, 0.02));
        let seconds = step.seconds_for(2.0, alpha).unwrap();
        assert!(Step { seconds, ..step }.shows(alpha).unwrap() <= 2.0);
        let weight = step.weight_for(2.0, alpha).unwrap();
        assert!(Step { weight, ..step }.shows(alpha).unwrap() <= 2.0);
        assert!(
            step.statement(alpha).contains("can show"),
            "{}",
            step.statement(alpha)
        );
    }

    #[test]
    fn a_handful_of_requests_could_not_have_failed() {
        let alpha = Alpha::default();
        let arms = |n, m| Arms {
            candidate: Tally::new(0, n),
            stable: Tally::new(m / 100, m),
        };
        assert!(!could_show(arms(1, 100), None, alpha));
        assert!(!could_show(arms(100, 0), None, alpha), "nothing to compare with");
        assert!(could_show(arms(100, 0), Some(0.02), alpha));
        assert!(could_show(arms(30, 600), None, alpha));
    }
}
