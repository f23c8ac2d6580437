//! What a decision changed, beside the run itself.

use std::collections::BTreeMap;

use weir_domain::lane::Lane;
use weir_domain::pool::Pool;
use weir_domain::run::{Run, State};

use crate::store::{Loaded, Scrape};

/// The items that a commit writes, by key, with the versions they have after it.
pub(crate) fn keys<T, K: Clone>(written: &[(T, u64)], key: impl Fn(&T) -> &K) -> Vec<(K, u64)> {
    let after = written
        .iter()
        .map(|(item, version)| (key(item).clone(), version + 1));
    after.collect()
}

/// Versions after some have moved.
pub(crate) fn moved<K: PartialEq>(before: Vec<(K, u64)>, written: Vec<(K, u64)>) -> Vec<(K, u64)> {
    let stay = before
        .into_iter()
        .filter(|(key, _)| !written.iter().any(|(own, _)| own == key));
    let mut all: Vec<(K, u64)> = stay.collect();
    all.extend(written);
    all
}

/// The scrapes after one is stored ([`kept_scrape`](crate::store::Commit::kept_scrape)), as a read would give them.
pub(crate) fn scrapes(before: Vec<Scrape>, scrape: Option<Scrape>, run: &Run) -> Vec<Scrape> {
    let mut all = before;
    if let Some(scrape) = scrape {
        all.retain(|own| own.step != scrape.step);
        all.push(scrape);
    }
    all.retain(|own| run.is_counted(own.step));
    all
}

/// The lanes that a decision changed, with the versions they were read at.
pub(crate) fn lanes(before: &Loaded, after: &State) -> Vec<(Lane, u64)> {
    items(&before.lanes, &before.state.lanes, &after.lanes)
}

/// The same of pools. Rollouts of many lanes share a pool, so it is written only when a claim changes.
pub(crate) fn pools(before: &Loaded, after: &State) -> Vec<(Pool, u64)> {
    items(&before.pools, &before.state.pools, &after.pools)
}

fn items<K: Ord, T: Clone + PartialEq>(
    versions: &[(K, u64)],
    before: &BTreeMap<K, T>,
    after: &BTreeMap<K, T>,
) -> Vec<(T, u64)> {
    let version = |key: &K| {
        versions
            .iter()
            .find(|(own, _)| own == key)
            .map_or(0, |(_, version)| *version)
    };
    let changed = after.iter().filter(|(key, item)| before.get(*key) != Some(*item));
    changed.map(|(key, item)| (item.clone(), version(key))).collect()
}

/// The closed stages that a decision changed; of a run that is not stored yet, all.
pub(crate) fn closed_stages(before: &Loaded, after: &State) -> Vec<usize> {
    let (old, new) = (&before.state.run.stages, &after.run.stages);
    let is_new = before.version == 0;
    (0..new.len())
        .filter(|stage| after.run.is_closed(*stage))
        .filter(|stage| is_new || old.get(*stage) != new.get(*stage))
        .collect()
}
