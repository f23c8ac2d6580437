//! A function that makes the clients that Weir's functions make, and does nothing with them. With `FLOOR_CALLS` set it
//! makes the calls that they make while they start, too; with `FLOOR_CALLS=cluster` also the client of a cluster, which
//! they make when they first need it.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};
use weir_aws::config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = config::load().await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    let sqs = aws_sdk_sqs::Client::new(&config);
    let secrets = aws_sdk_secretsmanager::Client::new(&config);
    let calls = std::env::var_os("FLOOR_CALLS");
    if calls.is_some() {
        let (secret, _, _) = tokio::join!(
            secrets.get_secret_value().secret_id("weir").send(),
            dynamodb.get_item().table_name("weir").send(),
            sqs.get_queue_attributes().queue_url("http://queue").send(),
        );
        secret?;
    }
    let _cluster = match calls.is_some_and(|calls| calls == "cluster") {
        true => Some(client("https://cluster.example")?),
        false => None,
    };
    run(service_fn(|event: LambdaEvent<Value>| {
        // Linked, as in the functions: an event that names a cluster makes its client.
        let cluster = event.payload["cluster"].as_str().map(str::to_owned);
        let tables = dynamodb.clone();
        async move {
            if let Some(url) = cluster {
                client(&url)?;
                tables.list_tables().send().await?;
            }
            Ok::<_, Error>(json!({}))
        }
    }))
    .await
}

fn client(url: &str) -> Result<kube::Client, Error> {
    Ok(kube::Client::try_from(kube::Config::new(url.parse()?))?)
}
