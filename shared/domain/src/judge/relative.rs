//! Evidence that the candidate's share of bad requests is greater than the stable one's: products over blocks, one
//! for each of several alternatives, averaged.

use serde::{Deserialize, Serialize};

use super::ratio::{ln_e_by_arm, ln_e_two_by_two, times_odds};
use super::special::ln_mean;
use super::{Arms, Tally};

/// Alternatives (odds of the candidate over those of stable) and their weights. Doubled errors are what people ask
/// about; 1.3 is a latency that moved by a tenth.
const ALTERNATIVES: [(f64, f64); 6] = [
    (1.3, 0.10),
    (1.7, 0.30),
    (2.2, 0.30),
    (3.5, 0.15),
    (6.0, 0.09),
    (15.0, 0.06),
];
/// What is remembered of the level from block to block: half of it after about 34 blocks.
const MEMORY: f32 = 0.98;
/// Bad requests of the stable arm from which on its level is known well enough to be an alternative.
const LEVEL_KNOWN: f64 = 20.0;

/// State of one comparison. Half the digits: every look stores them, and a bound needs the first three.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Relative {
    /// Bad and all requests of the stable arm, older ones faded.
    bad: f32,
    all: f32,
    /// ln of the product of each alternative.
    ln_e: [f32; ALTERNATIVES.len()],
}

impl Relative {
    /// Multiplies in a block. `factor` is how much wider than chance its counts spread.
    ///
    /// The level is taken from earlier blocks only, or not needed at all while it is not known: what is done with a
    /// block never depends on the block itself.
    pub fn add(&mut self, arms: Arms, factor: f64) {
        if arms.candidate.total > 0 && arms.stable.total > 0 {
            let level = self.level();
            let share = 1.0 / factor;
            for (ln_e, (times, _)) in self.ln_e.iter_mut().zip(ALTERNATIVES) {
                let block = match level {
                    Some(level) => ln_e_two_by_two(arms, times_odds(level, times), level),
                    None => ln_e_by_arm(arms, 1.0, times),
                };
                *ln_e += (share * block) as f32;
            }
        }
        self.remember(arms.stable);
    }

    fn level(&self) -> Option<f64> {
        let (bad, all) = (f64::from(self.bad), f64::from(self.all));
        let known = bad >= LEVEL_KNOWN && bad <= all - LEVEL_KNOWN;
        known.then(|| bad / all)
    }

    fn remember(&mut self, stable: Tally) {
        self.bad = self.bad * MEMORY + stable.bad as f32;
        self.all = self.all * MEMORY + stable.total as f32;
    }

    /// ln of the evidence so far.
    pub fn ln_e(&self) -> f64 {
        let each = self.ln_e.iter().map(|ln_e| f64::from(*ln_e));
        ln_mean(each.zip(ALTERNATIVES.map(|(_, weight)| weight)))
    }

    /// A new step: evidence starts again, the level stays known.
    pub fn restart(&mut self) {
        self.ln_e = Default::default();
    }
}

/// What the average over alternatives costs at most near one of them, in nats: for the power before a step.
pub(super) const MIXTURE_COST: f64 = 1.0;
