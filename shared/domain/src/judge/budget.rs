//! The chance of a false alarm, spent over the steps of a rollout.

use serde::{Deserialize, Serialize};

/// Chance of sending a good candidate back, over a whole rollout and all its metrics.
pub const ALPHA: f64 = 0.01;

/// A chance between 0 and 1, both excluded.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Alpha(f64);

impl Alpha {
    /// The chance, or nothing if it is none.
    pub fn new(value: f64) -> Option<Self> {
        (value > 0.0 && value < 1.0).then_some(Self(value))
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }

    /// The part of one of `steps` steps.
    #[must_use]
    pub fn of_steps(self, steps: usize) -> Self {
        Self(self.0 / steps.max(1) as f64)
    }

    /// The part of step `step` (from 0) where nobody knows how many there will be: the parts of all add up to the
    /// whole, because the sum of 1/k² is π²/6.
    #[must_use]
    pub fn of_step(self, step: usize) -> Self {
        let k = step as f64 + 1.0;
        Self(self.0 * 6.0 / (std::f64::consts::PI * k).powi(2))
    }

    /// Whether it is the one without which nobody says another.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// ln of the evidence that is needed.
    pub fn ln_needed(self) -> f64 {
        -self.0.ln()
    }
}

impl Default for Alpha {
    fn default() -> Self {
        Self(ALPHA)
    }
}

impl TryFrom<f64> for Alpha {
    type Error = String;
    fn try_from(value: f64) -> Result<Self, String> {
        Self::new(value)
            .ok_or_else(|| format!("alpha {value}: expected a number between 0 and 1, for example 0.01"))
    }
}

impl From<Alpha> for f64 {
    fn from(alpha: Alpha) -> Self {
        alpha.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chance_is_between_0_and_1_and_its_parts_never_add_up_to_more() {
        for bad in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
            assert!(Alpha::new(bad).is_none(), "{bad}");
        }
        let alpha = Alpha::default();
        let open: f64 = (0..10_000).map(|step| alpha.of_step(step).value()).sum();
        assert!(open <= ALPHA && open > 0.999 * ALPHA, "{open}");
        let known: f64 = (0..7).map(|_| alpha.of_steps(7).value()).sum();
        assert!((known - ALPHA).abs() < 1e-15);
    }
}
