//! A function that its stack names sources to asks them, with what its secret holds now.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use weir_app::{Measured, Ports};
use weir_contracts::sample;
use weir_domain::condition::{Comparison, Condition, Dimension, Mode, Op, Quantity, Reading};
use weir_domain::ids::RevisionId;
use weir_domain::pipeline::{Collect, Measure, Query, StageWork, StepWork};
use weir_domain::rollout::Rollout;
use weir_domain::run::Run;
use weir_domain::time::{Span, Timestamp};
use weir_emulators::{Canned, Heard, Played, verified};

use crate::host::Host;
use crate::kept::Kept;

/// A run whose rollout rests on a number of the source with this name.
fn asking(source: &str) -> Run {
    let mut run = sample::run("one", "llm", 1);
    let stages = &mut std::sync::Arc::make_mut(&mut run.pipeline).stages;
    let StageWork::Steps { steps, .. } = &mut stages[sample::ROLLOUT.stage].work else {
        panic!("a stage of steps")
    };
    let StepWork::Rollout(rule) = &mut steps[sample::ROLLOUT.step].work else {
        panic!("a rollout")
    };
    let measure = Measure {
        source: source.to_owned(),
        query: Query::Value("quality".to_owned()),
    };
    rule.measures.insert("quality".to_owned(), measure);
    rule.rollback = Some(Condition::Compare(Comparison {
        metric: "quality".to_owned(),
        window: None,
        op: Op::Below,
        line: Quantity {
            value: 0.8,
            dimension: Dimension::Number,
            written: "0.8".to_owned(),
        },
        during: None,
        mode: Mode::Evidence,
    }));
    let rollout = Rollout::new(RevisionId::new("r-new"), Timestamp(0));
    run.stages[sample::ROLLOUT.stage].steps[sample::ROLLOUT.step].rollout = Some(Box::new(rollout));
    run
}

fn collect(source: &str) -> Collect {
    Collect {
        metrics: vec!["model_a.latency".to_owned()],
        duration: Span::minutes(5),
        source: source.to_owned(),
    }
}

async fn host(account: &str, source: &str, secrets: &str) -> Host {
    let mut host = Host::for_tests(account, secrets).await;
    host.settings.github_api = "https://api.github.com".to_owned();
    host.settings.sources = vec![source.parse().unwrap()];
    host
}

/// What the source with this name says.
async fn quality(ports: &Ports, source: &str) -> Reading {
    let values = ports.traffic.values(&asking(source), sample::ROLLOUT).await;
    let expected = ["quality".to_owned()];
    assert!(values.keys().eq(&expected), "{values:?}");
    values["quality"].clone()
}

fn secret(keys: &str) -> String {
    json!({ "sources": { "dd": keys } }).to_string()
}

/// Datadog, for whoever has the keys `api-N` and `app-N`.
fn datadog(request: &Heard) -> (u16, String) {
    let api = request.header("dd-api-key").strip_prefix("api-");
    if api.is_none() || api != request.header("dd-application-key").strip_prefix("app-") {
        return (403, json!({ "errors": ["Forbidden"] }).to_string());
    }
    let column = json!({ "name": "a", "type": "number", "values": [0.93] });
    let answer = json!({ "data": { "type": "scalar_response", "attributes": { "columns": [column] } } });
    (200, answer.to_string())
}

#[tokio::test]
async fn a_source_is_asked_with_its_key_and_with_the_next_one_after_an_exchange() {
    let said = |keys: &str| {
        let answer = json!({ "Name": "weir", "SecretString": secret(keys) });
        (200, answer.to_string())
    };
    let account = Canned::serve(vec![said("api-1:app-1"), said("api-2:app-2\n")]).await;
    let server = Played::serve(datadog).await;
    let host = host(
        &account.url,
        &format!("dd=datadog:{}", server.url),
        &secret("api-1:app-1"),
    )
    .await;
    let kept = Kept::new(host, Duration::ZERO, Host::ports).unwrap();
    for _ in 0..2 {
        let ports = kept.current().await;
        assert_eq!(quality(&ports, "dd").await, Reading::Number(0.93));
    }
    let heard = server.heard();
    let keys: Vec<&str> = heard.iter().map(|request| request.header("dd-api-key")).collect();
    assert_eq!(keys, ["api-1", "api-2"]);
    assert_eq!(heard[0].path, "/api/v2/query/scalar");
}

/// A step that collects, as an A/B test has it.
#[tokio::test]
async fn what_a_step_collects_comes_from_the_source_that_it_names() {
    let server = Played::serve(datadog).await;
    let source = format!("dd=datadog:{}", server.url);
    let host = host("http://127.0.0.1:9", &source, &secret("api-1:app-1")).await;
    let traffic = host.ports().unwrap().traffic;
    let (from, to) = (Timestamp(1_700_000_000_000), Timestamp(1_700_000_300_000));
    assert_eq!(traffic.unknown(&collect("dd")), None);
    let numbers = [("model_a.latency".to_owned(), 0.93)].into();
    let measured = Measured::Numbers {
        numbers,
        silence: String::new(),
    };
    assert_eq!(traffic.measure(&collect("dd"), from, to).await, measured);
    let asked: Value = serde_json::from_str(&server.heard()[0].body).unwrap();
    let asked = &asked["data"]["attributes"];
    assert_eq!(asked["queries"][0]["query"], "avg:model_a.latency{*}");
    assert_eq!((&asked["from"], &asked["to"]), (&json!(from.0), &json!(to.0)));
    assert!(traffic.unknown(&collect("other")).is_some());
}

#[tokio::test]
async fn a_source_of_aws_without_a_key_is_asked_as_the_functions_role() {
    let server = Played::serve(|request| {
        let secret = |key: &str| (key == "KEY").then(|| "secret".to_owned());
        let signed = verified(request, secret).map(|signed| (signed.region, signed.service));
        let expected = Ok(("eu-west-1".to_owned(), "aps".to_owned()));
        let body = json!({ "status": "success", "data": { "resultType": "scalar", "result": [1, "0.93"] } });
        match signed == expected && request.path == "/workspaces/ws-1/api/v1/query" {
            true => (200, body.to_string()),
            false => (403, format!("{signed:?}")),
        }
    })
    .await;
    let source = format!("amp=prometheus-aws:eu-west-1:{}/workspaces/ws-1", server.url);
    let host = host("http://127.0.0.1:9", &source, "{}").await;
    let ports = host.ports().unwrap();
    assert_eq!(quality(&ports, "amp").await, Reading::Number(0.93));
}

/// Google's managed Prometheus, for whoever has the service account's token; a look comes with one that was withdrawn first.
fn managed(request: &Heard, withdrawn: &AtomicBool) -> (u16, String) {
    let refused = |status: u16, why: &str| {
        let error = json!({ "error": { "code": status, "message": why } });
        (status, error.to_string())
    };
    let form = request.form();
    let named: Vec<&str> = form.keys().map(String::as_str).collect();
    let given = (
        request.method.as_str(),
        request.path.as_str(),
        request.header("content-type"),
        named.as_slice(),
        form["query"].as_str(),
        form["timeout"].as_str(),
    );
    let expected: (_, _, _, &[&str], _, _) = (
        "POST",
        "/v1/projects/team/location/global/prometheus/api/v1/query",
        "application/x-www-form-urlencoded",
        &["query", "time", "timeout"],
        "quality",
        "7s",
    );
    if given != expected || form["time"].parse::<f64>().is_err() {
        return refused(400, &format!("{given:?}"));
    }
    if request.header("authorization") != "Bearer ya29.reads" {
        return refused(403, "Permission monitoring.timeSeries.list denied");
    }
    if withdrawn.swap(false, Ordering::Relaxed) {
        return refused(401, "Request had invalid authentication credentials.");
    }
    let body = json!({ "status": "success", "data": { "resultType": "scalar", "result": [1, "0.93"] } });
    (200, body.to_string())
}

#[tokio::test]
async fn googles_prometheus_is_asked_with_what_google_gives_for_the_functions_role() {
    let google = Played::serve(crate::google::tests::google).await;
    let withdrawn = AtomicBool::new(true);
    let server = Played::serve(move |request| managed(request, &withdrawn)).await;
    let source = |who: &str| {
        let url = format!("{}/v1/projects/team/location/global/prometheus", server.url);
        format!("gmp=prometheus-google:{who}:{url}")
    };
    let reads = "1/weir/aws;token=aws4;as=weir-reads@team.iam.gserviceaccount.com";
    let host_of = |who: &str| {
        let source = source(who);
        let url = google.url.clone();
        async move { host(&url, &source, "{}").await }
    };
    let ports = host_of(reads).await.ports().unwrap();
    for _ in 0..2 {
        assert_eq!(quality(&ports, "gmp").await, Reading::Number(0.93));
    }
    assert_eq!(
        server.heard().len(),
        3,
        "the withdrawn token was exchanged within the question"
    );
    let exchanges = google.heard();
    assert_eq!(
        exchanges
            .iter()
            .filter(|request| request.path == "/v1/token")
            .count(),
        2
    );
    let ports = host_of("1/weir/aws;token=aws4").await.ports().unwrap();
    let expected = "gmp: it refused the token (403): Permission monitoring.timeSeries.list denied";
    assert_eq!(quality(&ports, "gmp").await, Reading::Error(expected.to_owned()));
}

#[tokio::test]
async fn a_source_without_its_key_says_so_and_stops_nothing_else() {
    let table = [
        ("{}".to_owned(), "dd: set sources.dd of the secret to its keys"),
        (
            secret(" \n"),
            "dd: sources.dd of the secret is empty: give it a value, or take it out",
        ),
        (
            secret("hunter2"),
            "dd: Datadog needs two keys, written API_KEY:APPLICATION_KEY",
        ),
    ];
    for (secrets, expected) in table {
        let source = "dd=datadog:https://api.datadoghq.eu";
        let host = host("http://127.0.0.1:9", source, &secrets).await;
        let ports = host.ports().unwrap();
        assert_eq!(quality(&ports, "dd").await, Reading::Error(expected.to_owned()));
        let unready = ports.traffic.unknown(&collect("dd"));
        assert_eq!(unready.as_deref(), Some(expected), "told before anything moves");
        let shown = format!("{:?} {:?}", host.settings, host.secrets);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn a_source_that_the_stack_does_not_name_is_not_known() {
    let host = host("http://127.0.0.1:9", "dd=json:scores.example", "{}").await;
    let ports = host.ports().unwrap();
    let Reading::Error(why) = quality(&ports, "other").await else {
        panic!("nobody named it")
    };
    assert!(why.contains("in `Sources` of its stack"), "{why}");
    assert_eq!(
        ports
            .traffic
            .values(&sample::run("two", "llm", 2), sample::ROLLOUT)
            .await,
        BTreeMap::new()
    );
}
