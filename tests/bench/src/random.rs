//! A generator with a seed (xoshiro256++), and the laws that traffic follows.

use std::f64::consts::TAU;

/// State of the generator.
pub(crate) struct Random([u64; 4]);

impl Random {
    /// The same seed gives the same traffic.
    pub(crate) fn new(seed: u64) -> Self {
        let mut x = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        Self(std::array::from_fn(|_| {
            x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        }))
    }

    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// Between 0 and 1, neither included.
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Standard normal.
    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (TAU * self.unit()).cos()
    }

    /// Successes of `n` trials: counted gaps for small means, a rounded normal value for large ones.
    pub(crate) fn binomial(&mut self, n: u64, p: f64) -> u64 {
        let p = p.clamp(0.0, 1.0);
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        let mean = n as f64 * p;
        if mean > 100.0 {
            let spread = (mean * (1.0 - p)).sqrt();
            return (mean + spread * self.normal()).round().clamp(0.0, n as f64) as u64;
        }
        if p <= 0.0 {
            return 0;
        }
        let (ln_good, mut at, mut found) = ((-p).ln_1p(), 0.0, 0);
        loop {
            at += (self.unit().ln() / ln_good).floor() + 1.0;
            if at > n as f64 {
                return found;
            }
            found += 1;
        }
    }

    /// Arrivals in a time in which `mean` are expected.
    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 60.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let (end, mut product, mut found) = ((-mean).exp(), self.unit(), 0);
        while product > end {
            product *= self.unit();
            found += 1;
        }
        found
    }

    /// The `k`-th smallest of `n` values between 0 and 1.
    pub(crate) fn order(&mut self, k: u64, n: u64) -> f64 {
        let (a, b) = (self.gamma(k as f64), self.gamma((n - k + 1) as f64));
        a / (a + b)
    }

    /// Marsaglia and Tsang 2000, for shapes of at least 1.
    fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.unit().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }
}
