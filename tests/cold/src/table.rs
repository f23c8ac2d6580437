//! The figures.

use std::time::Duration;

use crate::measure::{Program, Sample};

/// Programs that come first and do less than the others: nothing, clients, calls with them, a cluster's client too.
const FLOORS: usize = 4;

/// Prints a line a program: median, 95th and 99th of the start, how that compares, and medians of what comes after;
/// first over plain HTTP, then over TLS.
pub(crate) fn print(programs: &[(&str, u64, Program)], samples: &[[Vec<Sample>; 2]]) {
    let runs = samples.first().map_or(0, |[plain, _]| plain.len());
    println!("start to first request for an event, {runs} starts of each in turn, ms");
    println!(
        "{:<26} {:>6} {:>7} {:>7} {:>7} {:>13} {:>13} {:>13} {:>12} {:>11}   with TLS: {:>7} {:>12} {:>11}",
        "",
        "MB",
        "p50",
        "p95",
        "p99",
        "× its clients",
        "× and calls",
        "× a cluster's",
        "first event",
        "next events",
        "p50",
        "first event",
        "next events"
    );
    for (n, (name, bytes, _)) in programs.iter().enumerate() {
        let [plain, tls] = &samples[n];
        let versus = |floor: usize| match n < FLOORS {
            true => String::new(),
            false => {
                let floor = at(&samples[floor][0], |sample| sample.ready, 0.5);
                format!("{:.2}", at(plain, |sample| sample.ready, 0.5) / floor)
            }
        };
        println!(
            "{name:<26} {:>6.1} {:>7.1} {:>7.1} {:>7.1} {:>13} {:>13} {:>13} {:>12.2} {:>11.2}             {:>7.1} {:>12.2} {:>11.2}",
            *bytes as f64 / 1e6,
            at(plain, |sample| sample.ready, 0.5),
            at(plain, |sample| sample.ready, 0.95),
            at(plain, |sample| sample.ready, 0.99),
            versus(1),
            versus(2),
            versus(3),
            at(plain, |sample| sample.first, 0.5),
            at(plain, |sample| sample.warm, 0.5),
            at(tls, |sample| sample.ready, 0.5),
            at(tls, |sample| sample.first, 0.5),
            at(tls, |sample| sample.warm, 0.5),
        );
    }
}

/// A quantile, in milliseconds.
fn at(samples: &[Sample], pick: fn(&Sample) -> Duration, share: f64) -> f64 {
    let mut all: Vec<Duration> = samples.iter().map(pick).collect();
    all.sort_unstable();
    let last = all.len().saturating_sub(1);
    let one = all.get((last as f64 * share).round() as usize);
    one.map_or(0.0, |one| one.as_secs_f64() * 1_000.0)
}
