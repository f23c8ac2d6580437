//! Is a rollback condition shown to hold? Asked after every look, answered with a stated error rate.
//!
//! A comparison such as `error_rate > 2%` or `latency_p99 > 1000ms` is a question about a proportion: failed requests
//! against 2 %, requests slower than one second against 1 %. The evidence is a one-sample e-value
//! (Wald 1945; Ville 1939): the likelihood ratio of "the proportion is q" against "it is the line p0", averaged over a
//! grid of q above p0. While the true proportion is at or below the line, the chance that the running value ever
//! reaches 1/alpha is at most alpha, however often one looks.

use crate::condition::{Comparison, Condition, Op};
use crate::seen::Counts;

/// Chance of sending a good candidate back, over a whole rollout.
pub const ALPHA: f64 = 0.01;

/// Alternatives that the evidence is averaged over: the line times these.
const TIMES_THE_LINE: [f64; 8] = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0];

/// What a condition says about one revision.
#[derive(Clone, PartialEq, Debug)]
pub struct Evidence {
    /// Natural logarithm of the e-value.
    pub ln_e: f64,
    /// The comparison that weighs most, in words: `error_rate 6.1 % of 1131 requests; limit 2%`.
    pub words: String,
}

impl Evidence {
    /// Whether the condition is shown to hold when `parts` looks of equal right share the error rate.
    pub fn shows_breach(&self, parts: usize) -> bool {
        self.ln_e >= (parts.max(1) as f64 / ALPHA).ln()
    }
}

/// Weighs a condition on the counts of one step. `None`: nothing that the condition asks for was counted.
pub fn weigh(condition: &Condition, counts: &Counts) -> Option<Evidence> {
    match condition {
        Condition::Compare(comparison) => weigh_comparison(comparison, counts),
        Condition::Or(parts) => {
            // The mean of e-values is one again, whatever their dependence; a part without data has e-value 1.
            let known: Vec<Evidence> = parts.iter().filter_map(|part| weigh(part, counts)).collect();
            let strongest = known.iter().max_by(|a, b| a.ln_e.total_cmp(&b.ln_e))?.clone();
            let silent = std::iter::repeat_n(0.0, parts.len() - known.len());
            let ln_e = ln_mean(known.iter().map(|part| part.ln_e).chain(silent));
            Some(Evidence {
                ln_e,
                words: strongest.words,
            })
        }
        Condition::And(parts) => {
            let known: Option<Vec<Evidence>> = parts.iter().map(|part| weigh(part, counts)).collect();
            known?.into_iter().min_by(|a, b| a.ln_e.total_cmp(&b.ln_e))
        }
        // Evidence for the opposite is a test of its own, which this judge does not have.
        Condition::Not(_) => None,
    }
}

fn weigh_comparison(comparison: &Comparison, counts: &Counts) -> Option<Evidence> {
    let (bad, all, line, words) = proportion(comparison, counts)?;
    if all == 0 {
        return None;
    }
    Some(Evidence {
        ln_e: ln_e_value(bad, all, line),
        words,
    })
}

/// The comparison as a proportion: how many of how many, and the line it must not pass.
fn proportion(comparison: &Comparison, counts: &Counts) -> Option<(u64, u64, f64, String)> {
    let above = matches!(comparison.op, Op::Above | Op::AtLeast);
    let below = matches!(comparison.op, Op::Below | Op::AtMost);
    let (line, limit) = (comparison.line.value, &comparison.line.written);
    let share = |bad: u64, all: u64| 100.0 * bad as f64 / (all.max(1)) as f64;
    match comparison.metric.as_str() {
        "error_rate" if above => {
            let (bad, all) = (counts.bad, counts.requests);
            let words = format!(
                "error_rate {:.1} % of {all} requests; limit {limit}",
                share(bad, all)
            );
            Some((bad, all, line, words))
        }
        "success_rate" if below => {
            let (bad, all) = (counts.bad, counts.requests);
            let words = format!(
                "success_rate {:.1} % of {all} requests; limit {limit}",
                100.0 - share(bad, all)
            );
            Some((bad, all, 1.0 - line, words))
        }
        metric if above => {
            let quantile = quantile_of(metric)?;
            let limit_ms = (line * 1_000.0).round() as u64;
            let (slow, all) = (counts.slower_than(limit_ms)?, counts.timed);
            let allowed = 100.0 * (1.0 - quantile);
            let words = format!(
                "{metric}: {:.1} % of {all} requests took over {limit}; at most {allowed:.0} % may",
                share(slow, all)
            );
            Some((slow, all, 1.0 - quantile, words))
        }
        _ => None,
    }
}

/// `latency_p99` → 0.99.
fn quantile_of(metric: &str) -> Option<f64> {
    let digits = metric.strip_prefix("latency_p")?;
    let number: f64 = digits.parse().ok()?;
    let quantile = number / 10f64.powi(i32::try_from(digits.len()).ok()?);
    (digits.len() >= 2 && quantile > 0.0 && quantile < 1.0).then_some(quantile)
}

/// ln of the e-value of `bad` in `all` against "the proportion is at most `line`".
fn ln_e_value(bad: u64, all: u64, line: f64) -> f64 {
    let p0 = line.clamp(1e-6, 0.999);
    let (k, rest) = (bad as f64, (all - bad.min(all)) as f64);
    let alternatives = TIMES_THE_LINE
        .iter()
        .map(|times| (p0 * times).min((1.0 + p0) / 2.0));
    ln_mean(alternatives.map(|q| k * (q / p0).ln() + rest * ((1.0 - q) / (1.0 - p0)).ln()))
}

/// ln of the mean of values given by their logarithms.
fn ln_mean(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = logs.clone().count() as f64;
    let top = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    top + (logs.map(|ln| (ln - top).exp()).sum::<f64>() / count).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::{Dimension, Quantity};

    fn compare(metric: &str, op: Op, value: f64, written: &str) -> Condition {
        let line = Quantity {
            value,
            dimension: Dimension::Ratio,
            written: written.into(),
        };
        Condition::Compare(Comparison {
            metric: metric.into(),
            op,
            line,
            during: None,
        })
    }

    fn article() -> Condition {
        let errors = compare("error_rate", Op::Above, 0.02, "2%");
        Condition::Or(vec![errors, compare("latency_p99", Op::Above, 1.0, "1000ms")])
    }

    fn counts(requests: u64, bad: u64, slow: u64) -> Counts {
        let within_ms = [
            (500, requests - slow),
            (1_000, requests - slow),
            (2_500, requests),
        ]
        .into();
        Counts {
            started: requests,
            requests,
            bad,
            within_ms,
            timed: requests,
        }
    }

    #[test]
    fn a_healthy_candidate_is_never_shown_to_breach() {
        for requests in [1, 10, 150, 1_500, 100_000] {
            let seen = weigh(&article(), &counts(requests, requests / 100, requests / 200)).unwrap();
            assert!(!seen.shows_breach(1), "{requests} requests: {seen:?}");
        }
    }

    #[test]
    fn one_bad_request_among_few_is_noise_and_many_are_not() {
        assert!(!weigh(&article(), &counts(10, 1, 0)).unwrap().shows_breach(1));
        assert!(weigh(&article(), &counts(40, 12, 0)).unwrap().shows_breach(1));
        assert!(weigh(&article(), &counts(200, 0, 20)).unwrap().shows_breach(1));
    }

    #[test]
    fn the_words_name_the_metric_that_weighs_most() {
        let seen = weigh(&article(), &counts(200, 30, 0)).unwrap();
        assert_eq!(seen.words, "error_rate 15.0 % of 200 requests; limit 2%");
        let seen = weigh(&article(), &counts(200, 0, 30)).unwrap();
        assert_eq!(
            seen.words,
            "latency_p99: 15.0 % of 200 requests took over 1000ms; at most 1 % may"
        );
    }

    #[test]
    fn nothing_counted_is_no_evidence() {
        assert_eq!(weigh(&article(), &Counts::default()), None);
        assert_eq!(
            weigh(&compare("gpu_temperature", Op::Above, 1.0, "1"), &counts(9, 9, 9)),
            None
        );
    }

    #[test]
    fn the_mean_e_value_under_the_line_is_at_most_one() {
        // Exact expectation over the binomial with p at the line: the property that Ville's bound rests on.
        let (n, p0) = (60_u64, 0.1_f64);
        let mut mean = 0.0;
        let mut ways = 1.0_f64;
        for k in 0..=n {
            let chance = ways * p0.powf(k as f64) * (1.0 - p0).powf((n - k) as f64);
            mean += chance * ln_e_value(k, n, p0).exp();
            ways *= (n - k) as f64 / (k + 1) as f64;
        }
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
    }
}
