//! The few special functions that the statistics need, to near full double precision.

use std::f64::consts::{PI, SQRT_2};

/// Complementary error function: a power series near zero, a continued fraction in the tail.
pub fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x < 2.0 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term.abs() > 1e-17 * sum.abs() {
            n += 1.0;
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        return 1.0 - 2.0 / PI.sqrt() * sum;
    }
    // 60 levels are exact to the last digit from x = 2 on.
    let fraction = (1..=60).rev().fold(x, |below, k| x + f64::from(k) / 2.0 / below);
    (-x * x).exp() / PI.sqrt() / fraction
}

/// Chance that a standard normal value is below `z`.
pub fn normal_below(z: f64) -> f64 {
    0.5 * erfc(-z / SQRT_2)
}

/// The value that a standard normal one is below with chance `p`.
pub fn normal_quantile(p: f64) -> f64 {
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    // Abramowitz and Stegun 26.2.23 to three digits, then Newton's method on the logarithm, which is concave.
    let t = (-2.0 * p.ln()).sqrt();
    let top = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let bottom = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let first = top / bottom - t;
    (0..4).fold(first, |z, _| {
        let below = normal_below(z);
        let density = (-z * z / 2.0).exp() / (2.0 * PI).sqrt();
        z - below / density * (below / p).ln()
    })
}

/// Chance that a chi-square value of one degree of freedom is above `x`.
pub fn chi_square_1_above(x: f64) -> f64 {
    erfc((x.max(0.0) / 2.0).sqrt())
}

/// ln of the gamma function of a positive number (Lanczos, g = 7).
pub fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let terms = COEFFICIENTS.iter().zip(1..).map(|(c, i)| c / (x + f64::from(i)));
    let sum: f64 = 0.999_999_999_999_809_9 + terms.sum::<f64>();
    let t = x + 7.5;
    0.5 * (2.0 * PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// ln of the beta function.
pub fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// ln of the weighted mean of values given by their logarithms; nothing in the list: 0, which is no evidence.
pub(crate) fn ln_mean(values: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let top = values.clone().map(|(ln, _)| ln).fold(f64::NEG_INFINITY, f64::max);
    if !top.is_finite() {
        return if top == f64::INFINITY { top } else { 0.0 };
    }
    let (sum, weight) = values.fold((0.0, 0.0), |(sum, weight), (ln, w)| {
        (sum + w * (ln - top).exp(), weight + w)
    });
    top + (sum / weight).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values_are_met() {
        let table = [
            (erfc(0.5), 0.479_500_122_186_953_5),
            (erfc(2.0), 0.004_677_734_981_047_266),
            (erfc(5.0) * 1e12, 1.537_459_794_428_035),
            (erfc(-1.0), 1.842_700_792_949_715),
            (normal_quantile(0.975), 1.959_963_984_540_054),
            (normal_quantile(1e-6), -4.753_424_308_822_899),
            (ln_gamma(0.5), 0.572_364_942_924_700_1),
            (ln_gamma(101.0), 363.739_375_555_563_5),
            (chi_square_1_above(3.841_458_820_694_124), 0.05),
        ];
        for (found, expected) in table {
            assert!(
                (found - expected).abs() < 1e-12 * expected.abs().max(1.0),
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn both_branches_of_erfc_meet() {
        assert!((erfc(2.0 - 1e-12) - erfc(2.0)).abs() < 1e-13);
    }
}
