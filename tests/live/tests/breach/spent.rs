//! Which process had the processors: what limits a storm on one machine.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Ticks of a second in `/proc`: `USER_HZ`, 100 on every Linux.
const TICKS: f64 = 100.0;
/// Processes that are named; the others have little.
const NAMED: usize = 6;

/// Ticks so far by process and name.
pub(crate) struct Spent(BTreeMap<(u32, String), u64>);

impl Spent {
    /// All processes of this machine. One that ends while it is read had nothing.
    pub(crate) fn now() -> Self {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let read = |pid: u32| {
            let path = Path::new("/proc").join(pid.to_string());
            Some(((pid, name(&path)?), ticks(&path)?))
        };
        Self(pids.filter_map(read).collect())
    }

    /// What was spent since.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let grown = self.0.iter().map(|(key, ticks)| {
            let had = before.0.get(key).copied().unwrap_or(0);
            (key.clone(), ticks.saturating_sub(had))
        });
        Self(grown.collect())
    }
}

impl fmt::Display for Spent {
    /// `kube-apiserver 3.1 s, envoy-gateway 2.0 s, …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: BTreeMap<&str, u64> = BTreeMap::new();
        for ((_, name), ticks) in &self.0 {
            *all.entry(name).or_default() += ticks;
        }
        let mut all: Vec<(&str, u64)> = all.into_iter().filter(|(_, ticks)| *ticks > 0).collect();
        all.sort_by_key(|(name, ticks)| (std::cmp::Reverse(*ticks), *name));
        let told = |(name, ticks): &(&str, u64)| format!("{name} {:.1} s", *ticks as f64 / TICKS);
        let told: Vec<String> = all.iter().take(NAMED).map(told).collect();
        f.write_str(&told.join(", "))
    }
}

/// The program's name; of one that is several, the first argument says which.
fn name(process: &Path) -> Option<String> {
    let line = std::fs::read_to_string(process.join("cmdline")).ok()?;
    let mut words = line.split('\0');
    let program = words.next()?.rsplit('/').next()?.to_owned();
    match words.next() {
        Some(which) if program == "controlplane" => Some(which.to_owned()),
        _ if program.is_empty() => None,
        _ => Some(program),
    }
}

/// User and system time.
fn ticks(process: &Path) -> Option<u64> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    // The numbers stand after the name, which may hold anything.
    let mut numbers = stat.rsplit(") ").next()?.split(' ').skip(11);
    let user: u64 = numbers.next()?.parse().ok()?;
    let system: u64 = numbers.next()?.parse().ok()?;
    Some(user + system)
}
