//! What the parts of a condition say together.

use super::condition::Evidence;
use super::special::ln_mean;
use crate::condition::{Comparison, Condition};

/// What one part says.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Said {
    /// So much evidence that it holds.
    Evidence(Evidence),
    /// It is weighed, and nothing was counted yet.
    Open,
    /// A plain rule holds.
    Holds(String),
    /// A plain rule does not hold, or nobody measures it.
    No,
}

impl Said {
    /// The evidence; a rule that holds needs no more.
    pub(super) fn evidence(self) -> Option<Evidence> {
        match self {
            Self::Evidence(evidence) => Some(evidence),
            Self::Holds(words) => Some(Evidence {
                ln_e: f64::INFINITY,
                words,
            }),
            Self::Open | Self::No => None,
        }
    }
}

/// Combines what the comparisons of a condition without `!` say.
pub(super) fn combine(condition: &Condition, leaf: &impl Fn(&Comparison) -> Said) -> Said {
    match condition {
        Condition::Compare(comparison) => leaf(comparison),
        Condition::Or(parts) => any(parts.iter().map(|part| combine(part, leaf)).collect()),
        Condition::And(parts) => {
            let said: Vec<Said> = parts.iter().map(|part| combine(part, leaf)).collect();
            all(&said)
        }
        // `Condition::plain` leaves none.
        Condition::Not(_) => Said::No,
    }
}

/// One rule that holds suffices. The mean of e-values is one again, whatever their dependence; a part without data has
/// e-value 1, and a plain rule has no share of the stake.
fn any(parts: Vec<Said>) -> Said {
    if let Some(holds) = parts.iter().find(|part| matches!(part, Said::Holds(_))) {
        return holds.clone();
    }
    let open = parts.iter().filter(|part| **part == Said::Open).count();
    let known: Vec<Evidence> = parts
        .into_iter()
        .filter_map(|part| match part {
            Said::Evidence(evidence) => Some(evidence),
            _ => None,
        })
        .collect();
    let Some(strongest) = known.iter().max_by(|a, b| a.ln_e.total_cmp(&b.ln_e)) else {
        return if open > 0 { Said::Open } else { Said::No };
    };
    let all = known
        .iter()
        .map(|part| part.ln_e)
        .chain(std::iter::repeat_n(0.0, open));
    let all: Vec<(f64, f64)> = all.map(|ln_e| (ln_e, 1.0)).collect();
    Said::Evidence(Evidence {
        ln_e: ln_mean(all.into_iter()),
        words: strongest.words.clone(),
    })
}

/// The least of several e-values is one; every rule must hold.
fn all(parts: &[Said]) -> Said {
    if parts.contains(&Said::No) {
        return Said::No;
    }
    if parts.contains(&Said::Open) {
        return Said::Open;
    }
    let weakest = parts
        .iter()
        .filter(|part| matches!(part, Said::Evidence(_)))
        .min_by(|a, b| ln_e(a).total_cmp(&ln_e(b)));
    weakest.or(parts.first()).cloned().unwrap_or(Said::No)
}

fn ln_e(said: &Said) -> f64 {
    match said {
        Said::Evidence(evidence) => evidence.ln_e,
        _ => f64::INFINITY,
    }
}
