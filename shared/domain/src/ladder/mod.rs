//! What can be done when replicas do not fit: the rungs of a ladder, the first that is possible wins.
//!
//! surge → wait → borrow → smaller → repack → scale_up → swap → refuse. Every rung says why it is possible or not, in
//! words that name the nodes and pods it is about. Nothing is done here, and nothing is ever evicted.

mod change;
mod room;
mod rungs;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fit::{Ask, Fit, Snapshot};

pub use room::{Place, Room, room};

/// Rungs, and what would make the replicas fit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ladder {
    /// All rungs, in order.
    pub rungs: Vec<Rung>,
    /// The smallest changes after which the replicas fit, the smallest first; none if they fit.
    pub changes: Vec<String>,
}

impl Ladder {
    /// The first rung that is possible; refusing always is.
    pub fn chosen(&self) -> &Rung {
        let last = self.rungs.last().expect("a ladder ends with refuse");
        self.rungs.iter().find(|rung| rung.possible).unwrap_or(last)
    }
}

/// One thing that could be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rung {
    /// What.
    pub action: Action,
    /// Whether it can be done and would help.
    pub possible: bool,
    /// Why, or why not.
    pub why: String,
}

/// What can be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Add the replicas to what is there.
    Surge,
    /// Wait until pods that leave are gone.
    Wait,
    /// Take replicas from stable, inside the reserve that a way back needs.
    Borrow,
    /// Ask for fewer replicas.
    Smaller,
    /// Advice: a pod that could be moved.
    Repack,
    /// Add nodes.
    ScaleUp,
    /// Replace replicas one by one, without any beside the others.
    Swap,
    /// Do not begin.
    Refuse,
}

impl Action {
    /// The word in JSON and texts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Surge => "surge",
            Self::Wait => "wait",
            Self::Borrow => "borrow",
            Self::Smaller => "smaller",
            Self::Repack => "repack",
            Self::ScaleUp => "scale_up",
            Self::Swap => "swap",
            Self::Refuse => "refuse",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of the load that stable carries.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Load {
    /// Share of stable's capacity that is in use now, 0 to 1.
    pub used: f64,
    /// Whether that was measured; else it is what services are usually sized for.
    pub measured: bool,
}

impl Default for Load {
    fn default() -> Self {
        // Services are sized for 70 %: beyond it, queues grow faster than load.
        Self {
            used: 0.7,
            measured: false,
        }
    }
}

impl Load {
    /// `70 % load (assumed)`
    pub fn words(self) -> String {
        let used = (self.used * 100.0).round();
        let known = if self.measured { "measured" } else { "assumed" };
        format!("{used} % load ({known})")
    }

    /// Replicas of stable that must stay so that all traffic can come back to them.
    pub fn reserve(self, stable: u64) -> u64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of replicas times a share of one, rounded up"
        )]
        let reserve = (stable as f64 * self.used.clamp(0.0, 1.0)).ceil() as u64;
        reserve.clamp(u64::from(stable > 0), stable)
    }
}

/// Makes the ladder for an answer that was given about the same cluster and workload.
pub fn ladder(snapshot: &Snapshot, ask: &Ask, fit: &Fit, load: Load) -> Ladder {
    let view = rungs::View::new(snapshot, ask, fit, load);
    let mut rungs = vec![view.surge()];
    let repack = view.repack();
    rungs.extend([view.wait(), view.borrow(), view.smaller()]);
    rungs.push(repack);
    rungs.extend([view.scale_up(), view.swap()]);
    let other = rungs.iter().any(|rung| rung.possible);
    rungs.push(view.refuse(other));
    let changes = change::changes(&view, &rungs);
    Ladder { rungs, changes }
}

#[cfg(test)]
mod tests;
