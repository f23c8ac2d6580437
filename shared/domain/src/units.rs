//! Shares and counts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A share of traffic in whole percent, 0 to 100.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Weight(u8);

impl Weight {
    /// No traffic.
    pub const ZERO: Self = Self(0);
    /// All traffic.
    pub const FULL: Self = Self(100);

    /// `percent` percent, or nothing if that is over 100.
    pub fn new(percent: u8) -> Option<Self> {
        (percent <= 100).then_some(Self(percent))
    }

    /// Whole percent.
    pub fn percent(self) -> u8 {
        self.0
    }

    /// What the other side gets.
    #[must_use]
    pub fn rest(self) -> Self {
        Self(100 - self.0)
    }

    /// The share that `warm` of `needed` replicas can carry, rounded down; everything if all that is needed is warm.
    pub fn carried_by(warm: u32, needed: u32) -> Self {
        let needed = needed.max(1);
        let percent = u64::from(warm.min(needed)) * 100 / u64::from(needed);
        Self(u8::try_from(percent).unwrap_or(100))
    }
}

impl TryFrom<u8> for Weight {
    type Error = String;
    fn try_from(percent: u8) -> Result<Self, String> {
        Self::new(percent).ok_or_else(|| format!("a weight of {percent} % is over 100 %"))
    }
}

impl From<Weight> for u8 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// A proportion between 0 and 1, for example the success rate a step asks for.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Ratio(f64);

impl Ratio {
    /// The proportion, or nothing if it is not a number from 0 to 1.
    pub fn new(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then_some(Self(value))
    }

    /// The number, 0 to 1.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Ratio {
    type Error = String;
    fn try_from(value: f64) -> Result<Self, String> {
        Self::new(value).ok_or_else(|| format!("{value} is not a proportion from 0 to 1"))
    }
}

impl From<Ratio> for f64 {
    fn from(ratio: Ratio) -> Self {
        ratio.0
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} %", self.0 * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_share_is_rounded_down_and_never_over_the_whole() {
        let table = [
            (0, 4, 0),
            (1, 3, 33),
            (1, 4, 25),
            (2, 4, 50),
            (4, 4, 100),
            (9, 4, 100),
            (0, 0, 0),
            (1, 0, 100),
        ];
        for (warm, needed, percent) in table {
            assert_eq!(
                Weight::carried_by(warm, needed).percent(),
                percent,
                "{warm} of {needed}"
            );
        }
    }

    #[test]
    fn weights_and_ratios_outside_their_range_are_refused() {
        assert!(Weight::new(101).is_none());
        assert!(Ratio::new(f64::NAN).is_none());
        assert!(Ratio::new(1.01).is_none());
    }
}
