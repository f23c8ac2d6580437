//! Answers as AWS documents them: GetMetricData and MetricDataResult of
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataResult.html>; timestamps are Unix
//! seconds in the JSON form of the protocol.

use aws_credential_types::Credentials;

use super::*;
use crate::provider::stand_in::{Said, StandIn, signs};
use weir_domain::time::Timestamp;

const WINDOW: Window = Window {
    from: Timestamp(1_700_000_040_000),
    to: Timestamp(1_700_000_160_000),
};

/// Five days later: whoever asks is believed by when it asks, not by what for.
const NOW: Timestamp = Timestamp(1_700_432_000_000);

fn page(status: &str, points: &str, next: &str) -> Said {
    Said::json(format!(
        r#"{{"MetricDataResults":[{{"Id":"m1","Label":"RequestCount","StatusCode":"{status}",{points},"Messages":[]}}],"Messages":[]{next}}}"#
    ))
}

async fn ask(answers: Vec<Said>) -> (StandIn, CloudWatch) {
    let stand_in = StandIn::saying(answers).await;
    let keys = Credentials::new("AKIDEXAMPLE", "secret", Some("session".into()), None, "test");
    let cloudwatch = CloudWatch::new("eu-west-1", Some(&stand_in.address), signs(keys, NOW)).unwrap();
    (stand_in, cloudwatch)
}

async fn sum(answers: Vec<Said>) -> Answer<f64> {
    let (_stand_in, cloudwatch) = ask(answers).await;
    cloudwatch.number("SUM(METRICS())", WINDOW, Fold::Sum).await
}

const TWO: &str = r#""Timestamps":[1700000040,1700000100],"Values":[10.0,12.0]"#;
const EMPTY: &str = r#""Timestamps":[],"Values":[]"#;

#[tokio::test]
async fn pages_are_read_until_there_is_no_more() {
    let first = page(
        "PartialData",
        r#""Timestamps":[1700000040],"Values":[10.0]"#,
        r#","NextToken":"n1""#,
    );
    let second = page(
        "Complete",
        r#""Timestamps":[1700000100,1700000160],"Values":[12.0,99.0]"#,
        "",
    );
    let (stand_in, cloudwatch) = ask(vec![first, second]).await;
    let answer = cloudwatch
        .number("SELECT SUM(RequestCount) FROM \"A\"", WINDOW, Fold::Sum)
        .await;
    assert_eq!(
        answer,
        Answer::Value(22.0),
        "the minute after the window is left out"
    );
    let heard = stand_in.heard();
    assert_eq!(heard.len(), 2);
    let sent: Value = serde_json::from_str(&heard[1].2).unwrap();
    assert_eq!(sent["NextToken"], "n1");
    assert_eq!(
        (&sent["StartTime"], &sent["EndTime"]),
        (&json!(1_700_000_040), &json!(1_700_000_160))
    );
    let headers = &heard[0].1;
    assert_eq!(
        headers["x-amz-target"],
        "GraniteServiceVersion20100801.GetMetricData"
    );
    assert_eq!(headers["x-amz-security-token"], "session");
    let signature = headers["authorization"].to_str().unwrap();
    assert!(
        signature.contains("AKIDEXAMPLE/20231119/eu-west-1/monitoring/aws4_request"),
        "{signature}"
    );
    assert!(
        signature.contains("x-amz-target"),
        "the operation is signed: {signature}"
    );
}

#[tokio::test]
async fn complete_and_empty_is_no_data_and_so_is_partial() {
    assert_eq!(sum(vec![page("Complete", TWO, "")]).await, Answer::Value(22.0));
    assert!(matches!(
        sum(vec![page("Complete", EMPTY, "")]).await,
        Answer::NoData(_)
    ));
    let Answer::NoData(why) = sum(vec![page("PartialData", TWO, "")]).await else {
        panic!("it is partial")
    };
    assert_eq!(why, "the answer is partial");
    let told = page(
        "Complete",
        TWO,
        r#","Messages":[{"Code":"MaxMetricsExceeded","Value":"Maximum number of allowed metrics exceeded"}]"#,
    );
    let body = told
        .body
        .replacen(r#""Messages":[],"Messages""#, r#""Messages""#, 1);
    let Answer::NoData(why) = sum(vec![Said { body, ..told }]).await else {
        panic!("it says that it is partial")
    };
    assert_eq!(
        why,
        "the answer is partial: Maximum number of allowed metrics exceeded"
    );
    assert!(matches!(
        sum(vec![Said::json(r#"{"MetricDataResults":[],"Messages":[]}"#)]).await,
        Answer::NoData(_)
    ));
}

#[tokio::test]
async fn errors_say_what_they_are() {
    let table = [
        (page("InternalError", EMPTY, ""), "InternalError"),
        (page("Forbidden", EMPTY, ""), "Forbidden"),
        (
            Said::status(
                400,
                r#"{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"The security token included in the request is expired"}"#,
            ),
            "ExpiredTokenException: The security token",
        ),
        (
            Said::status(
                400,
                r#"{"__type":"ValidationError","message":"The parameter MetricDataQueries is not valid."}"#,
            ),
            "ValidationError",
        ),
        (Said::json("<GetMetricDataResponse/>"), "not CloudWatch's"),
        (
            page("PartialData", TWO, r#","NextToken":"again""#),
            "more than 10 pages",
        ),
        (
            Said::json(
                r#"{"MetricDataResults":[{"Id":"a","StatusCode":"Complete"},{"Id":"b","StatusCode":"Complete"}]}"#,
            ),
            "several results",
        ),
    ];
    for (said, expected) in table {
        let Answer::Error(why) = sum(vec![said]).await else {
            panic!("{expected}")
        };
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn a_query_is_an_expression_or_cloudwatchs_own_list() {
    let own =
        r#"[{"Id":"e","MetricStat":{"Metric":{"Namespace":"A","MetricName":"B"},"Period":60,"Stat":"Sum"}}]"#;
    assert_eq!(queries(own, WINDOW).unwrap()[0]["Id"], "e");
    assert_eq!(queries("m1 / m2", WINDOW).unwrap()[0]["Period"], 120);
    assert!(queries("[", WINDOW).is_err());
    assert!(queries("[]", WINDOW).is_err());
}
