//! What the cases were like, and how often we agreed.

use std::collections::BTreeMap;
use std::fmt;

use weir_domain::fit::Fits;

use crate::judge::Outcome;

/// Reasons that the scheduler knows; each must be met in this share of the cases.
const REASONS: [&str; 17] = [
    "room",
    "not_ready",
    "cordoned",
    "taint",
    "node_selector",
    "node_affinity",
    "gpu",
    "cpu",
    "memory",
    "ephemeral_storage",
    "pods",
    "host_port",
    "anti_affinity",
    "affinity",
    "spread",
    "quota",
    "blocked",
];
/// Percent of the cases that must show a reason.
const REASON_SHARE: u64 = 3;
/// Percent of the cases that must lie within one replica of the edge.
const EDGE_SHARE: u64 = 30;
/// Percent of the cases that may depend on the order.
const ORDER_SHARE: u64 = 5;

/// Counts over many cases.
#[derive(Default)]
pub struct Report {
    cases: u64,
    edge: u64,
    yes: u64,
    no: u64,
    depends: u64,
    reasons: BTreeMap<&'static str, u64>,
    /// Seeds of cases in which we disagreed, and how.
    pub wrong: Vec<(u64, &'static str)>,
}

impl Report {
    /// Counts one case.
    pub fn add(&mut self, outcome: &Outcome) {
        self.cases += 1;
        self.edge += u64::from(outcome.at_the_edge());
        match outcome.fit.fits {
            Fits::Yes => self.yes += 1,
            Fits::No => self.no += 1,
            Fits::DependsOnOrder => self.depends += 1,
        }
        for reason in outcome.reasons() {
            *self.reasons.entry(reason).or_default() += 1;
        }
        let wrong = [
            (outcome.wrong_yes(), "wrong yes"),
            (outcome.wrong_no(), "wrong no"),
            (outcome.wrong_count(), "wrong count"),
        ];
        if let Some((_, how)) = wrong.iter().find(|(is, _)| *is) {
            self.wrong.push((outcome.seed, how));
        }
    }

    fn percent(&self, count: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
        let percent = count as f64 * 100.0 / self.cases.max(1) as f64;
        percent
    }

    /// What is not as promised, in words; nothing if all is.
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = self
            .wrong
            .iter()
            .map(|(seed, how)| format!("{how}: seed {seed}"))
            .collect();
        if self.edge * 100 < EDGE_SHARE * self.cases {
            faults.push(format!("only {:.1} % lie at the edge", self.percent(self.edge)));
        }
        if self.depends * 100 > ORDER_SHARE * self.cases {
            faults.push(format!("{:.1} % depend on the order", self.percent(self.depends)));
        }
        for reason in REASONS {
            let count = self.reasons.get(reason).copied().unwrap_or(0);
            if count * 100 < REASON_SHARE * self.cases {
                faults.push(format!(
                    "only {:.1} % show the reason {reason}",
                    self.percent(count)
                ));
            }
        }
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |count: u64| format!("{count} ({:.1} %)", self.percent(count));
        let wrong = |how: &str| self.wrong.iter().filter(|(_, is)| *is == how).count();
        writeln!(f, "clusters              {}", self.cases)?;
        writeln!(f, "within one of the edge {}", of(self.edge))?;
        writeln!(
            f,
            "yes {}   no {}   depends_on_order {}",
            of(self.yes),
            of(self.no),
            of(self.depends)
        )?;
        writeln!(
            f,
            "wrong yes {}   wrong no {}   wrong count {}",
            wrong("wrong yes"),
            wrong("wrong no"),
            wrong("wrong count")
        )?;
        write!(f, "reasons")?;
        for (reason, count) in &self.reasons {
            write!(f, "  {reason} {:.1} %", self.percent(*count))?;
        }
        Ok(())
    }
}
