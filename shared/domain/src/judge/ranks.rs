//! Mann–Whitney: do the values of one series tend to be greater than those of another? For plain series of a few
//! points, where there are no counts. Each look costs error rate of its own: it is for one look.

use super::special::normal_below;

/// Pairs of values up to which the exact law is used.
const EXACT_UP_TO: usize = 400;

/// The two series together, ranked.
#[derive(Clone, PartialEq, Debug)]
pub struct Ranks {
    n: f64,
    m: f64,
    /// Pairs in which the first series has the greater value; equal ones count one half.
    pub u: f64,
    /// Sum of t³-t over groups of t equal values.
    ties: f64,
}

/// Which question is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Different at all.
    Both,
    /// The first series is greater.
    Greater,
}

impl Ranks {
    /// Ranks two series; both hold numbers.
    pub fn of(first: &[f64], second: &[f64]) -> Self {
        let mut all: Vec<(f64, bool)> = first.iter().map(|v| (*v, true)).collect();
        all.extend(second.iter().map(|v| (*v, false)));
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0.0);
        for group in all.chunk_by(|a, b| a.0 == b.0) {
            let t = group.len() as f64;
            let mine = group.iter().filter(|(_, first)| *first).count() as f64;
            ranks += mine * (before + (t + 1.0) / 2.0);
            ties += t * t * t - t;
            before += t;
        }
        let (n, m) = (first.len() as f64, second.len() as f64);
        let u = ranks - n * (n + 1.0) / 2.0;
        Self { n, m, u, ties }
    }

    /// U less its mean, and its standard deviation with the correction for equal values.
    pub(super) fn offset_and_spread(&self) -> (f64, f64) {
        let all = self.n + self.m;
        let spread = (self.n * self.m / 12.0 * (all + 1.0 - self.ties / (all * (all - 1.0)))).sqrt();
        (self.u - self.n * self.m / 2.0, spread)
    }

    /// p-value by the normal law, with the correction for continuity or without.
    pub fn p_normal(&self, side: Side, continuity: bool) -> f64 {
        let (offset, spread) = self.offset_and_spread();
        let step = if continuity { 0.5 } else { 0.0 };
        if spread <= 0.0 {
            return 1.0;
        }
        match side {
            Side::Both => (2.0 * normal_below(-(offset.abs() - step) / spread)).min(1.0),
            Side::Greater => normal_below(-(offset - step) / spread),
        }
    }

    /// Exact p-value; `None` with equal values or too many pairs.
    pub fn p_exact(&self, side: Side) -> Option<f64> {
        let (n, m) = (self.n as usize, self.m as usize);
        if self.ties > 0.0 || n * m > EXACT_UP_TO || n * m == 0 {
            return None;
        }
        let chances = law(n, m);
        let at_least = |u: usize| chances[u..].iter().sum::<f64>();
        let u = self.u as usize;
        Some(match side {
            Side::Greater => at_least(u),
            Side::Both => (2.0 * at_least(u.max(n * m - u))).min(1.0),
        })
    }

    /// Exact where it can be, else by the normal law with continuity.
    pub fn p(&self, side: Side) -> f64 {
        self.p_exact(side).unwrap_or_else(|| self.p_normal(side, true))
    }
}

/// Chances of every U: the greatest value of all belongs to one series or the other.
fn law(n: usize, m: usize) -> Vec<f64> {
    // counts[i][j][u] over i values of the first and j of the second series.
    let mut rows = vec![vec![vec![1.0_f64]; m + 1]; n + 1];
    for i in 1..=n {
        for j in 1..=m {
            let mut counts = vec![0.0; i * j + 1];
            for (u, count) in rows[i - 1][j].iter().enumerate() {
                counts[u + j] += count;
            }
            for (u, count) in rows[i][j - 1].iter().enumerate() {
                counts[u] += count;
            }
            rows[i][j] = counts;
        }
    }
    let counts = std::mem::take(&mut rows[n][m]);
    let all: f64 = counts.iter().sum();
    counts.into_iter().map(|count| count / all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values_are_met() {
        let males = [19.0, 22.0, 16.0, 29.0, 24.0];
        let females = [20.0, 11.0, 17.0, 12.0];
        let ranks = Ranks::of(&males, &females);
        let table = [
            (ranks.u, 17.0),
            (ranks.p_exact(Side::Both).unwrap(), 0.111_111_111_111_111_1),
            (ranks.p_exact(Side::Greater).unwrap(), 0.055_555_555_555_555_55),
            (ranks.p_normal(Side::Both, true), 0.111_346_886_533_130_41),
            (ranks.p_normal(Side::Both, false), 0.086_410_732_973_7),
        ];
        for (found, expected) in table {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn equal_values_are_halves_and_narrow_the_law() {
        let ranks = Ranks::of(&[1.0, 2.0, 2.0], &[2.0, 3.0]);
        assert_eq!(ranks.u, 1.0);
        assert!(ranks.p_exact(Side::Both).is_none());
        assert_eq!(Ranks::of(&[5.0; 4], &[5.0; 4]).p(Side::Both), 1.0);
    }
}
