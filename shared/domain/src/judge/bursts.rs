//! Bursts: errors that come in clumps say less than as many single ones.
//!
//! The stable arm shows how much its share jumps from block to block beyond chance. A candidate of the same kind jumps
//! as much, so its evidence is taken to the power 1/factor, where the factor is how much wider than chance its counts
//! then spread. The power of an e-value below 1 is an e-value again (Jensen): honest requests lose a little, never gain.
//!
//! Clumps may last longer than a block, so the jumps are looked at over 1, 4 and 8 blocks, and the widest counts. A single jump is
//! believed as far as it is beyond chance: most good versions that are sent back for a clump are sent back before stable has shown
//! a second one.

use serde::{Deserialize, Serialize};

use super::Tally;

/// Blocks that are looked at together.
const SCALES: [u32; 3] = [1, 4, 8];

/// What the stable arm's jumps showed so far.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Bursts {
    scales: [Scale; SCALES.len()],
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Scale {
    /// The part that is being filled, and blocks in it.
    part: Tally,
    blocks: u32,
    /// The last full part.
    before: Tally,
    /// Sum of squared jumps beyond chance, of the chance's own variance, and of the squared level. Half the digits: every look
    /// stores them, and chance moves the first.
    beyond: f32,
    noise: f32,
    level: f32,
}

impl Bursts {
    /// Learns from a block of the stable arm.
    pub fn learn(&mut self, stable: Tally) {
        for (scale, length) in self.scales.iter_mut().zip(SCALES) {
            scale.learn(stable, length);
        }
    }

    /// How much wider than chance the count of an arm spreads that has `total` requests a block and this share, and whose mean
    /// jumps `times` as much as stable's (variance; the fewer replicas, the less they even out).
    pub fn factor(&self, share: f64, total: u64, times: f64) -> f64 {
        let requests = times * total as f64 * share / (1.0 - share).max(0.01);
        let of = |(scale, length): (&Scale, u32)| requests * f64::from(length) * scale.spread();
        1.0 + self.scales.iter().zip(SCALES).map(of).fold(0.0, f64::max)
    }
}

impl Scale {
    fn learn(&mut self, stable: Tally, length: u32) {
        self.part = self.part.and(stable);
        self.blocks += 1;
        if self.blocks < length {
            return;
        }
        let (one, two) = (self.before, self.part);
        (self.before, self.part, self.blocks) = (two, Tally::default(), 0);
        let (Some(a), Some(b), Some(level)) = (one.share(), two.share(), one.and(two).share()) else {
            return;
        };
        let chance = level * (1.0 - level) * (1.0 / one.total as f64 + 1.0 / two.total as f64);
        self.beyond += ((b - a) * (b - a) - chance) as f32;
        self.noise += (2.0 * chance * chance) as f32;
        self.level += (2.0 * level * level) as f32;
    }

    /// Squared coefficient of variation of the share beyond chance, less one standard error of it.
    fn spread(&self) -> f64 {
        if self.level <= 0.0 {
            return 0.0;
        }
        f64::from((self.beyond - self.noise.sqrt()) / self.level).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_share_is_no_burst_and_clumps_are() {
        let mut even = Bursts::default();
        let mut clumped = Bursts::default();
        for block in 0..64_u64 {
            even.learn(Tally::new(7 + block % 3, 700));
            clumped.learn(Tally::new(if block % 8 < 2 { 35 } else { 2 }, 700));
        }
        assert!(
            even.factor(0.01, 37, 1.0) < 1.05,
            "{}",
            even.factor(0.01, 37, 1.0)
        );
        assert!(
            clumped.factor(0.015, 37, 1.0) > 1.5,
            "{}",
            clumped.factor(0.015, 37, 1.0)
        );
    }
}
