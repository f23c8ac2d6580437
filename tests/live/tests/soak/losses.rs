//! Requests that were not answered, and whose they were.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cell::{At, Cell, Strategy, Way};

/// An answer that does not say which version it is from: no pod gave it.
const NOBODY: &str = "unknown";

/// Counts of a load driver at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Requests sent.
    pub(crate) sent: u64,
    /// Failed and cut requests by version.
    lost: BTreeMap<String, u64>,
}

impl Counts {
    /// Reads what the driver says.
    pub(crate) fn of(totals: &Value) -> Self {
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let total = &totals["total"];
        let versions = total["by_version"].as_object().into_iter().flatten();
        Self {
            sent: number(&total["sent"]),
            lost: versions
                .map(|(name, counts)| (name.clone(), number(&counts["failed"]) + number(&counts["cut"])))
                .collect(),
        }
    }

    /// What came since an earlier moment.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let then = |name: &String| before.lost.get(name).copied().unwrap_or(0);
        let lost = self.lost.iter().map(|(name, n)| (name.clone(), n - then(name)));
        Self {
            sent: self.sent - before.sent,
            lost: lost.filter(|(_, n)| *n > 0).collect(),
        }
    }

    /// All that were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Losses that a cell must not have, in words. `bad`: the versions that are at fault; `after`: what came once traffic
    /// was back.
    pub(crate) fn unforgiven(&self, after: &Self, cell: &Cell, bad: &[&str]) -> Vec<String> {
        let forgiven = forgiven(cell);
        let mut found = Vec::new();
        for (version, n) in &self.lost {
            let of_bad = bad.contains(&version.as_str());
            let is_forgiven = match forgiven {
                Forgiven::Nothing => false,
                Forgiven::Answers => of_bad,
                Forgiven::Silence => of_bad || version == NOBODY,
            };
            if !is_forgiven {
                found.push(format!("{n} requests of {version} lost"));
            }
        }
        if let Some(n) = after.lost.get(NOBODY).filter(|_| forgiven == Forgiven::Silence) {
            found.push(format!("{n} requests lost after traffic was back"));
        }
        found
    }
}

/// What a bad version may cost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Forgiven {
    Nothing,
    /// What it answered itself.
    Answers,
    /// That, and requests that found none of its processes.
    Silence,
}

fn forgiven(cell: &Cell) -> Forgiven {
    let grows = matches!(cell.place.at, At::Growing(_));
    let previews = cell.strategy == Strategy::BlueGreen && cell.place.at == At::Watching(0);
    match cell.way {
        // Until the cluster knows, its pods look well, and the switch goes to them.
        Way::NodeLost if previews => Forgiven::Silence,
        _ if !cell.place.answers || cell.strategy == Strategy::Shadow => Forgiven::Nothing,
        Way::Promotion | Way::Person => Forgiven::Nothing,
        // Those that are never ready are not asked.
        Way::Unready if grows => Forgiven::Nothing,
        Way::Metric => Forgiven::Answers,
        Way::Crash | Way::OutOfMemory | Way::Unready | Way::NodeLost => Forgiven::Silence,
    }
}
