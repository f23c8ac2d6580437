//! Clients of the emulators, which each test program starts once.
#![allow(dead_code, reason = "each test program uses its part")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use aws_config::Region;
use aws_credential_types::Credentials;
use weir_app::Clock;
use weir_aws::DynamoStore;
use weir_aws::queue::Address;
use weir_aws::store::table;
use weir_domain::time::Timestamp;
use weir_emulators::Emulator;

/// The machine's clock.
pub(crate) struct Now;

impl Clock for Now {
    #[allow(
        clippy::disallowed_methods,
        reason = "the emulators run on the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(i64::try_from(since.unwrap().as_millis()).unwrap())
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(Now)
}

/// What a function would read from its environment.
pub(crate) async fn config(url: &str) -> aws_config::SdkConfig {
    weir_aws::config::loader()
        .endpoint_url(url)
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
        .load()
        .await
}

/// DynamoDB Local.
pub(crate) fn dynamodb() -> &'static Emulator {
    static RUNNING: OnceLock<Emulator> = OnceLock::new();
    RUNNING.get_or_init(|| weir_emulators::dynamodb().expect("DynamoDB Local starts"))
}

/// ElasticMQ.
pub(crate) fn elasticmq() -> &'static Emulator {
    static RUNNING: OnceLock<Emulator> = OnceLock::new();
    RUNNING.get_or_init(|| weir_emulators::elasticmq().expect("ElasticMQ starts"))
}

/// A name that no other test of this program uses.
pub(crate) fn fresh_name(what: &str) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}", MADE.fetch_add(1, Ordering::Relaxed))
}

pub(crate) async fn dynamodb_client() -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&config(&dynamodb().url()).await)
}

/// A store on a table of its own, with the client and the name for looks behind its back.
pub(crate) async fn store() -> (DynamoStore, aws_sdk_dynamodb::Client, String) {
    let (client, name) = (dynamodb_client().await, fresh_name("weir"));
    table::create(&client, &name).await.unwrap();
    (
        DynamoStore::new(client.clone(), name.clone(), clock()),
        client,
        name,
    )
}

/// A queue of its own, as its callers name it.
pub(crate) async fn sqs_queue(client: &aws_sdk_sqs::Client, what: &str) -> Address {
    let name = fresh_name(what);
    let made = client.create_queue().queue_name(&name).send().await.unwrap();
    Address {
        url: made.queue_url.unwrap(),
        arn: format!("arn:aws:sqs:eu-central-1:000000000000:{name}"),
    }
}

pub(crate) async fn sqs_client() -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(&config(&elasticmq().url()).await)
}
