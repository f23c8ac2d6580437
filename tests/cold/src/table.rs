//! The figures.

use std::time::Duration;

use crate::measure::{Program, Sample};

/// Programs whose floor is the third: they make the same clients and calls.
const FLOORS: usize = 3;

/// Prints a line a program: median, 95th and 99th of the start, how that compares, and the median of the first event.
pub(crate) fn print(programs: &[(&str, u64, Program)], samples: &[Vec<Sample>]) {
    let at = |samples: &[Sample], pick: fn(&Sample) -> Duration, share: f64| {
        let mut all: Vec<Duration> = samples.iter().map(pick).collect();
        all.sort_unstable();
        let last = all.len().saturating_sub(1);
        all.get((last as f64 * share).round() as usize)
            .map_or(0.0, |one| one.as_secs_f64() * 1_000.0)
    };
    let ready = |n: usize, share: f64| at(&samples[n], |sample| sample.ready, share);
    let runs = samples.first().map_or(0, Vec::len);
    println!("start to first request for an event, {runs} starts of each in turn, ms");
    println!(
        "{:<26} {:>6} {:>7} {:>7} {:>7} {:>13} {:>13} {:>12}",
        "", "MB", "p50", "p95", "p99", "× its clients", "× and calls", "first event"
    );
    for (n, (name, bytes, _)) in programs.iter().enumerate() {
        let versus = |floor: usize| match n < FLOORS {
            true => String::new(),
            false => format!("{:.2}", ready(n, 0.5) / ready(floor, 0.5)),
        };
        println!(
            "{name:<26} {:>6.1} {:>7.1} {:>7.1} {:>7.1} {:>13} {:>13} {:>12.1}",
            *bytes as f64 / 1e6,
            ready(n, 0.5),
            ready(n, 0.95),
            ready(n, 0.99),
            versus(1),
            versus(2),
            at(&samples[n], |sample| sample.first, 0.5),
        );
    }
}
