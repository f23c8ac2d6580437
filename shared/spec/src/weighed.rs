//! Which parts of a rollback condition a rollout weighs. The others are accepted, and told to have no effect yet:
//! a condition that nobody asks must not look like a guard.

use weir_domain::condition::{Comparison, Condition, Op};

use crate::diagnostic::{Diagnostic, Sink};
use crate::source::Place;

/// Complains about every part of the condition that no rollout weighs. `timed`: whether its own `for` is one.
pub(crate) fn check(condition: &Condition, place: &Place, timed: bool, sink: &mut Sink) {
    match condition {
        Condition::Compare(comparison) => compare(comparison, place, timed, sink),
        Condition::And(parts) | Condition::Or(parts) => {
            parts.iter().for_each(|part| check(part, place, timed, sink));
        }
        Condition::Not(inner) => {
            let found =
                format!("`!({inner})` has no effect yet in a rollback: only what is over a line is weighed");
            sink.push(Diagnostic::warning(place, found));
        }
    }
}

fn compare(comparison: &Comparison, place: &Place, timed: bool, sink: &mut Sink) {
    if !is_weighed(comparison) {
        let found = format!("`{comparison}` has no effect yet in a rollback");
        let help = "weighed are error_rate and latency_pNN above a line, and success_rate below one";
        sink.push(Diagnostic::warning(place, found).help(help));
    } else if timed && let Some(during) = comparison.during {
        let found = format!(
            "`for {during}` has no effect yet in a rollback: the evidence of the whole step is weighed"
        );
        sink.push(Diagnostic::warning(place, found));
    }
}

fn is_weighed(comparison: &Comparison) -> bool {
    let above = matches!(comparison.op, Op::Above | Op::AtLeast);
    let below = matches!(comparison.op, Op::Below | Op::AtMost);
    match comparison.metric.as_str() {
        "error_rate" => above,
        "success_rate" => below,
        metric => {
            above
                && metric
                    .strip_prefix("latency_p")
                    .is_some_and(|digits| digits.len() >= 2)
        }
    }
}
