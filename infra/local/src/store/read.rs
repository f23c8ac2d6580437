//! What is read. Each read is one transaction, so a run and its lanes are of one moment.

use rusqlite::{OptionalExtension, Savepoint, params};
use weir_app::{Loaded, Lookout, OutboxRow, Scrape, StoreError};
use weir_domain::Duty;
use weir_domain::audit::Entry;
use weir_domain::ids::{LaneKey, PipelineName, PoolKey, RunId};
use weir_domain::lane::Lane;
use weir_domain::pool::Pool;
use weir_domain::run::Run;
use weir_domain::time::Timestamp;

use super::desk::unavailable;
use super::{decode, keys};

const READ: &str = "read";

fn failed(error: rusqlite::Error) -> StoreError {
    unavailable(READ, error)
}

type Row = (i64, String);

fn item(sp: &Savepoint<'_>, pk: &str, sk: &str) -> Result<Option<Row>, StoreError> {
    let mut get = sp
        .prepare_cached("select version, body from item where pk = ?1 and sk = ?2")
        .map_err(failed)?;
    get.query_row([pk, sk], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(failed)
}

pub(super) fn load(sp: &Savepoint<'_>, id: &RunId) -> Result<Option<Loaded>, StoreError> {
    let pk = keys::run(id);
    let Some((version, body)) = item(sp, &pk, keys::STATE)? else {
        return Ok(None);
    };
    let run = decode::run(&pk, &body)?;
    let (lanes, pools) = (lanes(sp, &run.lanes())?, pools(sp, &run.pools())?);
    Ok(Some(Loaded {
        looks: looks(sp, &pk)?,
        outbox: outbox(sp, id)?,
        scrapes: scrapes(sp, &pk)?,
        ..Loaded::new(run, decode::version(&pk, version)?, lanes, pools)
    }))
}

fn looks(sp: &Savepoint<'_>, pk: &str) -> Result<Vec<(Duty, Timestamp)>, StoreError> {
    let mut get = sp
        .prepare_cached("select due from item where pk = ?1 and sk = ?2")
        .map_err(failed)?;
    let mut looks = Vec::new();
    for duty in Duty::ALL {
        let sk = keys::timer(duty);
        let due: Option<Option<i64>> = get
            .query_row([pk, &sk], |row| row.get(0))
            .optional()
            .map_err(failed)?;
        match due {
            Some(Some(at)) => looks.push((duty, Timestamp(at))),
            Some(None) => return Err(decode::decode(format!("{pk}/{sk}"), "it is not due at any time")),
            None => {}
        }
    }
    Ok(looks)
}

pub(super) fn lanes(sp: &Savepoint<'_>, wanted: &[LaneKey]) -> Result<Vec<(Lane, u64)>, StoreError> {
    let mut lanes = Vec::new();
    for key in wanted {
        let pk = keys::lane(key);
        if let Some((version, body)) = item(sp, &pk, keys::STATE)? {
            lanes.push((decode::lane(key, &body)?, decode::version(&pk, version)?));
        }
    }
    Ok(lanes)
}

fn pools(sp: &Savepoint<'_>, wanted: &[PoolKey]) -> Result<Vec<(Pool, u64)>, StoreError> {
    let mut pools = Vec::new();
    for key in wanted {
        let pk = keys::pool(key);
        if let Some((version, body)) = item(sp, &pk, keys::STATE)? {
            pools.push((decode::pool(key, &body)?, decode::version(&pk, version)?));
        }
    }
    Ok(pools)
}

/// The run that a push or an approval points to.
pub(super) fn pointer(sp: &Savepoint<'_>, pk: &str) -> Result<Option<RunId>, StoreError> {
    let found = item(sp, pk, keys::STATE)?;
    found.map(|(_, body)| decode::pointer(pk, &body)).transpose()
}

pub(super) fn last_number(sp: &Savepoint<'_>, pipeline: &PipelineName) -> Result<u64, StoreError> {
    let pk = keys::numbers(pipeline);
    let mut get = sp
        .prepare_cached("select max(sk) from item where pk = ?1")
        .map_err(failed)?;
    let last: Option<String> = get.query_row([&pk], |row| row.get(0)).map_err(failed)?;
    match last {
        None => Ok(0),
        Some(text) => text
            .parse()
            .map_err(|_| decode::decode(pk, format!("`{text}` is no number"))),
    }
}

fn outbox(sp: &Savepoint<'_>, run: &RunId) -> Result<Vec<OutboxRow>, StoreError> {
    // `$` follows `#`: exactly the keys that begin with `OUTBOX#`.
    let sql = "select sk, version, due, body from item where pk = ?1 and sk > 'OUTBOX#' and sk < 'OUTBOX$' order by sk";
    let mut get = sp.prepare_cached(sql).map_err(failed)?;
    let mut rows = get.query([keys::run(run)]).map_err(failed)?;
    let mut outbox = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let read = || -> rusqlite::Result<(String, i64, Option<i64>, String)> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        };
        let (sk, written, due, body) = read().map_err(failed)?;
        outbox.push(decode::outbox(run, &sk, written, due, &body)?);
    }
    Ok(outbox)
}

pub(super) fn due(sp: &Savepoint<'_>, now: Timestamp, limit: usize) -> Result<Vec<Lookout>, StoreError> {
    let sql = "select pk, duty, min(due) as at from item where due <= ?1 group by pk, duty order by at, pk, duty limit ?2";
    let mut get = sp.prepare_cached(sql).map_err(failed)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = get.query(params![now.0, limit]).map_err(failed)?;
    let mut due = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let read = || -> rusqlite::Result<(String, Option<String>, i64)> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        };
        let (pk, duty, at) = read().map_err(failed)?;
        let run = keys::run_of(&pk).ok_or_else(|| decode::decode(&pk, "it is due and no run"))?;
        let known = Duty::ALL
            .into_iter()
            .find(|known| Some(known.as_str()) == duty.as_deref());
        let duty =
            known.ok_or_else(|| decode::decode(&pk, format!("it is due for {duty:?}, which is no duty")))?;
        due.push(Lookout {
            at: Timestamp(at),
            run,
            duty,
        });
    }
    Ok(due)
}

pub(super) fn next_due(sp: &Savepoint<'_>) -> Result<Option<Timestamp>, StoreError> {
    let mut get = sp
        .prepare_cached("select min(due) from item where due is not null")
        .map_err(failed)?;
    let next: Option<i64> = get.query_row([], |row| row.get(0)).map_err(failed)?;
    Ok(next.map(Timestamp))
}

fn scrapes(sp: &Savepoint<'_>, pk: &str) -> Result<Vec<Scrape>, StoreError> {
    let sql = "select sk, body from item where pk = ?1 and sk > 'SCRAPE#' and sk < 'SCRAPE$' order by sk";
    let mut get = sp.prepare_cached(sql).map_err(failed)?;
    let rows = get
        .query_map([pk], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(failed)?;
    rows.map(|row| {
        let (sk, body): (String, String) = row.map_err(failed)?;
        decode::scrape(&format!("{pk}/{sk}"), &sk, &body)
    })
    .collect()
}

pub(super) fn entries(sp: &Savepoint<'_>, run: &RunId) -> Result<Vec<Entry>, StoreError> {
    let sql = "select sk, body from item where pk = ?1 and sk > 'EVENT#' and sk < 'EVENT$' order by sk";
    let mut get = sp.prepare_cached(sql).map_err(failed)?;
    let rows = get
        .query_map([keys::run(run)], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(failed)?;
    rows.map(|row| {
        let (sk, body): (String, String) = row.map_err(failed)?;
        decode::entry(run, &sk, &body)
    })
    .collect()
}

pub(super) fn runs(sp: &Savepoint<'_>, limit: usize) -> Result<Vec<Run>, StoreError> {
    let mut get = sp
        .prepare_cached("select pk, body from item where born is not null order by born desc limit ?1")
        .map_err(failed)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = get
        .query_map([limit], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(failed)?;
    rows.map(|row| {
        let (pk, body): (String, String) = row.map_err(failed)?;
        decode::run(&pk, &body)
    })
    .collect()
}

/// One jump of the primary key a pipeline, so a long history costs nothing.
const NUMBERED: &str = "
with recursive pipeline(pk) as (
    select min(pk) from item where pk > 'NUMBER#' and pk < 'NUMBER$'
    union all
    select (select min(pk) from item where pk > pipeline.pk and pk < 'NUMBER$') from pipeline where pipeline.pk is not null
)
select item.pk, item.body from pipeline join item on item.pk = pipeline.pk and item.sk = ?1";

pub(super) fn numbered(sp: &Savepoint<'_>, number: u64) -> Result<Vec<Run>, StoreError> {
    let mut get = sp.prepare_cached(NUMBERED).map_err(failed)?;
    let rows = get
        .query_map([keys::number(number)], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(failed)?;
    let mut runs = Vec::new();
    for row in rows {
        let (pk, body): (String, String) = row.map_err(failed)?;
        let id = decode::pointer(&pk, &body)?;
        runs.extend(load(sp, &id)?.map(|loaded| loaded.state.run));
    }
    Ok(runs)
}
