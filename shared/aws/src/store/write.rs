//! What is written.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use weir_app::{Commit, EffectKey, StoreError};
use weir_domain::Duty;
use weir_domain::ids::RunId;
use weir_domain::time::Timestamp;

use super::actions::{self, Action, Role, Write};
use super::decode::{self, decode};
use super::dynamo::DynamoStore;
use super::fault::{busy, failed, is_busy, unavailable};
use super::item::{Attributes, Change, key, number, number_of, text};
use super::{keys, table};

const COMMIT: &str = "commit a decision";

/// Times that a run is woken again because somebody was writing it. Each costs its writer a millisecond or two.
const WAKE_TRIES: u32 = 8;

/// What came of a conditional change.
enum Outcome {
    Done,
    /// The condition did not hold for this item, or there is none.
    Unmet(Option<Attributes>),
    /// A transaction was writing the item.
    Raced,
}

pub(super) async fn commit(store: &DynamoStore, commit: &Commit) -> Result<(), StoreError> {
    let token = store.tokens.next();
    let mut actions = actions::of(commit, &token, store.born())?;
    if !actions::is_quiet(commit) {
        return transact(store, commit, actions, &token).await;
    }
    let conflict = || Err(StoreError::Conflict(format!("run {}", commit.run.id)));
    let Some(Action {
        pk,
        sk,
        write: Write::Change(own),
        ..
    }) = actions.pop()
    else {
        unreachable!("a quiet decision changes the run and nothing else");
    };
    match change(store, COMMIT, &pk, &sk, own).await? {
        Outcome::Done => Ok(()),
        // A try whose answer was lost has written it.
        Outcome::Unmet(Some(item)) if item.get(keys::COMMIT) == Some(&text(token)) => Ok(()),
        Outcome::Unmet(_) | Outcome::Raced => conflict(),
    }
}

async fn transact(
    store: &DynamoStore,
    commit: &Commit,
    actions: Vec<Action>,
    token: &str,
) -> Result<(), StoreError> {
    let roles: Vec<(Role, String)> = actions
        .iter()
        .map(|action| (action.role.clone(), super::item::name(&action.pk, &action.sk)))
        .collect();
    let mut call = store.client.transact_write_items().client_request_token(token);
    for action in actions {
        call = call.transact_items(spelled(store, action)?);
    }
    let Err(error) = call.send().await else {
        return Ok(());
    };
    let reasons = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().to_vec()
        }
        _ => return Err(failed(COMMIT, error)),
    };
    Err(cancelled(commit, &roles, &reasons, error))
}

fn spelled(store: &DynamoStore, action: Action) -> Result<TransactWriteItem, StoreError> {
    let refused = |error| unavailable(COMMIT, error);
    let all = ReturnValuesOnConditionCheckFailure::AllOld;
    let item = TransactWriteItem::builder();
    Ok(match action.write {
        Write::Put {
            item: attributes,
            new,
        } => {
            let put = Put::builder().table_name(&store.table).set_item(Some(attributes));
            let put = match new {
                true => put
                    .condition_expression("attribute_not_exists(pk)")
                    .return_values_on_condition_check_failure(all),
                false => put,
            };
            item.put(put.build().map_err(refused)?).build()
        }
        Write::Change(change) => {
            let update = Update::builder()
                .table_name(&store.table)
                .set_key(Some(key(&action.pk, &action.sk)))
                .update_expression(change.update())
                .set_condition_expression(change.condition())
                .set_expression_attribute_names(Some(change.names))
                .set_expression_attribute_values(Some(change.values));
            item.update(update.build().map_err(refused)?).build()
        }
    })
}

/// Why a transaction was cancelled. A push that has started a run is the one answer that ends the matter, so it is
/// looked for first; a condition that does not hold says more than a race.
fn cancelled(
    commit: &Commit,
    roles: &[(Role, String)],
    reasons: &[CancellationReason],
    error: SdkError<TransactWriteItemsError>,
) -> StoreError {
    let with = |code: &str| -> Vec<(&Role, &String, &CancellationReason)> {
        let pairs = roles.iter().zip(reasons);
        pairs
            .filter(|(_, reason)| reason.code() == Some(code))
            .map(|((role, name), reason)| (role, name, reason))
            .collect()
    };
    let unmet = with("ConditionalCheckFailed");
    let push = unmet.iter().find(|(role, ..)| **role == Role::Push);
    if let Some((_, name, reason)) = push {
        let first = reason.item().map(decode::body);
        return match first {
            Some(Ok(run)) => StoreError::Duplicate(run),
            Some(Err(error)) => error,
            None => decode(name.as_str(), "it stands in the way and was not shown"),
        };
    }
    if let Some((role, name, _)) = unmet.first() {
        return match role {
            // The version of the run held, so its log is longer than the run knows.
            Role::Entries => decode(name.as_str(), "an entry stands where the run has none"),
            role => StoreError::Conflict(words(role, commit)),
        };
    }
    if let Some((role, ..)) = with("TransactionConflict").first() {
        return StoreError::Conflict(words(role, commit));
    }
    match reasons.iter().any(|reason| is_busy(reason.code())) {
        true => busy(COMMIT, error),
        false => unavailable(COMMIT, error),
    }
}

fn words(role: &Role, commit: &Commit) -> String {
    let run = &commit.run;
    match role {
        Role::Lane(key) => format!("lane {key}"),
        Role::Pool(key) => format!("pool {key}"),
        Role::Number => format!("number {} of {}", run.number, run.pipeline.name),
        Role::Run | Role::Push | Role::Entries | Role::Rest => format!("run {}", run.id),
    }
}

async fn change(
    store: &DynamoStore,
    operation: &'static str,
    pk: &str,
    sk: &str,
    change: Change,
) -> Result<Outcome, StoreError> {
    let sent = store
        .client
        .update_item()
        .table_name(&store.table)
        .set_key(Some(key(pk, sk)))
        .update_expression(change.update())
        .set_condition_expression(change.condition())
        .set_expression_attribute_names(Some(change.names))
        .set_expression_attribute_values(Some(change.values))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await;
    let Err(error) = sent else {
        return Ok(Outcome::Done);
    };
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(unmet)) => Ok(Outcome::Unmet(
            unmet.item().filter(|item| !item.is_empty()).cloned(),
        )),
        Some(UpdateItemError::TransactionConflictException(_)) => Ok(Outcome::Raced),
        _ => Err(failed(operation, error)),
    }
}

pub(super) async fn settle(store: &DynamoStore, effect: &EffectKey) -> Result<(), StoreError> {
    let call = store
        .client
        .delete_item()
        .table_name(&store.table)
        .set_key(Some(key(&keys::run(&effect.run), &keys::outbox(effect))));
    let deleted = call.send().await;
    deleted
        .map(|_| ())
        .map_err(|error| failed("settle an effect", error))
}

/// A try that is counted twice, because its answer was lost, lengthens a pause and nothing else.
pub(super) async fn postpone(
    store: &DynamoStore,
    effect: &EffectKey,
    due: Timestamp,
) -> Result<(), StoreError> {
    let later = Change::default()
        .count(keys::VERSION)
        .set(keys::DUE, number(due.0))
        .if_it_is_there();
    let (pk, sk) = (keys::run(&effect.run), keys::outbox(effect));
    // Settled meanwhile, or written by somebody: either way it is not ours to put off.
    change(store, "postpone an effect", &pk, &sk, later)
        .await
        .map(|_| ())
}

/// Which of two changes is needed depends on what stands there; the condition makes sure, and what stood there instead
/// says which to try next.
pub(super) async fn wake(
    store: &DynamoStore,
    run: &RunId,
    duty: Duty,
    at: Timestamp,
) -> Result<(), StoreError> {
    const WAKE: &str = "wake a run";
    let (pk, look, minute) = (keys::run(run), keys::look(duty), keys::due(at));
    let mut first_of_all = true;
    for _ in 0..WAKE_TRIES {
        let earlier = Change::default()
            .set(look, number(at.0))
            .if_it_is_there()
            .if_none_or_more(look, number(at.0));
        let earlier = match first_of_all {
            true => earlier
                .set(keys::DUE, number(minute))
                .set(keys::DUE_SHARD, text(keys::shard_of(run, table::DUE_SHARDS)))
                .if_none_or_more(keys::DUE, number(minute)),
            false => earlier.if_at_most(keys::DUE, number(minute)),
        };
        let standing = match change(store, WAKE, &pk, keys::STATE, earlier).await? {
            Outcome::Done | Outcome::Unmet(None) => return Ok(()),
            Outcome::Unmet(Some(standing)) => standing,
            Outcome::Raced => continue,
        };
        if number_of(&standing, look)?.is_some_and(|due| due <= at.0) {
            return Ok(());
        }
        first_of_all = number_of(&standing, keys::DUE)?.is_none_or(|due| due > minute);
    }
    Err(busy(WAKE, format!("run {run} is being written all the time")))
}
