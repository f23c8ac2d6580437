//! What the judge is meant to reach, and whether it did.

use crate::contest::{Outcome, RULES, WEIR, WEIR_ERRORS};
use crate::exposure::{FALSE_ALARMS, fit};
use crate::traffic::Scenario;

/// Identical versions of which at most 1 % may be sent back.
const GOOD: [Scenario; 4] = [
    Scenario::Same,
    Scenario::BurstsByReplica,
    Scenario::Replicas,
    Scenario::OneSlowReplica,
];

/// Prints every goal with its figure.
pub(crate) fn print(many: &[Outcome], few: &[Outcome]) {
    println!("\n## Goals, boundary 1/alpha, nothing calibrated\n");
    for (rate, outcomes) in [(50, many), (5, few)] {
        for outcome in outcomes.iter().filter(|o| GOOD.contains(&o.scenario)) {
            false_alarms(rate, outcome);
        }
    }
    for (scenario, rule, most) in [
        (Scenario::Slower, WEIR, 1.5),
        (Scenario::Errors2, WEIR_ERRORS, 10.0),
    ] {
        let Some(outcome) = many.iter().find(|o| o.scenario == scenario) else {
            continue;
        };
        let (name, words) = (RULES[rule], scenario.words());
        match outcome.firings[rule].median() {
            Some((at, low, high)) => tell(
                at <= most,
                &format!("{name}, {words} at 50 a second: median {at} min [{low}, {high}], at most {most}"),
            ),
            None => tell(false, &format!("{name}, {words}: most were never sent back")),
        }
    }
    for (rate, outcomes) in [(50, many), (5, few)] {
        for outcome in outcomes.iter().filter(|o| o.scenario.harmful()) {
            exposure(rate, outcomes, outcome);
        }
    }
}

fn tell(met: bool, words: &str) {
    println!("- {}: {words}", if met { "met" } else { "missed" });
}

fn false_alarms(rate: u32, outcome: &Outcome) {
    for rule in [WEIR, WEIR_ERRORS] {
        let (share, (low, high)) = (
            outcome.firings[rule].within(30),
            outcome.firings[rule].interval(30),
        );
        let (name, words) = (RULES[rule], outcome.scenario.words());
        let figure = format!(
            "{:.2} % [{:.2}, {:.2}] sent back, at most {} %",
            100.0 * share,
            100.0 * low,
            100.0 * high,
            100.0 * FALSE_ALARMS
        );
        tell(
            share <= FALSE_ALARMS,
            &format!("{name}, {words} at {rate} a second: {figure}"),
        );
    }
}

/// Fewer bad requests than by any other rule with as few false alarms.
fn exposure(rate: u32, outcomes: &[Outcome], outcome: &Outcome) {
    let weir = outcome.exposed[WEIR].min(outcome.exposed[WEIR_ERRORS]);
    let others = fit(outcomes)
        .into_iter()
        .filter(|(place, _)| ![WEIR, WEIR_ERRORS].contains(place));
    let best = others.min_by(|a, b| outcome.exposed[a.0].total_cmp(&outcome.exposed[b.0]));
    if let Some((place, name)) = best {
        let other = outcome.exposed[place];
        let words = outcome.scenario.words();
        tell(
            weir <= other,
            &format!(
                "{words} at {rate} a second: {weir:.1} bad requests, {other:.1} by the best other ({name})"
            ),
        );
    }
}
