//! Rows to values. A row that contradicts its key, or that a newer Weir wrote, is an error that names the item.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use weir_app::{EffectKey, OutboxRow, Scrape, StoreError};
use weir_domain::audit::Entry;
use weir_domain::effect::Effect;
use weir_domain::ids::{LaneKey, PoolKey, RunId};
use weir_domain::lane::Lane;
use weir_domain::pool::Pool;
use weir_domain::run::{Run, SCHEMA};
use weir_domain::time::Timestamp;

use super::keys;

/// Newest form of a run that is read; it is kept as it is, so that a fleet can be updated one by one (invariant 13).
const NEWEST: u32 = SCHEMA + 1;

pub(super) fn decode(item: impl Into<String>, why: impl Into<String>) -> StoreError {
    StoreError::Decode {
        item: item.into(),
        why: why.into(),
    }
}

fn json<T: DeserializeOwned>(item: &str, body: &str) -> Result<T, StoreError> {
    serde_json::from_str(body).map_err(|error| decode(item, error.to_string()))
}

pub(super) fn version(item: &str, stored: i64) -> Result<u64, StoreError> {
    match u64::try_from(stored) {
        Ok(version) if version > 0 => Ok(version),
        _ => Err(decode(item, format!("version {stored}; versions count from 1"))),
    }
}

pub(super) fn run(pk: &str, body: &str) -> Result<Run, StoreError> {
    #[derive(Deserialize)]
    struct Form {
        schema: u32,
    }
    let Form { schema } = json(pk, body)?;
    if !(1..=NEWEST).contains(&schema) {
        let why = format!(
            "it has schema {schema}; this weir reads 1 to {NEWEST}: use the weir that wrote it, or a newer one"
        );
        return Err(decode(pk, why));
    }
    let run: Run = json(pk, body)?;
    if keys::run(&run.id) != pk {
        return Err(decode(pk, format!("it holds run {}", run.id)));
    }
    if run.stages.len() != run.pipeline.stages.len() {
        return Err(decode(
            pk,
            format!(
                "{} stages of a pipeline of {}",
                run.stages.len(),
                run.pipeline.stages.len()
            ),
        ));
    }
    Ok(run)
}

pub(super) fn lane(key: &LaneKey, body: &str) -> Result<Lane, StoreError> {
    let pk = keys::lane(key);
    let lane: Lane = json(&pk, body)?;
    match lane.key == *key {
        true => Ok(lane),
        false => Err(decode(pk, format!("it holds the lane of {}", lane.key))),
    }
}

pub(super) fn pool(key: &PoolKey, body: &str) -> Result<Pool, StoreError> {
    let pk = keys::pool(key);
    let pool: Pool = json(&pk, body)?;
    match pool.key == *key {
        true => Ok(pool),
        false => Err(decode(pk, format!("it holds the pool {}", pool.key))),
    }
}

pub(super) fn entry(run: &RunId, sk: &str, body: &str) -> Result<Entry, StoreError> {
    let item = format!("{}/{sk}", keys::run(run));
    let entry: Entry = json(&item, body)?;
    match keys::event(entry.n) == sk && entry.run == *run {
        true => Ok(entry),
        false => Err(decode(
            item,
            format!("it holds entry {} of {}", entry.n, entry.run),
        )),
    }
}

/// An outbox row. Its version counts how often it was written: once, and once more for every try in vain.
pub(super) fn outbox(
    run: &RunId,
    sk: &str,
    written: i64,
    due: Option<i64>,
    body: &str,
) -> Result<OutboxRow, StoreError> {
    let item = format!("{}/{sk}", keys::run(run));
    let (version, n) = keys::outbox_of(sk).ok_or_else(|| decode(&item, "its key names no effect"))?;
    let effect: Effect = json(&item, body)?;
    let attempts =
        u32::try_from(written - 1).map_err(|_| decode(&item, format!("written {written} times")))?;
    let due = due.ok_or_else(|| decode(&item, "it is not due at any time"))?;
    let key = EffectKey {
        run: run.clone(),
        version,
        n,
    };
    Ok(OutboxRow {
        key,
        effect,
        due: Timestamp(due),
        attempts,
    })
}

pub(super) fn scrape(item: &str, sk: &str, body: &str) -> Result<Scrape, StoreError> {
    let step = keys::scrape_of(sk).ok_or_else(|| decode(item, "its key names no step"))?;
    Ok(Scrape {
        step,
        value: json(item, body)?,
    })
}

/// The run that a push, an approval or a number points to.
pub(super) fn pointer(item: &str, body: &str) -> Result<RunId, StoreError> {
    json(item, body)
}
