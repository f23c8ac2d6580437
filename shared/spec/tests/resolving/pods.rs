//! What a pod is given so that it is Ready when it is warm, and leaves when it has answered.

use serde_json::{Value, json};
use weir_domain::workload::WARM_UP;

use super::{WORLD, kit, pipeline, rollout, stage, try_in, variables};

/// The pod of a service with these keys more.
fn pod(keys: &str) -> Result<Value, Vec<String>> {
    let world = WORLD.replace(
        "  spec:\n    containers:",
        &format!("  spec:\n    {keys}\n    containers:"),
    );
    let text = pipeline(&stage("A", "Kubernetes", "{namespace: test}"));
    let resolved = try_in(&world, &text, &variables(), &[])?;
    Ok(rollout(&resolved).workload.template["spec"].clone())
}

fn service(keys: &str) -> Vec<kit::Said> {
    kit::alone(&format!(
        "service:\n  name: llm\n  spec:\n    {keys}\n    containers:\n      - {{name: a, image: 'a:1', healthChecks: [{{type: HTTP, path: /h}}]}}\n"
    ))
}

#[test]
fn a_pod_that_is_told_to_stop_has_time_for_the_longest_answer() {
    for (keys, seconds) in [
        ("replicas: 1", 60),
        ("longest_generation: 102s", 117),
        ("longest_generation: 10m", 615),
        ("termination_grace: 20s", 20),
        ("{longest_generation: 10s, termination_grace: 90s}", 90),
    ] {
        let keys = keys.trim_matches(['{', '}']).replace(", ", "\n    ");
        assert_eq!(
            pod(&keys).unwrap()["terminationGracePeriodSeconds"],
            seconds,
            "{keys}"
        );
    }
}

#[test]
fn a_grace_that_is_shorter_than_the_longest_answer_is_told() {
    let said = service("longest_generation: 5m\n    termination_grace: 1m");
    let said: Vec<&str> = said.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(
        said,
        ["service `llm` gives a pod 1m to end, and its longest answer needs 5m 15s"]
    );
    assert!(service("longest_generation: 5m").is_empty());
}

#[test]
fn a_startup_probe_asks_for_one_answer_and_readiness_stays_as_written() {
    let asked = |keys: &str| pod(&format!("first_generation: {{{keys}}}")).unwrap()["containers"][0].clone();
    for (keys, path, body) in [
        (
            "preset: vllm",
            "/v1/completions",
            r#"{"model": "%model%", "prompt": "Hello", "max_tokens": 8}"#,
        ),
        (
            "preset: sglang",
            "/generate",
            r#"{"text": "Hello", "sampling_params": {"max_new_tokens": 8}}"#,
        ),
        (
            "preset: triton, path: /v2/models/m/generate",
            "/v2/models/m/generate",
            r#"{"text_input": "Hello", "max_tokens": 8}"#,
        ),
        ("path: '/ask/${BRANCH}', body: '{}'", "/ask/main", "{}"),
    ] {
        let container = asked(keys);
        let startup = &container["startupProbe"];
        let command = startup["exec"]["command"].as_array().unwrap();
        assert_eq!(command[..2], [json!("python3"), json!("-c")], "{keys}");
        assert_eq!(
            command[3..],
            [
                json!(WARM_UP),
                json!("8000"),
                json!(path),
                json!(body),
                json!("60")
            ],
            "{keys}"
        );
        assert_eq!(
            (&startup["timeoutSeconds"], &startup["periodSeconds"]),
            (&json!(65), &json!(5))
        );
        assert_eq!(startup["httpGet"], Value::Null);
        assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/health");
    }
    let curl = asked("path: /ask, body: '{}', tool: curl, timeout: 10s");
    assert_eq!(
        curl["startupProbe"]["exec"]["command"],
        json!([
            "curl",
            "-sSf",
            "-o",
            "/dev/null",
            "--noproxy",
            "*",
            "-m",
            "10",
            "-A",
            WARM_UP,
            "-H",
            "Content-Type: application/json",
            "-d",
            "{}",
            "http://127.0.0.1:8000/ask"
        ])
    );
    assert_eq!(curl["startupProbe"]["timeoutSeconds"], 15);
}

#[test]
fn an_answer_that_cannot_be_asked_for_is_refused_with_the_fix() {
    for (keys, expected) in [
        (
            "timeout: 10s",
            "a warm-up without a `preset` and without both `path` and `body`: expected what to ask the server for",
        ),
        (
            "path: /ask",
            "a warm-up without a `preset` and without both `path` and `body`: expected what to ask the server for",
        ),
        (
            "preset: triton",
            "`preset: triton` without `path`: expected what to ask the server for",
        ),
        (
            "preset: vllm, path: ask",
            "path `ask`: expected one that begins with `/`",
        ),
        (
            "preset: vllm, tool: curl",
            "curl, which cannot ask the server what its model is called: expected a `body`",
        ),
    ] {
        let said = service(&format!("first_generation: {{{keys}}}"));
        let said: Vec<&str> = said.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(said, [expected], "{keys}");
    }
    let said = service("first_generation: {preset: tgi}");
    assert!(
        said[0].message.contains("expected vllm, sglang, triton"),
        "{said:?}"
    );
}

#[test]
fn a_pod_that_generates_before_it_is_ready_needs_no_health_check() {
    let text = "service:\n  name: llm\n  spec:\n    first_generation: {preset: vllm}\n    containers: [{name: a, image: 'a:1'}]\n";
    assert!(kit::alone(text).is_empty());
}
