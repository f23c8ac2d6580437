//! What is wrong with a definition is said with its place, what was expected, and the nearest right spelling.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod experiments;
mod guards;
mod keys;
#[path = "../kit/mod.rs"]
mod kit;
mod names;
mod proof;
mod releases;
mod yaml;

use kit::{Said, alone, together};

/// A pipeline around one step of a kind.
fn step(kind: &str, spec: &str) -> String {
    format!(
        "pipeline:\n  name: P\n  stages:\n    - stage: S\n      steps:\n        - step:\n            name: N\n            \
         type: {kind}\n            spec:\n{}",
        indented(spec, 14)
    )
}

fn indented(text: &str, by: usize) -> String {
    text.lines()
        .map(|line| format!("{}{line}\n", " ".repeat(by)))
        .collect()
}

#[test]
fn keys_without_effect_are_told_and_nothing_else_is() {
    let table = [
        (
            "cost_management: {alerts: [{threshold: 1000, action: notify}]}",
            "`cost_management` has no effect yet",
        ),
        ("production: {debug: false}", "`debug` has no effect yet"),
        (
            "production: {enable_monitoring: true}",
            "`enable_monitoring` has no effect yet",
        ),
        (
            "production: {enable_alerts: true}",
            "`enable_alerts` has no effect yet",
        ),
        (
            "rollback_policy: {manual: [{requires: on_call_engineer}]}",
            "`manual` has no effect yet",
        ),
        ("metrics: {speed: {query: q}}", "nothing measures `speed`"),
        (
            "rollback_policy: {automatic: [{condition: queue_depth > 5}]}",
            "`queue_depth > 5` has no effect yet in a rollback",
        ),
        (
            "environments: [{name: A, provider: AWS-ECS, spec: {cluster: c, region: r}}]",
            "AWS-ECS cannot be driven yet",
        ),
        (
            "environments: [{name: A, spec: {cluster: c, region: r}}]",
            "`region` has no effect yet",
        ),
    ];
    for (text, message) in table {
        let said = alone(text);
        assert!(said.iter().all(|d| d.severity == "warning"), "{text}\n{said:#?}");
        assert!(
            said.iter().any(|d| d.message.contains(message)),
            "{text}\n{said:#?}"
        );
    }
    for works in [
        "production: {replicas: 3, image_pull_policy: Always}",
        "rollback_policy: {automatic: [{condition: '!(success_rate >= 95%)', mode: point}]}",
        "rollback_policy: {automatic: [{condition: error_rate > 5%, duration: 5m}]}",
        "metrics: {quality: {source: q, query: 'https://q.example/${revision}#/score', unit: ratio}}\n\
         rollback_policy: {automatic: [{condition: quality < 80%}]}",
        "rollback_policy: {automatic: [{condition: 'error_rate[5m] > 5%'}]}",
        "rollback_policy: {automatic: [{condition: 'error_rate[5m] > 5%', duration: 10m, mode: point}]}",
        "metrics: {depth: {source: q, query: 'https://q.example/${revision}#/depth'}}\n\
         rollback_policy: {automatic: [{condition: 'max(depth[5m]) > 80', duration: 2m}]}",
        "metrics: {traffic: {source: prom, preset: istio}, gpus: {source: prom, preset: dcgm}}",
        "clusters: [{name: c}]\nenvironments: [{name: A, provider: GCP-GKE, spec: {cluster: c}}]",
        "clusters: [{name: c}]\nenvironments: [{name: A, provider: Azure-AKS, spec: {cluster: c}}]",
    ] {
        assert!(alone(works).is_empty(), "{works}\n{:#?}", alone(works));
    }
}

#[test]
fn a_metric_that_cannot_be_asked_is_refused_where_it_stands() {
    let table = [
        ("metrics: {a: {source: s}}", "`a` asks its source nothing"),
        ("metrics: {a: {source: s, total: t}}", "`a` has total"),
        (
            "metrics: {a: {source: s, query: q, preset: http}}",
            "`a` has preset and query",
        ),
        (
            "metrics: {a: {source: s, query: '${revison}'}}",
            "`${revison}` is not filled into a query",
        ),
        (
            "metrics: {a: {source: s, preset: http}, b: {source: s, preset: envoy}}",
            "is declared twice",
        ),
        (
            "rollback_policy: {automatic: [{condition: '!(error_rate > 5% for 5m)'}]}",
            "`for` inside `!`",
        ),
        (
            "rollback_policy: {automatic: [{condition: 'error_rate[5m] > 5%', duration: 10m}]}",
            "`error_rate[5m] > 5% for 10m` gives two times",
        ),
    ];
    for (text, message) in table {
        let said = alone(text);
        let found = said
            .iter()
            .any(|d| d.severity == "error" && d.message.contains(message));
        assert!(found, "{text}\n{said:#?}");
    }
}

#[test]
fn a_window_that_no_step_can_cover_is_refused() {
    let with = |condition: &str| {
        let canary = format!(
            "namespace: x\nhold_exposure: 5m\ncanary: {{weight: 5, interval: 10m}}\nrollback: {{condition: '{condition}'}}"
        );
        let metrics = "metrics: {depth: {source: q, query: 'https://q.example/#/depth'}}\n";
        let service = "service: {name: s, spec: {containers: [{name: model, image: 'a:1', healthChecks: [{type: HTTP, path: /health}]}]}}\n\
                       environments: [{name: A, spec: {cluster: c, namespace: x}}]\n";
        alone(&format!("{metrics}{service}{}", step("Kubernetes", &canary)))
    };
    let about = |said: &[Said]| said.iter().filter(|d| d.message.contains("its window")).count();
    for fine in ["depth[15m] > 5", "error_rate[1h] > 5%", "queue_depth[1h] > 5"] {
        assert_eq!(about(&with(fine)), 0, "{fine}\n{:#?}", with(fine));
    }
    let said = with("restarts > 3 || max(depth[16m]) > 5");
    let Some(wrong) = said.iter().find(|d| d.message.contains("its window")) else {
        panic!("{said:#?}")
    };
    assert_eq!(wrong.severity, "error");
    assert!(
        wrong.message.starts_with("`max(depth[16m]) > 5`"),
        "{}",
        wrong.message
    );
    assert!(wrong.help.contains("a window of 15m at most"), "{}", wrong.help);
}

#[test]
fn a_shadow_that_could_copy_nothing_is_told() {
    let table = [
        ("shadow: {percent: 0}", "error", "copies of 0 % of the requests"),
        ("shadow: {percent: 101}", "error", "101"),
        ("shadow: {interval: 0s}", "error", "0s"),
        ("shadow: {gpus: 0}", "error", "0"),
        ("shadow: {replicas: 1}", "error", "`replicas`"),
        ("shadow: {percent: 10}\nbake: 5m", "error", "has a `bake`"),
        (
            "shadow: {percent: 10}\ncanary: {weight: 5, interval: 1m}",
            "error",
            "settings of",
        ),
    ];
    for (spec, severity, message) in table {
        let said = alone(&step("Kubernetes", &format!("namespace: x\n{spec}")));
        let found = said
            .iter()
            .any(|d| d.severity == severity && d.message.contains(message));
        assert!(found, "{spec}\n{said:#?}");
    }
}

#[test]
fn questions_that_cannot_be_put_and_answers_that_nothing_is_said_of_are_told() {
    let asking = |question: &str| {
        format!("shadow: {{answers: [{question}]}}\nrollback: {{condition: answers_differ > 5%}}")
    };
    let many = ["{path: /a}"; 17].join(", ");
    let long = format!("{{path: /a, body: {{prompt: {}}}}}", "x".repeat(16 * 1024));
    let table = [
        (asking("{path: v1/completions}"), "path `v1/completions`"),
        (asking("{path: /a/../b}"), "path `/a/../b`"),
        (asking("{path: /a/%2E./b}"), "path `/a/%2E./b`"),
        (asking("{path: '/a b'}"), "path `/a b`"),
        (asking(&format!("{{path: /{}}}", "a".repeat(1024))), "a path of 1025 bytes"),
        (asking("{path: /a, compare: choices}"), "`compare: choices`"),
        (asking("{path: /a, compare: '/a~2'}"), "`compare: /a~2`"),
        (asking("{path: /a, body: text}"), "text"),
        (asking("{body: {prompt: x}}"), "`path`"),
        (asking("{path: /a, answer: yes}"), "`answer`"),
        (asking(&long), "bytes of JSON"),
        (asking(&many), "17 questions"),
        (asking(""), "0 questions"),
        ("shadow: {answers: [{path: /a}]}".to_owned(), "nothing says how many may differ"),
        (
            "shadow: {percent: 10}\nrollback: {condition: answers_differ > 5%}".to_owned(),
            "is counted where a `shadow` has `answers`",
        ),
        (
            "canary: {weight: 5, interval: 1m}\nrollback: {condition: error_rate > 2% || answers_differ > 5%}".to_owned(),
            "is counted where a `shadow` has `answers`",
        ),
    ];
    for (spec, message) in table {
        let said = alone(&step("Kubernetes", &format!("namespace: x\n{spec}")));
        let found = said
            .iter()
            .any(|d| d.severity == "error" && d.message.contains(message));
        assert!(found, "{spec}\n{said:#?}");
    }
}

#[test]
fn a_consent_to_swap_that_the_strategy_has_no_use_for_is_told_with_the_fix() {
    let table = [
        (
            "allow: swap\nstrategy: blue-green",
            "with the strategy blue-green",
            "takes no places of what serves",
        ),
        (
            "allow: swap\nshadow: {percent: 10}",
            "with the strategy shadow",
            "takes no places of what serves",
        ),
        (
            "allow: swap\nrolling: {surge: 1}",
            "with the strategy rolling",
            "`surge` and `unavailable` say",
        ),
        ("allow: everything\nstrategy: rolling", "everything", ""),
    ];
    for (spec, message, help) in table {
        let said = alone(&step("Kubernetes", &format!("namespace: x\n{spec}")));
        let found = said
            .iter()
            .any(|d| d.severity == "error" && d.message.contains(message) && d.help.contains(help));
        assert!(found, "{spec}\n{said:#?}");
    }
    for spec in [
        "allow: swap\nstrategy: rolling",
        "allow: swap\ncanary: {weight: 5, interval: 1m}",
    ] {
        let said = alone(&step("Kubernetes", &format!("namespace: x\n{spec}")));
        assert!(
            !said.iter().any(|d| d.message.contains("`allow: swap`")),
            "{said:#?}"
        );
    }
}

#[test]
fn a_canary_that_nothing_could_send_back_is_refused_where_its_step_stands() {
    let complaints = |canary: &str, more: &str| -> Vec<Said> {
        let step = step(
            "Kubernetes",
            &format!("strategy: canary\ncanary: {{{canary}}}\n{more}"),
        );
        let world = "environments: [{name: Production, spec: {cluster: gpu}}]\n\
                     service: {name: llm, spec: {containers: [{name: c, image: 'i:${VERSION}'}]}}\n";
        let said = together(&[("pipeline.yaml", &step), ("world.yaml", world)]).into_iter();
        said.filter(|one| one.message.contains("could send the candidate back"))
            .collect()
    };
    let none = "weight: 5, interval: 10m, threshold: 0";
    let said = complaints(none, "");
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!(
        (said[0].severity.as_str(), said[0].file.as_str()),
        ("error", "pipeline.yaml")
    );
    assert!(
        said[0].message.contains("expected a `threshold` above 0"),
        "{said:#?}"
    );
    assert!(complaints(none, "rollback: {condition: error_rate > 2%}").is_empty());
    assert!(complaints("weight: 5, interval: 10m", "").is_empty());
}

#[test]
fn errors_come_before_warnings_and_then_by_place() {
    let said = alone("dev: {debug: true, replicas: 0}\ncost_management: {}\nx: 1\n");
    let order: Vec<_> = said.iter().map(|d| (d.severity.as_str(), d.at.0)).collect();
    assert_eq!(
        order,
        [("error", 1), ("error", 3), ("warning", 1), ("warning", 2)]
    );
}

#[test]
fn a_gpu_request_that_is_not_the_limit_is_told_at_the_request() {
    let service = |requests: &str, limits: &str| {
        format!(
            "service:\n  name: s\n  spec:\n    containers:\n      - name: c\n        image: i:${{VERSION}}\n        resources:\n          requests: {{{requests}}}\n          limits: {{{limits}}}\n"
        )
    };
    let said = alone(&service("nvidia.com/gpu: 1", "nvidia.com/gpu: 2"));
    let hit = said
        .iter()
        .find(|d| d.message.contains("request of 1 nvidia.com/gpu and limit of 2"))
        .unwrap();
    assert_eq!((hit.severity.as_str(), hit.at), ("error", (8, 38)));
    let said = alone(&service("nvidia.com/gpu: 1", "cpu: 2"));
    assert!(
        said.iter().any(|d| d.message.contains("limit of none")),
        "{said:#?}"
    );
    let said = alone(&service("memory: 8GB", "cpu: 2"));
    assert!(
        said.iter()
            .any(|d| d.message.contains("`memory` is `8GB`: expected a quantity")),
        "{said:#?}"
    );
    let said = alone(&service("cpu: 1, nvidia.com/gpu: 1", "cpu: 2, nvidia.com/gpu: 1"));
    assert!(said.iter().all(|d| d.severity == "warning"), "{said:#?}");
}

#[test]
fn the_text_for_people_shows_the_line_and_a_caret() {
    let text = "dev:\n  image_pull_policy: always\n";
    let report = weir_spec::validate(
        vec![weir_spec::SourceFile::new("a.yaml", text)],
        Default::default(),
        weir_spec::Scope::OneFile,
    );
    let expected = "\
error: unknown image pull policy `always`
  ┌─ a.yaml:2:22
2 │   image_pull_policy: always
  │                      ^^^^^^ expected Always, IfNotPresent, Never
  = help: did you mean `Always`?
not valid: 1 error, 0 warnings
";
    assert_eq!(report.text(false), expected);
    let json = serde_json::to_value(&report).unwrap();
    let diagnostic = serde_json::json!({
        "severity": "error", "file": "a.yaml", "line": 2, "column": 22,
        "message": "unknown image pull policy `always`: expected Always, IfNotPresent, Never",
        "help": "did you mean `Always`?",
    });
    assert_eq!(
        json,
        serde_json::json!({"valid": false, "diagnostics": [diagnostic]})
    );
}

#[test]
fn a_stage_that_starts_more_at_once_than_is_stored_at_once_is_refused() {
    let stage = |parallel: bool, count: usize| {
        let steps: String = (0..count)
            .map(|n| {
                format!(
                    "        - step:\n            name: N{n}\n            type: Plugin\n            spec:\n              \
                     image: a\n              commands: [b]\n"
                )
            })
            .collect();
        format!(
            "pipeline:\n  name: P\n  stages:\n    - stage: S\n      parallel: {parallel}\n      steps:\n{steps}"
        )
    };
    let errors = |parallel, count| -> Vec<String> {
        let said = alone(&stage(parallel, count)).into_iter();
        said.filter(|one| one.severity == "error")
            .map(|one| one.message)
            .collect()
    };
    assert_eq!(
        errors(true, 61),
        ["stage `S` starts 61 steps at once: expected at most 60"]
    );
    assert!(errors(true, 60).is_empty());
    assert!(errors(false, 61).is_empty());
}
