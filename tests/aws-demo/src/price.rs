//! What a run would have cost, from a dated file of prices.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use weir_lambda_host::{Bill, Stack, Tally};

/// Memory of a function, as the template gives it.
const GIGABYTES: f64 = 0.5;

/// Operations of DynamoDB that are paid for as reads; all others write.
const READS: [&str; 2] = ["GetItem", "Query"];

/// What an account had been asked for at a moment.
#[derive(Clone)]
pub(crate) struct Meter {
    bill: Bill,
    tallies: BTreeMap<String, Tally>,
}

impl Meter {
    pub(crate) fn read(stack: &Stack) -> Self {
        Self {
            bill: stack.bill(),
            tallies: stack.tallies(),
        }
    }

    /// What was asked for since.
    pub(crate) fn until(&self, later: &Self) -> Cost {
        let actions = |meter: &Self, action: &str| -> u64 {
            let all = meter.bill.actions.iter();
            all.filter(|((_, one), _)| one == action)
                .map(|(_, count)| count)
                .sum()
        };
        let between = |action: &str| actions(later, action) - actions(self, action);
        let (mut events, mut millis, mut looks) = (0, 0, 0);
        for (id, tally) in &later.tallies {
            let before = self.tallies.get(id).copied().unwrap_or_default();
            events += tally.events - before.events;
            if ["StageExecutor", "MetricCheck"].contains(&id.as_str()) {
                looks += tally.events - before.events;
            }
            millis += tally.millis - before.millis;
        }
        let units = later.bill.units.iter().map(|(operation, (calls, taken))| {
            let (calls_before, taken_before) = self.bill.units.get(operation).copied().unwrap_or_default();
            (operation.clone(), (calls - calls_before, taken - taken_before))
        });
        Cost {
            units: units.collect(),
            // A batch is received once and deleted once.
            messages: between("sqs:SendMessage") + 2 * looks,
            schedules: between("scheduler:CreateSchedule"),
            events,
            looks,
            millis,
        }
    }
}

/// What a run took.
pub(crate) struct Cost {
    units: BTreeMap<String, (u64, f64)>,
    messages: u64,
    schedules: u64,
    events: u64,
    looks: u64,
    millis: u64,
}

impl Cost {
    fn units(&self, read: bool) -> f64 {
        let these = self
            .units
            .iter()
            .filter(|(operation, _)| READS.contains(&operation.as_str()) == read);
        these.map(|(_, (_, units))| units).sum()
    }

    /// In dollars.
    pub(crate) fn dollars(&self) -> f64 {
        let prices: Value = serde_json::from_str(include_str!("../prices.json")).unwrap_or_default();
        let price = |name: &str| prices[name].as_f64().unwrap_or(f64::NAN);
        let million = |count: f64, name: &str| count / 1e6 * price(name);
        million(self.units(true), "million_read_units")
            + million(self.units(false), "million_write_units")
            + million(self.messages as f64, "million_messages")
            + million(self.events as f64, "million_invocations")
            + million(self.schedules as f64, "million_schedules")
            + self.millis as f64 / 1e3 * GIGABYTES * price("gigabyte_second_arm64")
    }

    /// In dollars for each look: the checks, with their part of everything else.
    pub(crate) fn dollars_a_look(&self) -> f64 {
        self.dollars() / self.looks.max(1) as f64
    }

    /// How many calls of each operation took how many units, in words.
    pub(crate) fn by_operation(&self) -> String {
        let each = self.units.iter();
        let each = each.map(|(operation, (calls, units))| format!("{operation} {calls} = {units:.0}"));
        each.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "${:.5}: {:.0} write units, {:.0} read units, {} requests of SQS, {} schedules, {} invocations of {} ms in all",
            self.dollars(),
            self.units(false),
            self.units(true),
            self.messages,
            self.schedules,
            self.events,
            self.millis
        )
    }
}
