//! Where clusters are, kept in the table, so that a function that starts asks the table, which it asks anyway, and not
//! a cloud, which counts.
//!
//! ```text
//! CLUSTER#<owner>#<region>#<name> STATE  body    address and authorities
//! ```
//! Each function has items of its own, and its role reaches no others: what stands here says whom a token is given to,
//! so one function must not be able to say it to another.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::types::AttributeValue;

use super::{Cluster, Endpoint};
use crate::store::keys;

/// A function's part of the table.
#[derive(Clone)]
pub struct Shelf {
    client: Client,
    table: String,
    owner: String,
}

impl Shelf {
    /// The part of this owner, which is a function's name.
    pub fn new(client: Client, table: impl Into<String>, owner: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
            owner: owner.into(),
        }
    }

    /// What stands there, if it can be read. The cloud knows it too, so nothing fails without.
    pub(super) async fn find(&self, cluster: &Cluster) -> Option<Endpoint> {
        let read = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(keys::PK, self.key(cluster))
            .key(keys::SK, AttributeValue::S(keys::STATE.to_owned()));
        match read.send().await {
            Ok(found) => match found.item?.remove(keys::BODY)? {
                AttributeValue::S(body) => serde_json::from_str(&body).ok(),
                _ => None,
            },
            Err(error) => {
                let error = DisplayErrorContext(error).to_string();
                tracing::warn!(%cluster, error, "the table did not say where the cluster is");
                None
            }
        }
    }

    /// Puts it there.
    pub(super) async fn keep(&self, cluster: &Cluster, endpoint: &Endpoint) {
        let body = serde_json::to_string(endpoint).expect("texts and bytes are JSON");
        let write = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(keys::PK, self.key(cluster))
            .key(keys::SK, AttributeValue::S(keys::STATE.to_owned()))
            .update_expression(format!("SET {} = :body", keys::BODY))
            .expression_attribute_values(":body", AttributeValue::S(body));
        if let Err(error) = write.send().await {
            let error = DisplayErrorContext(error).to_string();
            tracing::warn!(%cluster, error, "where the cluster is could not be kept");
        }
    }

    fn key(&self, cluster: &Cluster) -> AttributeValue {
        AttributeValue::S(keys::cluster(&self.owner, &cluster.region, &cluster.name))
    }
}
