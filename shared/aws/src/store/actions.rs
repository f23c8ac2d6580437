//! A decision as the actions of one transaction.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};
use weir_app::{Commit, OutboxRow, StoreError};
use weir_domain::audit::Entry;
use weir_domain::ids::{ApprovalToken, LaneKey, PoolKey, PushKey, RunId};
use weir_domain::run::{Run, StageRun};
use weir_domain::time::{Span, Timestamp};

use super::decode::{PINNED, STAGES};
use super::fault::unavailable;
use super::item::{Attributes, Change, fits, key, name, number, size, text};
use super::pack::{json, pack};
use super::{keys, table};

/// Actions that DynamoDB takes in one transaction.
const ACTIONS_LIMIT: usize = 100;

/// Entries of a commit share items of about this size: far below the limit of an item, and no commit comes near it.
const ENTRIES_BYTES: usize = 256 * 1_024;

/// Pushes and approvals are kept this long after they are of use: a person who follows an old link is told how it
/// ended, and no host delivers a push again after 90 days.
const AFTERLIFE: Span = Span::hours(90 * 24);

/// What an action is for: what it means if its condition does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// The run itself.
    Run,
    /// The run's number in its pipeline.
    Number,
    /// The push that starts the run.
    Push,
    /// A lane.
    Lane(LaneKey),
    /// A pool.
    Pool(PoolKey),
    /// New entries of the log.
    Entries,
    /// Anything that is written unconditionally.
    Rest,
}

/// One action.
pub(super) struct Action {
    pub(super) role: Role,
    pub(super) pk: String,
    pub(super) sk: String,
    pub(super) write: Write,
}

pub(super) enum Write {
    /// A whole item, as it is or only where none stands.
    Put {
        item: Attributes,
        new: bool,
    },
    Change(Change),
}

/// Whether a decision only says how the run stands and when to look next. Whoever asks, notes, moves or starts
/// something also records it (invariant 10), so that nothing but the run itself changes.
pub(super) fn is_quiet(commit: &Commit) -> bool {
    let only_the_run = commit.closed.is_empty()
        && commit.entries.is_empty()
        && commit.outbox.is_empty()
        && commit.lanes.is_empty()
        && commit.pools.is_empty();
    commit.expected > 0 && commit.push.is_none() && only_the_run
}

/// Everything that a decision writes; the run comes first. `born` is for a run that begins.
pub(super) fn of(commit: &Commit, token: &str, born: Timestamp) -> Result<Vec<Action>, StoreError> {
    let run = &commit.run;
    let mut actions = vec![state(commit, token, born)?];
    if is_quiet(commit) {
        return checked(run, actions);
    }
    if commit.expected == 0 {
        actions.push(pipeline(run)?);
        actions.push(numbered(run)?);
    }
    actions.extend(closed(commit)?);
    if let Some(push) = &commit.push {
        actions.push(pushed(run, push)?);
    }
    for (lane, expected) in &commit.lanes {
        actions.push(shared(
            Role::Lane(lane.key.clone()),
            keys::lane(&lane.key),
            pack(lane)?,
            *expected,
        ));
    }
    for (pool, expected) in &commit.pools {
        actions.push(shared(
            Role::Pool(pool.key.clone()),
            keys::pool(&pool.key),
            pack(pool)?,
            *expected,
        ));
    }
    for (token, until) in run.asking() {
        actions.push(asked(run, token, until)?);
    }
    actions.extend(noted(&run.id, &commit.entries)?);
    for row in &commit.outbox {
        actions.push(decided(&run.id, row)?);
    }
    checked(run, actions)
}

fn checked(run: &Run, actions: Vec<Action>) -> Result<Vec<Action>, StoreError> {
    for action in &actions {
        let bytes = match &action.write {
            Write::Put { item, .. } => size(item),
            Write::Change(change) => action.pk.len() + action.sk.len() + change.size(),
        };
        fits(&name(&action.pk, &action.sk), bytes)?;
    }
    match actions.len() <= ACTIONS_LIMIT {
        true => Ok(actions),
        false => Err(StoreError::TooLarge {
            item: format!("one decision of run {}", run.id),
            size: actions.len(),
            unit: "parts",
            limit: ACTIONS_LIMIT,
        }),
    }
}

fn state(commit: &Commit, token: &str, born: Timestamp) -> Result<Action, StoreError> {
    let run = &commit.run;
    let mut change = Change::default()
        .set(keys::VERSION, number(commit.expected + 1))
        .set(keys::COMMIT, text(token))
        .set(keys::BODY, moving(run)?);
    change = match commit.expected {
        0 => change
            .set(keys::BORN, number(born.0))
            .set(
                keys::BORN_SHARD,
                text(keys::shard_of(&run.id, table::BORN_SHARDS)),
            )
            .if_it_is_not_there(),
        expected => change.if_equal(keys::VERSION, number(expected)),
    };
    for (duty, at) in commit.looks {
        change = match at {
            Some(at) => change.set(keys::look(duty), number(at.0)),
            None => change.remove(keys::look(duty)),
        };
    }
    change = match commit.looks.iter().filter_map(|(_, at)| *at).min() {
        Some(first) => change
            .set(keys::DUE, number(keys::due(first)))
            .set(keys::DUE_SHARD, text(keys::shard_of(&run.id, table::DUE_SHARDS))),
        None => change.remove(keys::DUE).remove(keys::DUE_SHARD),
    };
    if let Some(scrape) = commit.kept_scrape() {
        change = change.set(&keys::scrape(scrape.step), pack(&scrape.value)?);
    }
    for step in commit.forgotten() {
        change = change.remove(&keys::scrape(step));
    }
    if !commit.closed.is_empty() {
        change = change.set(keys::CLOSED, number(commit.expected + 1));
    }
    Ok(Action {
        role: Role::Run,
        pk: keys::run(&run.id),
        sk: keys::STATE.to_owned(),
        write: Write::Change(change),
    })
}

/// What changes of a run.
fn moving(run: &Run) -> Result<AttributeValue, StoreError> {
    let mut fields = fields(run)?;
    for name in PINNED {
        fields.remove(name);
    }
    if let Some(Value::Array(stages)) = fields.get_mut(STAGES) {
        for (_, stage) in stages.iter_mut().enumerate().filter(|(n, _)| run.is_closed(*n)) {
            *stage = Value::Null;
        }
    }
    pack(&fields)
}

/// All closed stages, if one of them changed.
fn closed(commit: &Commit) -> Result<Option<Action>, StoreError> {
    if commit.closed.is_empty() {
        return Ok(None);
    }
    let run = &commit.run;
    let stages = run.stages.iter().enumerate();
    let stages: BTreeMap<usize, &StageRun> = stages.filter(|(n, _)| run.is_closed(*n)).collect();
    let (pk, sk) = (keys::run(&run.id), keys::CLOSED_STAGES.to_owned());
    let action = put(Role::Rest, pk, sk, false, pack(&stages)?);
    Ok(Some(action.with(keys::CLOSED, number(commit.expected + 1))))
}

fn fields(run: &Run) -> Result<Map<String, Value>, StoreError> {
    match serde_json::to_value(run) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(unavailable("write a run", format!("{other} is no object"))),
        Err(error) => Err(unavailable("write a run", error)),
    }
}

fn put(role: Role, pk: String, sk: String, new: bool, body: AttributeValue) -> Action {
    let mut item = key(&pk, &sk);
    item.insert(keys::BODY.to_owned(), body);
    let write = Write::Put { item, new };
    Action { role, pk, sk, write }
}

impl Action {
    fn with(mut self, attribute: &str, value: AttributeValue) -> Self {
        if let Write::Put { item, .. } = &mut self.write {
            item.insert(attribute.to_owned(), value);
        }
        self
    }

    fn expiring(self, at: Timestamp) -> Self {
        self.with(keys::EXPIRES, number(at.0 / 1_000))
    }
}

fn pipeline(run: &Run) -> Result<Action, StoreError> {
    let mut pinned = fields(run)?;
    pinned.retain(|name, _| PINNED.contains(&name.as_str()));
    let body = pack(&pinned)?;
    Ok(put(
        Role::Rest,
        keys::run(&run.id),
        keys::PIPELINE.to_owned(),
        false,
        body,
    ))
}

fn numbered(run: &Run) -> Result<Action, StoreError> {
    let (pk, sk) = (keys::numbers(&run.pipeline.name), keys::number(run.number));
    Ok(put(Role::Number, pk, sk, true, pack(&run.id)?))
}

fn pushed(run: &Run, push: &PushKey) -> Result<Action, StoreError> {
    let pk = keys::push(&run.pipeline.name, push);
    let action = put(Role::Push, pk, keys::STATE.to_owned(), true, pack(&run.id)?);
    Ok(action.expiring(run.began + AFTERLIFE))
}

/// What waits for a person is committed before its token leaves Weir with the message, and its item never changes: so
/// only what waits need be written, however often.
fn asked(run: &Run, token: &ApprovalToken, until: Timestamp) -> Result<Action, StoreError> {
    let pk = keys::approval(token);
    let action = put(Role::Rest, pk, keys::STATE.to_owned(), false, pack(&run.id)?);
    Ok(action.expiring(until + AFTERLIFE))
}

/// An item that several runs share, at the version it was read at.
fn shared(role: Role, pk: String, body: AttributeValue, expected: u64) -> Action {
    let change = Change::default()
        .set(keys::VERSION, number(expected + 1))
        .set(keys::BODY, body);
    let change = match expected {
        0 => change.if_it_is_not_there(),
        expected => change.if_equal(keys::VERSION, number(expected)),
    };
    Action {
        role,
        pk,
        sk: keys::STATE.to_owned(),
        write: Write::Change(change),
    }
}

/// Entries, in as few items as hold them. They are written once and stay text: an auditor needs no Weir to read them.
fn noted(run: &RunId, entries: &[Entry]) -> Result<Vec<Action>, StoreError> {
    let mut actions = Vec::new();
    let mut pack: Option<(u64, String)> = None;
    let mut close = |pack: Option<(u64, String)>| {
        if let Some((n, lines)) = pack {
            let body = text(format!("[{lines}]"));
            actions.push(put(Role::Entries, keys::run(run), keys::event(n), true, body));
        }
    };
    for entry in entries {
        let line = json(entry)?;
        match &mut pack {
            Some((_, lines)) if lines.len() + line.len() < ENTRIES_BYTES => {
                lines.push(',');
                lines.push_str(&line);
            }
            _ => close(pack.replace((entry.n, line))),
        }
    }
    close(pack);
    Ok(actions)
}

fn decided(run: &RunId, row: &OutboxRow) -> Result<Action, StoreError> {
    let (pk, sk) = (keys::run(run), keys::outbox(&row.key));
    let action = put(Role::Rest, pk, sk, false, pack(&row.effect)?);
    Ok(action
        .with(keys::VERSION, number(u64::from(row.attempts) + 1))
        .with(keys::DUE, number(row.due.0))
        .with(keys::DUE_SHARD, text(keys::shard_of(run, table::DUE_SHARDS)))
        .with(keys::DUTY, text(row.effect.duty().as_str())))
}

#[cfg(test)]
mod tests;
