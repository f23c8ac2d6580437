//! Clients of AWS, made once: each has its own connections.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::timeout;
use weir_federation::Google;

use crate::secrets::Secrets;
use crate::settings::Settings;

/// A function that starts does not wait longer for connections that it may need: the first call makes them too.
const WARM_LIMIT: Duration = Duration::from_millis(300);

/// The clients of a function. EKS's and the scheduler's are made where they are used, which is seldom.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) config: SdkConfig,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) google: Google,
    secrets: aws_sdk_secretsmanager::Client,
}

impl Clients {
    pub(crate) fn of(config: SdkConfig) -> Self {
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            secrets: aws_sdk_secretsmanager::Client::new(&config),
            google: Google::default(),
            config,
        }
    }

    /// Reads the secrets; the error is in words.
    pub(crate) async fn secrets(&self, id: &str) -> Result<Secrets, String> {
        let client = &self.secrets;
        let read = client.get_secret_value().secret_id(id).send().await;
        let read =
            read.map_err(|error| aws_sdk_secretsmanager::error::DisplayErrorContext(error).to_string())?;
        Secrets::parse(read.secret_string().unwrap_or_default()).map_err(|error| error.to_string())
    }

    /// Connects to the table and to the queues. What comes of it does not matter: whoever needs them asks again.
    pub(crate) async fn warm(&self, settings: &Settings) {
        let nothing = |text: &str| AttributeValue::S(text.to_owned());
        let client = &self.dynamodb;
        let table = client
            .get_item()
            .table_name(&settings.table)
            .key("pk", nothing("RUN#"))
            .key("sk", nothing("STATE"))
            .send();
        let client = &self.sqs;
        let queue = client
            .get_queue_attributes()
            .queue_url(&settings.steps.url)
            .send();
        let _ = timeout(WARM_LIMIT, Box::pin(async { tokio::join!(table, queue) })).await;
    }
}
