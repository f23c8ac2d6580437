//! Candidate against stable in one block: two ways to weigh the same four counts.
//!
//! Both are e-variables: while the candidate is not worse, their mean is at most 1 whatever the common level is, so
//! products over blocks bound false alarms at any moment and a daily rhythm does no harm.

use super::{Arms, Tally};

/// ln of the 2×2 E-variable (Turner, Ly, Grünwald 2024) of "candidate `t_a`, stable `t_b`" against "both the same".
///
/// Valid for any `t_a > t_b` that were chosen before the block: the null is every pair of shares of which the
/// candidate's is not the greater one, which is convex, and `t0` is its point nearest to the alternative.
pub fn ln_e_two_by_two(arms: Arms, t_a: f64, t_b: f64) -> f64 {
    let (n_a, n_b) = (arms.candidate.total as f64, arms.stable.total as f64);
    let t0 = (n_a * t_a + n_b * t_b) / (n_a + n_b);
    ln_arm(arms.candidate, t_a, t0) + ln_arm(arms.stable, t_b, t0)
}

fn ln_arm(tally: Tally, t: f64, t0: f64) -> f64 {
    let (bad, good) = (tally.bad as f64, (tally.total - tally.bad) as f64);
    bad * (t / t0).ln() + good * ((1.0 - t) / (1.0 - t0)).ln()
}

/// ln of the evidence of "the ratio of the shares is `alternative`" against "it is at most `null`" (or at least, if
/// the alternative is smaller), from which arm the bad ones came to. No level needs to be known.
///
/// For shares `p_a`, `p_b` the mean is at most exp(n_a p_a (A-1) + n_b p_b (B-1)) with A, B the factors of one bad
/// request of either arm, and that exponent is 0 at `p_a = null p_b`: exact for any level, sharp for small ones.
pub fn ln_e_by_arm(arms: Arms, null: f64, alternative: f64) -> f64 {
    let (n_a, n_b) = (arms.candidate.total as f64, arms.stable.total as f64);
    let all_bad = arms.candidate.bad as f64 + arms.stable.bad as f64;
    let level = ((n_a * null + n_b) / (n_a * alternative + n_b)).ln();
    arms.candidate.bad as f64 * (alternative / null).ln() + all_bad * level
}

/// The share whose odds are `times` those of `share`.
pub(super) fn times_odds(share: f64, times: f64) -> f64 {
    share * times / (1.0 - share + share * times)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arms(k_a: u64, n_a: u64, k_b: u64, n_b: u64) -> Arms {
        Arms {
            candidate: Tally::new(k_a, n_a),
            stable: Tally::new(k_b, n_b),
        }
    }

    #[test]
    fn the_published_value_is_met() {
        let found = ln_e_two_by_two(arms(3, 150, 28, 2_850), 0.02, 0.01);
        assert!((found - 0.574_421_584_6).abs() < 1e-9, "{found}");
    }

    fn chance(k: u64, n: u64, p: f64) -> f64 {
        let ways = (0..k).fold(1.0, |ways, i| ways * (n - i) as f64 / (i + 1) as f64);
        ways * p.powf(k as f64) * (1.0 - p).powf((n - k) as f64)
    }

    /// Exact mean over both arms.
    fn mean(n_a: u64, n_b: u64, p_a: f64, p_b: f64, ln_e: impl Fn(Arms) -> f64) -> f64 {
        let pairs = (0..=n_a).flat_map(|k_a| (0..=n_b).map(move |k_b| (k_a, k_b)));
        pairs
            .map(|(a, b)| chance(a, n_a, p_a) * chance(b, n_b, p_b) * ln_e(arms(a, n_a, b, n_b)).exp())
            .sum()
    }

    #[test]
    fn while_the_candidate_is_not_worse_the_mean_is_at_most_one() {
        for level in [0.01, 0.2, 0.7] {
            let same = mean(6, 30, level, level, |x| ln_e_two_by_two(x, 0.3, 0.1));
            assert!(same <= 1.0 + 1e-12, "{same}");
            let better = mean(6, 30, level * 0.8, level, |x| ln_e_two_by_two(x, 0.3, 0.1));
            assert!(better < 1.0, "{better}");
        }
        // The level that the alternative supposed is the one where nothing is lost.
        let t0 = (6.0 * 0.3 + 30.0 * 0.1) / 36.0;
        let sharp = mean(6, 30, t0, t0, |x| ln_e_two_by_two(x, 0.3, 0.1));
        assert!((sharp - 1.0).abs() < 1e-12, "{sharp}");
    }

    #[test]
    fn by_arm_the_mean_is_at_most_one_on_either_side_of_any_ratio() {
        for (null, alternative) in [(1.0, 2.0), (1.25, 5.0), (1.25, 1.0), (3.0, 0.5)] {
            for p_b in [0.01, 0.1, 0.3] {
                let at = mean(6, 30, null * p_b, p_b, |x| ln_e_by_arm(x, null, alternative));
                assert!(at <= 1.0 + 1e-12, "{null} {alternative} {p_b}: {at}");
                let off = if alternative > null { 0.7 } else { 1.1 };
                let inside = mean(6, 30, null * p_b * off, p_b, |x| {
                    ln_e_by_arm(x, null, alternative)
                });
                assert!(inside < at, "{null} {alternative} {p_b}: {inside}");
            }
        }
    }
}
