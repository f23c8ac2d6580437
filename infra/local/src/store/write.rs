//! What is written, each inside a savepoint.

use rusqlite::{OptionalExtension, Savepoint, params};
use serde::Serialize;
use weir_app::{Commit, EffectKey, OutboxRow, StoreError};
use weir_domain::Duty;
use weir_domain::audit::Entry;
use weir_domain::ids::RunId;
use weir_domain::run::Run;
use weir_domain::time::Timestamp;

use super::desk::unavailable;
use super::{decode, keys};

const COMMIT: &str = "commit a decision";

fn failed(error: rusqlite::Error) -> StoreError {
    unavailable(COMMIT, error)
}

fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| unavailable(COMMIT, error))
}

fn number(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|error| unavailable(COMMIT, error))
}

/// A decision. Conditions are checked as it is written; the savepoint takes everything back if one does not hold.
pub(super) fn commit(sp: &Savepoint<'_>, commit: &Commit) -> Result<(), StoreError> {
    let pk = keys::run(&commit.run.id);
    push(sp, commit)?;
    match commit.expected {
        0 => new_run(sp, &pk, &commit.run)?,
        expected => next_run(sp, &pk, &commit.run, expected)?,
    }
    for (lane, expected) in &commit.lanes {
        put_versioned(
            sp,
            &keys::lane(&lane.key),
            &format!("lane {}", lane.key),
            &json(lane)?,
            *expected,
        )?;
    }
    for (pool, expected) in &commit.pools {
        put_versioned(
            sp,
            &keys::pool(&pool.key),
            &format!("pool {}", pool.key),
            &json(pool)?,
            *expected,
        )?;
    }
    for (token, _) in commit.run.asking() {
        point(sp, &keys::approval(token), keys::STATE, &commit.run.id)?;
    }
    for entry in &commit.entries {
        put_entry(sp, &pk, entry)?;
    }
    for row in &commit.outbox {
        put_effect(sp, &pk, row)?;
    }
    for (duty, at) in &commit.looks {
        put_look(sp, &pk, *duty, *at)?;
    }
    if let Some(scrape) = commit.kept_scrape() {
        let sql = "insert into item (pk, sk, version, body) values (?1, ?2, 1, ?3)
             on conflict (pk, sk) do update set version = version + 1, body = excluded.body";
        let mut put = sp.prepare_cached(sql).map_err(failed)?;
        put.execute(params![pk, keys::scrape(scrape.step), json(&scrape.value)?])
            .map_err(failed)?;
    }
    for step in commit.forgotten() {
        let sql = "delete from item where pk = ?1 and sk = ?2";
        let mut delete = sp.prepare_cached(sql).map_err(failed)?;
        delete.execute(params![pk, keys::scrape(step)]).map_err(failed)?;
    }
    Ok(())
}

fn push(sp: &Savepoint<'_>, commit: &Commit) -> Result<(), StoreError> {
    let Some(push) = &commit.push else {
        return Ok(());
    };
    let pk = keys::push(&commit.run.pipeline.name, push);
    if let Some(body) = body(sp, &pk, keys::STATE)? {
        return Err(StoreError::Duplicate(decode::pointer(&pk, &body)?));
    }
    point(sp, &pk, keys::STATE, &commit.run.id).map(|_| ())
}

fn body(sp: &Savepoint<'_>, pk: &str, sk: &str) -> Result<Option<String>, StoreError> {
    let mut get = sp
        .prepare_cached("select body from item where pk = ?1 and sk = ?2")
        .map_err(failed)?;
    get.query_row([pk, sk], |row| row.get(0))
        .optional()
        .map_err(failed)
}

/// Lets an item point to a run unless it is there already; whether it was new.
fn point(sp: &Savepoint<'_>, pk: &str, sk: &str, run: &RunId) -> Result<bool, StoreError> {
    let sql =
        "insert into item (pk, sk, version, body) values (?1, ?2, 1, ?3) on conflict (pk, sk) do nothing";
    let mut put = sp.prepare_cached(sql).map_err(failed)?;
    let written = put.execute(params![pk, sk, json(run)?]).map_err(failed)?;
    Ok(written == 1)
}

fn new_run(sp: &Savepoint<'_>, pk: &str, run: &Run) -> Result<(), StoreError> {
    let sql = "insert into item (pk, sk, version, body, born)
         values (?1, ?2, 1, ?3, (select coalesce(max(born), 0) + 1 from item where born is not null))
         on conflict (pk, sk) do nothing";
    let mut put = sp.prepare_cached(sql).map_err(failed)?;
    let written = put
        .execute(params![pk, keys::STATE, json(run)?])
        .map_err(failed)?;
    if written == 0 {
        return Err(StoreError::Conflict(format!("run {}", run.id)));
    }
    let name = &run.pipeline.name;
    match point(sp, &keys::numbers(name), &keys::number(run.number), &run.id)? {
        true => Ok(()),
        false => Err(StoreError::Conflict(format!("number {} of {name}", run.number))),
    }
}

fn next_run(sp: &Savepoint<'_>, pk: &str, run: &Run, expected: u64) -> Result<(), StoreError> {
    let sql = "update item set version = version + 1, body = ?3 where pk = ?1 and sk = ?2 and version = ?4";
    let mut put = sp.prepare_cached(sql).map_err(failed)?;
    let written = put
        .execute(params![pk, keys::STATE, json(run)?, number(expected)?])
        .map_err(failed)?;
    match written {
        1 => Ok(()),
        _ => Err(StoreError::Conflict(format!("run {}", run.id))),
    }
}

/// An item that several runs share, at the version it was read at.
fn put_versioned(
    sp: &Savepoint<'_>,
    pk: &str,
    called: &str,
    body: &str,
    expected: u64,
) -> Result<(), StoreError> {
    let sql = match expected {
        0 => {
            "insert into item (pk, sk, version, body) values (?1, ?2, ?4 + 1, ?3) on conflict (pk, sk) do nothing"
        }
        _ => "update item set version = version + 1, body = ?3 where pk = ?1 and sk = ?2 and version = ?4",
    };
    let mut put = sp.prepare_cached(sql).map_err(failed)?;
    let written = put
        .execute(params![pk, keys::STATE, body, number(expected)?])
        .map_err(failed)?;
    match written {
        1 => Ok(()),
        _ => Err(StoreError::Conflict(called.to_owned())),
    }
}

fn put_entry(sp: &Savepoint<'_>, pk: &str, entry: &Entry) -> Result<(), StoreError> {
    let sql =
        "insert into item (pk, sk, version, body) values (?1, ?2, 1, ?3) on conflict (pk, sk) do nothing";
    let mut put = sp.prepare_cached(sql).map_err(failed)?;
    let sk = keys::event(entry.n);
    match put.execute(params![pk, sk, json(entry)?]).map_err(failed)? {
        1 => Ok(()),
        // The version of the run held, so its log is longer than the run knows.
        _ => Err(decode::decode(
            format!("{pk}/{sk}"),
            "an entry stands where the run has none",
        )),
    }
}

fn put_effect(sp: &Savepoint<'_>, pk: &str, row: &OutboxRow) -> Result<(), StoreError> {
    let sql = "insert into item (pk, sk, version, body, due, duty) values (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut put = sp.prepare_cached(sql).map_err(failed)?;
    let written = i64::from(row.attempts) + 1;
    let duty = row.effect.duty().as_str();
    put.execute(params![
        pk,
        keys::outbox(&row.key),
        written,
        json(&row.effect)?,
        row.due.0,
        duty
    ])
    .map_err(failed)?;
    Ok(())
}

fn put_look(sp: &Savepoint<'_>, pk: &str, duty: Duty, at: Option<Timestamp>) -> Result<(), StoreError> {
    let sk = keys::timer(duty);
    match at {
        Some(at) => {
            let sql = "insert into item (pk, sk, version, body, due, duty) values (?1, ?2, 1, '{}', ?3, ?4)
                 on conflict (pk, sk) do update set version = version + 1, due = excluded.due";
            let mut put = sp.prepare_cached(sql).map_err(failed)?;
            put.execute(params![pk, sk, at.0, duty.as_str()])
                .map_err(failed)?;
        }
        None => delete(sp, pk, &sk)?,
    }
    Ok(())
}

fn delete(sp: &Savepoint<'_>, pk: &str, sk: &str) -> Result<(), StoreError> {
    let mut delete = sp
        .prepare_cached("delete from item where pk = ?1 and sk = ?2")
        .map_err(failed)?;
    delete.execute([pk, sk]).map(|_| ()).map_err(failed)
}

pub(super) fn settle(sp: &Savepoint<'_>, key: &EffectKey) -> Result<(), StoreError> {
    delete(sp, &keys::run(&key.run), &keys::outbox(key))
}

pub(super) fn postpone(sp: &Savepoint<'_>, key: &EffectKey, due: Timestamp) -> Result<(), StoreError> {
    let sql = "update item set version = version + 1, due = ?3 where pk = ?1 and sk = ?2";
    let mut put = sp.prepare_cached(sql).map_err(failed)?;
    put.execute(params![keys::run(&key.run), keys::outbox(key), due.0])
        .map(|_| ())
        .map_err(failed)
}

pub(super) fn wake(sp: &Savepoint<'_>, run: &RunId, duty: Duty, at: Timestamp) -> Result<(), StoreError> {
    let sql = "insert into item (pk, sk, version, body, due, duty)
         select pk, ?3, 1, '{}', ?4, ?5 from item where pk = ?1 and sk = ?2
         on conflict (pk, sk) do update set version = version + 1, due = min(due, excluded.due)";
    let mut put = sp.prepare_cached(sql).map_err(failed)?;
    put.execute(params![
        keys::run(run),
        keys::STATE,
        keys::timer(duty),
        at.0,
        duty.as_str()
    ])
    .map(|_| ())
    .map_err(failed)
}
