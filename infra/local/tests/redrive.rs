//! `weir redrive` on ElasticMQ.
#![allow(clippy::unwrap_used, reason = "everything in here is a test, its helpers too")]

use std::process::Command;

use serde_json::{Value, json};
use weir_emulators::Emulator;

struct Sqs(Emulator);

impl Sqs {
    fn weir(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let output = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(arguments)
            .args(["--format", "json"])
            .env("AWS_ENDPOINT_URL", self.0.url())
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .output()
            .unwrap();
        (
            output.status.code(),
            serde_json::from_slice(&output.stdout).unwrap_or_default(),
        )
    }

    async fn client(&self) -> aws_sdk_sqs::Client {
        let credentials = aws_sdk_sqs::config::Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let config = weir_aws::config::loader()
            .endpoint_url(self.0.url())
            .region(aws_sdk_sqs::config::Region::from_static("eu-central-1"))
            .credentials_provider(credentials);
        aws_sdk_sqs::Client::new(&config.load().await)
    }
}

#[tokio::test]
async fn letters_go_where_they_are_handled_again_and_are_counted_by_reason() {
    let emulator = tokio::task::spawn_blocking(weir_emulators::elasticmq);
    let sqs = Sqs(emulator.await.unwrap().unwrap());
    let client = sqs.client().await;
    let mut urls = Vec::new();
    for name in ["dead", "steps"] {
        let made = client.create_queue().queue_name(name).send().await.unwrap();
        urls.push(made.queue_url.unwrap());
    }
    for n in 0..3 {
        let call = client.send_message().queue_url(&urls[0]);
        call.message_body(format!("letter {n}")).send().await.unwrap();
    }
    let some = sqs.weir(&["redrive", &urls[0], &urls[1], "--limit", "2"]);
    let failed_too_often = |count: u32| json!({"moved": count, "reasons": {"it failed too often": count}});
    assert_eq!(some, (Some(0), failed_too_often(2)));
    let rest = sqs.weir(&["redrive", &urls[0], &urls[1]]);
    assert_eq!(rest, (Some(0), failed_too_often(1)));
    let (code, answer) = sqs.weir(&["redrive", &format!("{}x", urls[0]), &urls[1]]);
    assert_eq!(code, Some(2), "{answer}");
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("could not receive letters"),
        "{answer}"
    );
}
