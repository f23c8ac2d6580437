//! Somebody is called when something goes wrong, and can read what happened.

use std::collections::BTreeSet;

use serde_json::json;

use super::{FUNCTIONS, referred, template};

#[test]
fn everything_that_can_go_wrong_has_its_alarm() {
    let template = template();
    let mut watched = BTreeSet::new();
    for (id, alarm) in template.of_kind("AWS::CloudWatch::Alarm") {
        let alarm = &alarm.properties;
        let metric = alarm["MetricName"].as_str().unwrap();
        let of = referred(&alarm["Dimensions"][0]["Value"]);
        assert!(
            watched.insert((metric.to_owned(), of)),
            "{id} watches what another does"
        );
        assert_eq!(referred(&alarm["AlarmActions"][0]), "Alarms", "{id}");
    }
    let mut expected = BTreeSet::from([("SweepLag", "StageExecutor".to_owned())]);
    for (function, _) in FUNCTIONS {
        expected.insert(("Errors", function.to_owned()));
        expected.insert(("Throttles", function.to_owned()));
    }
    for queue in ["Steps", "Traffic"] {
        expected.insert(("ApproximateAgeOfOldestMessage", format!("{queue}Queue")));
        expected.insert((
            "ApproximateNumberOfMessagesVisible",
            format!("{queue}DeadLetters"),
        ));
    }
    let expected = expected.into_iter().map(|(metric, of)| (metric.to_owned(), of));
    assert_eq!(watched, expected.collect());
}

#[test]
fn a_sweep_that_does_not_run_is_an_alarm_too() {
    let template = template();
    let alarm = &template.resources["SweepIsLate"].properties;
    assert_eq!(alarm["TreatMissingData"], "breaching");
    let metric = (&alarm["Namespace"], &alarm["MetricName"]);
    let told = weir_lambda::SWEEP_LAG;
    assert_eq!(metric, (&told.0.into(), &told.1.into()));
    let sweep = &template.resources["Sweep"].properties;
    assert_eq!(referred(&sweep["Target"]["Arn"]), "StageExecutor");
    assert_eq!(sweep["Target"]["Input"], weir_lambda::SWEEP_EVENT);
}

#[test]
fn logs_are_kept_for_a_stated_time_and_each_function_writes_its_own() {
    let template = template();
    let mut groups = BTreeSet::new();
    for (id, _) in FUNCTIONS {
        let group = referred(&template.function(id)["LoggingConfig"]["LogGroup"]);
        let kept = &template.resources[&group].properties["RetentionInDays"];
        assert_eq!(kept["Ref"], "LogRetentionDays", "{id}");
        assert!(groups.insert(group));
    }
    assert_eq!(groups.len(), template.of_kind("AWS::Logs::LogGroup").count());
}

#[test]
fn a_function_is_started_by_its_own_address_and_by_the_topic_that_is_named_and_by_nobody_else() {
    let template = template();
    let mut started = BTreeSet::new();
    for (id, permission) in template.of_kind("AWS::Lambda::Permission") {
        let asked = &permission.properties;
        let by_topic = asked["Principal"] == "sns.amazonaws.com";
        started.insert((referred(&asked["FunctionName"]), by_topic));
        if by_topic {
            assert_eq!(asked["SourceArn"], json!({ "Ref": "AlarmTopic" }), "{id}");
            assert_eq!(permission.whole["Condition"], "HasTopic", "{id}");
        } else {
            let by_address =
                asked["Action"] == "lambda:InvokeFunctionUrl" || asked["InvokedViaFunctionUrl"] == true;
            assert!(by_address, "{id}");
        }
    }
    let expected = [
        ("ApprovalCallback", false),
        ("WebhookIntake", false),
        ("WebhookIntake", true),
    ];
    let expected = expected.map(|(function, by_topic)| (function.to_owned(), by_topic));
    assert_eq!(started, expected.into());
    let hears = &template.resources["WebhookIntakeHearsTopic"].properties;
    assert_eq!(hears["TopicArn"], json!({ "Ref": "AlarmTopic" }));
    assert_eq!(referred(&hears["Endpoint"]), "WebhookIntake");
}
