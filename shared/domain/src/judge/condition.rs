//! A pipeline's rollback condition, weighed on what was counted.
//!
//! A comparison such as `error_rate > 2%` or `latency_p99 > 1000ms` is a question about a proportion: failed requests
//! against 2 %, requests slower than one second against 1 %. Each comparison is weighed against its line and, where
//! one comparison alone may send traffic back, also against the stable revision. A latency is compared with stable at
//! stable's own median and 95th percentile too, where a shift of everything or of the tail shows first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metric::{Asked, Metric, Shown};
use super::power::{could_show, smallest_ratio};
use super::proportion::{Proportion, quantile_of, slow};
use super::recent::Recent;
use super::said::{Said, combine};
use super::special::ln_mean;
use super::standing::Standing;
use super::words::{self, percent};
use super::{Alpha, Arms, Side, Tally, Windowed};
use crate::condition::{Comparison, Condition, Dimension, Mode, Reading, evaluate};
use crate::seen::Counts;
use crate::time::Timestamp;

/// Requests of stable after which its median and 95th percentile are taken.
const EDGES_AFTER: u64 = 200;
/// Stable's quantiles at whose edges latencies are compared: where a shift of everything moves most requests, and the tail, which
/// begins at the first edge beyond its quantile.
const MEDIAN: f64 = 0.5;
const TAIL: f64 = 0.95;
/// Edges of these.
const EDGES: usize = 2;
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
    /// Whether harm is shown where a false alarm may have this chance.
    pub fn shows_breach(&self, alpha: Alpha) -> bool {
        self.ln_e >= alpha.ln_needed()
    }

    /// How far it has come from nothing to a breach, 0 to 1, in steps of the same factor.
    pub fn part_of_breach(&self, alpha: Alpha) -> f64 {
        (self.ln_e / alpha.ln_needed()).clamp(0.0, 1.0)
    }

    /// The odds: `214 : 1 (needs 100 : 1)`.
    pub fn odds(&self, alpha: Alpha) -> String {
        words::against(self.ln_e, alpha.ln_needed())
    }

    /// The words with the odds: `…; evidence 214 : 1 (needs 100 : 1)`.
    pub fn told(&self, alpha: Alpha) -> String {
        if self.ln_e == f64::INFINITY {
            return self.words.clone();
        }
        format!(
            "{}; {}",
            self.words,
            words::evidence(self.ln_e, alpha.ln_needed())
        )
    }
}

/// What was counted and measured since the last look.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// The candidate's requests.
    pub candidate: &'a Counts,
    /// The stable revision's.
    pub stable: &'a Counts,
    /// The candidate's metrics that are plain numbers.
    pub values: &'a BTreeMap<String, Reading>,
    /// When it ended.
    pub at: Timestamp,
    /// A replica of the candidate had just begun to answer: latencies of both are left out.
    pub cold: bool,
}

/// Evidence of one step: a metric for each comparison, and for each edge at which latencies are compared with stable.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Weighing {
    /// By comparison as written, and by `over 250ms`.
    metrics: BTreeMap<String, Metric>,
    /// Edges of stable's median and 95th percentile, in milliseconds.
    edges: Vec<u64>,
    /// Stable's latencies, until there are enough to choose edges by.
    #[serde(default, skip_serializing_if = "Counts::has_no_latencies")]
    before_edges: Counts,
    /// Comparisons with a time of their own, or on the other side of their line.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    windows: BTreeMap<String, Windowed>,
    /// Comparisons that are decided by their point.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    points: BTreeMap<String, Recent>,
}

impl Weighing {
    /// Applies what was counted since the last look.
    pub fn add(&mut self, condition: &Condition, block: &Block<'_>) {
        let condition = condition.plain();
        let left_out = |leaf: &Comparison| block.cold && leaf.line.dimension == Dimension::Seconds;
        let comparisons: Vec<&Comparison> = leaves(&condition)
            .into_iter()
            .filter(|leaf| !left_out(leaf))
            .collect();
        for comparison in &comparisons {
            match Proportion::of(comparison) {
                Some(question) => self.add_share(comparison, &question, block),
                None => self.add_number(comparison, block),
            }
        }
        let timed = |leaf: &&Comparison| quantile_of(&leaf.metric).is_some() && leaf.mode == Mode::Evidence;
        if comparisons.iter().any(timed) {
            self.add_edges(block.candidate, block.stable);
        }
    }

    fn add_share(&mut self, comparison: &Comparison, question: &Proportion<'_>, block: &Block<'_>) {
        let Some(arms) = question.arms(block.candidate, block.stable) else {
            return;
        };
        let (name, line, side) = (comparison.to_string(), question.line, question.side);
        if comparison.mode == Mode::Point {
            let level = arms.stable.share();
            let rule = self.points.entry(name).or_default();
            return rule.share(comparison, (side, line), arms.candidate, level, block.at);
        }
        let asked = Asked {
            limit: Some(line),
            margin: None,
        };
        let metric = self
            .metrics
            .entry(name.clone())
            .or_insert_with(|| Metric::new(asked));
        let factor = metric.factor(arms);
        metric.add(arms);
        // With evidence, a window and `for` ask the same: what happened inside the time.
        let inside = comparison.during.or(comparison.window.map(|window| window.span));
        if inside.is_some() || side == Side::Under {
            self.windows
                .entry(name)
                .or_insert_with(|| Windowed::new(side, line, inside))
                .add(arms.candidate, factor, block.at);
        }
    }

    /// A metric that is neither a share nor a quantile has no error rate: it is decided by its point.
    fn add_number(&mut self, comparison: &Comparison, block: &Block<'_>) {
        let Some(reading) = block.values.get(&comparison.metric) else {
            return;
        };
        let number = match reading {
            Reading::Number(number) => Some(*number),
            _ => None,
        };
        let rule = self.points.entry(comparison.to_string()).or_default();
        if let Some(window) = comparison.window {
            let finite = number.filter(|number| number.is_finite());
            return rule.window(comparison, window, finite, block.at);
        }
        let now = Comparison {
            during: None,
            ..comparison.clone()
        };
        let readings = [(comparison.metric.clone(), reading.clone())].into();
        let truth = evaluate(&Condition::Compare(now), &readings).result;
        rule.number(comparison, truth, number, block.at);
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
        if self.edges.is_empty() {
            self.before_edges.add_latencies(stable);
            if self.before_edges.timed >= EDGES_AFTER {
                let seen = std::mem::take(&mut self.before_edges);
                let edges = [seen.edge_nearest(MEDIAN), seen.quantile_edge(TAIL)];
                self.edges.extend(edges.into_iter().flatten());
                self.edges.dedup();
            }
        }
    }

    /// What is shown so far. `None`: nothing that the condition asks for was counted.
    pub fn weigh(&self, condition: &Condition) -> Option<Evidence> {
        let condition = condition.plain();
        let over = self.over(&condition).map(|evidence| (evidence, OVER));
        if let Some((evidence, _)) = over
            .as_ref()
            .filter(|(evidence, _)| evidence.ln_e == f64::INFINITY)
        {
            return Some(evidence.clone());
        }
        let worse = self.worse(&condition).map(|evidence| (evidence, WORSE));
        let parts: Vec<&(Evidence, f64)> = [&over, &worse].into_iter().flatten().collect();
        let (strongest, _) = parts.iter().max_by(|a, b| a.0.ln_e.total_cmp(&b.0.ln_e))?;
        Some(Evidence {
            ln_e: ln_mean(parts.iter().map(|(part, weight)| (part.ln_e, *weight))),
            words: strongest.words.clone(),
        })
    }

    /// Edges at which latencies are compared with stable, each with the name of its metric.
    pub(super) fn edges(&self) -> impl Iterator<Item = (u64, String)> {
        self.edges.iter().map(|edge| (*edge, edge_name(*edge)))
    }

    /// What stable answered in this step, of a metric by its name.
    pub(super) fn stable_of(&self, name: &str) -> Tally {
        let metric = self.metrics.get(name);
        metric.map_or(Tally::default(), |metric| metric.shown().counted.stable)
    }

    /// What each replica of either revision answered in this step, of a metric by its name.
    pub(super) fn tell_apart(&mut self, name: &str, candidate: &[Tally], stable: &[Tally]) {
        if let Some(metric) = self.metrics.get_mut(name) {
            metric.tell_apart(candidate, stable);
        }
    }

    /// A new step: evidence starts again, what is known of stable stays. A rule about a point of time goes on.
    pub fn restart(&mut self) {
        self.metrics.values_mut().for_each(Metric::restart);
        self.windows.values_mut().for_each(Windowed::restart);
    }

    /// Whether anything could have been shown: had every request to the candidate been bad, would it have been?
    pub fn could_show(&self, alpha: Alpha) -> bool {
        let mut metrics = self.metrics.values();
        !self.points.is_empty()
            || metrics.any(|metric| could_show(metric.shown().counted, metric.asked().limit, alpha))
    }

    /// Why answers that were compared could not have shown any difference, had all of the candidate's been others; nothing if
    /// they could, or none are asked for.
    pub fn answers_show_nothing(&self, condition: &Condition, alpha: Alpha) -> Option<String> {
        let condition = condition.plain();
        let of_answers = |leaf: &&Comparison| {
            let question = Proportion::of(leaf).filter(|_| leaf.mode == Mode::Evidence);
            question.is_some_and(|question| question.is_of_answers())
        };
        let leaf = leaves(&condition).into_iter().find(of_answers)?;
        let metric = self.metrics.get(&leaf.to_string())?;
        let Arms { candidate, stable } = metric.shown().counted;
        let mut all_others = Metric::new(metric.asked());
        for n in 0..candidate.total {
            all_others.add(Arms {
                candidate: Tally::new(1, 1),
                stable: Tally::new(u64::from(n < stable.bad), 1),
            });
        }
        let mut would = self.clone();
        would.metrics.insert(leaf.to_string(), all_others);
        let shown = would
            .weigh(&condition)
            .is_some_and(|evidence| evidence.shows_breach(alpha));
        (!shown).then(|| match stable.bad {
            0 => format!("{} answers are too few to show a difference", candidate.total),
            bad => format!(
                "stable differs from itself in {bad} of {} answers, so that they cannot show a difference yet; compare a part that \
                 stays the same",
                stable.total
            ),
        })
    }

    /// What the step could have shown, in words: the smallest harm that would have been seen.
    pub fn resolution(&self, alpha: Alpha) -> Option<String> {
        let (name, metric) = self
            .metrics
            .iter()
            .find(|(_, metric)| metric.candidate().total > 0)?;
        let ratio = smallest_ratio(metric.shown().counted, alpha)?;
        Some(format!("{name}: {ratio:.1}× would have been seen"))
    }

    /// What a proven promotion lacks: a metric whose ratio to stable may reach the margin, or whose share its line.
    pub fn unproven(&self, condition: &Condition, margin: f64, alpha: Alpha) -> Option<String> {
        let asked = asks_over(&condition.plain());
        asked.into_iter().find_map(|(name, limit)| {
            let Some(metric) = self
                .metrics
                .get(&name)
                .filter(|metric| metric.candidate().total > 0)
            else {
                return Some(format!("{name}: nothing was counted"));
            };
            let (_, ratio) = metric.ratio_bounds(alpha.value());
            if ratio.is_none_or(|ratio| ratio >= margin) {
                let high = ratio.map_or("without bound".into(), |ratio| format!("up to {ratio:.2}"));
                return Some(format!(
                    "{name}: the ratio to stable may be {high}; proven needs under {margin}"
                ));
            }
            let (_, share) = metric.share_bounds(alpha.value());
            (share >= limit).then(|| {
                let (share, limit) = (percent(share), percent(limit));
                format!("{name}: the share may be up to {share}; proven needs under {limit}")
            })
        })
    }

    /// Comparisons that are weighed and that nothing was counted for: no promotion rests on silence.
    pub fn missing(&self, condition: &Condition, values: &BTreeMap<String, Reading>) -> Vec<String> {
        let condition = condition.plain();
        let counted = |leaf: &Comparison| match leaf.mode {
            Mode::Point => self.points.contains_key(&leaf.to_string()),
            Mode::Evidence => {
                let metric = self.metrics.get(&leaf.to_string());
                metric.is_some_and(|metric| metric.candidate().total > 0)
            }
        };
        let silent = |leaf: &Comparison| {
            if Proportion::of(leaf).is_some() {
                return (!counted(leaf)).then(|| leaf.metric.clone());
            }
            let reading = values.get(&leaf.metric)?;
            if leaf.window.is_some() {
                let rule = self.points.get(&leaf.to_string());
                let lacks = rule.map_or(Some("nothing was read"), Recent::lacks)?;
                return Some(format!("{} ({lacks})", leaf.measured()));
            }
            let is_number = matches!(reading, Reading::Number(number) if number.is_finite());
            (!is_number).then(|| leaf.metric.clone())
        };
        let mut names: Vec<String> = leaves(&condition).into_iter().filter_map(silent).collect();
        names.dedup();
        names
    }

    /// Where each comparison stands that is weighed, in the order of the condition. Bounds have the chance of the `whole`
    /// rollout, what could have been shown that of the `step`.
    pub fn standings(&self, condition: &Condition, whole: Alpha, step: Alpha) -> Vec<Standing> {
        let condition = condition.plain();
        let standing = |leaf: &Comparison| {
            let name = leaf.to_string();
            match Proportion::of(leaf).filter(|_| leaf.mode == Mode::Evidence) {
                Some(question) => Some(Standing::of_share(
                    &question,
                    self.metrics.get(&name),
                    (whole, step),
                    name,
                )),
                None => Some(Standing::of_point(self.points.get(&name)?, name)),
            }
        };
        leaves(&condition).into_iter().filter_map(standing).collect()
    }

    /// Evidence that the condition holds.
    fn over(&self, condition: &Condition) -> Option<Evidence> {
        combine(condition, &|comparison| self.said(comparison)).evidence()
    }

    fn said(&self, comparison: &Comparison) -> Said {
        let name = comparison.to_string();
        let question = Proportion::of(comparison).filter(|_| comparison.mode == Mode::Evidence);
        let Some(question) = question else {
            let holds = self.points.get(&name).and_then(|rule| rule.shown(comparison));
            return holds.map_or(Said::No, Said::Holds);
        };
        let shown = self.metrics.get(&name).map(Metric::shown);
        let Some(shown) = shown.filter(|shown| shown.counted.candidate.total > 0) else {
            return Said::Open;
        };
        let windows = self.windows.get(&name);
        let inside = windows.and_then(|windows| Some((windows.during()?, windows.counted())));
        let words = match inside {
            Some((span, counted)) => format!("{}, within {span}", question.words(counted)),
            None => question.words(shown.counted.candidate),
        };
        let ln_e = windows.map_or(shown.ln_e_limit.unwrap_or(0.0), Windowed::ln_e);
        let ln_e = match question.is_of_answers() {
            // Over the line, and more than stable differs from itself: the lesser of two bets is a bet against either.
            true => ln_e.min(shown.ln_e_ratio),
            false => ln_e,
        };
        Said::Evidence(Evidence { ln_e, words })
    }

    /// Evidence that the candidate is worse than stable in what may send it back alone.
    fn worse(&self, condition: &Condition) -> Option<Evidence> {
        let alone: Vec<String> = alone(condition).iter().map(ToString::to_string).collect();
        let timed = alone.iter().any(|name| name.starts_with("latency_p"));
        let edges = self.edges.iter().filter(|_| timed).map(|edge| edge_name(*edge));
        let bettors = alone.len() + if timed { EDGES } else { 0 };
        let names: Vec<String> = alone.into_iter().chain(edges).collect();
        let shown: Vec<(&String, Shown)> = names
            .iter()
            .filter_map(|name| Some((name, self.metrics.get(name)?.shown())))
            .filter(|(_, shown)| shown.counted.candidate.total > 0 && shown.counted.stable.total > 0)
            .collect();
        let (name, most) = shown
            .iter()
            .max_by(|a, b| a.1.ln_e_ratio.total_cmp(&b.1.ln_e_ratio))?;
        // What was not counted yet, or is no edge yet, has its part of the stake already and has bet nothing.
        let idle = std::iter::repeat_n(0.0, bettors - shown.len());
        let bets = shown.iter().map(|(_, shown)| shown.ln_e_ratio);
        Some(Evidence {
            ln_e: ln_mean(bets.chain(idle).map(|ln_e| (ln_e, 1.0))),
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
pub(super) fn leaves(condition: &Condition) -> Vec<&Comparison> {
    match condition {
        Condition::Compare(comparison) => vec![comparison],
        Condition::And(parts) | Condition::Or(parts) => parts.iter().flat_map(leaves).collect(),
        Condition::Not(_) => Vec::new(),
    }
}

/// Comparisons of a condition without `!` that a proof must rule out, as they are written, and the share of each.
pub(super) fn asks_over(condition: &Condition) -> Vec<(String, f64)> {
    let asked = |leaf: &&Comparison| leaf.mode == Mode::Evidence;
    let over = |leaf: &Comparison| {
        let question = Proportion::of(leaf).filter(|question| question.side == Side::Over)?;
        Some((leaf.to_string(), question.line))
    };
    leaves(condition)
        .into_iter()
        .filter(asked)
        .filter_map(over)
        .collect()
}

/// Comparisons each of which suffices.
pub(super) fn alone(condition: &Condition) -> Vec<&Comparison> {
    let over = |comparison: &Comparison| {
        let question = Proportion::of(comparison);
        let is_over = |question: Proportion<'_>| question.side == Side::Over && !question.is_of_answers();
        comparison.mode == Mode::Evidence && question.is_some_and(is_over)
    };
    match condition {
        Condition::Compare(comparison) if !over(comparison) => Vec::new(),
        Condition::Compare(comparison) => vec![comparison],
        Condition::Or(parts) => parts.iter().flat_map(alone).collect(),
        Condition::And(_) | Condition::Not(_) => Vec::new(),
    }
}

/// Weighs a condition on the counts of one revision alone.
pub fn weigh(condition: &Condition, counts: &Counts) -> Option<Evidence> {
    let said = combine(&condition.plain(), &|comparison| {
        let Some(question) = Proportion::of(comparison) else {
            return Said::No;
        };
        let Some(tally) = question.tally(counts).filter(|tally| tally.total > 0) else {
            return Said::Open;
        };
        let ln_e = match question.side {
            Side::Over => super::ln_e_over(tally, question.line),
            Side::Under => super::ln_e_under(tally, question.line),
        };
        let words = question.words(tally);
        Said::Evidence(Evidence { ln_e, words })
    });
    said.evidence()
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;
