//! Hints over SQS: the contract on ElasticMQ, delays, dead letters, redrive.
#![allow(clippy::unwrap_used, reason = "everything in here is a test, its helpers too")]

mod kit;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message as Received, MessageSystemAttributeName, QueueAttributeName};
use serde_json::json;
use weir_app::{Queue, StoreError};
use weir_aws::SqsQueue;
use weir_aws::queue::{
    Address, DeadLetters, EventBridge, Message, Redriven, Schedule, ScheduleError, Schedules, records,
    traced, work,
};
use weir_contracts::queue::{Ends, suite};
use weir_contracts::sample::run_id;
use weir_domain::Duty;
use weir_domain::ids::RunId;
use weir_domain::time::{Span, Timestamp};
use weir_emulators::{Canned, Lossy};

/// Keeps schedules, for tests to fire.
#[derive(Default)]
struct Kept(Mutex<Vec<Schedule>>);

#[async_trait]
impl Schedules for Kept {
    async fn create(&self, schedule: Schedule) -> Result<(), ScheduleError> {
        self.0.lock().unwrap().push(schedule);
        Ok(())
    }
}

struct Sqs {
    client: Client,
    queue: SqsQueue,
    steps: Address,
    traffic: Address,
    schedules: Arc<Kept>,
}

impl Sqs {
    async fn fresh() -> Self {
        let client = kit::sqs_client().await;
        let steps = kit::sqs_queue(&client, "steps").await;
        let traffic = kit::sqs_queue(&client, "traffic").await;
        let schedules = Arc::<Kept>::default();
        let queue = SqsQueue::new(
            client.clone(),
            steps.clone(),
            traffic.clone(),
            schedules.clone(),
            kit::clock(),
        );
        Self {
            client,
            queue,
            steps,
            traffic,
            schedules,
        }
    }
}

/// One message, removed, or nothing after a second.
async fn receive(client: &Client, url: &str) -> Option<Received> {
    let call = client
        .receive_message()
        .queue_url(url)
        .wait_time_seconds(1)
        .message_attribute_names("All")
        .message_system_attribute_names(MessageSystemAttributeName::All);
    let message = call.send().await.unwrap().messages?.into_iter().next()?;
    let handle = message.receipt_handle.clone();
    client
        .delete_message()
        .queue_url(url)
        .set_receipt_handle(handle)
        .send()
        .await
        .unwrap();
    Some(message)
}

#[async_trait]
impl Ends for Sqs {
    fn queue(&self) -> &dyn Queue {
        &self.queue
    }

    fn now(&self) -> Timestamp {
        kit::clock().now()
    }

    async fn pass(&self, span: Span) {
        tokio::time::sleep(Duration::from_millis(span.0)).await;
    }

    async fn take(&self, duty: Duty) -> Option<RunId> {
        let address = match duty {
            Duty::Steps => &self.steps,
            Duty::Traffic => &self.traffic,
        };
        let message = receive(&self.client, &address.url).await?;
        Some(Message::parse(message.body().unwrap()).unwrap().run)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_over_sqs_keep_the_contract() {
    suite(Sqs::fresh).await;
}

#[tokio::test]
async fn a_hint_beyond_fifteen_minutes_is_scheduled_and_arrives_as_it_was() {
    let sqs = Sqs::fresh().await;
    let now = sqs.now();
    let (soon, late) = (now + Span::minutes(14), now + Span::hours(3));
    sqs.queue.hint(&run_id("a"), Duty::Traffic, soon).await;
    assert!(sqs.schedules.0.lock().unwrap().is_empty());
    let run = run_id("a");
    let hint = sqs.queue.hint(&run, Duty::Traffic, late);
    traced(Some("Root=1-a".into()), hint).await;
    let schedule = sqs.schedules.0.lock().unwrap().pop().unwrap();
    assert_eq!((schedule.at, &schedule.queue), (late, &sqs.traffic.arn));
    // What the scheduler does at its time.
    let call = sqs.client.send_message().queue_url(&sqs.traffic.url);
    call.message_body(schedule.body).send().await.unwrap();
    let arrived = receive(&sqs.client, &sqs.traffic.url).await.unwrap();
    let message = Message::parse(arrived.body().unwrap()).unwrap();
    let expected = Message::new(run_id("a"), Duty::Traffic, late, Some("Root=1-a".into()));
    assert_eq!(message, expected);
}

#[tokio::test]
async fn the_scheduler_is_asked_for_one_message_to_one_queue() {
    let created = (
        200,
        json!({ "ScheduleArn": "arn:aws:scheduler:eu-central-1:1:schedule/weir/x" }).to_string(),
    );
    let exists = (
        409,
        json!({ "__type": "ConflictException", "Message": "it exists" }).to_string(),
    );
    let refused = (
        403,
        json!({ "__type": "AccessDeniedException", "Message": "no right" }).to_string(),
    );
    let server = Canned::serve(vec![created, exists, refused]).await;
    let client = aws_sdk_scheduler::Client::new(&kit::config(&server.url).await);
    let scheduler = EventBridge::new(client, "weir", "arn:aws:iam::1:role/weir-schedules");
    let message = Message::new(run_id("a"), Duty::Steps, Timestamp(1_700_000_000_000), None);
    let schedule = Schedule::new(&message, "arn:aws:sqs:eu-central-1:1:steps".into());
    scheduler.create(schedule.clone()).await.unwrap();
    // The second time it exists, which is as good.
    scheduler.create(schedule.clone()).await.unwrap();
    let refused = scheduler.create(schedule.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("no right"), "{refused}");
    let request = server.requests()[0].clone();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with(&format!("POST /schedules/{} ", schedule.name)),
        "{head}"
    );
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let expected = json!({
        "ActionAfterCompletion": "DELETE",
        "ClientToken": schedule.name,
        "FlexibleTimeWindow": { "Mode": "OFF" },
        "GroupName": "weir",
        "ScheduleExpression": "at(2023-11-14T22:13:20)",
        "Target": {
            "Arn": "arn:aws:sqs:eu-central-1:1:steps",
            "Input": message.to_body(),
            "RoleArn": "arn:aws:iam::1:role/weir-schedules",
        },
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_hint_that_cannot_be_sent_is_nobodys_error() {
    let client = Client::new(&kit::config("http://127.0.0.1:9").await);
    let address = Address {
        url: "http://127.0.0.1:9/000000000000/none".into(),
        arn: "arn:aws:sqs:eu-central-1:1:none".into(),
    };
    let queue = SqsQueue::new(
        client,
        address.clone(),
        address,
        Arc::<Kept>::default(),
        kit::clock(),
    );
    queue.hint(&run_id("a"), Duty::Steps, Timestamp(0)).await;
}

#[tokio::test]
async fn the_trace_goes_along_with_a_hint() {
    let sqs = Sqs::fresh().await;
    let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";
    let run = run_id("a");
    let hint = sqs.queue.hint(&run, Duty::Steps, Timestamp(0));
    traced(Some(header.into()), hint).await;
    let message = receive(&sqs.client, &sqs.steps.url).await.unwrap();
    let attributes = message.attributes.unwrap();
    assert_eq!(
        attributes.get(&MessageSystemAttributeName::AwsTraceHeader),
        Some(&header.to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_that_was_sent_although_nobody_heard_comes_out_and_may_do_so_twice() {
    let sqs = Sqs::fresh().await;
    let lossy = Lossy::to(kit::elasticmq().address()).await.unwrap();
    let client = Client::new(&kit::config(&lossy.url()).await);
    let (steps, traffic) = (sqs.steps.clone(), sqs.traffic.clone());
    let queue = SqsQueue::new(client, steps, traffic, sqs.schedules.clone(), kit::clock());
    lossy.lose_the_answer_to("SendMessage");
    queue.hint(&run_id("a"), Duty::Steps, Timestamp(0)).await;
    assert_eq!(lossy.lost(), 1);
    let mut taken = 0;
    while let Some(run) = sqs.take(Duty::Steps).await {
        assert_eq!(run, run_id("a"));
        taken += 1;
    }
    assert_eq!(taken, 2, "it was sent again, for nobody could know");
}

/// A batch as Lambda hands it over, of everything that is in a queue.
async fn batch(client: &Client, url: &str) -> serde_json::Value {
    let mut list = Vec::new();
    while let Some(message) = receive(client, url).await {
        list.push(json!({ "messageId": message.message_id, "body": message.body }));
    }
    json!({ "Records": list })
}

#[tokio::test]
async fn dead_letters_keep_their_reason_and_are_redriven() {
    let sqs = Sqs::fresh().await;
    let dead = kit::sqs_queue(&sqs.client, "dead").await;
    let letters = DeadLetters::new(sqs.client.clone(), &dead.url);
    for body in ["{nonsense", "\u{fffd}"] {
        let call = sqs.client.send_message().queue_url(&sqs.steps.url);
        call.message_body(body).send().await.unwrap();
    }
    sqs.queue.hint(&run_id("never"), Duty::Steps, Timestamp(0)).await;
    sqs.queue.hint(&run_id("well"), Duty::Steps, Timestamp(0)).await;
    let look = |message: Message| async move {
        match message.run == run_id("never") {
            true => Err(StoreError::Decode {
                item: "RUN#never".into(),
                why: "it has schema 9".into(),
            }),
            false => Ok(()),
        }
    };
    let response = work(&batch(&sqs.client, &sqs.steps.url).await, &letters, look).await;
    assert_eq!(response.failures, [], "what was parked is done");
    // What the queue parked by itself has no reason.
    let call = sqs.client.send_message().queue_url(&dead.url);
    let timed_out = Message::new(run_id("slow"), Duty::Steps, Timestamp(0), None);
    call.message_body(timed_out.to_body()).send().await.unwrap();

    let first = letters.redrive(&sqs.steps.url, 3).await.unwrap();
    let rest = letters.redrive(&sqs.steps.url, 99).await.unwrap();
    assert_eq!((first.moved, rest.moved), (3, 1));
    let mut reasons = first.reasons;
    for (reason, count) in rest.reasons {
        *reasons.entry(reason).or_default() += count;
    }
    let reasons: Vec<(String, u32)> = reasons.into_iter().collect();
    assert!(
        reasons.contains(&("RUN#never cannot be read: it has schema 9".to_owned(), 1)),
        "{reasons:?}"
    );
    assert!(
        reasons.contains(&("it failed too often".to_owned(), 1)),
        "{reasons:?}"
    );
    let nothing = letters.redrive(&sqs.steps.url, 99).await.unwrap();
    assert_eq!(nothing, Redriven::default());
    let again = records(&batch(&sqs.client, &sqs.steps.url).await);
    let readable = again.iter().filter(|record| record.message.is_ok()).count();
    assert_eq!((again.len(), readable), (4, 2));
}

#[tokio::test]
async fn a_record_that_fails_comes_back_and_is_parked_by_the_queue_in_the_end() {
    let sqs = Sqs::fresh().await;
    let dead = kit::sqs_queue(&sqs.client, "dead").await;
    let policy = json!({ "deadLetterTargetArn": dead.arn, "maxReceiveCount": 2 }).to_string();
    let call = sqs.client.set_queue_attributes().queue_url(&sqs.steps.url);
    call.attributes(QueueAttributeName::RedrivePolicy, policy)
        .attributes(QueueAttributeName::VisibilityTimeout, "0")
        .send()
        .await
        .unwrap();
    sqs.queue.hint(&run_id("a"), Duty::Steps, Timestamp(0)).await;
    for _ in 0..2 {
        let call = sqs.client.receive_message().queue_url(&sqs.steps.url);
        let received = call.wait_time_seconds(1).send().await.unwrap();
        let message = &received.messages()[0];
        let event = json!({ "Records": [{ "messageId": message.message_id, "body": message.body }] });
        let look = |_| async { Err::<(), _>(StoreError::Conflict("run a".into())) };
        let letters = DeadLetters::new(sqs.client.clone(), &dead.url);
        let response = work(&event, &letters, look).await;
        // Lambda leaves it in the queue, and it becomes visible again.
        assert_eq!(response.failures.len(), 1);
    }
    let call = sqs.client.receive_message().queue_url(&sqs.steps.url);
    let gone = call.wait_time_seconds(1).send().await.unwrap();
    assert!(gone.messages().is_empty());
    let letters = DeadLetters::new(sqs.client.clone(), &dead.url);
    let redriven = letters.redrive(&sqs.steps.url, 9).await.unwrap();
    assert_eq!(redriven.moved, 1);
}
