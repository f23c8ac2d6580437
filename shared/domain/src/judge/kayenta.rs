//! The rule of Kayenta's NetflixACAJudge on plain series, for people who come from there: the same class on the same
//! points. Written from its documented behaviour: a two-sided Mann–Whitney test with confidence 0.98 and a
//! Hodges–Lehmann interval, by the normal law with continuity and ties as R's `wilcox.test` does it; *High* when the interval lies
//! above a quarter of the estimate and the mean is not smaller.
//!
//! It differs in one place on purpose: two constant series get no random noise added; equal ones pass, others differ.
//! Its verdict has no error rate over repeated looks.

use super::ranks::Ranks;
use super::root::root;
use super::special::normal_quantile;

/// Confidence of the interval.
const CONFIDENCE: f64 = 0.98;
/// Part of the estimate that the interval must lie beyond.
const TOLERANCE: f64 = 0.25;
/// Ratio of the means that is allowed in either direction, unless somebody sets another.
const ALLOWED: f64 = 1.0;
/// How closely the ends of the interval are looked for: Kayenta's absolute tolerance, which is why its class depends
/// on the unit of the series, and on where a root is looked for next where values are equal.
const CLOSE: f64 = 1e-4;

/// How one series stands to the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// No points of one or both.
    NoData,
    /// Not shown to differ by enough.
    Pass,
    /// The experiment is greater.
    High,
    /// The experiment is smaller.
    Low,
}

impl Class {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoData => "no_data",
            Self::Pass => "pass",
            Self::High => "high",
            Self::Low => "low",
        }
    }
}

/// Which change is harm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Harm {
    /// An increase.
    Increase,
    /// A decrease.
    Decrease,
    /// Either.
    Either,
}

/// Class of one metric.
pub fn classify(control: &[f64], experiment: &[f64], harm: Harm) -> Class {
    let numbers = |series: &[f64]| {
        series
            .iter()
            .copied()
            .filter(|v| v.is_finite())
            .collect::<Vec<_>>()
    };
    let (control, experiment) = (numbers(control), numbers(experiment));
    if control.is_empty() || experiment.is_empty() {
        return Class::NoData;
    }
    if control == experiment {
        return Class::Pass;
    }
    let (low, high, estimate) = interval(&experiment, &control);
    let beyond = TOLERANCE * estimate.abs();
    let mean = |series: &[f64]| series.iter().sum::<f64>() / series.len() as f64;
    let ratio = mean(&experiment) / mean(&control);
    if harm != Harm::Decrease && low > beyond && ratio >= ALLOWED {
        Class::High
    } else if harm != Harm::Increase && high < -beyond && ratio <= ALLOWED {
        Class::Low
    } else {
        Class::Pass
    }
}

/// Score of a canary: the part of the metrics with data that pass, of 100.
pub fn score(classes: &[Class]) -> Option<f64> {
    let with_data = classes.iter().filter(|class| **class != Class::NoData).count();
    let pass = classes.iter().filter(|class| **class == Class::Pass).count();
    (with_data > 0).then(|| 100.0 * pass as f64 / with_data as f64)
}

/// Ends of the interval of the shift, and its estimate.
fn interval(x: &[f64], y: &[f64]) -> (f64, f64, f64) {
    let ends = |series: &[f64]| {
        let fold = |with: fn(f64, f64) -> f64| series.iter().copied().reduce(with).unwrap_or(0.0);
        (fold(f64::min), fold(f64::max))
    };
    let ((x_low, x_high), (y_low, y_high)) = (ends(x), ends(y));
    let (from, to) = (x_low - y_high, x_high - y_low);
    if from == to {
        return (from, from, from);
    }
    let z = normal_quantile(f64::midpoint(1.0, CONFIDENCE));
    // Falls as the shift grows; one half of a pair is taken off towards zero.
    let standard = |shift: f64| {
        let moved: Vec<f64> = x.iter().map(|v| v - shift).collect();
        let (offset, spread) = Ranks::of(&moved, y).offset_and_spread();
        let sign = if offset == 0.0 { 0.0 } else { offset.signum() };
        (offset - 0.5 * sign) / spread
    };
    let end = |above: f64| root(from, to, CLOSE, |shift| standard(shift) - above);
    (end(z), end(-z), end(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clear_rise_is_high_and_the_same_series_passes() {
        let control: Vec<f64> = (0..20).map(|i| 100.0 + f64::from(i % 7)).collect();
        let worse: Vec<f64> = control.iter().map(|v| v * 1.3).collect();
        assert_eq!(classify(&control, &worse, Harm::Increase), Class::High);
        assert_eq!(classify(&worse, &control, Harm::Decrease), Class::Low);
        assert_eq!(classify(&worse, &control, Harm::Increase), Class::Pass);
        assert_eq!(classify(&control, &control, Harm::Either), Class::Pass);
        assert_eq!(classify(&[], &control, Harm::Either), Class::NoData);
        assert_eq!(classify(&[f64::NAN], &control, Harm::Either), Class::NoData);
        assert_eq!(classify(&[5.0; 4], &[7.0; 4], Harm::Either), Class::High);
    }

    #[test]
    fn a_score_leaves_out_what_has_no_data() {
        assert_eq!(score(&[Class::Pass, Class::High, Class::NoData]), Some(50.0));
        assert_eq!(score(&[Class::NoData]), None);
    }
}
