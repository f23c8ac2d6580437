//! What is read through the two sparse indexes, a few seconds late at worst.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};
use weir_app::{Lookout, StoreError};
use weir_domain::Duty;
use weir_domain::ids::RunId;
use weir_domain::run::Run;
use weir_domain::time::Timestamp;

use super::decode::decode;
use super::dynamo::DynamoStore;
use super::fault::failed;
use super::item::{Attributes, name_of, number, number_of, text, text_of};
use super::{keys, read, table};

/// Most items of one page; more come with the next.
const PAGE: usize = 1_000;

/// Runs that are read at once for a list.
const READS: usize = 16;

fn page_of(limit: usize) -> i32 {
    i32::try_from(limit.clamp(1, PAGE)).expect("a page is small")
}

fn index(store: &DynamoStore, name: &str) -> QueryFluentBuilder {
    store.client.query().table_name(&store.table).index_name(name)
}

pub(super) async fn due(
    store: &DynamoStore,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Lookout>, StoreError> {
    let shards = (0..table::DUE_SHARDS).map(|n| due_in(store, keys::shard(n), now, limit));
    let mut due: Vec<Lookout> = try_join_all(shards).await?.into_iter().flatten().collect();
    due.sort();
    let mut seen = BTreeSet::new();
    due.retain(|lookout| seen.insert((lookout.run.clone(), lookout.duty)));
    due.truncate(limit);
    Ok(due)
}

/// What is due in a shard: at least the first `limit`, if there are so many.
async fn due_in(
    store: &DynamoStore,
    shard: String,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Lookout>, StoreError> {
    let query = index(store, table::DUE_INDEX)
        .key_condition_expression("due_shard = :shard AND due <= :now")
        .expression_attribute_values(":shard", text(shard))
        .expression_attribute_values(":now", number(now.0))
        .limit(page_of(limit));
    let mut due = Vec::new();
    let mut from = None;
    loop {
        let page = query.clone().set_exclusive_start_key(from).send().await;
        let page = page.map_err(|error| failed("read what is due", error))?;
        // A run comes by the minute of its earlier duty; its later one may stand behind items that are yet to come, and
        // items that are due together come in no order.
        let reached = page.items().last().map(|item| number_of(item, keys::DUE));
        let reached = Timestamp(reached.transpose()?.flatten().unwrap_or(i64::MAX));
        let items = stream::iter(page.items.unwrap_or_default());
        let read = items.map(|item| lookouts(store, item)).buffered(READS);
        let found: Vec<Vec<Lookout>> = read.try_collect().await?;
        due.extend(found.into_iter().flatten().filter(|lookout| lookout.at <= now));
        let certain: BTreeSet<(&RunId, Duty)> = due
            .iter()
            .filter(|lookout| lookout.at < reached)
            .map(|lookout| (&lookout.run, lookout.duty))
            .collect();
        match page.last_evaluated_key {
            Some(last) if certain.len() < limit => from = Some(last),
            _ => return Ok(due),
        }
    }
}

/// What an item of the index is due for: a run for its duties, an effect for whose it is.
async fn lookouts(store: &DynamoStore, item: Attributes) -> Result<Vec<Lookout>, StoreError> {
    let pk = text_of(&item, keys::PK)?;
    let run = keys::run_of(pk).ok_or_else(|| decode(name_of(&item), "it is due and no run"))?;
    let looks = match text_of(&item, keys::SK)? == keys::STATE {
        true => read::looks(store, pk).await?,
        false => vec![effect(&item)?],
    };
    let lookout = |(duty, at)| Lookout {
        at,
        run: run.clone(),
        duty,
    };
    Ok(looks.into_iter().map(lookout).collect())
}

fn effect(item: &Attributes) -> Result<(Duty, Timestamp), StoreError> {
    let stored = text_of(item, keys::DUTY)?;
    let duty = Duty::ALL.into_iter().find(|duty| duty.as_str() == stored);
    let due = number_of(item, keys::DUE)?;
    match (duty, due) {
        (Some(duty), Some(at)) => Ok((duty, Timestamp(at))),
        _ => Err(decode(
            name_of(item),
            format!("it is due for `{stored}`, which is no duty"),
        )),
    }
}

pub(super) async fn next_due(store: &DynamoStore) -> Result<Option<Timestamp>, StoreError> {
    let first = due(store, Timestamp(i64::MAX), 1).await?;
    Ok(first.first().map(|lookout| lookout.at))
}

pub(super) async fn runs(store: &DynamoStore, limit: usize) -> Result<Vec<Run>, StoreError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let shards = (0..table::BORN_SHARDS).map(|n| born_in(store, keys::shard(n), limit));
    let mut born: Vec<(i64, String)> = try_join_all(shards).await?.into_iter().flatten().collect();
    born.sort_by(|one, other| other.cmp(one));
    born.truncate(limit);
    stream::iter(
        born.into_iter()
            .map(|(_, pk)| async move { read::run(store, &pk).await }),
    )
    .buffered(READS)
    .try_filter_map(|run| async move { Ok(run) })
    .try_collect()
    .await
}

/// The newest runs of a shard: when they were born, and their partition keys.
async fn born_in(store: &DynamoStore, shard: String, limit: usize) -> Result<Vec<(i64, String)>, StoreError> {
    let query = index(store, table::BORN_INDEX)
        .key_condition_expression("born_shard = :shard")
        .expression_attribute_values(":shard", text(shard))
        .scan_index_forward(false)
        .limit(page_of(limit));
    let mut born = Vec::new();
    let mut from = None;
    loop {
        let page = query.clone().set_exclusive_start_key(from).send().await;
        let page = page.map_err(|error| failed("list runs", error))?;
        for item in page.items() {
            let at = number_of(item, keys::BORN)?.unwrap_or(0);
            born.push((at, text_of(item, keys::PK)?.to_owned()));
        }
        match page.last_evaluated_key {
            Some(last) if born.len() < limit => from = Some(last),
            _ => return Ok(born),
        }
    }
}
