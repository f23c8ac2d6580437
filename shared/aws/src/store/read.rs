//! What is read by key, strongly consistent.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures::future::{try_join, try_join_all};
use weir_app::{Loaded, StoreError};
use weir_domain::Duty;
use weir_domain::audit::Entry;
use weir_domain::ids::{LaneKey, PipelineName, PoolKey, RunId};
use weir_domain::lane::Lane;
use weir_domain::pool::Pool;
use weir_domain::run::Run;
use weir_domain::time::Timestamp;

use super::decode::{self, Parts, decode};
use super::dynamo::DynamoStore;
use super::fault::{busy, failed};
use super::item::{Attributes, key, name_of, text, text_of};
use super::keys;

/// Times that a run is read because it was being written. A commit takes milliseconds.
const READ_TRIES: u32 = 4;

async fn item(
    store: &DynamoStore,
    operation: &'static str,
    pk: &str,
    sk: &str,
) -> Result<Option<Attributes>, StoreError> {
    let call = store
        .client
        .get_item()
        .table_name(&store.table)
        .set_key(Some(key(pk, sk)))
        .consistent_read(true);
    let got = call.send().await.map_err(|error| failed(operation, error))?;
    Ok(got.item)
}

/// A query of one partition, from its first sort key to its last, both included.
fn range(store: &DynamoStore, pk: &str, from: &str, to: &str) -> QueryFluentBuilder {
    store
        .client
        .query()
        .table_name(&store.table)
        .consistent_read(true)
        .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
        .expression_attribute_values(":pk", text(pk))
        .expression_attribute_values(":from", text(from))
        .expression_attribute_values(":to", text(to))
}

/// Every item with this prefix. `~` follows everything that stands in sort keys.
fn prefixed(store: &DynamoStore, pk: &str, prefix: &str) -> QueryFluentBuilder {
    range(store, pk, prefix, &format!("{prefix}~"))
}

/// All pages of a query: a page ends at 1 MB, wherever that is.
async fn all(operation: &'static str, query: QueryFluentBuilder) -> Result<Vec<Attributes>, StoreError> {
    let mut items = Vec::new();
    let mut from = None;
    loop {
        let page = query.clone().set_exclusive_start_key(from).send().await;
        let page = page.map_err(|error| failed(operation, error))?;
        items.extend(page.items.unwrap_or_default());
        match page.last_evaluated_key {
            Some(last) => from = Some(last),
            None => return Ok(items),
        }
    }
}

/// The items of a query of a run, read again while a commit is half seen.
async fn whole(operation: &'static str, query: QueryFluentBuilder) -> Result<Vec<Attributes>, StoreError> {
    for _ in 0..READ_TRIES {
        let items = all(operation, query.clone()).await?;
        let is_torn = Parts::of(&items).map_or(Ok(false), |parts| parts.are_torn())?;
        if !is_torn {
            return Ok(items);
        }
    }
    Err(busy(operation, "the run is being written all the time"))
}

/// A run without what is not settled, in one query.
pub(super) async fn run(store: &DynamoStore, pk: &str) -> Result<Option<Run>, StoreError> {
    // Not the scrapes: they are read by who counts, and are the largest part.
    let query = range(store, pk, keys::STATE, keys::PIPELINE)
        .projection_expression("pk, sk, #body, #closed")
        .expression_attribute_names("#body", keys::BODY)
        .expression_attribute_names("#closed", keys::CLOSED);
    let items = whole("read a run", query).await?;
    Parts::of(&items).map(|parts| decode::run(pk, parts)).transpose()
}

/// A run with everything that is its own but its log: neighbours, so one query reads them.
pub(super) async fn load(store: &DynamoStore, id: &RunId) -> Result<Option<Loaded>, StoreError> {
    let pk = keys::run(id);
    let query = range(store, &pk, keys::EFFECTS, keys::PIPELINE);
    let items = whole("load a run", query).await?;
    let Some(parts) = Parts::of(&items) else {
        return Ok(None);
    };
    let (run, state) = (decode::run(&pk, parts)?, parts.state);
    let is_effect =
        |item: &&Attributes| text_of(item, keys::SK).is_ok_and(|sk| sk.starts_with(keys::EFFECTS));
    let effects = items.iter().filter(is_effect);
    let outbox = effects
        .map(|item| decode::outbox(id, item))
        .collect::<Result<_, _>>()?;
    let (lanes_wanted, pools_wanted) = (run.lanes(), run.pools());
    let (lanes, pools) = try_join(lanes(store, &lanes_wanted), pools(store, &pools_wanted)).await?;
    Ok(Some(Loaded {
        looks: decode::looks(state)?,
        outbox,
        scrapes: decode::scrapes(state)?,
        ..Loaded::new(run, decode::version(state)?, lanes, pools)
    }))
}

pub(super) async fn lanes(store: &DynamoStore, wanted: &[LaneKey]) -> Result<Vec<(Lane, u64)>, StoreError> {
    let reads = wanted.iter().map(|key| async move {
        let found = item(store, "load lanes", &keys::lane(key), keys::STATE).await?;
        let read = |item: Attributes| Ok((decode::lane(key, &item)?, decode::version(&item)?));
        found.map(read).transpose()
    });
    let found: Vec<Option<(Lane, u64)>> = try_join_all(reads).await?;
    Ok(found.into_iter().flatten().collect())
}

async fn pools(store: &DynamoStore, wanted: &[PoolKey]) -> Result<Vec<(Pool, u64)>, StoreError> {
    let reads = wanted.iter().map(|key| async move {
        let found = item(store, "load pools", &keys::pool(key), keys::STATE).await?;
        let read = |item: Attributes| Ok((decode::pool(key, &item)?, decode::version(&item)?));
        found.map(read).transpose()
    });
    let found: Vec<Option<(Pool, u64)>> = try_join_all(reads).await?;
    Ok(found.into_iter().flatten().collect())
}

/// When each duty of a run is due; none is if it is gone.
pub(super) async fn looks(store: &DynamoStore, pk: &str) -> Result<Vec<(Duty, Timestamp)>, StoreError> {
    let call = store
        .client
        .get_item()
        .table_name(&store.table)
        .set_key(Some(key(pk, keys::STATE)))
        .consistent_read(true)
        .projection_expression("pk, sk, traffic, steps");
    let got = call.send().await;
    let got = got.map_err(|error| failed("read when a run is due", error))?;
    got.item.map_or(Ok(Vec::new()), |item| decode::looks(&item))
}

/// The run that a push or an approval points to.
pub(super) async fn pointer(
    store: &DynamoStore,
    operation: &'static str,
    pk: &str,
) -> Result<Option<RunId>, StoreError> {
    let found = item(store, operation, pk, keys::STATE).await?;
    found.map(|item| decode::body(&item)).transpose()
}

pub(super) async fn last_number(store: &DynamoStore, pipeline: &PipelineName) -> Result<u64, StoreError> {
    let query = store
        .client
        .query()
        .table_name(&store.table)
        .consistent_read(true)
        .key_condition_expression("pk = :pk")
        .expression_attribute_values(":pk", text(keys::numbers(pipeline)))
        .scan_index_forward(false)
        .limit(1);
    let page = query
        .send()
        .await
        .map_err(|error| failed("read the last number", error))?;
    let Some(last) = page.items().first() else {
        return Ok(0);
    };
    let digits = text_of(last, keys::SK)?;
    digits
        .parse()
        .map_err(|_| decode(name_of(last), format!("`{digits}` is no number")))
}

pub(super) async fn entries(store: &DynamoStore, run: &RunId) -> Result<Vec<Entry>, StoreError> {
    let query = prefixed(store, &keys::run(run), keys::EVENTS);
    let mut entries = Vec::new();
    for item in all("read a log", query).await? {
        let before = entries.last().map_or(0, |entry: &Entry| entry.n);
        entries.extend(decode::entries(run, before, &item)?);
    }
    Ok(entries)
}
