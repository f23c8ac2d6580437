//! What is wrong with a definition is said with its place, what was expected, and the nearest right spelling.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod kit;

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
fn wrong_keys_types_and_units_are_told_where_they_stand() {
    let canary = |body: &str| step("Kubernetes", &format!("namespace: production\n{body}"));
    let table: &[(String, (u32, u32), &str, &str)] = &[
        (
            canary("strategy: canery"),
            (11, 25),
            "unknown strategy `canery`: expected rolling, canary, blue-green, shadow",
            "did you mean `canary`?",
        ),
        (
            canary("stategy: rolling"),
            (11, 15),
            "unknown key `stategy` in `spec`",
            "did you mean `strategy`?",
        ),
        (
            canary("canary: {weight: 150, interval: 5m}"),
            (11, 32),
            "`weight` is `150`: expected a whole percentage from 0 to 100",
            "",
        ),
        (
            canary("canary: {weight: 5.5, interval: 5m}"),
            (11, 32),
            "`weight` is `5.5`",
            "",
        ),
        (
            canary("canary: {weight: 0, interval: 5m}"),
            (11, 32),
            "a weight of 0 %: expected 1 to 100",
            "",
        ),
        (
            canary("canary: {weight: 5, interval: 10}"),
            (11, 45),
            "`interval` is `10`: expected a time with a unit",
            "",
        ),
        (
            canary("canary: {weight: 5, interval: 0s}"),
            (11, 45),
            "`interval` is `0s`: expected a time longer than nothing",
            "",
        ),
        (
            canary("canary: {weight: 5, interval: 5 minutes}"),
            (11, 45),
            "`interval` is `5 minutes`",
            "",
        ),
        (
            canary("canary: {weight: 5}"),
            (11, 23),
            "a canary without steps",
            "",
        ),
        (
            canary("canary: 5"),
            (11, 23),
            "`canary` is `5`: expected a mapping with weight, interval",
            "",
        ),
        (
            canary("canary: {weight: 5, interval: 5m, threshold: 101}"),
            (11, 60),
            "`threshold` is `101`",
            "",
        ),
        (
            canary("canary: {steps: [{weight: 20, interval: 5m}, {weight: 10, interval: 5m}]}"),
            (11, 69),
            "a weight of 10 % after one of 20 %: expected weights that rise",
            "",
        ),
        (
            canary("strategy: canary"),
            (7, 19),
            "`N` is a canary without its steps",
            "add `canary: {weight: 5, interval: 10m}`",
        ),
        (
            canary("strategy: rolling\ncanary: {weight: 5, interval: 5m}"),
            (7, 19),
            "`N` has settings of canary and the strategy rolling",
            "leave one of them out",
        ),
        (
            canary("rollback: {condition: error_rate > 5 ms}"),
            (11, 50),
            "`error_rate` compared with `5 ms`: expected a percentage",
            "",
        ),
        (
            canary("rollback: {condition: eror_rate > 5%}"),
            (11, 37),
            "unknown metric `eror_rate`",
            "did you mean `error_rate`?",
        ),
        (
            canary("rollback: {condition: 'latency_p99 > 2%'}"),
            (11, 52),
            "`latency_p99` compared with `2%`",
            "",
        ),
        (
            canary("resources: [../../etc/passwd]"),
            (11, 27),
            "`resources` is `../../etc/passwd`: expected a path that stays inside the commit",
            "",
        ),
        (
            canary("resources: [/etc/passwd]"),
            (11, 27),
            "expected a path relative to the root of the repository",
            "",
        ),
        (
            canary("replicas: 0"),
            (11, 25),
            "`replicas` is `0`: expected a whole number from 1",
            "",
        ),
        (
            canary("selector: {version: a}"),
            (7, 19),
            "the variant of `N` has no weight",
            "add `weight:`",
        ),
        (
            canary("selector: {version: a}\nweight: 40"),
            (12, 23),
            "the variants' weights are 40 % together: expected 100 %",
            "",
        ),
        (
            step("Plugn", "image: x"),
            (8, 19),
            "unknown type `Plugn`: expected Plugin, Kubernetes, Datadog",
            "did you mean `Plugin`?",
        ),
        (
            step("Plugin", "commands: [ls]"),
            (10, 15),
            "key `image` of `spec` is missing",
            "",
        ),
        (
            step("Plugin", "image: x\ncommands: ls"),
            (11, 25),
            "`commands` is `ls`: expected a list",
            "",
        ),
        (
            step("Plugin", "image: x\ncommands: []"),
            (11, 25),
            "`commands` is a list: expected at least one item",
            "",
        ),
        (
            step("Plugin", "image: x\ncommands: ['echo ${GIT_COMIT}']"),
            (11, 32),
            "unknown variable `GIT_COMIT`",
            "did you mean `GIT_COMMIT`?",
        ),
        (
            step("Plugin", "image: x\ncommands: ['echo ${NOWHERE_NEAR}']"),
            (11, 32),
            "unknown variable `NOWHERE_NEAR`",
            "written `$NOWHERE_NEAR` or `$${NOWHERE_NEAR}`",
        ),
        (
            step("Plugin", "image: x\ncommands: [ls]\nenv: {1A: x}"),
            (12, 21),
            "`1A` as the name of a variable",
            "",
        ),
        (
            step("Plugin", "image: x\ncommands: [ls]\nenv: [{A: x}, {A: y}]"),
            (12, 30),
            "variable `A` is set twice",
            "",
        ),
        (
            "pipelin: {}".into(),
            (1, 1),
            "unknown section `pipelin`",
            "did you mean `pipeline`?",
        ),
        ("- a".into(), (1, 1), "a document that is a list", ""),
        ("".into(), (1, 1), "nothing is defined", ""),
        (
            "environments:\n  - name: A\n    spec: {cluster: c, namespace: Bad_Name}".into(),
            (3, 35),
            "`namespace` is `Bad_Name`: expected lower-case letters",
            "",
        ),
        (
            "environments:\n  - name: A\n    provider: AWS-EC2\n    spec: {cluster: c}".into(),
            (3, 15),
            "unknown provider `AWS-EC2`",
            "did you mean `AWS-ECS`?",
        ),
        (
            "dev: {debug: yes}".into(),
            (1, 14),
            "`debug` is `yes`: expected true or false",
            "YAML 1.2 reads `yes` as text: write true",
        ),
        (
            "dev: {image_pull_policy: always}".into(),
            (1, 26),
            "unknown image pull policy `always`",
            "did you mean `Always`?",
        ),
        (
            "pipeline: {name: P, trigger: [{type: Webhook, true: [push]}], stages: []}".into(),
            (1, 47),
            "unknown key `true` in `trigger`",
            "write `on`",
        ),
        (
            "groups: [{name: g, members: [{name: a, uid: -1}]}]".into(),
            (1, 45),
            "`uid` is `-1`",
            "",
        ),
        (
            "rollback_policy: {automatic: [{condition: 'restarts > 1 || queue_depth > 1', duration: 5m}]}"
                .into(),
            (1, 88),
            "a `duration` for a condition with `||`",
            "write one rule for each part",
        ),
    ];
    for (text, at, message, help) in table {
        let said = alone(text);
        let hit = said
            .iter()
            .find(|d| d.severity == "error" && d.at == *at && d.message.contains(message));
        let hit = hit.unwrap_or_else(|| panic!("{text}\nexpected {at:?} {message}\n{said:#?}"));
        assert!(hit.help.contains(help), "{text}\n{hit:?}");
    }
}

#[test]
fn what_yaml_itself_forbids_is_told_where_it_stands() {
    let table = [
        ("a: [1, 2", (1, 4), "not YAML: unclosed bracket"),
        ("pipeline:\n\tname: x", (2, 2), "not YAML: tabs"),
        ("dev: {}\ndev: {}", (2, 1), "key `dev` is written twice"),
        (
            "dev: {replicas: 1, replicas: 2}",
            (1, 20),
            "key `replicas` is written twice",
        ),
        ("dev: !!python/object:os.system {}", (1, 32), "a YAML tag"),
        ("a: &x [*x]", (1, 8), "an alias to a value that holds it"),
        ("a: *nobody", (1, 4), "not YAML"),
    ];
    for (text, at, message) in table {
        let said = alone(text);
        assert!(
            said.iter().any(|d| d.at == at && d.message.contains(message)),
            "{text}\n{said:#?}"
        );
    }
}

#[test]
fn bombs_are_refused_before_they_grow() {
    let mut aliases = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let row = vec![format!("*a{}", i - 1); 10].join(", ");
        aliases.push_str(&format!("a{i}: &a{i} [{row}]\n"));
    }
    let deep = "[".repeat(5_000);
    let deep_block: String = (0..500).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    let scalar = format!("a: {}", "x".repeat(300 << 10));
    let file = format!("# {}", "x".repeat(2 << 20));
    let keys: String = (0..3_000).map(|i| format!("k{i}: 1\n")).collect();
    let items = format!("pipeline: {{name: p, stages: [{}]}}", vec!["1"; 501].join(","));
    let merges = format!(
        "a: &a {{{}}}\nb: {{<<: [{}]}}",
        (0..900)
            .map(|i| format!("k{i}: 1"))
            .collect::<Vec<_>>()
            .join(", "),
        vec!["*a"; 90].join(", ")
    );
    for text in [aliases, deep, deep_block, scalar, file, keys, items, merges] {
        let said = alone(&text);
        assert!(said.iter().any(|d| d.severity == "error"), "{text:.60}");
        assert!(said.len() <= 500);
    }
}

#[test]
fn a_merge_key_takes_what_the_mapping_does_not_say_itself() {
    let text = "dev: &d {replicas: 1, image_pull_policy: Always}\nstaging:\n  <<: *d\n  replicas: 3\n";
    let said = alone(text);
    assert!(said.is_empty(), "{said:#?}");
}

#[test]
fn a_name_that_is_declared_twice_is_an_error_at_the_second_place() {
    let environment = "environments:\n  - name: A\n    spec: {cluster: c}\n";
    let table = [
        (environment.to_owned(), (2, 11), "environment `A`"),
        (
            "service: {name: s, spec: {containers: [{name: c, image: 'i:${VERSION}'}]}}".into(),
            (1, 17),
            "service `s`",
        ),
        ("groups: {g: [{name: a, uid: 1}]}".into(), (1, 10), "group `g`"),
        ("builds: {namespace: b}".into(), (1, 1), "section `builds`"),
        ("dev: {replicas: 1}".into(), (1, 1), "isolation block `dev`"),
        ("clusters: [{name: c}]".into(), (1, 19), "cluster `c`"),
        (step("Plugin", "image: x\ncommands: [ls]"), (2, 9), "pipeline `P`"),
    ];
    for (text, at, name) in table {
        let said = together(&[("a.yaml", &text), ("b.yaml", &text)]);
        let message = format!("{name} is declared twice");
        let hit = said
            .iter()
            .find(|d| d.message.contains(&message))
            .unwrap_or_else(|| panic!("{text}\n{said:#?}"));
        assert_eq!((hit.file.as_str(), hit.at), ("b.yaml", at));
        assert!(hit.help.contains("a.yaml:"), "{hit:?}");
    }
}

#[test]
fn references_are_warnings_in_one_file_and_errors_in_all() {
    let table = [
        (
            step("Kubernetes", "namespace: production"),
            "no environment has the namespace `production`",
        ),
        (
            step("Kubernetes", "environment: Prod"),
            "unknown environment `Prod`",
        ),
        (
            step("Kubernetes", "namespace: x\nresources: [a.yaml]"),
            "`a.yaml` is not in the commit",
        ),
        (
            step("Kubernetes", "namespace: x\nservice: s"),
            "unknown service `s`",
        ),
        (step("Kubernetes", "namespace: x"), "no service for the step `N`"),
        (
            step("Plugin", "image: x\ncommands: [docker build .]"),
            "a `docker` command, and no builder",
        ),
        (
            step("Plugin", "image: x\ncommands: [ls]"),
            "no cluster for the Plugin steps",
        ),
        (
            "policy: {approvals: {Production: {needs: [ceo]}}}".into(),
            "unknown group `ceo`",
        ),
        (
            "policy: {approvals: {Production: none}}".into(),
            "a policy for `Production`",
        ),
        ("qa: {replicas: 2}".into(), "settings for `qa`"),
        (
            "trigger: {type: Webhook, pipeline: Q}".into(),
            "unknown pipeline `Q`",
        ),
        (
            "service: {name: s, spec: {containers: [{name: c, image: 'i:${SHARD}-${VERSION}'}]}}".into(),
            "unknown variable `SHARD`",
        ),
    ];
    for (text, message) in table {
        let find = |said: Vec<Said>| {
            said.into_iter()
                .find(|d| d.message.contains(message))
                .unwrap_or_else(|| panic!("{text}: {message}"))
        };
        assert_eq!(find(alone(&text)).severity, "warning", "{text}");
        if !message.contains("SHARD") {
            assert_eq!(find(together(&[("a.yaml", &text)])).severity, "error", "{text}");
        }
    }
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
fn errors_come_before_warnings_and_then_by_place() {
    let said = alone("dev: {debug: true, replicas: 0}\ncost_management: {}\nx: 1\n");
    let order: Vec<_> = said.iter().map(|d| (d.severity.as_str(), d.at.0)).collect();
    assert_eq!(
        order,
        [("error", 1), ("error", 3), ("warning", 1), ("warning", 2)]
    );
}

#[test]
fn people_and_groups_must_be_told_apart() {
    let table = [
        (
            "groups: {g: [{name: a, uid: 1}, {name: b, uid: 1}]}",
            "user id 1 is `a` and `b`",
        ),
        (
            "groups: {g: [{name: a, github: Ana}], h: [{name: b, github: ana}]}",
            "GitHub user ana is `a` and `b`",
        ),
        (
            "groups: {g: [{name: a, uid: 1}], h: [{name: a, uid: 2}]}",
            "`a` is declared twice with different identities",
        ),
        (
            "groups: {g: [{name: a, uid: 1}, {name: a, uid: 1}]}",
            "`a` is twice in group `g`",
        ),
        ("groups: {g: []}", "expected at least one item"),
    ];
    for (text, message) in table {
        let said = alone(text);
        assert!(
            said.iter()
                .any(|d| d.severity == "error" && d.message.contains(message)),
            "{text}\n{said:#?}"
        );
    }
    let said = alone("groups: {g: [{name: a}]}");
    assert!(said[0].severity == "warning" && said[0].message.contains("has no identity and cannot approve"));
}

#[test]
fn lists_of_patterns_that_cannot_match_are_errors() {
    let pipeline = |trigger: &str| {
        format!(
            "pipeline: {{name: P, trigger: {{type: Webhook, {trigger}}}, stages: [{{stage: S, type: Manual, approvers: [g]}}]}}"
        )
    };
    let table = [
        (
            "branches: [main], branches_ignore: [x]",
            "`branches` and `branches_ignore` in one trigger",
        ),
        (
            "paths: [a], paths_ignore: [b]",
            "`paths` and `paths_ignore` in one trigger",
        ),
        ("paths: ['!a']", "`paths` only excludes: !a"),
        ("on: [pull_request]", "unknown on `pull_request`"),
        ("paths: []", "expected at least one item"),
        ("paths: {a: b}", "`paths` is a mapping"),
    ];
    for (trigger, message) in table {
        let said = alone(&pipeline(trigger));
        assert!(
            said.iter()
                .any(|d| d.severity == "error" && d.message.contains(message)),
            "{trigger}\n{said:#?}"
        );
    }
    let said = alone(&pipeline("branch: main, paths: ['**', '!docs/**']"));
    assert!(said.iter().all(|d| d.severity == "warning"), "{said:#?}");
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

/// A definition of two variants of `llm` and the step that measures them, with one text exchanged.
fn experiment(from: &str, to: &str) -> Vec<Said> {
    let pipeline = "pipeline:
  name: AB
  stages:
    - stage: A
      steps:
        - step:
            name: A
            type: Kubernetes
            spec:
              selector: {version: model-a}
              weight: 50
    - stage: B
      steps:
        - step:
            name: B
            type: Kubernetes
            spec:
              selector: {version: model-b}
              weight: 50
    - stage: Monitor
      steps:
        - step:
            name: M
            type: Datadog
            spec:
              metrics: [model_a.latency, model_b.latency]
              duration: 7d
    - stage: After
      steps:
        - step: {name: P, type: Plugin, spec: {image: a, commands: [b]}}
";
    let place = "service: {name: llm, spec: {containers: [{name: model, image: 'a:1'}]}}
environments:
  - {name: Production, type: Kubernetes, spec: {cluster: c, namespace: production}}
";
    assert!(
        from.is_empty() || pipeline.contains(from) || place.contains(from),
        "{from}"
    );
    together(&[
        ("ab.yaml", &pipeline.replace(from, to)),
        ("place.yaml", &place.replace(from, to)),
    ])
}

#[test]
fn an_experiment_that_cannot_be_is_told() {
    let errors = |said: Vec<Said>| -> Vec<String> {
        let errors = said.into_iter().filter(|one| one.severity == "error");
        errors
            .map(|one| format!("{}:{} {}", one.at.0, one.at.1, one.message))
            .collect()
    };
    assert_eq!(errors(experiment("", "")), Vec::<String>::new());
    let monitor = "type: Datadog
            spec:
              metrics: [model_a.latency, model_b.latency]
              duration: 7d";
    let b = "    - stage: B
      steps:
        - step:
            name: B
            type: Kubernetes
            spec:
              selector: {version: model-b}
              weight: 50
";
    let table = [
        (
            "weight: 50",
            "weight: 40",
            "19:23 the variants' weights are 80 % together: expected 100 %",
        ),
        (
            b,
            "",
            "11:23 the variants' weights are 50 % together: expected 100 %",
        ),
        (
            "version: model-b",
            "version: model-a",
            "18:35 the variant `model-a` is there twice: expected another version",
        ),
        (
            "version: model-b",
            "version: 'model b'",
            "18:35 the version `model b` is no value of a label",
        ),
        (
            monitor,
            "type: Plugin\n            spec: {image: a, commands: [b]}",
            "19:23 nothing ends this experiment: expected a step `type: Datadog`",
        ),
        (
            "type: Plugin, spec: {image: a, commands: [b]}",
            "type: Kubernetes, service: lm, spec: {strategy: rolling}",
            "unknown service `lm`",
        ),
        (
            "weight: 50\n    - stage: Monitor",
            "weight: 50\n              sticky: x-user\n    - stage: Monitor",
            "20:23 `sticky: x-user`: a caller cannot be kept with a variant yet",
        ),
        (
            "weight: 50\n    - stage: Monitor",
            "weight: 50\n              replicas: 2\n    - stage: Monitor",
            "15:19 `replicas` of `B`, which is a variant",
        ),
        (
            "[model_a.latency, model_b.latency]",
            "[a,b,c,d,e,f,g,h,i,j,k,l,m]",
            "`M` collects 13 metrics: expected 1 to 12",
        ),
        (
            "duration: 7d",
            "duration: 10s",
            "`M` collects for 10s: expected 1m or longer",
        ),
        (
            "    - stage: Monitor",
            "    - stage: Between
      steps:
        - step: {name: X, type: Kubernetes, spec: {strategy: rolling}}
    - stage: Monitor",
            "`X` moves a service whose experiment goes on",
        ),
        (
            "service: {name: llm, spec: {containers: [{name: model, image: 'a:1'}]}}\n",
            "",
            "no service for the variant `A`",
        ),
    ];
    for (from, to, expected) in table {
        let said = errors(experiment(from, to));
        assert!(
            said.iter().any(|one| one.contains(expected)),
            "{expected}\n{said:#?}"
        );
    }
}

#[test]
fn one_variant_is_no_experiment() {
    let one = "    - stage: B
      steps:
        - step:
            name: B
            type: Kubernetes
            spec:
              selector: {version: model-b}
              weight: 50
";
    let said = experiment(one, "");
    assert!(
        said.iter().any(|one| one.message.contains("50 % together")),
        "{said:#?}"
    );
    let whole = step("Kubernetes", "selector: {version: a}\nweight: 100");
    let said = alone(&whole);
    let expected = "one variant is compared with nothing: expected two or more variants";
    assert!(said.iter().any(|one| one.message.contains(expected)), "{said:#?}");
}
