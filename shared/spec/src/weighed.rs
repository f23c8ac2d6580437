//! Which parts of a rollback condition a rollout weighs. The others are accepted, and told to have no effect yet:
//! a condition that nobody asks must not look like a guard.

use std::collections::BTreeMap;

use weir_domain::condition::{Comparison, Condition, Op};
use weir_domain::pipeline::Measure;

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
        Condition::Compare(comparison) if is_weighed(comparison, measures) => {}
        Condition::Compare(comparison) => {
            let found = format!("`{comparison}` has no effect yet in a rollback");
            let help = "weighed are error_rate, success_rate and latency_pNN above or below a line, and what `metrics:` names a source for";
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
    match condition {
        Condition::Compare(comparison) => comparison.during.is_some(),
        Condition::And(parts) | Condition::Or(parts) => parts.iter().any(lasts),
        Condition::Not(inner) => lasts(inner),
    }
}

fn is_weighed(comparison: &Comparison, measures: &BTreeMap<String, Measure>) -> bool {
    let sided = !matches!(comparison.op, Op::Equal | Op::NotEqual);
    match comparison.metric.as_str() {
        "error_rate" | "success_rate" => sided,
        metric if measures.contains_key(metric) => true,
        metric => {
            sided
                && metric
                    .strip_prefix("latency_p")
                    .is_some_and(|digits| digits.len() >= 2)
        }
    }
}
