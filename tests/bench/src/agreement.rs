//! Published figures of the compared rules beside ours: 600 runs a cell, on independent requests.

use crate::contest::{Outcome, RULES};
use crate::traffic::{EDGES, ERRORS, LINE, Scenario, WEIGHT, beyond};

/// Runs behind a published figure.
const RUNS: f64 = 600.0;
/// Points that ours may be off.
const CLOSE: f64 = 3.0;
/// Scenarios that figures were published of: so many, from the first on.
const PUBLISHED: usize = 6;

/// Percent sent back within ten and within thirty minutes.
type Row = (usize, [(f64, f64); PUBLISHED]);

const ALL: (f64, f64) = (100.0, 100.0);
const AT_50: [Row; 5] = [
    (0, [(81.8, 98.5), ALL, ALL, (97.5, 100.0), (97.3, 100.0), ALL]),
    (
        1,
        [(1.7, 52.2), (76.0, 100.0), ALL, (17.7, 95.8), (20.0, 97.7), ALL],
    ),
    (
        2,
        [(0.5, 43.5), (55.0, 100.0), ALL, (17.5, 97.7), (19.7, 98.8), ALL],
    ),
    (
        3,
        [
            (0.0, 0.2),
            (14.0, 67.5),
            (98.5, 100.0),
            (35.5, 98.0),
            (17.0, 88.7),
            ALL,
        ],
    ),
    (
        4,
        [
            (0.3, 0.5),
            (24.5, 89.0),
            (98.8, 100.0),
            (35.5, 94.5),
            (13.0, 64.0),
            ALL,
        ],
    ),
];
const AT_5: [Row; 3] = [
    (
        0,
        [
            (84.8, 99.5),
            (96.0, 100.0),
            ALL,
            (93.0, 100.0),
            (93.0, 100.0),
            ALL,
        ],
    ),
    (
        2,
        [
            (1.7, 64.3),
            (11.0, 96.0),
            (78.0, 100.0),
            (4.5, 85.0),
            (5.0, 87.0),
            (98.0, 100.0),
        ],
    ),
    (
        3,
        [
            (0.0, 0.5),
            (0.0, 2.0),
            (3.7, 28.0),
            (4.0, 37.5),
            (0.7, 5.8),
            (97.0, 100.0),
        ],
    ),
];

/// Prints every published figure with ours, and which are further apart than [`CLOSE`].
pub(crate) fn print(outcomes: &[Outcome], rate: f64, seeds: usize) {
    let rows: &[Row] = if rate == 50.0 { &AT_50 } else { &AT_5 };
    println!("\n### Published figures → ours\n");
    let names: Vec<&str> = Scenario::ALL[..PUBLISHED]
        .iter()
        .map(|scenario| scenario.words())
        .collect();
    println!("| rule | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    let (mut compared, mut apart) = (0, Vec::new());
    for (rule, cells) in rows {
        let mut shown = Vec::new();
        for (scenario, (ten, thirty)) in Scenario::ALL.iter().zip(cells) {
            let Some(outcome) = outcomes.iter().find(|outcome| outcome.scenario == *scenario) else {
                continue;
            };
            let ours = [10, 30].map(|minutes| 100.0 * outcome.firings[*rule].within(minutes));
            shown.push(format!("{ten}/{thirty} → {:.1}/{:.1}", ours[0], ours[1]));
            for (minutes, published, ours) in [(10, *ten, ours[0]), (30, *thirty, ours[1])] {
                compared += 1;
                if (published - ours).abs() > CLOSE {
                    let errors = (published - ours).abs() / deviation(published, ours, seeds);
                    apart.push(format!(
                        "- {}, {}, {minutes} min: {published} and {ours:.1}, {errors:.1} standard errors apart",
                        RULES[*rule],
                        scenario.words()
                    ));
                }
            }
        }
        println!("| {} | {} |", RULES[*rule], shown.join(" | "));
    }
    println!(
        "\n{} of {compared} figures are within {CLOSE} points{}",
        compared - apart.len(),
        if apart.is_empty() { "." } else { "; the others:\n" }
    );
    apart.iter().for_each(|line| println!("{line}"));
    if rate < 50.0 {
        exactly(rate);
    }
}

/// Where the greatest of a minute's values is checked, minutes fail independently with a chance that is known, so
/// Flagger's figures need no simulation.
fn exactly(rate: f64) {
    println!("\nFlagger without chance, by the binomial law:\n");
    let requests = 60.0 * rate * WEIGHT;
    for (words, times, slower) in [
        ("same", 1.0, 1.0),
        ("2x errors", 2.0, 1.0),
        ("5x errors", 5.0, 1.0),
        ("+20 % latency", 1.0, 1.2),
        ("2x latency", 1.0, 2.0),
    ] {
        let bad = ERRORS * times + beyond(EDGES[LINE], slower) * (1.0 - ERRORS * times);
        let fails = -(-requests * bad).exp_m1();
        let [ten, thirty] = [10, 30].map(|minutes| 100.0 * five_of(minutes, fails));
        println!("- {words}: {ten:.1}/{thirty:.1}");
    }
}

/// Chance that at least five of so many minutes fail.
fn five_of(minutes: u32, fails: f64) -> f64 {
    let mut at_most_four = 0.0;
    let mut chance = (1.0 - fails).powi(minutes.cast_signed());
    for n in 0..5 {
        at_most_four += chance;
        chance *= f64::from(minutes - n) / f64::from(n + 1) * fails / (1.0 - fails);
    }
    1.0 - at_most_four
}

/// By how many points two such figures differ by chance.
fn deviation(published: f64, ours: f64, seeds: usize) -> f64 {
    let share = (published * RUNS + ours * seeds as f64) / (RUNS + seeds as f64) / 100.0;
    100.0 * (share * (1.0 - share) * (1.0 / RUNS + 1.0 / seeds as f64)).sqrt()
}
