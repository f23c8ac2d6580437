//! The compared rules, each from its documentation. They look once a minute at the minute's error rate and 99th
//! percentile of the candidate: over 2 %, or over 1000 ms, is a failed check.
//!
//! Fewer than a hundred values have no 99th percentile among them. The published checks agree with taking the greatest, the
//! published series of Kayenta with interpolating, so each has it so.

use weir_domain::judge::kayenta::{Class, Harm, classify};

use crate::random::Random;
use crate::traffic::{Block, MINUTE, Seen, p99, p99_of_stable};

/// Line of the error rate.
const ERROR_LIMIT: f64 = 0.02;
/// Line of the 99th percentile.
const LATENCY_LIMIT_MS: f64 = 1_000.0;
/// Minutes between two judgements of Kayenta.
const KAYENTA_EVERY: usize = 10;

/// A minute as the rules see it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Minute {
    errors: Option<f64>,
    p99: Option<f64>,
    /// What is checked against the line.
    checked: Option<f64>,
}

/// Values from which on one in a hundred is among them.
const ENOUGH_FOR_P99: u64 = 100;

/// Minutes of candidate, extra arm and stable; a minute without any measured block has no numbers.
pub(crate) fn minutes(blocks: &[Block], random: &mut Random) -> [Vec<Minute>; 3] {
    type Side = fn(&Block) -> &Seen;
    let sides: [Side; 3] = [
        |block| &block.candidate,
        |block| &block.extra,
        |block| &block.stable,
    ];
    let mut out = [Vec::new(), Vec::new(), Vec::new()];
    for minute in blocks.chunks(MINUTE) {
        let blocks: Vec<&Block> = minute.iter().filter(|block| block.measured).collect();
        for (side, of) in sides.iter().enumerate() {
            let bad: u64 = blocks.iter().map(|block| of(block).bad).sum();
            let total: u64 = blocks.iter().map(|block| of(block).total).sum();
            let mut all: Vec<f64> = blocks
                .iter()
                .flat_map(|block| of(block).latencies.iter().copied())
                .collect();
            let p99 = if side == 2 {
                p99_of_stable(total, random)
            } else {
                p99(&mut all)
            };
            let errors = (total > 0).then(|| bad as f64 / total as f64);
            let greatest = all.last().filter(|_| total < ENOUGH_FOR_P99).copied();
            let checked = greatest.or(p99);
            out[side].push(Minute { errors, p99, checked });
        }
    }
    out
}

/// Which metrics are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Looks {
    /// Errors and latency.
    Both,
    /// Errors alone.
    Errors,
}

fn fails(minute: &Minute, looks: Looks) -> [bool; 2] {
    let slow = looks == Looks::Both && minute.checked.is_some_and(|p99| p99 > LATENCY_LIMIT_MS);
    [minute.errors.is_some_and(|errors| errors > ERROR_LIMIT), slow]
}

/// Minute at whose end Argo Rollouts fires: failed measurements of one metric exceed `failureLimit`; each metric has
/// its own count.
pub(crate) fn argo(minutes: &[Minute], failure_limit: usize, looks: Looks) -> Option<usize> {
    let mut failed = [0, 0];
    minutes.iter().position(|minute| {
        for (count, fails) in failed.iter_mut().zip(fails(minute, looks)) {
            *count += usize::from(fails);
        }
        failed.iter().any(|count| *count > failure_limit)
    })
}

/// Minute at whose end Flagger fires: intervals with any metric out of range reach the threshold.
pub(crate) fn flagger(minutes: &[Minute], threshold: usize) -> Option<usize> {
    let mut failed = 0;
    minutes.iter().position(|minute| {
        failed += usize::from(fails(minute, Looks::Both).contains(&true));
        failed >= threshold
    })
}

/// Minute at whose end Kayenta's judge fires: any metric is High at a judgement over all minutes so far.
pub(crate) fn kayenta(control: &[Minute], experiment: &[Minute]) -> Option<usize> {
    let ends = (KAYENTA_EVERY..=experiment.len()).step_by(KAYENTA_EVERY);
    ends.into_iter()
        .find(|end| {
            let high = |of: fn(&Minute) -> Option<f64>| {
                let series = |minutes: &[Minute]| minutes[..*end].iter().filter_map(of).collect::<Vec<_>>();
                classify(&series(control), &series(experiment), Harm::Increase) == Class::High
            };
            high(|minute| minute.errors) || high(|minute| minute.p99)
        })
        .map(|end| end - 1)
}
