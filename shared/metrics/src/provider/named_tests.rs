//! What an owner may write, and what is said of everything else.

use super::*;
use crate::provider::stand_in::{Said, StandIn, Stopped};
use crate::provider::{Answer, Fold, Window};
use weir_domain::time::Timestamp;

const WINDOW: Window = Window {
    from: Timestamp(1_435_781_400_000),
    to: Timestamp(1_435_781_460_000),
};

/// A host with one key for everything, or none, and a role or none.
#[derive(Default)]
struct Host {
    key: Option<&'static str>,
    role: bool,
}

impl Keys for Host {
    fn key(&self, _: &str) -> Result<Option<Secret>, String> {
        Ok(self.key.and_then(Secret::new))
    }

    fn place(&self, source: &str) -> String {
        format!("the key of {source}")
    }

    fn role(&self) -> Option<SharedCredentialsProvider> {
        let role = Credentials::new("ASIAROLE", "s3cret of the role", None, None, "tests");
        self.role.then(|| SharedCredentialsProvider::new(role))
    }
}

fn with_key(key: &'static str) -> Host {
    Host {
        key: Some(key),
        ..Host::default()
    }
}

fn with_role() -> Host {
    Host {
        role: true,
        ..Host::default()
    }
}

fn made(text: &str, host: &Host) -> Result<Arc<dyn Provider>, String> {
    let named: Named = text.parse().map_err(|error: NamedError| error.to_string())?;
    assert_eq!(named.to_string(), text);
    let clock: Arc<dyn Clock> = Arc::new(Stopped(WINDOW.to));
    named.server(host, &clock)
}

const SIGNED: [&str; 2] = [
    "a=prometheus-aws:eu-west-1:https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1",
    "a=cloudwatch:eu-west-1",
];

#[test]
fn every_kind_is_made_from_its_text_and_its_key() {
    let texts = [
        "a=prometheus:http://prometheus.monitoring.svc:9090",
        "a=prometheus:http://127.0.0.1:9090",
        "gpu-metrics2=datadog:https://api.datadoghq.eu",
        "a=datadog-v1:https://api.datadoghq.eu",
        "a=json:quality.example,scores.example:8443",
        "a=json-private:quality.example",
    ];
    for text in texts.into_iter().chain(SIGNED) {
        assert!(made(text, &with_key("key:s3cret")).is_ok(), "{text}");
    }
    let open = Host::default();
    assert!(made("a=prometheus:https://prom.example", &open).is_ok());
    assert!(made("a=json:scores.example", &open).is_ok());
    for text in SIGNED {
        assert!(made(text, &with_role()).is_ok(), "{text}");
    }
}

#[test]
fn what_cannot_be_used_is_said() {
    let name = "with a name of lower-case letters";
    let kind = "expected NAME=KIND:WHERE, where KIND:WHERE is prometheus:URL";
    let table = [
        ("", name),
        ("prometheus:https://prom.example", name),
        ("=prometheus:https://prom.example", name),
        ("Prom=prometheus:https://prom.example", name),
        ("a b=prometheus:https://prom.example", name),
        ("a=", kind),
        ("a=prometheus", kind),
        ("a=graphite:https://x.example", kind),
        (
            "a=prometheus:",
            ": expected https://HOST, or http:// on this machine",
        ),
        (
            "a=prometheus:http://prom.example",
            "http://prom.example: expected https://",
        ),
        ("a=datadog:https://u:p@api.datadoghq.eu", "expected https://HOST"),
        (
            "a=prometheus-aws:https://aps-workspaces.eu-west-1.amazonaws.com",
            ": expected https://",
        ),
        ("a=prometheus-aws:eu-west-1", kind),
        ("a=prometheus-google:1/weir/aws", kind),
        (
            "a=prometheus-google:https://monitoring.googleapis.com/v1/projects/p/location/global/prometheus",
            ": expected https://",
        ),
        (
            "a=prometheus-google:1/weir/aws:https://monitoring.googleapis.com/v1/projects/p/location/global/prometheus",
            "this host has nothing that provider 1/weir/aws would believe",
        ),
        ("a=cloudwatch:", kind),
        ("a=cloudwatch:evil.example/", kind),
        ("a=json:", kind),
        ("a=json:quality.example,", kind),
    ];
    for (text, expected) in table {
        let error = made(text, &with_key("key:s3cret")).err();
        let error = error.unwrap_or_else(|| panic!("`{text}` was taken"));
        assert!(error.contains(expected), "`{text}`: {error}");
    }
}

#[test]
fn a_key_that_is_missing_or_wrong_is_said_with_its_place_and_never_shown() {
    let keys = "set the key of a to its keys";
    let signed = "set the key of a to KEY:SECRET or KEY:SECRET:SESSION";
    let datadog = "a=datadog:https://api.datadoghq.eu";
    let table = [
        (datadog, Host::default(), keys),
        (datadog, with_role(), keys),
        (
            datadog,
            with_key("s3cret"),
            "Datadog needs two keys, written API_KEY:APPLICATION_KEY",
        ),
        (SIGNED[0], Host::default(), signed),
        (SIGNED[1], Host::default(), signed),
        (SIGNED[1], with_key("s3cret"), signed),
    ];
    for (text, host, expected) in table {
        let error = made(text, &host).err().unwrap();
        assert!(error.contains(expected) && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn a_name_stands_for_one_server() {
    let named = |texts: &[&str]| -> Vec<Named> { texts.iter().map(|text| text.parse().unwrap()).collect() };
    let all = named(&["a=json:x.example", "b=json:x.example"]);
    assert_eq!(Named::twice(&all), None);
    let all = named(&["a=json:x.example", "b=json:x.example", "a=cloudwatch:eu-west-1"]);
    assert_eq!(Named::twice(&all), Some("a"));
}

#[tokio::test]
async fn a_source_of_aws_is_asked_with_its_key_and_else_by_the_role() {
    let vector = r#"{"status":"success","data":{"resultType":"scalar","result":[1435781451.781,"2"]}}"#;
    let stand_in = StandIn::saying(vec![Said::json(vector)]).await;
    let text = format!(
        "amp=prometheus-aws:eu-west-1:{}/workspaces/ws-1",
        stand_in.address
    );
    let both = Host {
        key: Some("AKIDKEY:s3cret:sess:ion"),
        role: true,
    };
    for host in [both, with_role()] {
        let server = made(&text, &host).unwrap();
        assert_eq!(server.number("up", WINDOW, Fold::Sum).await, Answer::Value(2.0));
    }
    let heard = stand_in.heard();
    let by = |n: usize| heard[n].1["authorization"].to_str().unwrap().to_owned();
    assert!(
        by(0).contains("Credential=AKIDKEY/20150701/eu-west-1/aps"),
        "{}",
        by(0)
    );
    assert_eq!(heard[0].1["x-amz-security-token"], "sess:ion");
    assert!(by(1).contains("Credential=ASIAROLE/"), "{}", by(1));
}
