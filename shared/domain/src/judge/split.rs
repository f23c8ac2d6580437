//! Did each arm get the share of traffic it was given? If not, the router is at fault and nothing can be compared.

use serde::{Deserialize, Serialize};

use super::special::{chi_square_1_above, ln_beta};

/// Chance of a false alarm over the whole step. Small, because an alarm stops the judging.
pub const ALPHA: f64 = 0.001;
/// A share that is off by less than this part of what was planned is no fault of the router that matters to a verdict.
const MATTERS: f64 = 0.1;
/// How many requests the alternative is worth: it is spread around the planned split as that many would be.
const PRIOR: f64 = 200.0;

/// Chi-square of achieved against planned, and the chance of a greater one. For a single look.
pub fn chi_square(candidate: u64, stable: u64, weight: f64) -> (f64, f64) {
    let (a, b) = (candidate as f64, stable as f64);
    let off = a - (a + b) * weight;
    let value = off * off / ((a + b) * weight * (1.0 - weight));
    (value, chi_square_1_above(value))
}

/// The same at every look: evidence over blocks, each with its own weight.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Split {
    candidate: f64,
    stable: f64,
    /// ln of the chance of the requests as they fell, under the weights as planned.
    planned: f64,
    /// The weight of the prior: that of the first block.
    weight: f64,
}

impl Split {
    /// Adds the requests of a block that was sent with this weight.
    pub fn add(&mut self, candidate: u64, stable: u64, weight: f64) {
        if !(weight > 0.0 && weight < 1.0) {
            return;
        }
        if self.weight == 0.0 {
            self.weight = weight;
        }
        let (a, b) = (candidate as f64, stable as f64);
        (self.candidate, self.stable) = (self.candidate + a, self.stable + b);
        self.planned += a * weight.ln() + b * (1.0 - weight).ln();
    }

    /// ln of the evidence of another split (a Beta mixture around the planned one).
    pub fn ln_e(&self) -> f64 {
        if self.weight == 0.0 {
            return 0.0;
        }
        let (a, b) = (PRIOR * self.weight, PRIOR * (1.0 - self.weight));
        ln_beta(a + self.candidate, b + self.stable) - ln_beta(a, b) - self.planned
    }

    /// What is wrong, in words, if it is shown.
    pub fn fault(&self) -> Option<String> {
        let all = self.candidate + self.stable;
        let off = (self.candidate - all * self.weight).abs();
        (self.ln_e() >= -ALPHA.ln() && off > MATTERS * all * self.weight).then(|| {
            let (got, planned) = (100.0 * self.candidate / all, 100.0 * self.weight);
            format!("the candidate got {got:.1} % of {all:.0} requests instead of {planned:.1} %: the route is at fault, nothing is judged")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_value_is_met() {
        let (value, p) = chi_square(560, 9_500, 0.05);
        assert!((value - 6.799_204_77).abs() < 1e-8, "{value}");
        assert!((p - 0.009_119_848_74).abs() < 1e-9, "{p}");
    }

    #[test]
    fn a_router_at_fault_is_shown_and_an_honest_one_is_not() {
        let mut honest = Split::default();
        let mut wrong = Split::default();
        for block in 0..200_u64 {
            honest.add(36 + block % 3, 712, 0.05);
            wrong.add(75, 675, 0.05);
        }
        assert_eq!(honest.fault(), None);
        assert!(wrong.fault().unwrap().contains("10.0 %"), "{:?}", wrong.fault());
    }
}
