//! What users saw of a bad version until it was sent back, by every rule that hardly ever sends a good one back.

use crate::contest::{COUNTERS, KAYENTA, LIMITS, Outcome, RULES, WEIRS, counter};
use crate::traffic::Scenario;

/// Good versions that a rule may send back.
pub(crate) const FALSE_ALARMS: f64 = 0.01;

/// A rule with few false alarms: its place and name.
type Fit = (usize, String);

/// The rules with few false alarms; a counter has the lowest limit with which it is one.
pub(crate) fn fit(outcomes: &[Outcome]) -> Vec<Fit> {
    let Some(same) = outcomes.iter().find(|outcome| outcome.scenario == Scenario::Same) else {
        return Vec::new();
    };
    let few = |place: &usize| same.firings[*place].within(30) <= FALSE_ALARMS;
    let fixed = WEIRS.into_iter().chain(KAYENTA).filter(few);
    let mut all: Vec<Fit> = fixed.map(|place| (place, RULES[place].to_owned())).collect();
    for (kind, name) in COUNTERS.iter().enumerate() {
        let limit = (0..LIMITS).find(|limit| few(&counter(kind, *limit)));
        if let Some(limit) = limit {
            let words = format!("{name}, back at {} failed checks", limit + 1);
            all.push((counter(kind, limit), words));
        }
    }
    all
}

/// Prints the table.
pub(crate) fn print(outcomes: &[Outcome]) {
    let (Some(same), rules) = (
        outcomes.iter().find(|outcome| outcome.scenario == Scenario::Same),
        fit(outcomes),
    ) else {
        return;
    };
    let harmful: Vec<&Outcome> = outcomes.iter().filter(|o| o.scenario.harmful()).collect();
    let names: Vec<&str> = harmful.iter().map(|o| o.scenario.words()).collect();
    println!("\n### Bad requests until the candidate was sent back\n");
    println!(
        "Mean of those that failed or took over a second; every rule that sends at most 1 % of good versions back.\n"
    );
    println!("| rule | good versions sent back | {} |", names.join(" | "));
    println!("|---|---|{}", "---|".repeat(names.len()));
    for (place, name) in rules {
        let cells: Vec<String> = harmful
            .iter()
            .map(|o| format!("{:.1}", o.exposed[place]))
            .collect();
        let alarms = 100.0 * same.firings[place].within(30);
        println!("| {name} | {alarms:.1} % | {} |", cells.join(" | "));
    }
}
