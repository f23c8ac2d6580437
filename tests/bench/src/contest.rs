//! Who is compared, and what came of it.

use std::thread;

use crate::random::Random;
use crate::rules::{Looks, argo, flagger, kayenta, minutes};
use crate::tally::Firings;
use crate::traffic::{self, Block, LINE, MINUTE, Scenario, Seen};
use crate::weir::{self, Judged, article, errors};

/// The rules of the tables, in their order.
pub(crate) const RULES: [&str; 8] = [
    "Argo Rollouts, failureLimit 0",
    "Argo Rollouts, failureLimit 3",
    "Flagger, threshold 5",
    "Kayenta, extra arm (+1 GPU)",
    "Kayenta, against stable",
    "Weir, errors and latency",
    "Weir, errors and latency, a third of alpha",
    "Weir, errors alone",
];
/// Places in [`RULES`].
pub(crate) const KAYENTA: [usize; 2] = [3, 4];
pub(crate) const WEIR: usize = 5;
pub(crate) const WEIR_ERRORS: usize = 7;
/// Weir with each condition and part of alpha.
pub(crate) const WEIRS: [usize; 3] = [WEIR, WEIR + 1, WEIR_ERRORS];
/// After them come counters of failed checks with each limit from 0 to this, so that one can be chosen for its few
/// false alarms.
pub(crate) const LIMITS: usize = 16;
/// Steps, the bake among them, that share alpha in the rule that has a part of it.
const PARTS: usize = 3;
/// What such a counter counts.
pub(crate) const COUNTERS: [&str; 3] = ["Argo Rollouts, errors alone", "Argo Rollouts", "Flagger"];

/// Place of a counter with a limit.
pub(crate) fn counter(kind: usize, limit: usize) -> usize {
    RULES.len() + kind * LIMITS + limit
}

/// What all runs of a scenario gave, by place.
pub(crate) struct Outcome {
    pub(crate) scenario: Scenario,
    pub(crate) firings: Vec<Firings>,
    /// Mean of the candidate's requests that failed or took longer than the line, until it was sent back.
    pub(crate) exposed: Vec<f64>,
    /// When Weir took the candidate's traffic away for the first time, be it for good or for a replica, as in [`WEIRS`].
    pub(crate) away: Vec<Firings>,
}

/// One run: when each fired, in blocks from 1, and what users saw until then.
struct Run {
    fired: Vec<Option<usize>>,
    exposed: Vec<f64>,
    away: Vec<Option<usize>>,
}

fn one(scenario: Scenario, rate: f64, seed: u64) -> Run {
    let mut random = Random::new(seed.wrapping_mul(0x5851_F42D_4C95_7F2D) ^ scenario as u64 ^ rate.to_bits());
    let (before, blocks) = traffic::run(scenario, rate, &mut random);
    let [candidate, extra, stable] = minutes(&blocks, &mut random);
    // The end of a minute, in blocks.
    let end = |minute: Option<usize>| minute.map(|minute| (minute + 1) * MINUTE);
    let weirs = [(article(), 1), (article(), PARTS), (errors(), 1)]
        .map(|(condition, parts)| weir::judge(&condition, &before, &blocks, parts));
    let mut fired = vec![
        end(argo(&candidate, 0, Looks::Both)),
        end(argo(&candidate, 3, Looks::Both)),
        end(flagger(&candidate, 5)),
        end(kayenta(&extra, &candidate)),
        end(kayenta(&stable, &candidate)),
    ];
    fired.extend(weirs.iter().map(|judged| judged.back));
    fired.extend((0..LIMITS).map(|limit| end(argo(&candidate, limit, Looks::Errors))));
    fired.extend((0..LIMITS).map(|limit| end(argo(&candidate, limit, Looks::Both))));
    fired.extend((0..LIMITS).map(|limit| end(flagger(&candidate, limit + 1))));
    let bad = bad_until(&blocks);
    let mut exposed: Vec<f64> = fired.iter().map(|at| bad[at.unwrap_or(blocks.len())]).collect();
    for (place, judged) in WEIRS.into_iter().zip(&weirs) {
        exposed[place] = judged.exposed(&blocks, failed_or_slow);
    }
    Run {
        exposed,
        fired,
        away: weirs.iter().map(Judged::away).collect(),
    }
}

/// Bad requests of the candidate before each block, and in all.
fn bad_until(blocks: &[Block]) -> Vec<f64> {
    let mut sums = vec![0.0];
    for Block { candidate, .. } in blocks {
        sums.push(sums.last().unwrap_or(&0.0) + failed_or_slow(candidate) as f64);
    }
    sums
}

fn failed_or_slow(seen: &Seen) -> u64 {
    seen.bad + seen.slower[LINE]
}

/// Runs a scenario with every seed, on every core.
pub(crate) fn measure(scenario: Scenario, rate: f64, seeds: usize) -> Outcome {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let runs: Vec<Run> = thread::scope(|scope| {
        let one_worker = |worker: usize| {
            move || {
                (worker..seeds)
                    .step_by(workers)
                    .map(|seed| one(scenario, rate, seed as u64))
                    .collect::<Vec<_>>()
            }
        };
        let workers: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(one_worker(worker)))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_default())
            .collect()
    });
    let places = RULES.len() + COUNTERS.len() * LIMITS;
    let firings = |place: usize| Firings(runs.iter().map(|run| run.fired[place]).collect());
    let mean = |place: usize| runs.iter().map(|run| run.exposed[place]).sum::<f64>() / runs.len() as f64;
    Outcome {
        scenario,
        firings: (0..places).map(firings).collect(),
        exposed: (0..places).map(mean).collect(),
        away: (0..WEIRS.len())
            .map(|weir| Firings(runs.iter().map(|run| run.away[weir]).collect()))
            .collect(),
    }
}
