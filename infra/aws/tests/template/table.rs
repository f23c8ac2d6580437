//! The table, compared with the one that the store is tested on.

use aws_sdk_dynamodb::config::BehaviorVersion;
use aws_sdk_dynamodb::types::{GlobalSecondaryIndex, KeySchemaElement};
use serde_json::{Value, json};
use weir_aws::store::table;

use super::template;

fn keys(elements: &[KeySchemaElement]) -> Value {
    let one = |key: &KeySchemaElement| json!({"AttributeName": key.attribute_name(), "KeyType": key.key_type().as_str()});
    elements.iter().map(one).collect()
}

fn index(index: &GlobalSecondaryIndex) -> Value {
    let projection = index.projection().unwrap();
    let mut projected = json!({"ProjectionType": projection.projection_type().unwrap().as_str()});
    if !projection.non_key_attributes().is_empty() {
        projected["NonKeyAttributes"] = json!(projection.non_key_attributes());
    }
    json!({"IndexName": index.index_name(), "KeySchema": keys(index.key_schema()), "Projection": projected})
}

#[test]
fn it_has_the_keys_and_indexes_that_the_store_is_tested_with() {
    let nowhere = aws_sdk_dynamodb::Config::builder().behavior_version(BehaviorVersion::latest());
    let client = aws_sdk_dynamodb::Client::from_conf(nowhere.build());
    let tested = table::definition(&client, "weir");
    let tested = tested.as_input();
    let properties = template().resources["Table"].properties.clone();
    assert_eq!(
        properties["KeySchema"],
        keys(tested.get_key_schema().as_ref().unwrap())
    );
    let indexes = tested.get_global_secondary_indexes().as_ref().unwrap();
    let indexes: Vec<Value> = indexes.iter().map(index).collect();
    assert_eq!(properties["GlobalSecondaryIndexes"], json!(indexes));
    let attributes = tested.get_attribute_definitions().as_ref().unwrap().iter();
    let attributes: Vec<Value> = attributes
        .map(|one| json!({"AttributeName": one.attribute_name(), "AttributeType": one.attribute_type().as_str()}))
        .collect();
    assert_eq!(properties["AttributeDefinitions"], json!(attributes));
    assert_eq!(
        properties["BillingMode"],
        tested.get_billing_mode().as_ref().unwrap().as_str()
    );
}

#[test]
fn it_cannot_be_lost() {
    let table = &template().resources["Table"];
    assert_eq!(table.properties["DeletionProtectionEnabled"], true);
    let recovery = &table.properties["PointInTimeRecoverySpecification"];
    assert_eq!(recovery["PointInTimeRecoveryEnabled"], true);
    let expires = json!({"AttributeName": table::TTL, "Enabled": true});
    assert_eq!(table.properties["TimeToLiveSpecification"], expires);
    assert_eq!(table.whole["DeletionPolicy"], "Retain");
    assert_eq!(table.whole["UpdateReplacePolicy"], "Retain");
}
