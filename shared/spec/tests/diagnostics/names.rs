//! Names: declared twice, unknown, or people and groups that cannot be told apart.

use super::kit::{Said, alone, together};
use super::step;

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
        (
            "service: {name: chat, spec: {containers: [{name: c, image: i}]}}\nenvironments: [{name: Test, spec: {cluster: c, adopt: \
             {chta: old}}}]"
                .into(),
            "`adopt` for `chta`, which is no service",
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
