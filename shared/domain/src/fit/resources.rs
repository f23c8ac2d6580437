//! Amounts of what nodes have and pods ask for.

use std::collections::BTreeMap;
use std::fmt;

/// The resource that is counted in thousandths.
pub const CPU: &str = "cpu";
/// Bytes of memory.
pub const MEMORY: &str = "memory";
/// Bytes of local disk.
pub const EPHEMERAL: &str = "ephemeral-storage";
/// How many pods a node may hold.
pub const PODS: &str = "pods";

/// Amounts by resource: CPU in thousandths, memory and storage in bytes, everything else in pieces.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resources(BTreeMap<String, i64>);

impl Resources {
    /// How much of a resource; zero of one that is not named.
    pub fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Whether a resource is named at all, be it with zero.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Sets an amount.
    pub fn set(&mut self, name: impl Into<String>, amount: i64) {
        self.0.insert(name.into(), amount);
    }

    /// Adds another's amounts.
    pub fn add(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let mine = self.0.entry(name.clone()).or_insert(0);
            *mine = mine.saturating_add(*amount);
        }
    }

    /// Takes the larger amount of each.
    pub fn raise_to(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let mine = self.0.entry(name.clone()).or_insert(0);
            *mine = (*mine).max(*amount);
        }
    }

    /// Names and amounts, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }
}

impl<N: Into<String>> FromIterator<(N, i64)> for Resources {
    fn from_iter<I: IntoIterator<Item = (N, i64)>>(items: I) -> Self {
        Self(
            items
                .into_iter()
                .map(|(name, amount)| (name.into(), amount))
                .collect(),
        )
    }
}

/// Whether a resource is a device of its own: `nvidia.com/gpu`, a MIG slice, anything with a domain in front.
pub fn is_device(name: &str) -> bool {
    name.contains('/') && !name.starts_with("kubernetes.io/")
}

/// An amount with its unit, for people.
pub(crate) struct Amount<'a>(pub(crate) &'a str, pub(crate) i64);

impl fmt::Display for Amount<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: i64 = 1 << 20;
        const GIB: i64 = 1 << 30;
        let Self(name, amount) = *self;
        match name {
            CPU if amount % 1000 == 0 => write!(f, "{}", amount / 1000),
            CPU => write!(f, "{amount}m"),
            MEMORY | EPHEMERAL if amount % GIB == 0 => write!(f, "{} GiB", amount / GIB),
            #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
            MEMORY | EPHEMERAL if amount > GIB => write!(f, "{:.1} GiB", amount as f64 / GIB as f64),
            MEMORY | EPHEMERAL => write!(f, "{} MiB", amount / MIB),
            _ => write!(f, "{amount}"),
        }
    }
}
