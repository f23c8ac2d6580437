//! PodDisruptionBudgets: how many pods of a service its owners want ready at any time.
//!
//! The API server holds evictions to them, and nobody else: it lets whoever scales a Deployment take what they like. So a plan
//! holds itself to them, and says which of them would stand in the way of others or protect nothing.

mod problems;

use std::fmt;

use crate::fit::{Ask, Pod, Selector, Snapshot, stable_pods};

pub use problems::problems;

/// A PodDisruptionBudget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Which pods of its namespace; nothing selects none.
    pub selector: Option<Selector>,
    /// What it asks for.
    pub asks: Asks,
    /// Pods that may be evicted now, where the cluster has counted them.
    pub allowed: Option<u32>,
}

/// What a budget asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asks {
    /// `minAvailable`
    Available(Part),
    /// `maxUnavailable`
    Unavailable(Part),
    /// Neither is written.
    Nothing,
}

/// A number of pods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// So many.
    Count(u32),
    /// So much of a hundred.
    Percent(u32),
}

impl Asks {
    /// Pods that must stay ready of so many that there are to be.
    pub fn wanted(self, all: u32) -> u32 {
        match self {
            Self::Available(part) => part.of(all),
            Self::Unavailable(part) => all.saturating_sub(part.of(all)),
            Self::Nothing => 0,
        }
    }
}

impl Part {
    /// Kubernetes rounds up, also what may be missing.
    fn of(self, all: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                let part = (u64::from(all) * u64::from(percent)).div_ceil(100);
                u32::try_from(part).unwrap_or(u32::MAX)
            }
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent} %"),
        }
    }
}

/// `PodDisruptionBudget prod/llm (minAvailable 3)`
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PodDisruptionBudget {}/{}", self.namespace, self.name)?;
        match self.asks {
            Asks::Available(part) => write!(f, " (minAvailable {part})"),
            Asks::Unavailable(part) => write!(f, " (maxUnavailable {part})"),
            Asks::Nothing => f.write_str(" (neither minAvailable nor maxUnavailable)"),
        }
    }
}

impl Budget {
    fn selects(&self, pod: &Pod) -> bool {
        let selector = self.selector.as_ref();
        pod.namespace == self.namespace && selector.is_some_and(|selector| selector.matches(&pod.labels))
    }

    fn selects_candidate(&self, ask: &Ask) -> bool {
        let selector = self.selector.as_ref();
        ask.namespace == self.namespace && selector.is_some_and(|selector| selector.matches(&ask.labels))
    }

    /// Pods that it selects, of stable and of others.
    fn selected(&self, snapshot: &Snapshot, ask: &Ask) -> (u32, u32) {
        if self.namespace != ask.namespace {
            return (0, 0);
        }
        let stable = stable_pods(snapshot, ask);
        let count = |of_stable: bool| {
            let pods = snapshot.pods.iter().enumerate();
            let selected = pods.filter(|(number, pod)| {
                self.selects(pod)
                    && pod.is_bound()
                    && !pod.is_terminating()
                    && stable.contains(number) == of_stable
            });
            u32::try_from(selected.count()).unwrap_or(u32::MAX)
        };
        (count(true), count(false))
    }
}

/// Replicas of a service that must be ready at any time, on whichever side.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Floor {
    /// How many; 0: nobody asks.
    pub replicas: u32,
    /// Who asks, in words.
    pub by: String,
}

impl Floor {
    /// `at least 3 stay ready, as PodDisruptionBudget prod/llm (minAvailable 3) asks`
    pub fn words(&self) -> String {
        format!("at least {} stay ready, as {} asks", self.replicas, self.by)
    }
}

/// What budgets ask of a service of which so many replicas serve: the most that one of them asks. What other pods under the same
/// budget make up for is not asked of it, and never more than serve now.
pub fn floor(snapshot: &Snapshot, ask: &Ask, stable: u32) -> Floor {
    let asked = snapshot.budgets.iter().filter_map(|budget| {
        let (of_stable, others) = budget.selected(snapshot, ask);
        let wanted = budget.asks.wanted(stable.saturating_add(others));
        let replicas = wanted.saturating_sub(others).min(stable);
        (of_stable > 0).then(|| Floor {
            replicas,
            by: budget.to_string(),
        })
    });
    let most = asked.max_by_key(|floor| floor.replicas);
    most.filter(|floor| floor.replicas > 0).unwrap_or_default()
}

#[cfg(test)]
mod tests;
