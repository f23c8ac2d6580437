use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use weir_domain::Duty;
use weir_domain::ids::RunId;
use weir_domain::time::{Span, Timestamp};

use super::*;
use crate::queue::current_trace;

#[derive(Default)]
struct Kept {
    letters: Mutex<Vec<(String, String)>>,
    full: bool,
}

#[async_trait]
impl Parking for Kept {
    async fn park(&self, record: &Record, reason: &str) -> Result<(), QueueError> {
        if self.full {
            return Err(QueueError::new("park a record", "it is away"));
        }
        let letter = (record.body.clone(), reason.to_owned());
        self.letters.lock().unwrap().push(letter);
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
struct Failed(Retry);

impl Classified for Failed {
    fn retry(&self) -> Retry {
        self.0
    }
}

fn hint(run: &str) -> String {
    Message::new(RunId::new(run), Duty::Steps, Timestamp(1), None).to_body()
}

fn event(bodies: &[(&str, &str)]) -> Value {
    let records = bodies
        .iter()
        .map(|(id, body)| json!({ "messageId": id, "body": body }));
    json!({ "Records": records.collect::<Vec<_>>() })
}

async fn look(message: Message) -> Result<(), Failed> {
    match message.run.as_str() {
        "panics" => panic!("a bug"),
        "later" => Err(Failed(Retry::After(Span::seconds(1)))),
        "conflict" => Err(Failed(Retry::Conflict)),
        "never" => Err(Failed(Retry::Never)),
        _ => Ok(()),
    }
}

fn ids(response: &BatchResponse) -> Vec<&str> {
    response
        .failures
        .iter()
        .map(|failure| failure.id.as_str())
        .collect()
}

#[tokio::test]
async fn a_record_that_goes_wrong_takes_no_other_with_it() {
    let kept = Kept::default();
    let bodies = [
        ("1", hint("well")),
        ("2", "{not json".to_owned()),
        ("3", hint("panics")),
        ("4", hint("later")),
        ("5", hint("never")),
        ("6", hint("conflict")),
        ("7", hint("also-well")),
    ];
    let bodies: Vec<_> = bodies.iter().map(|(id, body)| (*id, body.as_str())).collect();
    let response = work(&event(&bodies), &kept, look).await;
    assert_eq!(ids(&response), ["3", "4", "6"]);
    let mut letters = kept.letters.lock().unwrap().clone();
    letters.sort();
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0], (hint("never"), "Never".to_owned()));
    assert!(
        letters[1].1.starts_with("the message is not a hint: "),
        "{letters:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_parked_is_delivered_again() {
    let kept = Kept {
        full: true,
        ..Kept::default()
    };
    let response = work(&event(&[("1", "?"), ("2", &hint("never"))]), &kept, look).await;
    assert_eq!(ids(&response), ["1", "2"]);
}

#[tokio::test]
async fn records_for_the_same_look_share_it_and_its_outcome() {
    let looks = AtomicU32::new(0);
    let counted = |message| {
        looks.fetch_add(1, Ordering::Relaxed);
        look(message)
    };
    let later = hint("later");
    let response = work(
        &event(&[("1", &later), ("2", &later), ("3", &later)]),
        &Kept::default(),
        counted,
    )
    .await;
    assert_eq!(looks.load(Ordering::Relaxed), 1);
    assert_eq!(ids(&response), ["1", "2", "3"]);
}

#[tokio::test]
async fn the_trace_of_a_record_is_that_of_its_look() {
    let seen = Mutex::new(Vec::new());
    let note = |_| async {
        seen.lock().unwrap().push(current_trace());
        Ok::<(), Failed>(())
    };
    let attributes = json!({ "AWSTraceHeader": "Root=1-a", "ApproximateReceiveCount": "3" });
    let by_sqs = json!({ "messageId": "1", "body": hint("a"), "attributes": attributes });
    let carried = Message::new(
        RunId::new("b"),
        Duty::Steps,
        Timestamp(1),
        Some("Root=1-b".into()),
    );
    let by_schedule = json!({ "messageId": "2", "body": carried.to_body() });
    let event = json!({ "Records": [by_sqs, by_schedule] });
    assert_eq!(records(&event)[0].received, 3);
    work(&event, &Kept::default(), note).await;
    let expected = [Some("Root=1-a".to_owned()), Some("Root=1-b".to_owned())];
    assert_eq!(*seen.lock().unwrap(), expected);
    assert_eq!(current_trace(), None);
}

#[tokio::test]
async fn what_is_no_event_has_no_records() {
    let odd = [
        json!(null),
        json!([]),
        json!({ "Records": 1 }),
        json!({ "Records": [] }),
    ];
    for event in odd {
        let response = work(&event, &Kept::default(), look).await;
        assert_eq!(response, BatchResponse::default());
    }
    // A record of no form at all is a letter, and nothing that could be asked for again.
    let kept = Kept::default();
    let response = work(&json!({ "Records": [null, 7, "x"] }), &kept, look).await;
    assert_eq!((ids(&response).len(), kept.letters.lock().unwrap().len()), (0, 3));
}

#[test]
fn the_response_is_spelled_as_lambda_reads_it() {
    let response = BatchResponse {
        failures: vec![Failure { id: "1".into() }],
    };
    assert_eq!(
        serde_json::to_value(response).unwrap(),
        json!({ "batchItemFailures": [{ "itemIdentifier": "1" }] })
    );
}
