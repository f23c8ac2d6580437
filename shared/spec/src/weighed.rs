//! Which parts of a rollback condition a rollout weighs. The others are accepted, and told to have no effect yet:
//! a condition that nobody asks must not look like a guard.

use std::collections::BTreeMap;

use weir_domain::condition::{Comparison, Condition, Mode, Op};
use weir_domain::pipeline::Measure;
use weir_domain::time::Span;

use crate::condition::is_counted;
use crate::diagnostic::{Diagnostic, Sink};
use crate::source::Place;

/// Complains about every part of the condition that no rollout weighs. What servers of metrics measure is weighed
/// whatever it is.
pub(crate) fn check(
    condition: &Condition,
    place: &Place,
    measures: &BTreeMap<String, Measure>,
    sink: &mut Sink,
) {
    match condition {
        Condition::Compare(comparison) if asks_twice(comparison) => {
            let found = format!("`{comparison}` gives two times");
            let help = "with evidence, `[5m]` and `for 5m` (or `duration: 5m`) both say inside which time requests are counted: give one of them, or `mode: point`";
            sink.push(Diagnostic::error(place, found).help(help));
        }
        Condition::Compare(comparison) if is_weighed(comparison, measures) => {}
        Condition::Compare(comparison) => {
            let found = format!("`{comparison}` has no effect yet in a rollback");
            let help = "weighed are error_rate, success_rate, latency_pNN and answers_differ above or below a line, and what `metrics:` names a source for";
            sink.push(Diagnostic::warning(place, found).help(help));
        }
        Condition::And(parts) | Condition::Or(parts) => {
            parts.iter().for_each(|part| check(part, place, measures, sink));
        }
        Condition::Not(inner) if lasts(inner) => {
            let found = format!("`!({inner})`: `for` inside `!` has no meaning that can be measured");
            let help = "write what must hold for the time, without `!`";
            sink.push(Diagnostic::error(place, found).help(help));
        }
        Condition::Not(inner) => check(inner, place, measures, sink),
    }
}

fn lasts(condition: &Condition) -> bool {
    let comparisons = condition.comparisons();
    comparisons.iter().any(|comparison| comparison.during.is_some())
}

/// Complains about a window of readings that reaches further back than a step may last: it would never be covered, and what is
/// not measured promotes nothing.
pub(crate) fn check_windows(
    condition: &Condition,
    place: &Place,
    (interval, hold): (Span, Span),
    measures: &BTreeMap<String, Measure>,
    sink: &mut Sink,
) {
    let within = interval + hold;
    let too_long = |one: &&Comparison| one.window.is_some_and(|window| window.span > within);
    let read = |one: &&Comparison| !is_counted(&one.metric) && measures.contains_key(&one.metric);
    let mut comparisons = condition.comparisons().into_iter();
    if let Some(comparison) = comparisons.find(|one| too_long(one) && read(one)) {
        let found = format!("`{comparison}`: no step lasts long enough for its window");
        let help = format!(
            "the first step has an interval of {interval} and waits for {hold} more (`hold_exposure`); give a window of {within} at most, or a longer interval"
        );
        sink.push(Diagnostic::error(place, found).help(help));
    }
}

/// Complains about a point that must be over its line for longer than any share is watched: it would never be seen to be.
pub(crate) fn check_times(condition: &Condition, place: &Place, longest: Span, sink: &mut Sink) {
    let by_point = |one: &&Comparison| one.mode == Mode::Point || !is_counted(&one.metric);
    let too_long = |one: &&Comparison| one.during.is_some_and(|during| during > longest);
    let mut comparisons = condition.comparisons().into_iter();
    if let Some(comparison) = comparisons.find(|one| by_point(one) && too_long(one)) {
        let found = format!("`{comparison}` can never be seen: no share is watched for so long");
        let help = format!("give a time of {longest} at most, or a longer `interval`, `bake` or `watch`");
        sink.push(Diagnostic::error(place, found).help(help));
    }
}

/// Whether any part of a condition is weighed.
pub(crate) fn weighs(condition: &Condition, measures: &BTreeMap<String, Measure>) -> bool {
    let mut comparisons = condition.comparisons().into_iter();
    comparisons.any(|comparison| is_weighed(comparison, measures))
}

/// Whether evidence is asked for inside two times.
fn asks_twice(comparison: &Comparison) -> bool {
    let both = comparison.window.is_some() && comparison.during.is_some();
    both && comparison.mode == Mode::Evidence && is_counted(&comparison.metric)
}

fn is_weighed(comparison: &Comparison, measures: &BTreeMap<String, Measure>) -> bool {
    let sided = !matches!(comparison.op, Op::Equal | Op::NotEqual);
    match comparison.metric.as_str() {
        "error_rate" | "success_rate" | "answers_differ" => sided,
        metric => measures.contains_key(metric) || (sided && is_counted(metric)),
    }
}
