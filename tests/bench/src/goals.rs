//! What the judge is meant to reach, and whether it did.

use crate::contest::{Outcome, RULES, WEIR, WEIR_ERRORS, WEIRS};
use crate::exposure::{FALSE_ALARMS, fit};
use crate::traffic::Scenario;

/// Identical versions of which at most 1 % may be sent back.
const GOOD: [Scenario; 4] = [
    Scenario::Same,
    Scenario::BurstsByReplica,
    Scenario::Replicas,
    Scenario::OneSlowReplica,
];

/// Of the bad requests of another rule, what Weir's may let happen.
const HALF: f64 = 0.5;

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
    for rule in WEIRS {
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

/// At most half of the bad requests of any other rule with as few false alarms. One rule of Weir stands for it in every
/// scenario: nobody chooses a rule after the fault is known.
fn exposure(rate: u32, outcomes: &[Outcome], outcome: &Outcome) {
    let (weir, words) = (outcome.exposed[WEIR], outcome.scenario.words());
    let others = fit(outcomes);
    for (place, name) in others.iter().filter(|(place, _)| !WEIRS.contains(place)) {
        let other = outcome.exposed[*place];
        let part = 100.0 * weir / other;
        tell(
            weir <= HALF * other,
            &format!(
                "{words} at {rate} a second: {weir:.1} bad requests, {part:.0} % of the {other:.1} by {name}; at most half"
            ),
        );
    }
}
