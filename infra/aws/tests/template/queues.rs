//! Queues, what they feed, and where their dead letters go.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{FUNCTIONS, referred, template};

/// Lambda's own advice: a batch may wait for a function that is throttled, and must not come back meanwhile.
const TIMES_THE_TIMEOUT: u64 = 6;

/// Deliveries that Lambda throttles count as receives.
const RECEIVES: u64 = 5;

const TWO_WEEKS_S: u64 = 1_209_600;

/// By queue, the function that it feeds and how.
fn fed() -> BTreeMap<String, (&'static str, Value)> {
    let template = template();
    let mut fed = BTreeMap::new();
    for (id, _) in FUNCTIONS {
        let events = template.function(id)["Events"].clone();
        for event in events.as_object().into_iter().flat_map(|events| events.values()) {
            assert_eq!(event["Type"], "SQS", "{id}");
            let properties = event["Properties"].clone();
            fed.insert(referred(&properties["Queue"]), (id, properties));
        }
    }
    fed
}

#[test]
fn every_queue_feeds_a_function_or_takes_the_dead_letters_of_one_that_does() {
    let template = template();
    let fed = fed();
    let all: BTreeSet<String> = template
        .of_kind("AWS::SQS::Queue")
        .map(|(id, _)| id.to_owned())
        .collect();
    let mut known: BTreeSet<String> = fed.keys().cloned().collect();
    for queue in fed.keys() {
        let properties = &template.resources[queue].properties;
        let redrive = &properties["RedrivePolicy"];
        assert!(
            redrive["maxReceiveCount"].as_u64().unwrap() >= RECEIVES,
            "{queue}"
        );
        let letters = referred(&redrive["deadLetterTargetArn"]);
        assert!(
            known.insert(letters.clone()),
            "{letters} takes the letters of two queues"
        );
        // A letter's age counts from when it was sent first.
        let kept = |id: &str| template.resources[id].properties["MessageRetentionPeriod"].as_u64();
        assert_eq!(kept(&letters), Some(TWO_WEEKS_S), "{letters}");
        assert!(kept(queue) < kept(&letters), "{queue}");
    }
    assert_eq!(all, known);
    for (id, queue) in template.of_kind("AWS::SQS::Queue") {
        assert_eq!(queue.properties["SqsManagedSseEnabled"], true, "{id}");
    }
}

#[test]
fn no_record_comes_back_while_its_batch_is_worked_through() {
    for (queue, (function, _)) in fed() {
        let template = template();
        let visible = &template.resources[&queue].properties["VisibilityTimeout"];
        let timeout = template.function(function)["Timeout"].as_u64().unwrap();
        assert!(
            visible.as_u64().unwrap() >= TIMES_THE_TIMEOUT * timeout,
            "{queue}"
        );
    }
}

#[test]
fn a_record_that_fails_takes_no_other_with_it() {
    for (queue, (_, mapping)) in fed() {
        let types = mapping["FunctionResponseTypes"].as_array().unwrap();
        assert_eq!(*types, ["ReportBatchItemFailures"], "{queue}");
        assert!(mapping["BatchSize"].as_u64().unwrap() <= 10, "{queue}");
        assert!(
            mapping["ScalingConfig"]["MaximumConcurrency"].is_object(),
            "{queue}"
        );
    }
}

#[test]
fn each_queue_function_parks_where_its_queue_parks() {
    let template = template();
    for (queue, (function, _)) in fed() {
        let letters = &template.resources[&queue].properties["RedrivePolicy"]["deadLetterTargetArn"];
        let variable =
            template.function(function)["Environment"]["Variables"]["WEIR_DEAD_LETTERS_URL"].clone();
        assert_eq!(referred(&variable), referred(letters), "{function}");
    }
}
