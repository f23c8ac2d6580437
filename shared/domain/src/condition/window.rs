//! Windows: the time over which a comparison takes its metric, as in `error_rate[5m]` or `max(queue_depth[5m])`.
//!
//! What is counted (requests that failed, or took too long) is summed over the window. A plain number is read now and
//! then: its readings become one number, and only where they tell of the whole window. The time is open at its beginning,
//! as Prometheus takes it: a reading at the very beginning shows that the window is covered, and is not in it.

use serde::{Deserialize, Serialize};

use super::{Comparison, Exact, Op, Truth};
use crate::time::{Span, Timestamp};

/// A window, and what becomes of the readings in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Window {
    /// How far it reaches back from now.
    pub span: Span,
    /// How readings become one number. What is counted knows only its share, and has the default.
    #[serde(default, skip_serializing_if = "Aggregate::is_avg")]
    pub by: Aggregate,
}

/// How readings become one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// Their mean, each reading the same.
    #[default]
    Avg,
    /// The greatest.
    Max,
    /// The least.
    Min,
}

impl Aggregate {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Avg, Self::Max, Self::Min];

    /// The word as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Max => "max",
            Self::Min => "min",
        }
    }

    fn is_avg(&self) -> bool {
        *self == Self::Avg
    }
}

/// Readings that follow one another closely and are kept as one.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Readings {
    pub(crate) from: Timestamp,
    to: Timestamp,
    count: u32,
    number: f64,
}

impl Readings {
    pub(crate) fn one(at: Timestamp, number: f64) -> Self {
        Self {
            from: at,
            to: at,
            count: 1,
            number,
        }
    }
}

/// What the readings of a window come to.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Over {
    /// The number, of what there is.
    pub(crate) number: Option<f64>,
    /// Why they do not tell of the whole window: `readings reach back 2m of 5m`.
    pub(crate) lacks: Option<String>,
}

impl Window {
    /// Readings and later ones as one.
    pub(crate) fn joined(self, first: Readings, then: Readings) -> Readings {
        let count = first.count.saturating_add(then.count);
        let number = match self.by {
            // So written, equal readings have exactly their own mean, and great ones one that can be stored.
            Aggregate::Avg => {
                let part = f64::from(then.count) / f64::from(count);
                (first.number + (then.number - first.number) * part).clamp(f64::MIN, f64::MAX)
            }
            Aggregate::Max => first.number.max(then.number),
            Aggregate::Min => first.number.min(then.number),
        };
        Readings {
            from: first.from,
            to: then.to,
            count,
            number,
        }
    }

    /// What the readings, oldest first, come to at `now`. The window is covered if one reading is as old as its beginning, and
    /// none is missing for longer than half of it.
    pub(crate) fn over(self, readings: &[Readings], now: Timestamp) -> Over {
        let opens = now - self.span;
        let begins = readings.partition_point(|reading| reading.from <= opens);
        let (before, inside) = readings.split_at(begins);
        let all = inside.iter().copied().reduce(|all, one| self.joined(all, one));
        Over {
            number: all.map(|all| all.number).filter(|number| !number.is_nan()),
            lacks: self.lacks(before.last(), inside, (opens, now)),
        }
    }

    fn lacks(
        self,
        before: Option<&Readings>,
        inside: &[Readings],
        (opens, now): (Timestamp, Timestamp),
    ) -> Option<String> {
        let whole = Exact(self.span);
        let Some(before) = before else {
            return Some(match inside.first() {
                Some(first) => format!("readings reach back {} of {whole}", now.since(first.from)),
                None => format!("nothing was read in {whole}"),
            });
        };
        let ends = std::iter::once(before.to.max(opens)).chain(inside.iter().map(|reading| reading.to));
        let begins = inside.iter().map(|reading| reading.from).chain([now]);
        let longest = ends.zip(begins).map(|(end, next)| next.since(end)).max()?;
        (longest.0 > self.span.0 / 2).then(|| format!("no reading for {longest} of {whole}"))
    }
}

impl Comparison {
    /// The metric as it is written, with its window: `queue_depth`, `queue_depth[5m]`, `max(queue_depth[5m])`.
    pub fn measured(&self) -> String {
        let metric = &self.metric;
        match self.window {
            None => metric.clone(),
            Some(Window { span, by }) if by.is_avg() => format!("{metric}[{}]", Exact(span)),
            Some(Window { span, by }) => format!("{}({metric}[{}])", by.as_str(), Exact(span)),
        }
    }

    /// Whether the comparison holds for what was read in its window.
    pub(crate) fn holds_over(&self, window: Window, over: &Over) -> Truth {
        match over.number {
            Some(number) if over.lacks.is_none() || self.is_settled(window, number) => {
                Truth::from_bool(self.holds(number))
            }
            _ => Truth::NoData,
        }
    }

    /// Whether no further reading changes the answer: a maximum only rises, and a minimum only falls.
    fn is_settled(&self, window: Window, so_far: f64) -> bool {
        let holds = self.holds(so_far);
        match (window.by, self.op) {
            (Aggregate::Max, Op::Above | Op::AtLeast) | (Aggregate::Min, Op::Below | Op::AtMost) => holds,
            (Aggregate::Max, Op::Below | Op::AtMost) | (Aggregate::Min, Op::Above | Op::AtLeast) => !holds,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTES: Span = Span::minutes(5);

    fn over(by: Aggregate, seconds: &[i64]) -> Over {
        let readings: Vec<Readings> = seconds
            .iter()
            .map(|at| Readings::one(Timestamp(at * 1_000), *at as f64))
            .collect();
        Window { span: MINUTES, by }.over(&readings, Timestamp(300_000))
    }

    #[test]
    fn a_window_is_its_readings_once_they_tell_of_all_of_it() {
        let table: [(&[i64], Option<f64>, Option<&str>); 8] = [
            (&[0, 100, 200, 300], Some(200.0), None),
            (&[-90, 150, 300], Some(225.0), None),
            (&[0, 150], Some(150.0), None),
            (
                &[10, 100, 200, 300],
                Some(152.5),
                Some("readings reach back 4m 50s of 5m"),
            ),
            (&[0, 160, 300], Some(230.0), Some("no reading for 2m 40s of 5m")),
            (&[-60, 300], Some(300.0), Some("no reading for 5m of 5m")),
            (&[-500], None, Some("no reading for 5m of 5m")),
            (&[], None, Some("nothing was read in 5m")),
        ];
        for (seconds, number, lacks) in table {
            let seen = over(Aggregate::Avg, seconds);
            let near = seen
                .number
                .zip(number)
                .map(|(seen, number)| (seen - number).abs() < 1e-9);
            assert_eq!(
                (near, seen.number.is_none()),
                (number.map(|_| true), number.is_none()),
                "{seen:?}"
            );
            assert_eq!(seen.lacks.as_deref(), lacks, "{seconds:?}");
        }
        assert_eq!(over(Aggregate::Max, &[0, 100, 250, 300]).number, Some(300.0));
        assert_eq!(over(Aggregate::Min, &[0, 100, 250, 300]).number, Some(100.0));
    }

    #[test]
    fn readings_that_are_kept_as_one_come_to_the_same() {
        for by in Aggregate::ALL {
            let window = Window { span: MINUTES, by };
            let of = |numbers: &[f64]| {
                let ones = numbers.iter().enumerate();
                let ones = ones.map(|(at, number)| Readings::one(Timestamp(at as i64 + 1), *number));
                ones.reduce(|all, one| window.joined(all, one)).unwrap()
            };
            let (pairs, all) = (
                window.joined(of(&[3.0, 9.0]), of(&[1.0, 7.0])),
                of(&[3.0, 9.0, 1.0, 7.0]),
            );
            assert!(
                (pairs.number - all.number).abs() < 1e-9,
                "{by:?}: {pairs:?} {all:?}"
            );
            assert_eq!(of(&[0.1; 7]).number, 0.1, "{by:?}");
            let (low, high) = (f64::MIN, f64::MAX);
            assert!(
                of(&[low, high, high]).number.is_finite(),
                "{by:?}: it can be stored"
            );
        }
    }
}
