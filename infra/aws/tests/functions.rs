//! The functions' own programs on a local Lambda, DynamoDB Local and ElasticMQ.
#![allow(clippy::unwrap_used, reason = "everything in here is a test, its helpers too")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::Region;
use aws_credential_types::Credentials;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use weir_app::{Clock, Store};
use weir_aws::DynamoStore;
use weir_aws::queue::Message;
use weir_aws::store::table;
use weir_contracts::sample::{first, run_id};
use weir_domain::Duty;
use weir_domain::run::RunStatus;
use weir_domain::time::Timestamp;
use weir_emulators::Emulator;
use weir_lambda_host::{Function, Mapping};

const SECRETS: &str =
    r#"{"github_secrets":["hunter2"],"slack_signing_secrets":["hunter3"],"slack_token":"xoxb-1"}"#;

struct Now;

impl Clock for Now {
    #[allow(
        clippy::disallowed_methods,
        reason = "the programs run on the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp(i64::try_from(since.as_millis()).unwrap())
    }
}

/// An account: emulators, the table, the queues, the secret.
struct Account {
    _dynamodb: Emulator,
    _elasticmq: Emulator,
    store: DynamoStore,
    sqs: aws_sdk_sqs::Client,
    variables: Vec<(String, String)>,
    steps: String,
    dead: String,
}

impl Account {
    async fn new() -> Self {
        let (dynamodb, elasticmq) = tokio::task::spawn_blocking(|| {
            (
                weir_emulators::dynamodb().unwrap(),
                weir_emulators::elasticmq().unwrap(),
            )
        })
        .await
        .unwrap();
        let dynamo = aws_sdk_dynamodb::Client::new(&config(&dynamodb.url()).await);
        table::create(&dynamo, "weir").await.unwrap();
        let sqs = aws_sdk_sqs::Client::new(&config(&elasticmq.url()).await);
        let mut urls = Vec::new();
        for name in ["steps", "traffic", "dead"] {
            let made = sqs.create_queue().queue_name(name).send().await.unwrap();
            urls.push(made.queue_url.unwrap());
        }
        let secrets = serve_secrets().await;
        let pairs = [
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb.url()),
            ("AWS_ENDPOINT_URL_SQS", &elasticmq.url()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &secrets),
            ("WEIR_TABLE", "weir"),
            ("WEIR_STEPS_QUEUE_URL", &urls[0]),
            (
                "WEIR_STEPS_QUEUE_ARN",
                "arn:aws:sqs:eu-central-1:000000000000:steps",
            ),
            ("WEIR_TRAFFIC_QUEUE_URL", &urls[1]),
            (
                "WEIR_TRAFFIC_QUEUE_ARN",
                "arn:aws:sqs:eu-central-1:000000000000:traffic",
            ),
            ("WEIR_DEAD_LETTERS_URL", &urls[2]),
            ("WEIR_SCHEDULE_GROUP", "weir"),
            ("WEIR_SCHEDULE_ROLE_ARN", "arn:aws:iam::000000000000:role/weir"),
            ("WEIR_SECRET_ID", "weir"),
            ("WEIR_GITHUB_API", "http://127.0.0.1:9"),
        ];
        Self {
            store: DynamoStore::new(dynamo, "weir", Arc::new(Now)),
            sqs,
            variables: pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            steps: urls[0].clone(),
            dead: urls[2].clone(),
            _dynamodb: dynamodb,
            _elasticmq: elasticmq,
        }
    }

    async fn function(&self, name: &str) -> Function {
        let limit = Duration::from_secs(20);
        Function::new(program(name), self.variables.clone(), limit)
            .await
            .unwrap()
    }

    async fn send(&self, body: &str) {
        let call = self.sqs.send_message().queue_url(&self.steps);
        call.message_body(body).send().await.unwrap();
    }

    /// How many messages a queue has, seen or not.
    async fn letters(&self) -> Vec<(String, String)> {
        let call = self
            .sqs
            .receive_message()
            .queue_url(&self.dead)
            .max_number_of_messages(10)
            .message_attribute_names("All")
            .wait_time_seconds(1);
        let received = call.send().await.unwrap();
        let letters = received.messages.unwrap_or_default().into_iter();
        letters
            .map(|letter| {
                let reason = letter
                    .message_attributes
                    .as_ref()
                    .and_then(|all| all["reason"].string_value.clone());
                (letter.body.unwrap_or_default(), reason.unwrap_or_default())
            })
            .collect()
    }
}

fn program(name: &str) -> PathBuf {
    let built = match name {
        "webhook-intake" => env!("CARGO_BIN_EXE_webhook-intake"),
        "stage-executor" => env!("CARGO_BIN_EXE_stage-executor"),
        "approval-callback" => env!("CARGO_BIN_EXE_approval-callback"),
        "metric-check" => env!("CARGO_BIN_EXE_metric-check"),
        other => panic!("there is no function {other}"),
    };
    PathBuf::from(built)
}

async fn config(url: &str) -> aws_config::SdkConfig {
    weir_aws::config::loader()
        .endpoint_url(url)
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
        .load()
        .await
}

/// Secrets Manager, as far as it is asked.
async fn serve_secrets() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = [0; 8_192];
            let read = client.read(&mut head).await.unwrap_or(0);
            let asked = String::from_utf8_lossy(&head[..read]).contains("secretsmanager.GetSecretValue");
            let body = json!({ "Name": "weir", "SecretString": SECRETS }).to_string();
            let status = if asked { 200 } else { 400 };
            let answer = format!(
                "HTTP/1.1 {status} Canned\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = client.write_all(answer.as_bytes()).await;
        }
    });
    url
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"hunter2").unwrap();
    mac.update(body);
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={hex}")
}

/// One account for everything: starting Java twice for each clause would take longer than the clauses.
#[tokio::test(flavor = "multi_thread")]
async fn the_programs_do_on_lambda_what_they_do_on_the_host() {
    let account = Account::new().await;
    hints_become_looks(&account).await;
    lost_hints_are_swept(&account).await;
    doors_answer(&account).await;
}

async fn hints_become_looks(account: &Account) {
    // Its approval expired years ago: the first look ends it.
    account.store.commit(first("a")).await.unwrap();
    account
        .store
        .wake(&run_id("a"), Duty::Steps, Timestamp(0))
        .await
        .unwrap();
    account.send("{nonsense").await;
    let hint = Message::new(run_id("a"), Duty::Steps, Timestamp(0), None).to_body();
    account.send(&hint).await;
    account.send(&hint).await;
    let executor = account.function("stage-executor").await;
    let mapping = Mapping {
        client: account.sqs.clone(),
        url: account.steps.clone(),
        function: executor.clone(),
    };
    let (mut records, mut done) = (0, 0);
    while records < 3 {
        let (more, ended) = mapping.poll().await.unwrap();
        records += more;
        done += ended;
    }
    assert_eq!((records, done), (3, 3));
    let run = account.store.load(&run_id("a")).await.unwrap().unwrap().state.run;
    assert!(matches!(run.status, RunStatus::Failed { .. }), "{:?}", run.status);
    let letters = account.letters().await;
    assert_eq!(letters.len(), 1);
    assert!(
        letters[0].0 == "{nonsense" && letters[0].1.starts_with("the message is not a hint"),
        "{letters:?}"
    );
    // A program that was killed starts again with the next event, and finds everything as it was.
    executor.kill().await;
    account.send(&hint).await;
    assert_eq!(mapping.poll().await.unwrap(), (1, 1));
}

async fn lost_hints_are_swept(account: &Account) {
    account.store.commit(first("b")).await.unwrap();
    account
        .store
        .wake(&run_id("b"), Duty::Steps, Timestamp(0))
        .await
        .unwrap();
    let executor = account.function("stage-executor").await;
    let swept = executor.invoke(json!({ "weir": "sweep" })).await.unwrap();
    assert!(swept["swept"].as_u64().unwrap() >= 1, "{swept}");
    let mapping = Mapping {
        client: account.sqs.clone(),
        url: account.steps.clone(),
        function: executor,
    };
    mapping.poll().await.unwrap();
    let run = account.store.load(&run_id("b")).await.unwrap().unwrap().state.run;
    assert!(matches!(run.status, RunStatus::Failed { .. }), "{:?}", run.status);
}

async fn doors_answer(account: &Account) {
    let intake = account.function("webhook-intake").await;
    let ping = include_bytes!("../../../events/github-ping/valid/repository.json");
    let signed = signature(ping);
    let headers = |signature| {
        [
            ("X-GitHub-Event", "ping"),
            ("X-GitHub-Delivery", "1"),
            ("Content-Type", "application/json"),
            ("X-Hub-Signature-256", signature),
        ]
    };
    let answer = intake.request(&headers(&signed), ping).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let forged = signature(b"something else");
    let answer = intake.request(&headers(&forged), ping).await.unwrap();
    assert_eq!(answer.status, 401, "{}", answer.body);
    let callback = account.function("approval-callback").await;
    let answer = callback.request(&[], b"payload=").await.unwrap();
    assert_eq!(answer.status, 401, "{}", answer.body);
    let check = account.function("metric-check").await;
    let answer = check.invoke(json!({ "Records": [] })).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
}
