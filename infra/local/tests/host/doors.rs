//! What comes over HTTP.

use crate::world::{SECRET, World};

#[test]
fn a_signed_push_starts_a_run_once_however_often_it_is_delivered() {
    let world = World::new();
    let host = world.host();
    let first = host.pushed();
    assert_eq!(host.pushed(), first);
    let listed = host.json(&["runs"]);
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1);
    let run = &listed["runs"][0];
    assert_eq!((&run["id"], &run["number"]), (&first.into(), &1.into()));
    assert_eq!(run["pipeline"]["name"], "Model-Update");
}

#[test]
fn nothing_is_started_by_who_does_not_know_the_secret() {
    let world = World::new();
    let host = world.host();
    let body = world.push();
    let forged = format!("sha256={}", "0".repeat(64));
    let unsigned = host.post("/webhooks/github", &body, &[]);
    let wrong = host.post("/webhooks/github", &body, &[("x-hub-signature-256", &forged)]);
    assert_eq!((unsigned.status, wrong.status), (401, 401));
    assert_eq!(host.json(&["runs"])["runs"], serde_json::json!([]));
}

#[test]
fn several_secrets_are_accepted_while_one_is_exchanged() {
    let world = World::new();
    let both = format!("the next one\n{SECRET}\n");
    let host = world.start(world.up().env("WEIR_GITHUB_SECRET", both));
    host.pushed();
    let told = std::fs::read_to_string(world.path("host.log")).unwrap();
    assert!(!told.contains(SECRET) && !told.contains("the next one"), "{told}");
}

#[test]
fn a_door_without_its_secret_is_shut_and_names_the_variable() {
    let world = World::new();
    let host = world.start(&mut world.up());
    for (path, variable) in [
        ("/webhooks/github", "WEIR_GITHUB_SECRET"),
        ("/webhooks/slack", "WEIR_SLACK_SIGNING_SECRET"),
        ("/webhooks/alertmanager", "WEIR_ALARM_SECRET"),
        ("/webhooks/cloudwatch", "WEIR_ALARM_SECRET"),
        ("/webhooks/datadog", "WEIR_ALARM_SECRET"),
        ("/webhooks/alarm", "WEIR_ALARM_SECRET"),
    ] {
        let reply = host.post(path, b"{}", &[]);
        assert_eq!(reply.status, 503);
        assert!(reply.body.contains(variable), "{reply:?}");
    }
}

#[test]
fn an_alarm_is_answered_to_who_knows_the_secret_alone() {
    let world = World::new();
    let host = world.start(world.up().env("WEIR_ALARM_SECRET", "the alarms' secret"));
    let body = br#"{"alarm":"by hand","service":"llm","environment":"Production","state":"firing","since":1764072000}"#;
    let stranger = host.post("/webhooks/alarm", body, &[("authorization", "Bearer guess")]);
    assert_eq!(stranger.status, 401, "{stranger:?}");
    let known = host.post(
        "/webhooks/alarm",
        body,
        &[("authorization", "Bearer the alarms' secret")],
    );
    assert_eq!(known.status, 200, "{known:?}");
    assert!(
        known
            .body
            .contains("nothing is being rolled out to llm in Production"),
        "{known:?}"
    );
}

#[test]
fn what_is_too_large_or_unknown_is_turned_away() {
    let world = World::new();
    let host = world.host();
    let large = vec![b' '; (25 << 20) + 1];
    assert_eq!(host.post_signed(&large).status, 413);
    let many: String = (0..101).map(|n| format!("x-{n}: y\r\n")).collect();
    let head = format!("GET /health HTTP/1.1\r\nhost: weir\r\n{many}\r\n");
    assert_eq!(host.send(head.as_bytes(), b"").status, 431);
    assert_eq!(host.post("/webhooks/other", b"{}", &[]).status, 404);
    let health = host.send(
        b"GET /health HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\r\n",
        b"",
    );
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
}
