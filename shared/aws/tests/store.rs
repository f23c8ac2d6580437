//! The store on DynamoDB keeps the contract, and damage to it is told.
#![allow(clippy::unwrap_used, reason = "everything in here is a test, its helpers too")]

mod kit;

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use weir_app::{Store, StoreError};
use weir_contracts::sample::{START, commit, effect, first, lane, log, run};
use weir_contracts::store::{Fresh, suite};
use weir_domain::Duty;
use weir_domain::ids::RunId;
use weir_domain::time::Span;

#[tokio::test(flavor = "multi_thread")]
async fn the_store_on_dynamodb_keeps_the_contract() {
    suite(async || Arc::new(kit::store().await.0) as Fresh).await;
}

#[tokio::test]
async fn a_run_of_the_next_schema_is_read_and_kept_and_a_later_one_is_refused() {
    let (store, client, table) = kit::store().await;
    let mut next = first("a");
    next.run.schema = weir_domain::run::SCHEMA + 1;
    next.run.unknown.insert("colour".into(), "green".into());
    store.commit(next.clone()).await.unwrap();
    let loaded = store.load(&next.run.id).await.unwrap().unwrap();
    store.commit(commit(loaded.state.run, 1)).await.unwrap();
    let loaded = store.load(&next.run.id).await.unwrap().unwrap();
    assert_eq!(loaded.state.run, next.run);
    let damage = Damage(&client, &table);
    damage
        .set("RUN#run-a", "STATE", "body", text("{\"schema\":9}"))
        .await;
    let error = store.load(&next.run.id).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "RUN#run-a cannot be read: it has schema 9; this weir reads 1 to 2: use the weir that wrote it, or a newer one"
    );
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Changes items behind the store's back.
struct Damage<'a>(&'a aws_sdk_dynamodb::Client, &'a str);

impl Damage<'_> {
    async fn set(&self, pk: &str, sk: &str, attribute: &str, value: AttributeValue) {
        self.0
            .update_item()
            .table_name(self.1)
            .key("pk", text(pk))
            .key("sk", text(sk))
            .update_expression("SET #a = :v")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#a", attribute)
            .expression_attribute_values(":v", value)
            .send()
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_item_that_contradicts_itself_is_an_error_and_never_a_default() {
    let lane_pk = "LANE#llm%231%25#Production / EU";
    let event = "EVENT#000000000001";
    let row = "OUTBOX#000000000001#000000";
    let damages = [
        ("RUN#run-a", "STATE", "body", text("{")),
        ("RUN#run-a", "STATE", "version", number(0)),
        ("RUN#run-a", "STATE", "version", text("1")),
        ("RUN#run-a", "STATE", "traffic", text("soon")),
        (
            "RUN#run-a",
            "STATE#PIPELINE",
            "body",
            text("{\"name\":\"p\",\"stages\":[]}"),
        ),
        (lane_pk, "STATE", "body", text("{}")),
        (lane_pk, "STATE", "version", number(-1)),
        ("RUN#run-a", event, "body", text("[]x")),
        ("RUN#run-a", row, "version", number(0)),
        ("RUN#run-a", row, "body", text("{\"fly\":{}}")),
        ("RUN#run-a", row, "duty", text("idle")),
    ];
    for (pk, sk, attribute, value) in damages {
        let (store, client, table) = kit::store().await;
        let mut whole = first("a");
        log(&mut whole, 1);
        whole.lanes.push((lane(4), 0));
        whole.looks[0].1 = Some(START);
        whole.outbox.push(effect(&whole.run.id, 1, 0, true, START));
        store.commit(whole).await.unwrap();
        let what = format!("{pk}/{sk} {attribute} {value:?}");
        Damage(&client, &table).set(pk, sk, attribute, value).await;
        let id = RunId::new("run-a");
        let errors = [
            store.load(&id).await.err(),
            store.entries(&id).await.err(),
            store.due(START, 9).await.err(),
        ];
        let told: Vec<StoreError> = errors.into_iter().flatten().collect();
        let decodes = told
            .iter()
            .all(|error| matches!(error, StoreError::Decode { .. }));
        assert!(!told.is_empty() && decodes, "{what}: {told:?}");
        assert!(told[0].to_string().contains(pk), "{what}: {told:?}");
    }
}

#[tokio::test]
async fn a_gap_in_the_log_is_told() {
    let (store, client, table) = kit::store().await;
    let mut begun = first("a");
    log(&mut begun, 2);
    let mut next = commit(begun.run.clone(), 1);
    log(&mut next, 2);
    store.commit(begun).await.unwrap();
    store.commit(next).await.unwrap();
    client
        .delete_item()
        .table_name(&table)
        .key("pk", text("RUN#run-a"))
        .key("sk", text("EVENT#000000000001"))
        .send()
        .await
        .unwrap();
    let error = store.entries(&RunId::new("run-a")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "RUN#run-a/EVENT#000000000003 cannot be read: it does not go on from entry 0 of run-a"
    );
}

#[tokio::test]
async fn what_is_due_comes_over_any_number_of_pages() {
    let (store, ..) = kit::store().await;
    for n in 0..40 {
        let mut begun = commit(run(&n.to_string(), "p", n + 1), 0);
        begun.looks = [
            (Duty::Traffic, Some(START + Span::seconds(n))),
            (Duty::Steps, Some(START + Span::seconds(100 - n))),
        ];
        begun.outbox = (0..3)
            .map(|row| effect(&begun.run.id, 1, row, true, START))
            .collect();
        store.commit(begun).await.unwrap();
    }
    let all = store.due(START + Span::hours(1), 10_000).await.unwrap();
    assert_eq!(all.len(), 80);
    assert!(all.is_sorted());
    for limit in [1, 3, 41, 79] {
        assert_eq!(
            store.due(START + Span::hours(1), limit).await.unwrap(),
            all[..limit]
        );
    }
}

#[tokio::test]
async fn pushes_and_approvals_expire_and_nothing_else_does() {
    let (store, client, table) = kit::store().await;
    let mut whole = first("a");
    log(&mut whole, 1);
    whole.lanes.push((lane(4), 0));
    whole.push = Some(weir_contracts::sample::push_key("a"));
    store.commit(whole).await.unwrap();
    let all = client.scan().table_name(&table).send().await.unwrap();
    let mut expiring: Vec<_> = all
        .items()
        .iter()
        .filter(|item| item.contains_key(weir_aws::store::table::TTL))
        .map(|item| item["pk"].as_s().unwrap().split('#').next().unwrap())
        .collect();
    expiring.sort_unstable();
    assert_eq!(expiring, ["APPROVAL", "PUSH"]);
    let expires = |item: &std::collections::HashMap<String, AttributeValue>| {
        item["expires"].as_n().unwrap().parse::<i64>().unwrap()
    };
    let day = 24 * 3_600;
    let of = |prefix: &str| {
        all.items()
            .iter()
            .find(|item| item["pk"].as_s().unwrap().starts_with(prefix))
    };
    assert_eq!(expires(of("PUSH").unwrap()), START.0 / 1_000 + 90 * day);
}
