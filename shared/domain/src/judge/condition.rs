//! A pipeline's rollback condition, weighed on what was counted.
//!
//! A comparison such as `error_rate > 2%` or `latency_p99 > 1000ms` is a question about a proportion: failed requests
//! against 2 %, requests slower than one second against 1 %. Each comparison is weighed against its line and, where
//! one comparison alone may send traffic back, also against the stable revision. A latency is compared with stable at
//! stable's own median and 95th percentile too, where a shift of everything or of the tail shows first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metric::{Asked, Metric, Shown};
use super::special::ln_mean;
use super::words::{self, percent};
use super::{ALPHA, Alpha, Arms, Tally};
use crate::condition::{Comparison, Condition, Op};
use crate::seen::Counts;

/// Requests of stable after which its median and 95th percentile are taken.
const EDGES_AFTER: u64 = 200;
/// Parts of the stake on "over the line" and on "worse than stable", which has more questions.
const OVER: f64 = 1.0;
const WORSE: f64 = 2.0;

/// What a condition says about one revision.
#[derive(Clone, PartialEq, Debug)]
pub struct Evidence {
    /// Natural logarithm of the e-value.
    pub ln_e: f64,
    /// The comparison that weighs most, in words: `error_rate 6.1 % of 1131 requests; limit 2%`.
    pub words: String,
}

impl Evidence {
    /// Whether harm is shown when `parts` looks of equal right share the error rate.
    pub fn shows_breach(&self, parts: usize) -> bool {
        self.ln_e >= needed(parts)
    }

    /// The words with the odds: `…; evidence 214 : 1 (needs 100 : 1)`.
    pub fn told(&self, parts: usize) -> String {
        format!("{}; {}", self.words, words::evidence(self.ln_e, needed(parts)))
    }
}

fn needed(parts: usize) -> f64 {
    Alpha::new(ALPHA).unwrap_or_default().of_steps(parts).ln_needed()
}

/// Evidence of one step: a metric for each comparison, and for each edge at which latencies are compared with stable.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Weighing {
    /// By comparison as written, and by `over 250ms`.
    metrics: BTreeMap<String, Metric>,
    /// Edges of stable's median and 95th percentile, in milliseconds.
    edges: Vec<u64>,
}

impl Weighing {
    /// Applies what was counted since the last look.
    pub fn add(&mut self, condition: &Condition, candidate: &Counts, stable: &Counts) {
        for comparison in leaves(condition) {
            let Some(question) = Proportion::of(comparison) else {
                continue;
            };
            let Some(arms) = question.arms(candidate, stable) else {
                continue;
            };
            let asked = Asked {
                limit: Some(question.line),
                margin: None,
            };
            let name = comparison.to_string();
            self.metrics
                .entry(name)
                .or_insert_with(|| Metric::new(asked))
                .add(arms);
        }
        if leaves(condition)
            .iter()
            .any(|leaf| quantile_of(&leaf.metric).is_some())
        {
            self.add_edges(candidate, stable);
        }
    }

    fn add_edges(&mut self, candidate: &Counts, stable: &Counts) {
        for edge in &self.edges {
            let (Some(a), Some(b)) = (slow(candidate, *edge), slow(stable, *edge)) else {
                continue;
            };
            let arms = Arms {
                candidate: a,
                stable: b,
            };
            self.metrics.entry(edge_name(*edge)).or_default().add(arms);
        }
        // Chosen after this block is weighed: what is done with a block never depends on itself.
        if self.edges.is_empty() && stable.timed >= EDGES_AFTER {
            self.edges.extend(
                [0.5, 0.95]
                    .iter()
                    .filter_map(|share| stable.quantile_edge(*share)),
            );
            self.edges.dedup();
        }
    }

    /// What is shown so far. `None`: nothing that the condition asks for was counted.
    pub fn weigh(&self, condition: &Condition) -> Option<Evidence> {
        let over = self.over(condition).map(|evidence| (evidence, OVER));
        let worse = self.worse(condition).map(|evidence| (evidence, WORSE));
        let parts: Vec<&(Evidence, f64)> = [&over, &worse].into_iter().flatten().collect();
        let (strongest, _) = parts.iter().max_by(|a, b| a.0.ln_e.total_cmp(&b.0.ln_e))?;
        Some(Evidence {
            ln_e: ln_mean(parts.iter().map(|(part, weight)| (part.ln_e, *weight))),
            words: strongest.words.clone(),
        })
    }

    /// A new step: evidence starts again, what is known of stable stays.
    pub fn restart(&mut self) {
        self.metrics.values_mut().for_each(Metric::restart);
    }

    /// Evidence that the condition holds.
    fn over(&self, condition: &Condition) -> Option<Evidence> {
        combine(condition, &|comparison| {
            let question = Proportion::of(comparison)?;
            let shown = self.metrics.get(&comparison.to_string())?.shown();
            (shown.counted.candidate.total > 0).then_some(())?;
            Some(Evidence {
                ln_e: shown.ln_e_limit?,
                words: question.words(shown.counted.candidate),
            })
        })
    }

    /// Evidence that the candidate is worse than stable in what may send it back alone.
    fn worse(&self, condition: &Condition) -> Option<Evidence> {
        let alone: Vec<String> = alone(condition).iter().map(ToString::to_string).collect();
        let timed = alone.iter().any(|name| name.starts_with("latency_p"));
        let edges = self.edges.iter().filter(|_| timed).map(|edge| edge_name(*edge));
        let names: Vec<String> = alone.into_iter().chain(edges).collect();
        let shown: Vec<(&String, Shown)> = names
            .iter()
            .filter_map(|name| Some((name, self.metrics.get(name)?.shown())))
            .filter(|(_, shown)| shown.counted.candidate.total > 0 && shown.counted.stable.total > 0)
            .collect();
        let (name, most) = shown
            .iter()
            .max_by(|a, b| a.1.ln_e_ratio.total_cmp(&b.1.ln_e_ratio))?;
        Some(Evidence {
            ln_e: ln_mean(shown.iter().map(|(_, shown)| (shown.ln_e_ratio, 1.0))),
            words: worse_words(name, most),
        })
    }
}

fn worse_words(name: &str, shown: &Shown) -> String {
    let share = |tally: Tally| percent(tally.share().unwrap_or(0.0));
    let (candidate, stable) = (shown.counted.candidate, shown.counted.stable);
    let what = match name.split_whitespace().next().unwrap_or_default() {
        metric if metric.starts_with("error") || metric.starts_with("success") => format!("{metric}: failed"),
        "over" => format!("latency: {name}"),
        metric => format!("{metric}: too slow"),
    };
    format!(
        "{what} {} of {} requests, stable {}",
        share(candidate),
        candidate.total,
        share(stable)
    )
}

fn edge_name(edge: u64) -> String {
    format!("over {edge}ms")
}

fn slow(counts: &Counts, edge: u64) -> Option<Tally> {
    if counts.timed == 0 {
        return Some(Tally::default());
    }
    counts
        .slower_than(edge)
        .map(|slow| Tally::new(slow, counts.timed))
}

/// Every comparison of a condition that is weighed.
fn leaves(condition: &Condition) -> Vec<&Comparison> {
    match condition {
        Condition::Compare(comparison) => vec![comparison],
        Condition::And(parts) | Condition::Or(parts) => parts.iter().flat_map(leaves).collect(),
        Condition::Not(_) => Vec::new(),
    }
}

/// Comparisons each of which suffices.
fn alone(condition: &Condition) -> Vec<&Comparison> {
    match condition {
        Condition::Compare(comparison) => vec![comparison],
        Condition::Or(parts) => parts.iter().flat_map(alone).collect(),
        Condition::And(_) | Condition::Not(_) => Vec::new(),
    }
}

fn combine(condition: &Condition, leaf: &impl Fn(&Comparison) -> Option<Evidence>) -> Option<Evidence> {
    match condition {
        Condition::Compare(comparison) => leaf(comparison),
        Condition::Or(parts) => {
            // The mean of e-values is one again, whatever their dependence; a part without data has e-value 1.
            let known: Vec<Evidence> = parts.iter().filter_map(|part| combine(part, leaf)).collect();
            let strongest = known.iter().max_by(|a, b| a.ln_e.total_cmp(&b.ln_e))?.clone();
            let silent = std::iter::repeat_n(0.0, parts.len() - known.len());
            let all = known.iter().map(|part| part.ln_e).chain(silent);
            Some(Evidence {
                ln_e: ln_mean(all.map(|ln_e| (ln_e, 1.0))),
                words: strongest.words,
            })
        }
        Condition::And(parts) => {
            let known: Option<Vec<Evidence>> = parts.iter().map(|part| combine(part, leaf)).collect();
            known?.into_iter().min_by(|a, b| a.ln_e.total_cmp(&b.ln_e))
        }
        // Evidence for the opposite is a test of its own, which this judge does not have.
        Condition::Not(_) => None,
    }
}

/// Weighs a condition on the counts of one revision alone.
pub fn weigh(condition: &Condition, counts: &Counts) -> Option<Evidence> {
    combine(condition, &|comparison| {
        let question = Proportion::of(comparison)?;
        let tally = question.tally(counts).filter(|tally| tally.total > 0)?;
        Some(Evidence {
            ln_e: super::ln_e_over(tally, question.line),
            words: question.words(tally),
        })
    })
}

/// A comparison as a question about a proportion.
struct Proportion<'a> {
    comparison: &'a Comparison,
    what: What,
    line: f64,
}

/// What is counted.
#[derive(Clone, Copy)]
enum What {
    Failed,
    Succeeded,
    SlowerThan { limit_ms: u64, quantile: f64 },
}

impl<'a> Proportion<'a> {
    fn of(comparison: &'a Comparison) -> Option<Self> {
        let above = matches!(comparison.op, Op::Above | Op::AtLeast);
        let below = matches!(comparison.op, Op::Below | Op::AtMost);
        let value = comparison.line.value;
        let (what, line) = match comparison.metric.as_str() {
            "error_rate" if above => (What::Failed, value),
            "success_rate" if below => (What::Succeeded, 1.0 - value),
            metric if above => {
                let quantile = quantile_of(metric)?;
                let limit_ms = (value * 1_000.0).round() as u64;
                (What::SlowerThan { limit_ms, quantile }, 1.0 - quantile)
            }
            _ => return None,
        };
        Some(Self {
            comparison,
            what,
            line,
        })
    }

    fn tally(&self, counts: &Counts) -> Option<Tally> {
        match self.what {
            What::Failed | What::Succeeded => Some(Tally::new(counts.bad, counts.requests)),
            What::SlowerThan { limit_ms, .. } => slow(counts, limit_ms),
        }
    }

    fn arms(&self, candidate: &Counts, stable: &Counts) -> Option<Arms> {
        let stable = self.tally(stable).unwrap_or_default();
        self.tally(candidate).map(|candidate| Arms { candidate, stable })
    }

    fn words(&self, tally: Tally) -> String {
        let share = 100.0 * tally.share().unwrap_or(0.0);
        let (all, metric, limit) = (
            tally.total,
            &self.comparison.metric,
            &self.comparison.line.written,
        );
        match self.what {
            What::Failed => format!("{metric} {share:.1} % of {all} requests; limit {limit}"),
            What::Succeeded => format!("{metric} {:.1} % of {all} requests; limit {limit}", 100.0 - share),
            What::SlowerThan { quantile, .. } => format!(
                "{metric}: {share:.1} % of {all} requests took over {limit}; at most {:.0} % may",
                100.0 * (1.0 - quantile)
            ),
        }
    }
}

/// `latency_p99` → 0.99.
fn quantile_of(metric: &str) -> Option<f64> {
    let digits = metric.strip_prefix("latency_p")?;
    let number: f64 = digits.parse().ok()?;
    let quantile = number / 10f64.powi(i32::try_from(digits.len()).ok()?);
    (digits.len() >= 2 && quantile > 0.0 && quantile < 1.0).then_some(quantile)
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
    fn a_candidate_under_its_limit_but_worse_than_stable_is_sent_back() {
        let mut weighing = Weighing::default();
        for _ in 0..40 {
            weighing.add(&article(), &counts(50, 2, 0), &counts(950, 2, 2));
        }
        let seen = weighing.weigh(&article()).unwrap();
        assert!(seen.shows_breach(4), "{seen:?}");
        assert_eq!(
            seen.words,
            "error_rate: failed 4.0 % of 2000 requests, stable 0.21 %"
        );
        assert!(seen.told(4).contains("(needs 400 : 1)"), "{}", seen.told(4));
        weighing.restart();
        assert_eq!(weighing.weigh(&article()), None);
    }

    #[test]
    fn a_shift_of_the_median_shows_at_stables_own_edges() {
        let shifted = |slow_half: u64| {
            let mut seen = counts(1_000, 3, 0);
            seen.within_ms.insert(250, 1_000 - slow_half);
            seen
        };
        let mut weighing = Weighing::default();
        for _ in 0..6 {
            weighing.add(&article(), &shifted(640), &shifted(490));
        }
        let seen = weighing.weigh(&article()).unwrap();
        assert!(seen.shows_breach(4), "{seen:?}");
        assert_eq!(
            seen.words,
            "latency: over 250ms 64.0 % of 5000 requests, stable 49.0 %"
        );
    }

    #[test]
    fn what_must_hold_together_is_not_compared_with_stable_one_by_one() {
        let Condition::Or(parts) = article() else {
            panic!("an or")
        };
        let both = Condition::And(parts);
        let mut weighing = Weighing::default();
        for _ in 0..40 {
            weighing.add(&both, &counts(50, 2, 0), &counts(950, 2, 2));
        }
        assert!(!weighing.weigh(&both).unwrap().shows_breach(1));
    }
}
