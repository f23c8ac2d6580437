//! The store in memory keeps the contract.

use std::sync::Arc;

use weir_app::memory::MemoryStore;
use weir_contracts::store::{Fresh, suite};

#[tokio::test(flavor = "current_thread")]
async fn the_store_in_memory_keeps_the_contract() {
    suite(async || Arc::new(MemoryStore::default()) as Fresh).await;
}
