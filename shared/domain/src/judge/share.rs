//! One arm against a line: is the candidate's share of bad requests over it, or shown to be under it?
//!
//! The evidence is a likelihood ratio of "the share is q" to "the share is the line", averaged over several q (Wald
//! 1945). While the share is at or under the line its mean is at most 1, so the chance that it ever reaches 1/alpha is
//! at most alpha, however often one looks (Ville 1939).

use super::Tally;
use super::root::last_wrong;
use super::special::ln_mean;

/// Shares that the evidence of a breach is averaged over: the line times these.
const TIMES_OVER: [f64; 8] = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0];
/// The same for evidence that the share is under the line.
const TIMES_UNDER: [f64; 8] = [0.95, 0.9, 0.8, 0.65, 0.5, 0.3, 0.1, 0.01];
/// Halvings of the way from 0 or 1 to a share: to the last digit.
const HALVINGS: u32 = 48;
/// A line of 0 or 1 has no likelihood; these are as near as matters.
const NEAREST: f64 = 1e-6;

/// ln of the evidence of "the share is over the line".
pub fn ln_e_over(tally: Tally, line: f64) -> f64 {
    ln_e_over_parts(tally.bad as f64, tally.total as f64, line)
}

/// The same on weighted counts, as bursts leave them (see [`super::Bursts`]).
pub(super) fn ln_e_over_parts(bad: f64, total: f64, line: f64) -> f64 {
    let line = line.clamp(NEAREST, 1.0 - NEAREST);
    let shares = TIMES_OVER
        .iter()
        .map(|times| (line * times).min((1.0 + line) / 2.0));
    ln_mean(shares.map(|q| (ln_ratio(bad, total, q, line), 1.0)))
}

/// ln of the evidence of "the share is under the line".
pub fn ln_e_under(tally: Tally, line: f64) -> f64 {
    ln_e_under_parts(tally.bad as f64, tally.total as f64, line)
}

pub(super) fn ln_e_under_parts(bad: f64, total: f64, line: f64) -> f64 {
    let line = line.clamp(NEAREST, 1.0 - NEAREST);
    let shares = TIMES_UNDER.iter().map(|times| line * times);
    ln_mean(shares.map(|q| (ln_ratio(bad, total, q, line), 1.0)))
}

/// ln of how much likelier a count is with one share than with another.
pub(super) fn ln_likelier(tally: Tally, share: f64, than: f64) -> f64 {
    let inside = |share: f64| share.clamp(NEAREST, 1.0 - NEAREST);
    ln_ratio(tally.bad as f64, tally.total as f64, inside(share), inside(than))
}

fn ln_ratio(bad: f64, total: f64, q: f64, line: f64) -> f64 {
    bad * (q / line).ln() + (total - bad) * ((1.0 - q) / (1.0 - line)).ln()
}

/// Where the share lies, at every look at once with chance at least `1 - alpha`.
pub fn share_bounds(tally: Tally, alpha: f64) -> (f64, f64) {
    bounds_of_parts(tally.bad as f64, tally.total as f64, alpha)
}

pub(super) fn bounds_of_parts(bad: f64, total: f64, alpha: f64) -> (f64, f64) {
    if total <= 0.0 {
        return (0.0, 1.0);
    }
    let enough = (2.0 / alpha).ln();
    let at = bad / total;
    let low = last_wrong(0.0, at, HALVINGS, |line| {
        ln_e_over_parts(bad, total, line) >= enough
    });
    let high = last_wrong(1.0, at, HALVINGS, |line| {
        ln_e_under_parts(bad, total, line) >= enough
    });
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exact mean of the evidence when the share is `p`.
    fn mean(n: u64, p: f64, ln_e: impl Fn(Tally) -> f64) -> f64 {
        let mut ways = 1.0_f64;
        let mut mean = 0.0;
        for k in 0..=n {
            mean += ways * p.powf(k as f64) * (1.0 - p).powf((n - k) as f64) * ln_e(Tally::new(k, n)).exp();
            ways *= (n - k) as f64 / (k + 1) as f64;
        }
        mean
    }

    #[test]
    fn on_its_side_of_the_line_the_mean_is_at_most_one() {
        for line in [0.02, 0.1, 0.5] {
            assert!((mean(60, line, |t| ln_e_over(t, line)) - 1.0).abs() < 1e-9);
            assert!((mean(60, line, |t| ln_e_under(t, line)) - 1.0).abs() < 1e-9);
            for part in [0.1, 0.5, 0.9] {
                assert!(mean(60, line * part, |t| ln_e_over(t, line)) < 1.0);
                assert!(mean(60, line + (1.0 - line) * part, |t| ln_e_under(t, line)) < 1.0);
            }
        }
    }

    #[test]
    fn bounds_hold_the_share_and_shrink() {
        let (low, high) = share_bounds(Tally::new(10, 1_000), 0.01);
        assert!(low < 0.01 && 0.01 < high && high < 0.03, "{low} {high}");
        let (closer, nearer) = share_bounds(Tally::new(1_000, 100_000), 0.01);
        assert!(closer > low && nearer < high, "{closer} {nearer}");
        assert_eq!(share_bounds(Tally::default(), 0.01), (0.0, 1.0));
        assert!(share_bounds(Tally::new(0, 1_000), 0.01).1 < 0.01);
    }
}
