//! Every sample of an alarm under `events/`: valid ones are understood, invalid ones refused, and the schemas tell the
//! same.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "../../../events/samples.rs"]
mod samples;

use samples::{folder, samples, violations};
use serde_json::Value;
use weir_alarms::{ALARMS_LIMIT, ReadError, Told, authenticate, read};
use weir_app::{Headers, Secret};
use weir_domain::time::Timestamp;

const KINDS: [&str; 4] = [
    "alertmanager",
    "cloudwatch-alarm",
    "cloudwatch-notification",
    "plain-alarm",
];

fn told(body: &[u8]) -> Result<Vec<Told>, ReadError> {
    let headers = Headers::from_pairs([("authorization", "Bearer s3cret")]);
    let secrets = [Secret::new("s3cret").unwrap()];
    read(authenticate(&headers, body, &secrets).unwrap())
}

fn of(kind: &str, name: &str) -> Vec<Told> {
    told(&std::fs::read(folder(kind).join("valid").join(name)).unwrap()).unwrap()
}

#[test]
fn valid_samples_are_understood_and_invalid_ones_refused_by_reader_and_schema_alike() {
    for kind in KINDS {
        for (which, valid) in [("valid", true), ("invalid", false)] {
            let samples = samples(kind, which);
            assert!(samples.len() >= 2, "{kind}/{which} has samples");
            for (path, body) in samples {
                let found = violations(kind, &serde_json::from_slice(&body).unwrap());
                assert_eq!(told(&body).is_ok(), valid, "{}", path.display());
                assert_eq!(found.is_empty(), valid, "{}: {found:?}", path.display());
            }
        }
    }
}

#[test]
fn a_raised_alarm_names_its_service_environment_and_moment_whoever_sends_it() {
    let raised = [
        ("alertmanager", "firing.json", "LlmErrors"),
        ("cloudwatch-alarm", "alarm.json", "weir/llm/Production/errors"),
        (
            "cloudwatch-notification",
            "alarm.json",
            "weir/llm/Production/errors",
        ),
        ("plain-alarm", "firing.json", "llm answers slowly"),
        ("plain-alarm", "datadog.json", "[P1] llm answers slowly"),
    ];
    for (kind, name, called) in raised {
        let told = of(kind, name);
        let [Told::Raised(lane, alarm)] = told.as_slice() else {
            panic!("{kind}/{name}: {told:?}")
        };
        assert_eq!(lane.to_string(), "llm in Production");
        assert_eq!(
            (alarm.name.as_str(), alarm.since),
            (called, Timestamp(1_764_072_000_123))
        );
        assert!(!alarm.summary.is_empty());
    }
}

#[test]
fn what_is_over_or_nobodys_moves_nothing_and_says_why() {
    for (kind, name, expected) in [
        ("alertmanager", "resolved.json", "it is resolved"),
        (
            "alertmanager",
            "nobodys.json",
            "labels weir_service and weir_environment",
        ),
        ("cloudwatch-alarm", "ok.json", "it is OK"),
        ("cloudwatch-notification", "ok.json", "it is OK"),
        (
            "cloudwatch-notification",
            "nobodys.json",
            "call the alarm weir/SERVICE/ENVIRONMENT/NAME",
        ),
        (
            "cloudwatch-alarm",
            "nobodys.json",
            "call the alarm weir/SERVICE/ENVIRONMENT/NAME",
        ),
        ("plain-alarm", "recovered.json", "it is Recovered"),
        (
            "plain-alarm",
            "nobodys.json",
            "give the payload `service` and `environment`",
        ),
        ("plain-alarm", "odd-moment.json", "cannot be read"),
    ] {
        let told = of(kind, name);
        let [Told::Passed { why, .. }] = told.as_slice() else {
            panic!("{kind}/{name}: {told:?}")
        };
        assert!(why.contains(expected), "{kind}/{name}: {why}");
    }
    let raised = of("alertmanager", "several.json");
    assert!(matches!(
        raised.as_slice(),
        [Told::Passed { .. }, Told::Raised(..), Told::Passed { .. }]
    ));
}

#[test]
fn what_no_sender_sends_is_refused_and_a_storm_is_cut() {
    for body in [
        "",
        "[]",
        "{}",
        "null",
        "\"alerts\"",
        "{\"alerts\"",
        "{\"alerts\": null}",
    ] {
        assert!(told(body.as_bytes()).is_err(), "{body}");
    }
    let one = std::fs::read(folder("alertmanager").join("valid/firing.json")).unwrap();
    let mut group: Value = serde_json::from_slice(&one).unwrap();
    let alerts = group["alerts"].as_array_mut().unwrap();
    *alerts = vec![alerts[0].clone(); 10 * ALARMS_LIMIT];
    assert_eq!(told(group.to_string().as_bytes()).unwrap().len(), ALARMS_LIMIT);
}
