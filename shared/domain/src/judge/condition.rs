//! A pipeline's rollback condition, weighed on what was counted.
//!
//! A comparison such as `error_rate > 2%` or `latency_p99 > 1000ms` is a question about a proportion: failed requests
//! against 2 %, requests slower than one second against 1 %. Each comparison is weighed against its line and, where
//! one comparison alone may send traffic back, also against the stable revision. A latency is compared with stable at
//! stable's own median and 95th percentile too, where a shift of everything or of the tail shows first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metric::{Asked, Metric, Shown};
use super::proportion::{Proportion, quantile_of, slow};
use super::special::ln_mean;
use super::words::{self, percent};
use super::{ALPHA, Alpha, Arms, Tally};
use crate::condition::{Comparison, Condition};
use crate::seen::Counts;

/// Requests of stable after which its median and 95th percentile are taken.
const EDGES_AFTER: u64 = 200;
/// Parts of the stake on "over the line" and on "worse than stable", which has more questions.
const OVER: f64 = 1.0;
const WORSE: f64 = 3.0;

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

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;
