//! The table as it must be. In production the template creates it; tests and emulators create it from here, and a test
//! compares both.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};

use super::keys;
use weir_app::StoreError;

use super::fault::failed;

/// The index of what is due.
pub const DUE_INDEX: &str = "due";

/// The index of runs by age.
pub const BORN_INDEX: &str = "born";

/// Attributes that the index of what is due carries besides the keys.
pub const DUE_PROJECTION: [&str; 1] = ["duty"];

/// The attribute by which items expire.
pub const TTL: &str = keys::EXPIRES;

/// Shards of the index of what is due. DynamoDB takes 1,000 writes a second per key, and a run that is looked at all the
/// time costs two a minute, so 8 shards carry 240,000 of them. It may be raised at any time, as every reader reads every
/// shard; never lowered.
pub(super) const DUE_SHARDS: u64 = 8;

/// Shards of the index of runs: one write for each run that begins. As above.
pub(super) const BORN_SHARDS: u64 = 4;

/// Key attributes and their types: everything that the table's definition must name.
const KEYS: [(&str, ScalarAttributeType); 6] = [
    (keys::PK, ScalarAttributeType::S),
    (keys::SK, ScalarAttributeType::S),
    (keys::DUE_SHARD, ScalarAttributeType::S),
    (keys::DUE, ScalarAttributeType::N),
    (keys::BORN_SHARD, ScalarAttributeType::S),
    (keys::BORN, ScalarAttributeType::N),
];

/// Creates the table.
///
/// # Errors
/// DynamoDB refused, for example because the table exists.
pub async fn create(client: &Client, name: &str) -> Result<(), StoreError> {
    let created = definition(client, name).send().await;
    created
        .map(|_| ())
        .map_err(|error| failed("create the table", error))
}

/// The table: its keys and its indexes, paid by request. Nothing is sent yet.
pub fn definition(client: &Client, name: &str) -> CreateTableFluentBuilder {
    let due = Projection::builder()
        .projection_type(ProjectionType::Include)
        .set_non_key_attributes(Some(DUE_PROJECTION.map(str::to_owned).to_vec()));
    let born = Projection::builder().projection_type(ProjectionType::KeysOnly);
    client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(KEYS.map(attribute).to_vec()))
        .set_key_schema(Some(key(keys::PK, keys::SK)))
        .global_secondary_indexes(index(DUE_INDEX, key(keys::DUE_SHARD, keys::DUE), due.build()))
        .global_secondary_indexes(index(BORN_INDEX, key(keys::BORN_SHARD, keys::BORN), born.build()))
}

fn attribute((name, kind): (&str, ScalarAttributeType)) -> AttributeDefinition {
    let attribute = AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(kind);
    attribute.build().expect("name and type are given")
}

fn key(partition: &str, sort: &str) -> Vec<KeySchemaElement> {
    let element = |name: &str, kind| {
        let element = KeySchemaElement::builder().attribute_name(name).key_type(kind);
        element.build().expect("name and type are given")
    };
    vec![element(partition, KeyType::Hash), element(sort, KeyType::Range)]
}

fn index(name: &str, key: Vec<KeySchemaElement>, projection: Projection) -> GlobalSecondaryIndex {
    GlobalSecondaryIndex::builder()
        .index_name(name)
        .set_key_schema(Some(key))
        .projection(projection)
        .build()
        .expect("name and keys are given")
}
