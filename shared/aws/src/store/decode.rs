//! Items to values. An item that contradicts its key, or that a newer Weir wrote, is an error that names the item.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use weir_app::{EffectKey, OutboxRow, Scrape, StoreError};
use weir_domain::Duty;
use weir_domain::audit::Entry;
use weir_domain::ids::{LaneKey, PoolKey, RunId};
use weir_domain::lane::Lane;
use weir_domain::pool::Pool;
use weir_domain::run::{Run, SCHEMA};
use weir_domain::time::Timestamp;

use super::item::{Attributes, name, name_of, number_of, text, text_of};
use super::keys;
use super::pack::unpack;

/// Newest form of a run that is read; it is kept as it is, so that a fleet can be updated one by one (invariant 13).
const NEWEST: u32 = SCHEMA + 1;

/// Field of a run with its stages. Closed ones are an item of their own, and null in the run's.
pub(super) const STAGES: &str = "stages";

/// Fields of a run that never change: they are an item of their own, which is written once.
pub(super) const PINNED: [&str; 2] = ["cause", "pipeline"];

pub(super) fn decode(item: impl Into<String>, why: impl Into<String>) -> StoreError {
    StoreError::Decode {
        item: item.into(),
        why: why.into(),
    }
}

/// What an item's body holds.
pub(super) fn body<T: DeserializeOwned>(item: &Attributes) -> Result<T, StoreError> {
    unpack(&name_of(item), keys::BODY, item.get(keys::BODY))
}

pub(super) fn version(item: &Attributes) -> Result<u64, StoreError> {
    let stored = number_of(item, keys::VERSION)?;
    match stored.and_then(|stored| u64::try_from(stored).ok()) {
        Some(version) if version > 0 => Ok(version),
        _ => Err(decode(
            name_of(item),
            format!("version {stored:?}; versions count from 1"),
        )),
    }
}

/// The items of a run, of those that one query found.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) state: &'a Attributes,
    pub(super) closed: Option<&'a Attributes>,
    pub(super) pipeline: Option<&'a Attributes>,
}

impl<'a> Parts<'a> {
    /// None if the run is not there.
    pub(super) fn of(items: &'a [Attributes]) -> Option<Self> {
        let find = |sk: &str| items.iter().find(|item| item.get(keys::SK) == Some(&text(sk)));
        Some(Self {
            state: find(keys::STATE)?,
            closed: find(keys::CLOSED_STAGES),
            pipeline: find(keys::PIPELINE),
        })
    }

    /// Whether the run was read after a commit and its closed stages before it: a query reads item by item.
    pub(super) fn are_torn(&self) -> Result<bool, StoreError> {
        let wanted = number_of(self.state, keys::CLOSED)?;
        let found = self
            .closed
            .map(|item| number_of(item, keys::CLOSED))
            .transpose()?;
        Ok(found.flatten() < wanted)
    }
}

/// A run from its items.
pub(super) fn run(pk: &str, parts: Parts<'_>) -> Result<Run, StoreError> {
    let mut fields: Map<String, Value> = body(parts.state)?;
    let schema = fields.get("schema").and_then(Value::as_u64).unwrap_or(0);
    if !(1..=u64::from(NEWEST)).contains(&schema) {
        let why = format!(
            "it has schema {schema}; this weir reads 1 to {NEWEST}: use the weir that wrote it, or a newer one"
        );
        return Err(decode(pk, why));
    }
    let pipeline = parts
        .pipeline
        .ok_or_else(|| decode(pk, "its pipeline is missing"))?;
    fields.extend(body::<Map<String, Value>>(pipeline)?);
    if let (Some(closed), Some(Value::Array(stages))) = (parts.closed, fields.get_mut(STAGES)) {
        let mut closed: BTreeMap<usize, Value> = body(closed)?;
        for (n, stage) in stages.iter_mut().enumerate().filter(|(_, stage)| stage.is_null()) {
            *stage = closed.remove(&n).unwrap_or_default();
        }
    }
    let run: Run =
        serde_json::from_value(Value::Object(fields)).map_err(|error| decode(pk, error.to_string()))?;
    if keys::run(&run.id) != pk {
        return Err(decode(pk, format!("it holds run {}", run.id)));
    }
    let (own, all) = (run.stages.len(), run.pipeline.stages.len());
    match own == all {
        true => Ok(run),
        false => Err(decode(pk, format!("{own} stages of a pipeline of {all}"))),
    }
}

/// When each duty of a run is due.
pub(super) fn looks(state: &Attributes) -> Result<Vec<(Duty, Timestamp)>, StoreError> {
    let mut looks = Vec::new();
    for duty in Duty::ALL {
        if let Some(at) = number_of(state, keys::look(duty))? {
            looks.push((duty, Timestamp(at)));
        }
    }
    Ok(looks)
}

/// What the last count of each step left.
pub(super) fn scrapes(state: &Attributes) -> Result<Vec<Scrape>, StoreError> {
    let of_steps = state
        .iter()
        .filter_map(|(name, packed)| Some((name, keys::scrape_of(name)?, packed)));
    let read = of_steps.map(|(name, step, packed)| {
        let value = unpack(&format!("{}/{name}", name_of(state)), name, Some(packed))?;
        Ok(Scrape { step, value })
    });
    read.collect()
}

pub(super) fn lane(key: &LaneKey, item: &Attributes) -> Result<Lane, StoreError> {
    let lane: Lane = body(item)?;
    match lane.key == *key {
        true => Ok(lane),
        false => Err(decode(
            name_of(item),
            format!("it holds the lane of {}", lane.key),
        )),
    }
}

pub(super) fn pool(key: &PoolKey, item: &Attributes) -> Result<Pool, StoreError> {
    let pool: Pool = body(item)?;
    match pool.key == *key {
        true => Ok(pool),
        false => Err(decode(name_of(item), format!("it holds the pool {}", pool.key))),
    }
}

/// The entries of one commit, which must go on from the entry `before`.
pub(super) fn entries(run: &RunId, before: u64, item: &Attributes) -> Result<Vec<Entry>, StoreError> {
    let entries: Vec<Entry> = body(item)?;
    let fits = |(n, entry): (u64, &Entry)| entry.n == n && entry.run == *run;
    let named = text_of(item, keys::SK)? == keys::event(before + 1);
    match named && (before + 1..).zip(&entries).all(fits) {
        true => Ok(entries),
        false => Err(decode(
            name_of(item),
            format!("it does not go on from entry {before} of {run}"),
        )),
    }
}

/// An effect. Its version counts how often it was written: once, and once more for every try in vain.
pub(super) fn outbox(run: &RunId, item: &Attributes) -> Result<OutboxRow, StoreError> {
    let sk = text_of(item, keys::SK)?;
    let name = || name(&keys::run(run), sk);
    let (place, n) = keys::outbox_of(sk).ok_or_else(|| decode(name(), "its key names no effect"))?;
    let due = number_of(item, keys::DUE)?.ok_or_else(|| decode(name(), "it is not due at any time"))?;
    let written = version(item)?;
    let attempts =
        u32::try_from(written - 1).map_err(|_| decode(name(), format!("written {written} times")))?;
    Ok(OutboxRow {
        key: EffectKey {
            run: run.clone(),
            version: place,
            n,
        },
        effect: body(item)?,
        due: Timestamp(due),
        attempts,
    })
}

#[cfg(test)]
mod tests {
    use super::super::item::number;
    use super::*;

    #[test]
    fn a_run_is_torn_when_it_is_ahead_of_its_closed_stages() {
        let item = |closed: Option<u64>| -> Attributes {
            let closed = closed.map(|version| (keys::CLOSED.to_owned(), number(version)));
            closed.into_iter().collect()
        };
        let cases = [
            (None, None, false),
            (Some(4), Some(4), false),
            // The commit was seen late: the run is as it was before, and its next commit will say so.
            (None, Some(4), false),
            (Some(4), Some(7), false),
            (Some(7), Some(4), true),
            (Some(4), None, true),
        ];
        for (of_run, of_stages, expected) in cases {
            let (state, closed) = (item(of_run), of_stages.map(|version| item(Some(version))));
            let parts = Parts {
                state: &state,
                closed: closed.as_ref(),
                pipeline: None,
            };
            assert_eq!(parts.are_torn().unwrap(), expected, "{of_run:?} {of_stages:?}");
        }
    }
}
