//! Amounts of what nodes have and pods ask for.

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
///
/// The four that every pod has are fields: a cluster has ten thousand pods, and each is asked for them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resources {
    cpu: i64,
    memory: i64,
    ephemeral: i64,
    pods: i64,
    /// In the order of the names.
    other: Vec<(Box<str>, i64)>,
}

impl Resources {
    /// How much of a resource; zero of one that is not named.
    pub fn get(&self, name: &str) -> i64 {
        match name {
            CPU => self.cpu,
            MEMORY => self.memory,
            EPHEMERAL => self.ephemeral,
            PODS => self.pods,
            _ => self.place(name).map_or(0, |place| self.other[place].1),
        }
    }

    /// Whether a device or another resource of its own is named at all, be it with zero.
    pub fn names(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.other.binary_search_by(|(own, _)| (**own).cmp(name))
    }

    /// Sets an amount.
    pub fn set(&mut self, name: &str, amount: i64) {
        *self.at(name) = amount;
    }

    fn at(&mut self, name: &str) -> &mut i64 {
        match name {
            CPU => &mut self.cpu,
            MEMORY => &mut self.memory,
            EPHEMERAL => &mut self.ephemeral,
            PODS => &mut self.pods,
            _ => {
                let place = self.place(name).unwrap_or_else(|place| {
                    self.other.insert(place, (name.into(), 0));
                    place
                });
                &mut self.other[place].1
            }
        }
    }

    /// Adds another's amounts.
    pub fn add(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            let mine = self.at(name);
            *mine = mine.saturating_add(amount);
        }
    }

    /// Takes the larger amount of each.
    pub fn raise_to(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            let mine = self.at(name);
            *mine = (*mine).max(amount);
        }
    }

    /// Names and amounts; of CPU, memory, storage and pods only what is not zero.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        let fields = [
            (CPU, self.cpu),
            (EPHEMERAL, self.ephemeral),
            (MEMORY, self.memory),
            (PODS, self.pods),
        ];
        let named = fields.into_iter().filter(|(_, amount)| *amount != 0);
        named.chain(self.other.iter().map(|(name, amount)| (&**name, *amount)))
    }
}

impl<N: AsRef<str>> FromIterator<(N, i64)> for Resources {
    fn from_iter<I: IntoIterator<Item = (N, i64)>>(items: I) -> Self {
        let mut all = Self::default();
        for (name, amount) in items {
            all.set(name.as_ref(), amount);
        }
        all
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
