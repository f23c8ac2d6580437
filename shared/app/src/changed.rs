//! What a decision changed, beside the run itself.

use std::collections::BTreeMap;

use weir_domain::ids::{LaneKey, StepId};
use weir_domain::lane::Lane;
use weir_domain::pool::Pool;
use weir_domain::run::State;

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

/// The scrapes after that of one step has been replaced, and some are forgotten.
pub(crate) fn scrapes(before: Vec<Scrape>, scrape: Option<Scrape>, forgotten: &[StepId]) -> Vec<Scrape> {
    let mut all = before;
    if let Some(scrape) = scrape {
        all.retain(|own| own.step != scrape.step);
        all.push(scrape);
    }
    all.retain(|own| !forgotten.contains(&own.step));
    all
}

/// The lanes that a decision changed, with the versions they were read at.
pub(crate) fn lanes(before: &Loaded, after: &State) -> Vec<(Lane, u64)> {
    let versions: BTreeMap<&LaneKey, u64> = before
        .lanes
        .iter()
        .map(|(key, version)| (key, *version))
        .collect();
    after
        .lanes
        .iter()
        .filter(|(key, lane)| before.state.lanes.get(*key) != Some(*lane))
        .map(|(key, lane)| (lane.clone(), versions.get(key).copied().unwrap_or(0)))
        .collect()
}

/// The same of pools. Rollouts of many lanes share a pool, so it is written only when a claim changes.
pub(crate) fn pools(before: &Loaded, after: &State) -> Vec<(Pool, u64)> {
    let version = |key| {
        before
            .pools
            .iter()
            .find(|(own, _)| own == key)
            .map_or(0, |(_, version)| *version)
    };
    let changed = after
        .pools
        .iter()
        .filter(|(key, pool)| before.state.pools.get(*key) != Some(*pool));
    changed.map(|(key, pool)| (pool.clone(), version(key))).collect()
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
