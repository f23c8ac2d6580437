//! What may be wrong with any source, told alike by all of them: never a value, never a secret, never for longer than a check.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use weir_domain::time::Timestamp;

use super::stand_in::{Said, StandIn, signs};
use super::*;

const NOW: Timestamp = Timestamp(1_700_000_160_000);
const WINDOW: Window = Window {
    from: Timestamp(1_700_000_040_000),
    to: NOW,
};
const KEYS: &str = "s3cret:s3cret";

/// Every kind of source at one address.
struct Everybody {
    stand_in: StandIn,
    /// With a query that it takes.
    sources: Vec<(&'static str, Box<dyn Provider>, String)>,
}

impl Everybody {
    async fn there() -> Self {
        let stand_in = StandIn::saying(vec![Said::default()]).await;
        let address = stand_in.address.clone();
        let secret = || Secret::new(KEYS).unwrap();
        let prometheus = |how| Box::new(Prometheus::new(&address, how).unwrap());
        let datadog = |version| Box::new(Datadog::new(&address, version, &secret()).unwrap());
        let host = address.trim_start_matches("http://").to_owned();
        let plain = "the_query".to_owned();
        let sources: Vec<(&'static str, Box<dyn Provider>, String)> = vec![
            (
                "prometheus",
                prometheus(Authorization::Bearer(secret())),
                plain.clone(),
            ),
            (
                "prometheus-aws",
                prometheus(Authorization::Aws(role(), "eu-west-1".into())),
                plain.clone(),
            ),
            ("datadog-v1", datadog(DatadogVersion::V1), plain.clone()),
            ("datadog", datadog(DatadogVersion::V2), plain.clone()),
            (
                "cloudwatch",
                Box::new(CloudWatch::new("eu-west-1", Some(&address), role()).unwrap()),
                plain,
            ),
            (
                "json",
                Box::new(JsonApi::new(vec![host], true, Some(secret()))),
                format!("{address}/the_query#/a"),
            ),
        ];
        Self { stand_in, sources }
    }

    /// What each makes of the same answer.
    async fn asked(&self, said: Said) -> Vec<(&'static str, Answer<f64>)> {
        self.stand_in.say(said);
        let mut out = Vec::new();
        for (kind, source, query) in &self.sources {
            out.push((*kind, source.number(query, WINDOW, Fold::Sum).await));
        }
        out
    }

    /// Each says that it is an error, with these words, and no secret.
    async fn all_say(&self, said: Said, expected: &str) {
        for (kind, answer) in self.asked(said).await {
            let Answer::Error(why) = answer else {
                panic!("{kind} took it: {answer:?}, expected an error with {expected:?}")
            };
            assert!(why.contains(expected), "{kind}: {why}");
            for hidden in ["s3cret", "the_query", "127.0.0.1"] {
                assert!(!why.contains(hidden), "{kind}: {why}");
            }
        }
    }
}

fn role() -> Identity {
    signs(Credentials::new("AKID", "s3cret", None, None, "tests"), NOW)
}

#[tokio::test]
async fn ten_megabytes_are_not_read() {
    let all = Everybody::there().await;
    all.all_say(Said::json("x".repeat(10 << 20)), "over 1048576 bytes")
        .await;
    let valid = format!(r#"{{"a":1,"rest":"{}"}}"#, "x".repeat(10 << 20));
    all.all_say(Said::json(valid), "over 1048576 bytes").await;
}

#[tokio::test]
async fn redirects_lead_nowhere() {
    let all = Everybody::there().await;
    for (status, to) in [
        (301, "http://10.0.0.1/"),
        (302, "http://169.254.169.254/latest/meta-data/"),
        (303, "https://elsewhere.example/"),
        (307, "http://[fd00:ec2::254]/"),
        (308, "http://localhost:9/"),
    ] {
        let said = Said {
            status,
            headers: vec![("location", to.into())],
            ..Said::default()
        };
        all.all_say(said, "redirects are not followed").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_byte_now_and_then_is_no_answer() {
    let said = Said {
        dribbles: Some(Duration::from_secs(1)),
        ..Said::json(format!(r#"{{"a":{}}}"#, "1".repeat(100)))
    };
    let all = Everybody::there().await;
    all.all_say(said, "no whole answer within 8 s").await;
}

#[tokio::test(start_paused = true)]
async fn pages_that_each_come_just_in_time_are_too_late_together() {
    let page = r#"{"MetricDataResults":[],"NextToken":"again"}"#;
    let stand_in = StandIn::saying(vec![Said {
        after: Duration::from_secs(5),
        ..Said::json(page)
    }])
    .await;
    let cloudwatch = CloudWatch::new("eu-west-1", Some(&stand_in.address), role()).unwrap();
    let answer = cloudwatch.number("SUM(METRICS())", WINDOW, Fold::Sum).await;
    assert_eq!(answer, Answer::Error("no whole answer within 8 s".into()));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let said = Said {
        breaks_off: true,
        ..Said::json(r#"{"status":"success","a":1}"#)
    };
    Everybody::there().await.all_say(said, "").await;
}

#[tokio::test]
async fn what_is_not_of_its_language_is_never_a_value() {
    let all = Everybody::there().await;
    for text in ["", "<html>login</html>", "{", "\u{0}", &"[".repeat(100_000)] {
        all.all_say(Said::json(text), "").await;
    }
    // JSON, but another's: whatever is said of it, it is no number.
    for text in [
        "null",
        "[]",
        "{}",
        "1",
        r#""1""#,
        r#"{"data":{"result":[]}}"#,
        r#"{"series":null}"#,
    ] {
        for (kind, answer) in all.asked(Said::json(text)).await {
            assert!(!matches!(answer, Answer::Value(_)), "{kind}, {text}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_status_is_told_whatever_stands_below_it() {
    let all = Everybody::there().await;
    // The last: Datadog is not asked again for a while after it.
    for status in [400, 401, 403, 404, 500, 502, 503, 429] {
        for body in ["", "<html>sorry</html>", "{}", r#"{"a":1}"#] {
            for (kind, answer) in all.asked(Said::status(status, body)).await {
                let Answer::Error(why) = answer else {
                    panic!("{kind}, {status}, {body}: {answer:?}")
                };
                let told = why.contains(&status.to_string()) || why.contains("too many requests");
                assert!(told, "{kind}, {status}, {body}: {why}");
            }
        }
    }
}

/// As AWS and Google document refusals of their managed servers.
#[tokio::test]
async fn credentials_that_ended_are_told_in_the_servers_words() {
    let table = [
        (
            403,
            r#"{"message":"The security token included in the request is expired"}"#,
            "it refused the token (403): The security token included in the request is expired",
        ),
        (
            401,
            r#"{"error":{"code":401,"message":"Request had invalid authentication credentials.","status":"UNAUTHENTICATED"}}"#,
            "it refused the token (401): Request had invalid authentication credentials.",
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"Quota exceeded for quota metric 'Queries'.","status":"RESOURCE_EXHAUSTED"}}"#,
            "it answered 429: Quota exceeded for quota metric 'Queries'.",
        ),
    ];
    let all = Everybody::there().await;
    for (status, body, expected) in table {
        let answers = all.asked(Said::status(status, body)).await;
        for (kind, answer) in answers
            .into_iter()
            .filter(|(kind, _)| kind.starts_with("prometheus"))
        {
            assert_eq!(answer, Answer::Error(expected.to_owned()), "{kind}");
        }
    }
}

/// A role whose keys cannot be had any more.
#[derive(Debug)]
struct Ended;

impl ProvideCredentials for Ended {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("the session is over")))
    }
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let stand_in = StandIn::saying(vec![Said::json("{}")]).await;
    let ended = || Identity {
        credentials: SharedCredentialsProvider::new(Ended),
        ..role()
    };
    let sources: [Box<dyn Provider>; 2] = [
        Box::new(CloudWatch::new("eu-west-1", Some(&stand_in.address), ended()).unwrap()),
        Box::new(
            Prometheus::new(&stand_in.address, Authorization::Aws(ended(), "eu-west-1".into())).unwrap(),
        ),
    ];
    for source in sources {
        let Answer::Error(why) = source.number("q", WINDOW, Fold::Sum).await else {
            panic!("nobody signed")
        };
        assert!(why.starts_with("there are no AWS credentials"), "{why}");
    }
    assert!(stand_in.heard().is_empty());
}
