//! Answers as Prometheus documents them: <https://prometheus.io/docs/prometheus/latest/querying/api/>, sections "Format
//! overview", "Instant queries" and "Expression query result formats".

use super::*;
use crate::provider::stand_in::{Said, StandIn, signs};

const AT: Timestamp = Timestamp(1_435_781_451_781);
const WINDOW: Window = Window {
    from: Timestamp(1_435_781_391_781),
    to: AT,
};

async fn server(said: Said) -> (StandIn, Prometheus) {
    let stand_in = StandIn::saying(vec![said]).await;
    let prometheus = Prometheus::new(&stand_in.address, Authorization::None).unwrap();
    (stand_in, prometheus)
}

async fn number(said: Said) -> Answer<f64> {
    let (_stand_in, prometheus) = server(said).await;
    prometheus.number("up", WINDOW, Fold::Sum).await
}

fn vector(value: &str) -> Said {
    Said::json(format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1435781451.781,"{value}"]}}]}}}}"#
    ))
}

#[tokio::test]
async fn the_documented_example_is_read_series_by_series() {
    let (stand_in, prometheus) = server(Said::json(
        r#"{"status" : "success","data" : {"resultType" : "vector","result" : [
            {"metric" : {"__name__" : "up","job" : "prometheus","instance" : "localhost:9090"},"value": [ 1435781451.781, "1" ]},
            {"metric" : {"__name__" : "up","job" : "node","instance" : "localhost:9100"},"value" : [ 1435781451.781, "0" ]}]}}"#,
    ))
    .await;
    let Answer::Value(series) = prometheus.series("up{a=\"b\"}", AT).await else {
        panic!("two series")
    };
    assert_eq!(series.values().sum::<f64>(), 1.0);
    let (path, headers, body) = stand_in.heard().remove(0);
    assert_eq!(path, "/api/v1/query");
    assert_eq!(headers["content-type"], FORM);
    assert_eq!(body, "query=up%7Ba%3D%22b%22%7D&time=1435781451.781&timeout=7s");
    let Answer::Error(why) = prometheus.number("up", WINDOW, Fold::Sum).await else {
        panic!("which of the two?")
    };
    assert!(why.contains("2 series"), "{why}");
}

#[tokio::test]
async fn a_number_is_a_value_and_what_is_none_is_no_data() {
    assert_eq!(number(vector("1.5")).await, Answer::Value(1.5));
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1435781451.781,"2"]}}"#;
    assert_eq!(number(Said::json(scalar)).await, Answer::Value(2.0));
    for none in ["NaN", "+Inf", "-Inf"] {
        assert!(matches!(number(vector(none)).await, Answer::NoData(_)), "{none}");
    }
    let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    assert!(matches!(number(Said::json(empty)).await, Answer::NoData(_)));
    let partial = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]},"warnings":["store a timed out"]}"#;
    let Answer::NoData(why) = number(Said::json(partial)).await else {
        panic!("partial data decides nothing")
    };
    assert_eq!(why, "the answer is partial: store a timed out");
}

#[tokio::test]
async fn a_failure_is_an_error_and_says_which() {
    let bad = r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:4: parse error: unexpected end of input"}"#;
    let table = [
        (Said::status(400, bad), "bad_data: invalid parameter"),
        (
            Said::status(
                503,
                r#"{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}"#,
            ),
            "timeout: query timed out",
        ),
        (Said::status(502, "<html>bad gateway</html>"), "it answered 502"),
        (Said::status(401, "no"), "it refused the token (401)"),
        (Said::status(200, "<html>login</html>"), "not Prometheus's"),
        (Said::json("x".repeat(10 << 20)), "over 1048576 bytes"),
        (
            Said {
                status: 302,
                headers: vec![("location", "http://169.254.169.254/latest/meta-data/".into())],
                ..Said::default()
            },
            "redirects are not followed",
        ),
        (
            Said::json(r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#),
            "neither a number nor series",
        ),
        (
            Said::json(
                r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"1"}]}]}}"#,
            ),
            "a histogram, not a number",
        ),
    ];
    for (said, expected) in table {
        let Answer::Error(why) = number(said).await else {
            panic!("{expected}")
        };
        assert!(why.contains(expected), "{why}");
    }
}

#[tokio::test]
async fn nobody_there_is_an_error_without_the_query() {
    let prometheus = Prometheus::new("http://127.0.0.1:9", Authorization::None).unwrap();
    let Answer::Error(why) = prometheus.number("secret_query", WINDOW, Fold::Sum).await else {
        panic!("nobody listens")
    };
    assert!(!why.contains("secret_query"), "{why}");
}

#[tokio::test]
async fn a_token_is_sent_and_a_managed_server_gets_a_signature() {
    let stand_in = StandIn::saying(vec![vector("1")]).await;
    let token = Authorization::Bearer(Secret::new("t0k").unwrap());
    assert!(!format!("{token:?}").contains("t0k"));
    let prometheus = Prometheus::new(&stand_in.address, token).unwrap();
    prometheus.number("up", WINDOW, Fold::Sum).await;
    let credentials = aws_credential_types::Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let aws = Authorization::Aws(signs(credentials, AT), "eu-west-1".into());
    let prometheus = Prometheus::new(&format!("{}/workspaces/ws-1", stand_in.address), aws).unwrap();
    prometheus.number("up", WINDOW, Fold::Sum).await;
    let heard = stand_in.heard();
    assert_eq!(heard[0].1["authorization"], "Bearer t0k");
    assert_eq!(heard[1].0, "/workspaces/ws-1/api/v1/query");
    let signature = heard[1].1["authorization"].to_str().unwrap();
    assert!(
        signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150701/eu-west-1/aps/aws4_request"),
        "{signature}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dawdles_is_given_up() {
    let (_stand_in, prometheus) = server(Said {
        after: std::time::Duration::from_secs(60),
        ..vector("1")
    })
    .await;
    let Answer::Error(why) = prometheus.number("up", WINDOW, Fold::Sum).await else {
        panic!("it took a minute")
    };
    assert_eq!(why, "no whole answer within 8 s");
}
