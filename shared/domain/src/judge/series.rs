//! Two plain series side by side, interval by interval: which is greater, by how much, and how sure that is.
//!
//! Values of the same interval are paired, so that what moves both, as the time of day does, cancels. The mean of the
//! differences has an asymptotic confidence sequence (a normal mixture; Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
//! *Time-uniform central limit theory*, 2021, eq. 14): it holds at every look at once, so it may be read on any day.
//! Mann–Whitney is told beside it, for one look: it has no pairs, and says whether one series tends to be greater.

use std::collections::BTreeMap;

use super::ranks::{Ranks, Side};

/// Chance that any statement about any metric of an experiment is wrong.
const ALPHA: f64 = 0.05;
/// Where the sequence is narrowest, in batches.
const NARROWEST: f64 = 100.0;
/// Batches without which nothing is said: before them, the normal law is not to be trusted.
const LEAST: usize = 10;

/// One metric of one variant against the same of the first.
#[derive(Clone, PartialEq, Debug)]
pub struct Compared {
    /// What both names have in common: `inference.latency`.
    pub metric: String,
    /// The variant that others are compared with, and this one.
    pub versions: (String, String),
    /// Intervals in which both have a value.
    pub pairs: usize,
    /// What they show; `None`: too few.
    pub shown: Option<Shown>,
}

/// What pairs show.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shown {
    /// Mean of the first.
    pub first: f64,
    /// Mean of the differences, second less first.
    pub difference: f64,
    /// Half the width of where it lies, at every look at once.
    pub within: f64,
    /// How sure.
    pub sure: f64,
    /// p-value of Mann–Whitney, both sides.
    pub p: f64,
}

impl Shown {
    /// Whether a difference is shown.
    pub fn is_clear(&self) -> bool {
        self.difference.abs() > self.within
    }
}

impl Compared {
    /// For people.
    pub fn words(&self) -> String {
        let (a, b) = &self.versions;
        let Some(shown) = self.shown else {
            return format!(
                "{}: too few values to compare {b} with {a} ({} pairs)",
                self.metric, self.pairs
            );
        };
        let change = |difference: f64| match shown.first.abs() > f64::EPSILON {
            true => format!("{:+.1} %", 100.0 * difference / shown.first.abs()),
            false => format!("{difference:+.4}"),
        };
        let range = format!(
            "{} (between {} and {}, {:.1} % sure on any day)",
            change(shown.difference),
            change(shown.difference - shown.within),
            change(shown.difference + shown.within),
            100.0 * shown.sure
        );
        let p = match shown.p {
            p if p < 0.001 => "p < 0.001".to_owned(),
            p => format!("p = {p:.3}"),
        };
        let verdict = match (shown.is_clear(), shown.difference > 0.0) {
            (false, _) => format!("no difference between {b} and {a} is shown"),
            (true, true) => format!("{b} is greater than {a}"),
            (true, false) => format!("{b} is smaller than {a}"),
        };
        format!(
            "{}: {verdict}: {range}; Mann–Whitney {p}; {} pairs",
            self.metric, self.pairs
        )
    }
}

/// Compares the metrics of each variant with the same of the first. Which belong together is read off their names: the
/// version label stands in them, and the rest is the same. `batch` values that follow one another count as one, and must not
/// depend on what was seen.
pub fn compare(
    values: &BTreeMap<String, Vec<Option<f64>>>,
    versions: &[&str],
    batch: usize,
) -> Vec<Compared> {
    let mut by_metric: BTreeMap<String, BTreeMap<usize, &Vec<Option<f64>>>> = BTreeMap::new();
    for (name, series) in values {
        if let Some((version, rest)) = owner(name, versions) {
            by_metric.entry(rest).or_default().insert(version, series);
        }
    }
    let compared =
        |sides: &BTreeMap<usize, &Vec<Option<f64>>>| sides.len() - usize::from(sides.contains_key(&0));
    let others = by_metric
        .values()
        .filter(|sides| sides.contains_key(&0))
        .map(compared);
    let alpha = ALPHA / others.sum::<usize>().max(1) as f64;
    let mut out = Vec::new();
    for (metric, sides) in &by_metric {
        let Some(first) = sides.get(&0) else { continue };
        for (version, second) in sides.iter().filter(|(version, _)| **version > 0) {
            let pairs: Vec<(f64, f64)> = first
                .iter()
                .zip(second.iter())
                .filter_map(|(a, b)| Some(((*a)?, (*b)?)))
                .collect();
            out.push(Compared {
                metric: metric.clone(),
                versions: (versions[0].to_owned(), versions[*version].to_owned()),
                pairs: pairs.len(),
                shown: show(&pairs, batch.max(1), alpha),
            });
        }
    }
    out
}

fn show(pairs: &[(f64, f64)], batch: usize, alpha: f64) -> Option<Shown> {
    let batches: Vec<f64> = pairs
        .chunks_exact(batch)
        .map(|part| part.iter().map(|(a, b)| b - a).sum::<f64>() / batch as f64)
        .collect();
    if batches.len() < LEAST {
        return None;
    }
    let n = batches.len() as f64;
    let mean = batches.iter().sum::<f64>() / n;
    let spread = (batches.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    Some(Shown {
        first: first.iter().sum::<f64>() / first.len() as f64,
        difference: mean,
        within: spread * width(n, alpha),
        sure: 1.0 - alpha,
        p: Ranks::of(&first, &second).p(Side::Both),
    })
}

/// Half the width of the sequence after `n` values with a standard deviation of 1.
fn width(n: f64, alpha: f64) -> f64 {
    let ln = -2.0 * alpha.ln();
    let rho2 = (ln + ln.ln() + 1.0) / NARROWEST;
    let grown = n * rho2 + 1.0;
    (2.0 * grown / (n * n * rho2) * (grown.sqrt() / alpha).ln()).sqrt()
}

/// The variant whose version stands in a metric's name, and the rest of the name. The longest version wins, as `model-a-2`
/// does over `model-a`; letters and digits count, whatever stands between them: `model_a.latency` is of `model-a`.
fn owner(name: &str, versions: &[&str]) -> Option<(usize, String)> {
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(|c: char| !c.is_alphanumeric());
        parts
            .filter(|part| !part.is_empty())
            .map(str::to_lowercase)
            .collect()
    };
    let named = words(name);
    let mut all: Vec<(usize, Vec<String>)> = versions
        .iter()
        .map(|version| words(version))
        .enumerate()
        .collect();
    all.sort_by_key(|(_, version)| std::cmp::Reverse(version.len()));
    all.into_iter()
        .filter(|(_, version)| !version.is_empty())
        .find_map(|(index, version)| {
            let at = named.windows(version.len()).position(|part| part == version)?;
            let rest: Vec<&str> = named[..at]
                .iter()
                .chain(&named[at + version.len()..])
                .map(String::as_str)
                .collect();
            Some((index, rest.join(".")))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values around a mean that repeats by the day, with a spread that repeats with another period.
    fn series(mean: f64, n: usize, seed: usize) -> Vec<Option<f64>> {
        let at = |i: usize| {
            let day = (i as f64 / 288.0 * std::f64::consts::TAU).sin();
            let noise = ((i * 7_919 + seed * 104_729) % 1_009) as f64 / 1_009.0 - 0.5;
            mean * (1.0 + 0.3 * day + 0.1 * noise)
        };
        (0..n).map(|i| Some(at(i))).collect()
    }

    fn two(a: Vec<Option<f64>>, b: Vec<Option<f64>>) -> Vec<Compared> {
        let values = [
            ("model_a.inference.latency".to_owned(), a),
            ("model_b.inference.latency".to_owned(), b),
        ];
        compare(&values.into(), &["model-a", "model-b"], 12)
    }

    #[test]
    fn a_difference_of_a_twentieth_is_shown_under_a_daily_swing_six_times_as_large() {
        let compared = two(series(200.0, 2_016, 1), series(190.0, 2_016, 2));
        let [one] = compared.as_slice() else {
            panic!("{compared:?}")
        };
        assert_eq!((one.metric.as_str(), one.pairs), ("inference.latency", 2_016));
        let shown = one.shown.unwrap();
        assert!(shown.is_clear() && shown.difference < 0.0, "{shown:?}");
        assert!((shown.difference + 10.0).abs() <= shown.within, "{shown:?}");
        assert!(
            one.words()
                .starts_with("inference.latency: model-b is smaller than model-a: -5."),
            "{}",
            one.words()
        );
    }

    #[test]
    fn equal_variants_and_few_values_show_nothing() {
        let same = two(series(200.0, 2_016, 1), series(200.0, 2_016, 2));
        assert!(!same[0].shown.unwrap().is_clear(), "{}", same[0].words());
        let few = two(series(200.0, 60, 1), series(100.0, 60, 2));
        assert_eq!(few[0].shown, None);
        assert!(few[0].words().contains("too few values"), "{}", few[0].words());
    }

    #[test]
    fn intervals_without_a_value_are_left_out_with_their_pair() {
        let mut a = series(200.0, 240, 1);
        a[3] = None;
        assert_eq!(two(a, series(200.0, 240, 2))[0].pairs, 239);
    }

    #[test]
    fn the_sequence_never_leaves_the_truth_in_a_thousand_fair_experiments_more_often_than_it_says() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut uniform = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut left = 0;
        for _ in 0..1_000 {
            // Sums of twelve uniform numbers: mean 0, standard deviation 1.
            let (mut n, mut sum, mut squares, mut out) = (0.0, 0.0, 0.0, false);
            for _ in 0..168 {
                let x: f64 = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
                (n, sum, squares) = (n + 1.0, sum + x, squares + x * x);
                if n >= LEAST as f64 {
                    let mean: f64 = sum / n;
                    let spread = ((squares - n * mean * mean) / (n - 1.0)).sqrt();
                    out |= mean.abs() > spread * width(n, 0.05);
                }
            }
            left += u32::from(out);
        }
        assert!(left <= 50, "{left} of 1000 experiments, looked at 159 times each");
    }

    #[test]
    fn names_are_of_the_longest_version_in_them() {
        let versions = ["model-a", "model-a-2"];
        let table = [
            ("model_a.accuracy", Some((0, "accuracy"))),
            ("avg:latency{version:model-a-2}", Some((1, "avg.latency.version"))),
            ("modela.accuracy", None),
            ("model_b.accuracy", None),
        ];
        for (name, expected) in table {
            let expected = expected.map(|(i, rest): (usize, &str)| (i, rest.to_owned()));
            assert_eq!(owner(name, &versions), expected, "{name}");
        }
    }
}
