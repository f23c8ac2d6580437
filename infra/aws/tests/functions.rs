//! The functions' own programs on a local Lambda, DynamoDB Local and ElasticMQ.
#![allow(clippy::unwrap_used, reason = "everything in here is a test, its helpers too")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use weir_app::{Commit, Store, SystemClock};
use weir_aws::DynamoStore;
use weir_aws::queue::Message;
use weir_contracts::sample::{effect, first, run_id};
use weir_domain::Duty;
use weir_domain::run::RunStatus;
use weir_domain::time::Timestamp;
use weir_lambda_host::{Given, Mapping, Stack, Template};

const SECRETS: &str = r#"{"github_secrets":["hunter2"],"slack_signing_secrets":["hunter3"],"slack_token":"xoxb-1","alarm_secrets":["hunter4"],"cluster_authorities":{"local":"-----BEGIN CERTIFICATE-----\nZGVy\n-----END CERTIFICATE-----"},"sources":{"dd":"hunter5:hunter6"}}"#;

/// The stack of the template, and its store seen from outside.
struct World {
    stack: Stack,
    store: DynamoStore,
    logs: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let template = Template::read(include_str!("../template.yaml")).unwrap();
        let parameters = [
            (
                "SecretArn",
                "arn:aws:secretsmanager:eu-central-1:000000000000:secret:weir-abcdef",
            ),
            (
                "Clusters",
                "prod=eu-central-1/prod-1,local=api:127.0.0.1:9;audience=weir/local",
            ),
            (
                "Bounds",
                r#"{"prod":{"bounds":{"answer":{"bound_ms":23},"observed":{"bound_ms":56},"job":{"bound_ms":1000},"pod":{"bound_ms":84}}}}"#,
            ),
            ("Audiences", "weir/local"),
            (
                "Sources",
                "dd=datadog:https://api.datadoghq.eu cw=cloudwatch:eu-central-1 lacks-its-key=datadog:https://api.datadoghq.eu",
            ),
            (
                "ClusterArns",
                "arn:aws:eks:eu-central-1:000000000000:cluster/prod-1",
            ),
            ("GitHubApi", "http://127.0.0.1:9"),
        ];
        let logs = tempfile::tempdir().unwrap();
        let given = Given {
            logs: Some(logs.path().to_owned()),
            parameters: owned(&parameters).into_iter().collect(),
            programs: programs(),
            secret: SECRETS.to_owned(),
            web_token: "a.web.token".to_owned(),
            at_once: 1,
            ..Given::default()
        };
        let stack = Stack::make(template, given).await.unwrap();
        let store = DynamoStore::new(
            stack.dynamodb.clone(),
            stack.reference("Table"),
            Arc::new(SystemClock),
        );
        Self { stack, store, logs }
    }

    fn mapping(&self, function: &str) -> Mapping {
        self.stack.mappings(function).unwrap().remove(0)
    }

    async fn send(&self, body: &str) {
        let queue = self.stack.reference("StepsQueue");
        let call = self.stack.sqs.send_message().queue_url(queue);
        call.message_body(body).send().await.unwrap();
    }

    /// What stands in the queue of dead letters, with the reasons.
    async fn letters(&self) -> Vec<(String, String)> {
        let call = self
            .stack
            .sqs
            .receive_message()
            .queue_url(self.stack.reference("StepsDeadLetters"))
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

    /// Stores a run whose next look should have been long ago.
    async fn overdue(&self, run: &str) {
        self.store.commit(first(run)).await.unwrap();
        let id = run_id(run);
        self.store.wake(&id, Duty::Steps, Timestamp(0)).await.unwrap();
    }

    /// What a program has logged.
    fn logged(&self, program: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.logs.path().join(format!("{program}.log"))).unwrap();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    async fn status(&self, run: &str) -> RunStatus {
        let loaded = self.store.load(&run_id(run)).await.unwrap().unwrap();
        loaded.state.run.status
    }
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn programs() -> BTreeMap<String, PathBuf> {
    let built = [
        ("webhook-intake", env!("CARGO_BIN_EXE_webhook-intake")),
        ("stage-executor", env!("CARGO_BIN_EXE_stage-executor")),
        ("approval-callback", env!("CARGO_BIN_EXE_approval-callback")),
        ("metric-check", env!("CARGO_BIN_EXE_metric-check")),
    ];
    built
        .map(|(name, file)| (name.to_owned(), PathBuf::from(file)))
        .into()
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

/// One stack for everything: starting Java twice for each clause would take longer than the clauses.
#[tokio::test(flavor = "multi_thread")]
async fn the_programs_do_on_lambda_what_they_do_on_the_host() {
    let world = World::new().await;
    hints_become_looks(&world).await;
    lost_hints_are_swept(&world).await;
    doors_answer(&world).await;
    functions_say_who_they_are(&world).await;
    logs_say_which_run_and_which_message(&world);
    nothing_is_done_without_a_right(&world).await;
}

async fn hints_become_looks(world: &World) {
    // Its approval expired years ago: the first look ends it.
    world.overdue("a").await;
    world.send("{nonsense").await;
    let hint = Message::new(run_id("a"), Duty::Steps, Timestamp(0), None).to_body();
    world.send(&hint).await;
    world.send(&hint).await;
    let mapping = world.mapping("StageExecutor");
    let (mut records, mut done) = (0, 0);
    while records < 3 {
        let (more, ended) = mapping.poll().await.unwrap();
        records += more;
        done += ended;
    }
    assert_eq!((records, done), (3, 3));
    let status = world.status("a").await;
    assert!(matches!(status, RunStatus::Failed { .. }), "{status:?}");
    let letters = world.letters().await;
    assert_eq!(letters.len(), 1);
    assert!(
        letters[0].0 == "{nonsense" && letters[0].1.starts_with("the message is not a hint"),
        "{letters:?}"
    );
    // A program that was killed starts again with the next event, and finds everything as it was.
    world.stack.function("StageExecutor").kill().await;
    world.send(&hint).await;
    assert_eq!(mapping.poll().await.unwrap(), (1, 1));
}

async fn lost_hints_are_swept(world: &World) {
    world.overdue("b").await;
    let executor = world.stack.function("StageExecutor");
    let swept = executor.invoke(json!({ "weir": "sweep" })).await.unwrap();
    assert!(swept["swept"].as_u64().unwrap() >= 1, "{swept}");
    world.mapping("StageExecutor").poll().await.unwrap();
    let status = world.status("b").await;
    assert!(matches!(status, RunStatus::Failed { .. }), "{status:?}");
}

async fn doors_answer(world: &World) {
    let intake = world.stack.function("WebhookIntake");
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
    let alarm = include_bytes!("../../../events/plain-alarm/valid/firing.json");
    let answer = intake
        .request(&[("authorization", "Bearer hunter4")], alarm)
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(
        answer.body.contains("nothing is being rolled out to"),
        "{}",
        answer.body
    );
    let answer = intake
        .request(&[("authorization", "Bearer hunter2")], alarm)
        .await
        .unwrap();
    assert_eq!(answer.status, 401, "{}", answer.body);
    a_topic_is_heard(world).await;
    let callback = world.stack.function("ApprovalCallback");
    let answer = callback.request(&[], b"payload=").await.unwrap();
    assert_eq!(answer.status, 401, "{}", answer.body);
    let check = world.stack.function("MetricCheck");
    let answer = check.invoke(json!({ "Records": [] })).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
}

/// A topic starts the function that listens to one. What nobody can read is not brought again.
async fn a_topic_is_heard(world: &World) {
    let notice = |message: &str| {
        let sns = json!({"Type": "Notification", "Subject": "ALARM", "Message": message});
        json!({ "Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns}] })
    };
    let intake = world.stack.function("WebhookIntake");
    let alarm = include_str!("../../../events/cloudwatch-notification/valid/alarm.json");
    for message in [alarm, "nonsense"] {
        assert_eq!(intake.invoke(notice(message)).await.unwrap(), Value::Null);
    }
    let lines = world.logged("webhook-intake");
    let heard = lines.iter().find(|line| {
        let fields = &line["fields"];
        fields["alarm.name"] == "weir/llm/Production/errors" && fields["result"] == "passed"
    });
    assert!(heard.is_some(), "{lines:?}");
    // The body of a request is never a notification, whatever stands in it.
    let posted = notice(alarm).to_string();
    let answer = intake.request(&[], posted.as_bytes()).await.unwrap();
    assert!((400..500).contains(&answer.status), "{}", answer.body);
}

/// Whoever enters a cluster outside of AWS gets a token for it by its role. Nobody answers there, so what should be done stays.
async fn functions_say_who_they_are(world: &World) {
    let due = effect(&run_id("c"), 1, 0, true, Timestamp(0));
    let commit = Commit {
        outbox: vec![due],
        ..first("c")
    };
    world.store.commit(commit).await.unwrap();
    let hint = Message::new(run_id("c"), Duty::Traffic, Timestamp(0), None).to_body();
    let queue = world.stack.reference("TrafficQueue");
    let call = world.stack.sqs.send_message().queue_url(queue);
    call.message_body(hint).send().await.unwrap();
    world.mapping("MetricCheck").poll().await.unwrap();
    let asked = ("MetricCheck".to_owned(), "sts:GetWebIdentityToken".to_owned());
    let bill = world.stack.bill().actions;
    assert!(bill.get(&asked).is_some_and(|times| *times > 0), "{bill:?}");
}

/// A line that a look writes names its run and its message, and what CloudWatch reads as metrics stands among the lines.
fn logs_say_which_run_and_which_message(world: &World) {
    let lines = world.logged("metric-check");
    let look = lines.iter().find_map(|line| {
        let spans = line["spans"].as_array()?;
        spans.iter().find(|span| span["name"] == "look")
    });
    let look = look.unwrap_or_else(|| panic!("no line of a look: {lines:?}"));
    assert_eq!(
        (&look["run.id"], &look["duty"]),
        (&json!("run-c"), &json!("traffic"))
    );
    assert!(
        look["message.id"].as_str().is_some_and(|id| id.len() > 8),
        "{look}"
    );
    for (program, metric) in [
        ("metric-check", "Records"),
        ("stage-executor", "Swept"),
        ("webhook-intake", "RequestsRefused"),
        ("approval-callback", "RequestsRefused"),
    ] {
        let lines = world.logged(program);
        let told = lines
            .iter()
            .find(|line| line["_aws"].is_object() && !line[metric].is_null());
        assert!(told.is_some(), "{program} tells no {metric}: {lines:?}");
    }
}

/// Everything above was done with the rights of the template; a role that lacks one is refused.
async fn nothing_is_done_without_a_right(world: &World) {
    assert_eq!(world.stack.denied(), Vec::<String>::new());
    let check = world.stack.function("MetricCheck");
    let swept = check.invoke(json!({ "weir": "sweep" })).await;
    assert!(swept.is_err(), "{swept:?}");
    let denied = world.stack.denied();
    assert!(
        denied[0].starts_with("MetricCheck may not dynamodb:Query on arn:aws:dynamodb"),
        "{denied:?}"
    );
    assert!(denied[0].contains("/index/due"), "{denied:?}");
}
