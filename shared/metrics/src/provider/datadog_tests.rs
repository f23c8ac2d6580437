//! Answers as Datadog documents them: <https://docs.datadoghq.com/api/latest/metrics/query-timeseries-points/> and
//! <https://docs.datadoghq.com/api/latest/metrics/query-scalar-data-across-multiple-products/>; rate limits:
//! <https://docs.datadoghq.com/api/latest/rate-limits/>.

use super::*;
use crate::provider::stand_in::{Said, StandIn};

/// 17:00 to 17:05.
const WINDOW: Window = Window {
    from: Timestamp(1_575_317_700_000),
    to: Timestamp(1_575_318_000_000),
};

fn points(points: &str) -> Said {
    Said::json(format!(
        r#"{{"status":"ok","res_type":"time_series","resp_version":1,"query":"sum:hits{{*}}.as_count()","from_date":1575317700000,
        "to_date":1575318000000,"series":[{{"end":1575317939000,"metric":"system.cpu.idle","interval":60,"tag_set":[],
        "start":1575317700000,"length":5,"query_index":0,"aggr":null,"scope":"host:foo","expression":"sum:hits{{*}}",
        "unit":[{{"family":"percentage","scale_factor":1,"name":"percent","short_name":"%","plural":"percent","id":17}},null],
        "display_name":"system.cpu.idle","pointlist":{points}}}],"values":[],"times":[],"message":"","group_by":[]}}"#
    ))
}

async fn ask(version: DatadogVersion, answers: Vec<Said>) -> (StandIn, Datadog) {
    let stand_in = StandIn::saying(answers).await;
    let keys = Secret::new("api:application").unwrap();
    let datadog = Datadog::new(&stand_in.address, version, &keys).unwrap();
    (stand_in, datadog)
}

async fn v1(said: Said) -> Answer<f64> {
    let (_stand_in, datadog) = ask(DatadogVersion::V1, vec![said]).await;
    datadog.number("q", WINDOW, Fold::Sum).await
}

async fn v2(body: &str) -> Answer<f64> {
    let (_stand_in, datadog) = ask(DatadogVersion::V2, vec![Said::json(body)]).await;
    datadog.number("q", WINDOW, Fold::Sum).await
}

#[tokio::test]
async fn the_first_interface_takes_seconds_and_gives_milliseconds() {
    let said = points(
        "[[1575317700000,62],[1575317760000,null],[1575317820000,38],[1575317940000,1],[1575317980000,999]]",
    );
    let (stand_in, datadog) = ask(DatadogVersion::V1, vec![said]).await;
    let sum = datadog.number("sum:hits{*}.as_count()", WINDOW, Fold::Sum).await;
    assert_eq!(sum, Answer::Value(101.0), "the last bucket is still filling");
    let mean = datadog.number("q", WINDOW, Fold::Mean).await;
    assert_eq!(mean, Answer::Value(101.0 / 3.0));
    let (path, headers, _) = stand_in.heard().remove(0);
    assert_eq!(
        path,
        "/api/v1/query?from=1575317700&to=1575318000&query=sum%3Ahits%7B*%7D.as_count%28%29"
    );
    assert_eq!(headers["dd-api-key"], "api");
    assert_eq!(headers["dd-application-key"], "application");
    assert!(!format!("{:?}", datadog.api_key).contains("api"));
}

#[tokio::test]
async fn empty_null_and_several_are_told_apart() {
    let empty = r#"{"status":"ok","res_type":"time_series","series":[],"from_date":1,"to_date":2}"#;
    assert!(matches!(v1(Said::json(empty)).await, Answer::NoData(_)));
    assert!(matches!(
        v1(points("[[1575317700000,null]]")).await,
        Answer::NoData(_)
    ));
    assert!(matches!(v1(points("[]")).await, Answer::NoData(_)));
    let two = r#"{"status":"ok","series":[{"pointlist":[]},{"pointlist":[]}]}"#;
    let Answer::Error(why) = v1(Said::json(two)).await else {
        panic!("which?")
    };
    assert!(why.contains("by {…}"), "{why}");
    let failed = r#"{"status":"error","error":"Error parsing query: unable to parse sum:"}"#;
    let Answer::Error(why) = v1(Said::json(failed)).await else {
        panic!("the query is wrong")
    };
    assert!(why.contains("unable to parse"), "{why}");
    let Answer::Error(why) = v1(Said::status(403, r#"{"errors":["Forbidden"]}"#)).await else {
        panic!("the keys are wrong")
    };
    assert_eq!(why, "it refused the keys (403): Forbidden");
}

#[tokio::test]
async fn the_second_interface_gives_one_number() {
    let body = r#"{"data":{"type":"scalar_response","attributes":{"columns":[
        {"name":"a","type":"number","values":[0.5],"meta":{"unit":[{"family":"time","name":"minute","scale_factor":60},null]}}]}}}"#;
    let (stand_in, datadog) = ask(DatadogVersion::V2, vec![Said::json(body)]).await;
    assert_eq!(
        datadog.number("sum:hits{*}", WINDOW, Fold::Sum).await,
        Answer::Value(0.5)
    );
    let (path, _, sent) = stand_in.heard().remove(0);
    assert_eq!(path, "/api/v2/query/scalar");
    let sent: Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(sent["data"]["type"], "scalar_request");
    assert_eq!(sent["data"]["attributes"]["from"], 1_575_317_700_000_i64);
    assert_eq!(sent["data"]["attributes"]["queries"][0]["aggregator"], "sum");
    let null = r#"{"data":{"attributes":{"columns":[{"name":"a","type":"number","values":[null]}]}}}"#;
    assert!(matches!(v2(null).await, Answer::NoData(_)));
    let empty = r#"{"data":{"attributes":{"columns":[]}}}"#;
    assert!(matches!(v2(empty).await, Answer::NoData(_)));
    let grouped = r#"{"data":{"attributes":{"columns":[{"name":"env","type":"group","values":[["a"],["b"]]},
        {"name":"a","type":"number","values":[1,2]}]}}}"#;
    assert!(matches!(v2(grouped).await, Answer::Error(_)));
    assert!(matches!(
        v2(r#"{"errors":"invalid query"}"#).await,
        Answer::Error(_)
    ));
}

#[tokio::test]
async fn too_many_requests_are_not_followed_by_more() {
    let limited = Said {
        status: 429,
        headers: vec![
            ("x-ratelimit-limit", "100".into()),
            ("x-ratelimit-period", "60".into()),
            ("x-ratelimit-remaining", "0".into()),
            ("x-ratelimit-reset", "30".into()),
        ],
        body: r#"{"errors":["Too many requests"]}"#.into(),
        ..Said::default()
    };
    let (stand_in, datadog) = ask(DatadogVersion::V1, vec![limited, points("[[1575317700000,1]]")]).await;
    let later = |seconds| Window {
        from: WINDOW.from,
        to: WINDOW.to + Span::seconds(seconds),
    };
    for seconds in [0, 20] {
        let Answer::Error(why) = datadog.number("q", later(seconds), Fold::Sum).await else {
            panic!("the limit was reached")
        };
        assert!(why.contains("too many requests"), "{why}");
    }
    assert_eq!(stand_in.heard().len(), 1, "the second question was not sent");
    assert_eq!(
        datadog.number("q", later(31), Fold::Sum).await,
        Answer::Value(1.0)
    );
}

#[test]
fn two_keys_are_needed() {
    let one = Secret::new("only-one").unwrap();
    assert!(Datadog::new("https://api.datadoghq.eu", DatadogVersion::V2, &one).is_err());
}
