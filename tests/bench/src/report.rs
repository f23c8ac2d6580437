//! The tables.

use std::path::Path;
use std::thread;

use weir_plot::{Line, Panel, draw};

use crate::random::Random;
use crate::rules::{Looks, argo, flagger, kayenta, minutes};
use crate::tally::Firings;
use crate::traffic::{self, MINUTE, Scenario};
use crate::weir;

/// The rules in the order of the table.
pub(crate) const RULES: [&str; 7] = [
    "Argo Rollouts, failureLimit 0",
    "Argo Rollouts, failureLimit 3",
    "Flagger, threshold 5",
    "Kayenta, extra arm (+1 GPU)",
    "Kayenta, against stable",
    "Weir, errors and latency",
    "Weir, errors alone",
];
const WEIR: usize = 5;
const WEIR_ERRORS: usize = 6;
/// Failed checks that a counter is calibrated up to.
const LIMITS: usize = 16;

const SCENARIOS: [Scenario; 15] = [
    Scenario::Same,
    Scenario::Errors2,
    Scenario::Errors5,
    Scenario::Slower,
    Scenario::Tail,
    Scenario::TwiceAsSlow,
    Scenario::BurstsTogether,
    Scenario::BurstsByReplica,
    Scenario::BurstsApart,
    Scenario::Replicas,
    Scenario::OneSlowReplica,
    Scenario::Ramp,
    Scenario::MissingScrapes,
    Scenario::CounterResets,
    Scenario::Duplicates,
];

/// What all runs of a scenario gave.
struct Outcome {
    scenario: Scenario,
    rules: Vec<Firings>,
    /// A counter of failed checks of errors alone, by its limit.
    counters: Vec<Firings>,
    /// Failed requests that the candidate gave until Weir fired on errors alone, and until each counter did.
    exposed: Vec<f64>,
}

/// Runs everything at one rate, prints the tables, and writes the plots.
pub(crate) fn traffic(rate: f64, seeds: usize, folder: Option<&Path>, words: &str) {
    let chosen = SCENARIOS
        .iter()
        .filter(|scenario| scenario.words().contains(words));
    let outcomes: Vec<Outcome> = chosen.map(|scenario| measure(*scenario, rate, seeds)).collect();
    println!("\n## {rate} requests a second, 5 % to the candidate, 30 minutes, {seeds} seeds\n");
    println!("Percent sent back within 10 / 30 minutes (median minute).\n");
    table(&outcomes, |outcome| {
        outcome.scenario.harmful() || outcome.scenario == Scenario::Same
    });
    if outcomes.iter().any(|outcome| !outcome.scenario.harmful()) {
        println!("\nIdentical versions under trouble: every one sent back is a mistake.\n");
        table(&outcomes, |outcome| !outcome.scenario.harmful());
    }
    println!("\nWeir, with 95 % intervals:\n");
    for outcome in &outcomes {
        for rule in [WEIR, WEIR_ERRORS] {
            let (firings, name) = (&outcome.rules[rule], RULES[rule]);
            let (low, high) = firings.interval(30);
            let median = firings.median().map_or(String::new(), |(at, low, high)| {
                format!("; median {at} min [{low}, {high}]")
            });
            println!(
                "- {}, {name}: {:.2} % [{:.2}, {:.2}] within 30 min{median}",
                outcome.scenario.words(),
                100.0 * firings.within(30),
                100.0 * low,
                100.0 * high
            );
        }
    }
    exposure(&outcomes);
    if let Some(folder) = folder {
        plots(&outcomes, folder);
    }
}

fn table(outcomes: &[Outcome], shown: impl Fn(&Outcome) -> bool) {
    let outcomes: Vec<&Outcome> = outcomes.iter().filter(|outcome| shown(outcome)).collect();
    let names: Vec<&str> = outcomes.iter().map(|outcome| outcome.scenario.words()).collect();
    println!("| rule | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    for (rule, name) in RULES.iter().enumerate() {
        let cells: Vec<String> = outcomes
            .iter()
            .map(|outcome| outcome.rules[rule].cell())
            .collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
}

/// Failed requests that users saw, against the counter that is calibrated to the same false-alarm rate.
fn exposure(outcomes: &[Outcome]) {
    let Some(same) = outcomes.iter().find(|outcome| outcome.scenario == Scenario::Same) else {
        return;
    };
    let limit = (0..LIMITS).find(|limit| same.counters[*limit].within(30) <= 0.01);
    let Some(limit) = limit else {
        println!("\nNo counter of up to {LIMITS} failed checks stays under 1 % false alarms.");
        return;
    };
    println!(
        "\nFailed requests of the candidate until it was sent back (mean; errors alone; the counter is calibrated: more than {limit} failed checks):\n"
    );
    for outcome in outcomes
        .iter()
        .filter(|o| matches!(o.scenario, Scenario::Errors2 | Scenario::Errors5))
    {
        let (weir, counter) = (outcome.exposed[0], outcome.exposed[limit + 1]);
        println!(
            "- {}: Weir {weir:.1}, counter {counter:.1} ({:.2} of it); counter fires {}",
            outcome.scenario.words(),
            weir / counter,
            outcome.counters[limit].cell()
        );
    }
}

fn plots(outcomes: &[Outcome], folder: &Path) {
    let chosen = [0, 2, WEIR];
    for (scenario, file, title) in [
        (
            Scenario::Same,
            "judge-same.svg",
            "Identical versions: sent back by mistake",
        ),
        (Scenario::Errors2, "judge-errors.svg", "Doubled errors: sent back"),
        (Scenario::Slower, "judge-latency.svg", "A fifth slower: sent back"),
    ] {
        let Some(outcome) = outcomes.iter().find(|outcome| outcome.scenario == scenario) else {
            continue;
        };
        let line = |rule: &usize| Line {
            name: RULES[*rule].into(),
            points: (0..=30)
                .map(|minute| {
                    (
                        f64::from(minute),
                        100.0 * outcome.rules[*rule].within(minute as usize),
                    )
                })
                .collect(),
        };
        let mut lines: Vec<Line> = chosen.iter().map(line).collect();
        if scenario == Scenario::Errors2 {
            lines.push(line(&WEIR_ERRORS));
        }
        let panel = Panel {
            unit: " %",
            most: 100.0,
            parts: 4,
            height: 270.0,
            lines,
        };
        let svg = draw(
            title,
            "minutes at 50 requests a second, 5 % to the candidate",
            30.0,
            &[panel],
        );
        if let Err(error) = std::fs::write(folder.join(file), svg) {
            println!("{file} was not written: {error}");
        }
    }
}

/// One run under all rules.
struct Run {
    rules: Vec<Option<usize>>,
    counters: Vec<Option<usize>>,
    exposed: Vec<f64>,
}

fn one(scenario: Scenario, rate: f64, seed: u64) -> Run {
    let mut random = Random::new(seed.wrapping_mul(0x5851_F42D_4C95_7F2D) ^ scenario as u64 ^ rate.to_bits());
    let before = traffic::before(rate, &mut random);
    let blocks = traffic::run(scenario, rate, &mut random);
    let [candidate, extra, stable] = minutes(&blocks, &mut random);
    // The end of a minute, in blocks.
    let end = |minute: Option<usize>| minute.map(|minute| (minute + 1) * MINUTE);
    let block = |at: Option<usize>| at.map(|at| at + 1);
    let errors = block(weir::errors(&before, &blocks, scenario));
    let counters: Vec<_> = (0..LIMITS)
        .map(|limit| end(argo(&candidate, limit, Looks::Errors)))
        .collect();
    let until = |at: &Option<usize>| -> f64 {
        let until = at.unwrap_or(blocks.len());
        blocks[..until]
            .iter()
            .map(|block| block.candidate.bad as f64)
            .sum()
    };
    Run {
        exposed: std::iter::once(&errors).chain(&counters).map(until).collect(),
        rules: vec![
            end(argo(&candidate, 0, Looks::Both)),
            end(argo(&candidate, 3, Looks::Both)),
            end(flagger(&candidate, 5)),
            end(kayenta(&extra, &candidate)),
            end(kayenta(&stable, &candidate)),
            block(weir::condition(&before, &blocks, scenario)),
            errors,
        ],
        counters,
    }
}

fn measure(scenario: Scenario, rate: f64, seeds: usize) -> Outcome {
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
    let column = |of: &dyn Fn(&Run) -> &Vec<Option<usize>>, n: usize| -> Vec<Firings> {
        (0..n)
            .map(|i| Firings(runs.iter().map(|run| of(run)[i]).collect()))
            .collect()
    };
    let mean = |i: usize| runs.iter().map(|run| run.exposed[i]).sum::<f64>() / runs.len() as f64;
    Outcome {
        scenario,
        rules: column(&|run| &run.rules, RULES.len()),
        counters: column(&|run| &run.counters, LIMITS),
        exposed: (0..=LIMITS).map(mean).collect(),
    }
}
