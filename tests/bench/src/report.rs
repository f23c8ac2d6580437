//! The tables.

use std::path::Path;

use weir_plot::{Line, Panel, draw};

use crate::contest::{Outcome, RULES, WEIR, WEIR_ERRORS, WEIRS, measure};
use crate::traffic::Scenario;
use crate::{agreement, exposure};

/// Runs everything at one rate, prints the tables, and writes the plots.
pub(crate) fn traffic(rate: f64, seeds: usize, folder: Option<&Path>, words: &str) -> Vec<Outcome> {
    let chosen = Scenario::ALL
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
    taken_away(&outcomes);
    println!("\nWeir, with 95 % intervals:\n");
    for outcome in &outcomes {
        for rule in WEIRS {
            let (firings, name) = (&outcome.firings[rule], RULES[rule]);
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
    exposure::print(&outcomes);
    agreement::print(&outcomes, rate, seeds);
    if let Some(folder) = folder {
        plots(&outcomes, folder);
    }
    outcomes
}

/// What Weir's rules do before they blame the version: traffic is away while a replica is replaced.
fn taken_away(outcomes: &[Outcome]) {
    let names: Vec<&str> = outcomes.iter().map(|outcome| outcome.scenario.words()).collect();
    println!("\nTraffic taken away, for good or until one replica is replaced.\n");
    println!("| rule | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    for (weir, rule) in WEIRS.into_iter().enumerate() {
        let cells: Vec<String> = outcomes.iter().map(|outcome| outcome.away[weir].cell()).collect();
        println!("| {} | {} |", RULES[rule], cells.join(" | "));
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
            .map(|outcome| outcome.firings[rule].cell())
            .collect();
        println!("| {name} | {} |", cells.join(" | "));
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
                        100.0 * outcome.firings[*rule].within(minute as usize),
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
