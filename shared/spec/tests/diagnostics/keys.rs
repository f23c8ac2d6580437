//! Wrong keys, types and units.

use super::kit::alone;
use super::step;

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
            canary("alpha: 1"),
            (11, 22),
            "`alpha` is `1`: expected a chance above 0 and below 1, for example 1% or 0.01",
            "",
        ),
        (canary("alpha: 0%"), (11, 22), "`alpha` is `0%`", ""),
        (canary("alpha: 100%"), (11, 22), "`alpha` is `100%`", ""),
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
fn a_canary_whose_step_cannot_be_read_gets_the_true_error_alone() {
    let table = [
        (
            "{weight: 150, interval: 5m}",
            "`weight` is `150`: expected a whole percentage from 0 to 100",
        ),
        (
            "{weight: 5, interval: 0}",
            "`interval` is `0`: expected a time with a unit",
        ),
        ("{steps: [{weight: 150, interval: 5m}]}", "`weight` is `150`"),
        ("{steps: []}", "`steps` is"),
        (
            "{weight: 5}",
            "a canary without steps: expected `weight` and `interval`",
        ),
        ("{threshold: 90}", "a canary without steps"),
        (
            "{weight: 5, interval: 5m, steps: [{weight: 10, interval: 5m}]}",
            "`weight` or `interval` beside `steps`: expected one of the two",
        ),
        (
            "{interval: 5m, steps: [{weight: 10, interval: 5m}]}",
            "`weight` or `interval` beside `steps`",
        ),
    ];
    for (canary, expected) in table {
        let said = alone(&step(
            "Kubernetes",
            &format!("namespace: production\ncanary: {canary}"),
        ));
        let errors: Vec<&str> = said
            .iter()
            .filter(|d| d.severity == "error")
            .map(|d| d.message.as_str())
            .collect();
        assert_eq!(errors.len(), 1, "{canary}: {errors:#?}");
        assert!(errors[0].contains(expected), "{canary}: {errors:#?}");
    }
}

#[test]
fn a_pause_before_anything_moves_is_told_with_the_fix() {
    let said = |at: &str| {
        alone(&step(
            "Kubernetes",
            &format!("namespace: production\nrolling: {{pause_at: {at}}}"),
        ))
    };
    let none = said("0%");
    let found = none
        .iter()
        .find(|d| d.message == "a pause at 0 %: expected 1 to 100");
    assert!(found.unwrap().help.contains("`type: Approval`"), "{none:#?}");
    assert!(said("1%").iter().all(|d| d.severity == "warning"));
}

#[test]
fn nothing_is_defined_in_an_empty_file_and_in_an_empty_mapping_alike() {
    for text in ["", "# nothing\n", "{}", "{}\n---\n{}\n"] {
        let said = alone(text);
        assert!(
            said[0].message.starts_with("nothing is defined"),
            "{text}: {said:#?}"
        );
    }
}

#[test]
fn a_file_that_is_too_long_is_told_in_mebibytes() {
    let said = alone(&format!("# {}\n", "x".repeat(2_000_000)));
    assert!(said[0].message.contains("a file of more than 1 MiB"), "{said:#?}");
}
