//! Where a function passes zero, by Brent's method as R's `uniroot` and Kayenta have it (Brent 1973, chapter 4).
//!
//! The function of a rank test is made of steps, so which place is found depends on where the method looks: for the
//! same verdict on the same series it must look at the same places.

/// Evaluations after which the best place is good enough.
const MOST: usize = 1_000;

/// A place in the range at which the function is zero, within `close`; an end of the range if it has no other sign at
/// the other end. The function falls.
pub(super) fn root(from: f64, to: f64, close: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (f_from, f_to) = (f(from), f(to));
    // Not a number, where everything is equal, counts as not above.
    if f_from.is_nan() || f_from <= 0.0 {
        return from;
    }
    if f_to >= 0.0 {
        return to;
    }
    let mut search = Search {
        best: (to, f_to),
        before: (from, f_from),
        across: (from, f_from),
    };
    for _ in 0..MOST {
        match search.step(close) {
            Some(step) => search.go(step, &f),
            None => break,
        }
    }
    search.best.0
}

/// The last place on the way from `far` to `near` that is still wrong, after so many halvings of the way.
pub(super) fn last_wrong(far: f64, near: f64, halvings: u32, wrong: impl Fn(f64) -> bool) -> f64 {
    let (mut out, mut inside) = (far, near);
    for _ in 0..halvings {
        let middle = f64::midpoint(out, inside);
        if wrong(middle) {
            out = middle;
        } else {
            inside = middle;
        }
    }
    out
}

/// Three places with their values.
struct Search {
    /// The last one, and after [`Search::step`] the one with the smallest value.
    best: (f64, f64),
    /// The one before it.
    before: (f64, f64),
    /// One with the other sign.
    across: (f64, f64),
}

impl Search {
    /// How far to go from the best place; nothing where it is close enough.
    fn step(&mut self, close: f64) -> Option<f64> {
        let last = self.best.0 - self.before.0;
        if self.across.1.abs() < self.best.1.abs() {
            (self.before, self.best, self.across) = (self.best, self.across, self.best);
        }
        let least = 2.0 * f64::EPSILON * self.best.0.abs() + close / 2.0;
        let half = (self.across.0 - self.best.0) / 2.0;
        if half.abs() <= least || self.best.1 == 0.0 {
            return None;
        }
        let worth = last.abs() >= least && self.before.1.abs() > self.best.1.abs();
        let step = worth.then(|| self.interpolated(last, least)).flatten();
        let step = step.unwrap_or(half);
        Some(if step.abs() >= least {
            step
        } else {
            least.copysign(step)
        })
    }

    /// By a line through two places or a parabola through three, where that stays inside and comes closer fast enough.
    fn interpolated(&self, last: f64, least: f64) -> Option<f64> {
        let ((a, f_a), (b, f_b), (c, f_c)) = (self.before, self.best, self.across);
        let width = c - b;
        let (p, q) = if a == c {
            let slope = f_b / f_a;
            (width * slope, 1.0 - slope)
        } else {
            let (q, by_c, by_a) = (f_a / f_c, f_b / f_c, f_b / f_a);
            (
                by_a * (width * q * (q - by_c) - (b - a) * (by_c - 1.0)),
                (q - 1.0) * (by_c - 1.0) * (by_a - 1.0),
            )
        };
        let (p, q) = if p > 0.0 { (p, -q) } else { (-p, q) };
        let inside = p < 0.75 * width * q - (least * q).abs() / 2.0;
        (inside && p < (last * q / 2.0).abs()).then(|| p / q)
    }

    fn go(&mut self, step: f64, f: &impl Fn(f64) -> f64) {
        self.before = self.best;
        let place = self.best.0 + step;
        self.best = (place, f(place));
        let same = |a: f64, b: f64| (a > 0.0 && b > 0.0) || (a < 0.0 && b < 0.0);
        if same(self.best.1, self.across.1) {
            self.across = self.before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_found_closely_and_an_end_where_there_is_none() {
        type Falling = fn(f64) -> f64;
        let table: [(f64, f64, Falling, f64); 5] = [
            (0.0, 2.0, |x| 2.0 - x * x, 2.0_f64.sqrt()),
            (-4.0, 3.0, |x| -(x + 3.0) * (x - 1.0) * (x - 1.0), -3.0),
            (0.0, 10.0, |x| if x < 7.0 { 1.0 } else { -1.0 }, 7.0),
            (0.0, 1.0, |x| -1.0 - x, 0.0),
            (0.0, 1.0, |x| 2.0 - x, 1.0),
        ];
        for (from, to, f, expected) in table {
            let found = root(from, to, 1e-6, f);
            assert!((found - expected).abs() < 2e-6, "{found} {expected}");
        }
        assert_eq!(root(0.0, 1.0, 1e-6, |_| f64::NAN), 0.0);
    }
}
