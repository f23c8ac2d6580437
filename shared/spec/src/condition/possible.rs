//! Conditions that say nothing: no measurement makes them true, and nothing would ever be sent back; or every one does, and
//! every candidate would be.

use weir_domain::condition::{Comparison, Condition, Op};

use super::metrics::range;

/// What is wrong with a condition: what was found, and what was expected.
pub(crate) struct Senseless {
    pub(crate) found: String,
    pub(crate) expected: String,
}

/// What of a condition is settled whatever is measured, if anything.
pub(crate) fn senseless(condition: &Condition) -> Option<Senseless> {
    part(&condition.plain())
}

fn part(condition: &Condition) -> Option<Senseless> {
    match condition {
        Condition::Compare(comparison) => alone(comparison),
        Condition::And(parts) => parts.iter().find_map(part).or_else(|| {
            let all: Vec<Comparison> = compared(parts, true).cloned().collect();
            excluded(&all).map(|one| Senseless {
                found: format!("`{}` can never hold", words(&all, one, " && ")),
                expected: format!(
                    "lines that `{}` can be on the right side of at the same time",
                    one.measured()
                ),
            })
        }),
        Condition::Or(parts) => parts.iter().find_map(part).or_else(|| {
            let all: Vec<Comparison> = compared(parts, false).cloned().collect();
            let none: Vec<Comparison> = all.iter().map(negated).collect();
            excluded(&none).map(|one| Senseless {
                found: format!("`{}` always holds", words(&all, one, " || ")),
                expected: format!("lines between which `{}` is as it should be", one.measured()),
            })
        }),
        // `Condition::plain` leaves none.
        Condition::Not(_) => None,
    }
}

fn alone(comparison: &Comparison) -> Option<Senseless> {
    let (metric, measured) = (&comparison.metric, comparison.measured());
    let says = |what: &str| Senseless {
        found: format!("`{comparison}` {what}"),
        expected: match range(metric) {
            Some((_, high)) if high.is_finite() => {
                format!("a line that `{measured}` can be on either side of: it lies between 0% and 100%")
            }
            _ => format!("a line that `{measured}` can be on either side of: it is never negative"),
        },
    };
    if excluded(std::slice::from_ref(comparison)).is_some() {
        return Some(says("can never hold"));
    }
    excluded(&[negated(comparison)]).map(|_| says("always holds"))
}

fn negated(comparison: &Comparison) -> Comparison {
    Comparison {
        op: comparison.op.negated(),
        ..comparison.clone()
    }
}

/// The same comparison of failures where it compares answers that are no failure: both count the same requests.
fn of_failures(comparison: &Comparison) -> Comparison {
    let mut same = comparison.clone();
    if same.metric == "success_rate" {
        same.metric = "error_rate".into();
        // Percents as they are written: 1 - 0.95 is not 0.05.
        same.line.value = ((1.0 - same.line.value) * 1e9).round() / 1e9;
        same.op = match same.op {
            Op::Above => Op::Below,
            Op::AtLeast => Op::AtMost,
            Op::Below => Op::Above,
            Op::AtMost => Op::AtLeast,
            Op::Equal | Op::NotEqual => same.op,
        };
    }
    same
}

/// Comparisons that stand together, also in parentheses of the same kind.
fn compared(parts: &[Condition], and: bool) -> Box<dyn Iterator<Item = &Comparison> + '_> {
    Box::new(parts.iter().flat_map(move |part| match part {
        Condition::Compare(comparison) => Box::new(std::iter::once(comparison)),
        Condition::And(inner) if and => compared(inner, and),
        Condition::Or(inner) if !and => compared(inner, and),
        _ => Box::new(std::iter::empty()) as Box<dyn Iterator<Item = &Comparison>>,
    }))
}

/// Those of what `one` measures, as they would be written.
fn words(all: &[Comparison], one: &Comparison, between: &str) -> String {
    let measured = of_failures(one).measured();
    let these = all
        .iter()
        .filter(|other| of_failures(other).measured() == measured);
    these.map(ToString::to_string).collect::<Vec<_>>().join(between)
}

/// The first whose metric has no value that satisfies all comparisons. With another window it is another metric.
fn excluded(all: &[Comparison]) -> Option<&Comparison> {
    let same: Vec<Comparison> = all.iter().map(of_failures).collect();
    let nothing_left = |one: &Comparison| {
        let measured = one.measured();
        let mut these = same.iter().filter(|other| other.measured() == measured);
        let left = these.try_fold(Left::of(&one.metric), |left, one| left.after(one));
        left.is_none()
    };
    let first = same.iter().position(nothing_left)?;
    all.get(first)
}

/// Values that are left; an open end is not one of them.
#[derive(Clone, Copy)]
struct Left {
    low: (f64, bool),
    high: (f64, bool),
}

impl Left {
    fn of(metric: &str) -> Self {
        let (low, high) = range(metric).unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        Self {
            low: (low, false),
            high: (high, false),
        }
    }

    /// What one more comparison leaves, if anything.
    fn after(mut self, comparison: &Comparison) -> Option<Self> {
        let line = comparison.line.value;
        match comparison.op {
            Op::Above => self.from(line, true),
            Op::AtLeast => self.from(line, false),
            Op::Below => self.to(line, true),
            Op::AtMost => self.to(line, false),
            Op::Equal => {
                self.from(line, false);
                self.to(line, false);
            }
            Op::NotEqual => {}
        }
        let empty = self.low.0 > self.high.0 || (self.low.0 == self.high.0 && (self.low.1 || self.high.1));
        (!empty).then_some(self)
    }

    fn from(&mut self, line: f64, open: bool) {
        if line > self.low.0 || (line == self.low.0 && open) {
            self.low = (line, open);
        }
    }

    fn to(&mut self, line: f64, open: bool) {
        if line < self.high.0 || (line == self.high.0 && open) {
            self.high = (line, open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::{Metrics, parse};

    fn says(text: &str) -> Option<String> {
        let mut metrics = Metrics::default();
        metrics.declare("drift", None);
        senseless(&parse(text, &metrics).unwrap()).map(|found| format!("{}: {}", found.found, found.expected))
    }

    #[test]
    fn what_no_measurement_changes_is_told() {
        let percent = "a line that `error_rate` can be on either side of: it lies between 0% and 100%";
        let table = [
            ("error_rate > 100%", format!("`error_rate > 100%` can never hold: {percent}")),
            ("error_rate >= 120%", format!("`error_rate >= 120%` can never hold: {percent}")),
            ("error_rate < 0%", format!("`error_rate < 0%` can never hold: {percent}")),
            ("error_rate >= 0%", format!("`error_rate >= 0%` always holds: {percent}")),
            ("!(error_rate <= 100%)", format!("`error_rate > 100%` can never hold: {percent}")),
            ("latency_p99 > 1s || error_rate > 150%", format!("`error_rate > 150%` can never hold: {percent}")),
            (
                "latency_p99 < 0ms",
                "`latency_p99 < 0ms` can never hold: a line that `latency_p99` can be on either side of: it is never negative".into(),
            ),
            (
                "error_rate > 5% && (restarts > 1 && error_rate < 2%)",
                "`error_rate > 5% && error_rate < 2%` can never hold: lines that `error_rate` can be on the right side of at the same time".into(),
            ),
            (
                "max(drift[5m]) > 3 && drift < 1 && max(drift[5m]) < 2",
                "`max(drift[5m]) > 3 && max(drift[5m]) < 2` can never hold: lines that `max(drift[5m])` can be on the right side of at the same time".into(),
            ),
            ("error_rate[5m] > 100%", format!("`error_rate[5m] > 100%` can never hold: {}", percent.replace("error_rate", "error_rate[5m]"))),
            (
                "error_rate > 5% && success_rate > 96%",
                "`error_rate > 5% && success_rate > 96%` can never hold: lines that `error_rate` can be on the right side of at the same time".into(),
            ),
            (
                "drift > 3 && drift == 3",
                "`drift > 3 && drift == 3` can never hold: lines that `drift` can be on the right side of at the same time".into(),
            ),
            (
                "success_rate < 95% || success_rate >= 90%",
                "`success_rate < 95% || success_rate >= 90%` always holds: lines between which `success_rate` is as it should be".into(),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(says(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_a_measurement_decides_is_fine() {
        for text in [
            "error_rate > 2% || latency_p99 > 1000ms",
            "error_rate > 0%",
            "error_rate >= 100%",
            "success_rate <= 0%",
            "error_rate > 2% && error_rate < 50%",
            "error_rate > 5% && success_rate > 50%",
            "error_rate >= 5% && success_rate >= 95%",
            "error_rate != 0%",
            "drift < 0 || drift > 5",
            "queue_depth == 0",
            "error_rate[1m] > 10% && error_rate[10m] < 5%",
            "max(queue_depth[5m]) > 10 && queue_depth[5m] < 5 && queue_depth < 2",
            "!(error_rate > 1% && restarts >= 2)",
        ] {
            assert_eq!(says(text), None, "{text}");
        }
    }
}
